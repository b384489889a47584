"""Where this package differs from Optax on purpose: the one table, and its proof.

    python -m tests.differences     prints it as Markdown

Each row has a probe that is run on both libraries; `test_optax_parity.py` compares what
it finds with what the row says.
"""

import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Difference(NamedTuple):
    """A behaviour, what a probe of it finds in each library, and the reason."""

    subject: str
    probe: Callable[[ModuleType], Any]
    ours: str
    optax: str
    reason: str


def outcome(probe: Callable[[ModuleType], Any], library: ModuleType) -> str:
    """What a probe finds in a library; an exception is a finding, too."""
    try:
        return str(probe(library))
    except Exception as error:
        return type(error).__name__


def _step(tx: Any, g: Any, p: Any = None) -> Any:
    """The first update."""
    return tx.update(g, tx.init(g if p is None else p), p)[0]


def _first_update(lib: ModuleType) -> str:
    return f"{_step(lib.scale_by_adam(b2=0.9999), jnp.float32(1)):.6f}"


def _moments(lib: ModuleType) -> Any:
    return lib.scale_by_adam().init(jnp.zeros(3, jnp.bfloat16)).nu.dtype


def _update_dtype(lib: ModuleType) -> Any:
    return _step(lib.scale(1.0), jnp.zeros(3, jnp.bfloat16), jnp.zeros(3)).dtype


def _clipped_in_float16(lib: ModuleType) -> str:
    g = jnp.array([300.0, 400.0], jnp.float16)
    return f"{_step(lib.clip_by_global_norm(1.0), g)[0]:.1f}"


def _clipped(lib: ModuleType) -> float:
    return float(_step(lib.clip_by_global_norm(1.0), jnp.float32(1e20)))


def _zero_clipped_to_zero(lib: ModuleType) -> float:
    return float(_step(lib.clip_by_global_norm(0.0), jnp.float32(0)))


def _first_variance(lib: ModuleType) -> str:
    u = _step(lib.scale_by_stddev(bias_correction=True), jnp.linspace(0.1, 1, 1000))
    return "finite" if bool(jnp.isfinite(u).all()) else "nan"


def _scheduled_b1(lib: ModuleType) -> str:
    return f"{_step(lib.adam(0.1, b1=lambda count: 0.5), jnp.float32(1)):.1f}"


def _traced_peak(lib: ModuleType) -> float:
    rate = jax.jit(lambda peak: lib.warmup_cosine_decay_schedule(0.0, peak, 1, 3)(1))
    return float(rate(2.0))


def _schedule_dtype(lib: ModuleType) -> Any:
    with jax.enable_x64(True):
        return lib.linear_schedule(0.0, 1.0, 3)(jnp.int32(1)).dtype


def _rebuilt(lib: ModuleType) -> bool:
    return lib.adam(0.1) == lib.adam(0.1)


def _other_shape(lib: ModuleType) -> Any:
    tx = lib.trace(0.9)
    return tx.update(jnp.ones(1), tx.init(jnp.zeros(3)))[0].shape


def _integers(lib: ModuleType) -> Any:
    return _step(lib.scale(2.0), jnp.int32(3)).dtype


def _other_containers(lib: ModuleType) -> str:
    tx = lib.add_decayed_weights(0.1, mask={"layers": [True]})
    p = {"layers": (jnp.float32(2),)}
    return f"{_step(tx, p, p)['layers'][0]:.1f}"


def _frozen(lib: ModuleType) -> int:
    p = {"w": jnp.zeros(10), "b": jnp.zeros(1)}
    tx = lib.chain(lib.adam(0.1), lib.freeze({"w": True, "b": False}))
    return sum(x.size for x in jax.tree.leaves(tx.init(p)))


def _update_is_none(lib: ModuleType) -> float:
    return float(lib.apply_updates({"w": jnp.float32(1)}, {"w": None})["w"])


def _uphill(lib: ModuleType) -> str:
    return f"{_step(lib.sgd(-1.0), jnp.float32(1)):.1f}"


def _injected_in_bfloat16(lib: ModuleType) -> str:
    p = jnp.ones(1, jnp.bfloat16)
    return f"{_step(lib.inject_hyperparams(lib.adam)(0.5), p, p)[0]:.1f}"


def _injected_mask(lib: ModuleType) -> float:
    p = {"w": jnp.ones(())}
    tx = lib.inject_hyperparams(lib.adamw)(
        0.5, mask=lambda params: {"w": params["w"].ndim > 0}
    )
    return float(_step(tx, p, p)["w"])


def _injected_whole_number(lib: ModuleType) -> int:
    tx = lib.inject_hyperparams(lib.lbfgs)(0.5, linesearch=None)
    p = jnp.ones(2)
    return jax.jit(tx.update)(p, tx.init(p), p)[0].shape[0]


def _gathered_after_a_step(lib: ModuleType) -> float:
    tx = lib.MultiSteps(lib.sgd(1.0), 1)
    return float(tx.update(jnp.float32(2), tx.init(jnp.float32(0)))[1].acc_grads)


def _first_snapshot(lib: ModuleType) -> float:
    return float(lib.snapshot("sum", jnp.sum).init(jnp.ones(3)).measurement["sum"])


def _moment_of_complex(lib: ModuleType) -> Any:
    return lib.scale_by_adam().init(jnp.zeros(2, jnp.complex64)).nu.dtype


def _mask_of_numbers(lib: ModuleType) -> float:
    return float(_step(lib.masked(lib.scale(2.0), {"w": 1}), {"w": 1.0})["w"])


def _rate_of_a_shape(lib: ModuleType) -> Any:
    return _step(lib.scale(jnp.ones(1)), jnp.ones(3)).shape


def _wide_rate(lib: ModuleType) -> Any:
    return _step(lib.scale(jnp.float32(1)), jnp.ones(3, jnp.bfloat16)).dtype


def _negative_decay(lib: ModuleType) -> float:
    return float(_step(lib.add_decayed_weights(-1.0), jnp.ones(()), jnp.ones(())))


def _growing_momentum(lib: ModuleType) -> str:
    return type(lib.sgd(0.1, momentum=1.5)).__name__


def _whole_parameter(lib: ModuleType) -> Any:
    return lib.trace(0.9).init(jnp.arange(3)).trace.dtype


def _broadcast_update(lib: ModuleType) -> Any:
    return lib.apply_updates(jnp.ones(3), jnp.float32(0.5)).shape


def _prefix(lib: ModuleType) -> int:
    params = {"a": jnp.ones(1), "b": {"x": jnp.ones(1), "y": jnp.ones(1)}}
    held = lib.masked(lib.trace(0.9), {"a": True, "b": False}).init(params)
    return str(held).count("MaskedNode()")


def _open_privacy(lib: ModuleType) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = lib.differentially_private_aggregate(1.0, 1.0)
    return type(made.init(jnp.ones(1))).__name__


def _foreign_state(lib: ModuleType) -> float:
    state = lib.adam(1.0).init(jnp.ones(()))
    return float(lib.sgd(1.0).update(jnp.ones(()), state)[0])


def _member(lib: ModuleType) -> bool:
    return callable(lib.sgd(0.1)[0])


def _diverging_mean(lib: ModuleType) -> str:
    return f"{_step(lib.ema(1.5, debias=False), jnp.float32(1)):.1f}"


def _early_beginning(lib: ModuleType) -> float:
    return float(lib.linear_schedule(1.0, 0.0, 10, transition_begin=-5)(0))


def _no_warmup(lib: ModuleType) -> float:
    return float(lib.warmup_constant_schedule(0.0, 1.0, warmup_steps=0)(9))


def _end_above_the_peak(lib: ModuleType) -> float:
    rate = lib.warmup_cosine_decay_schedule(1.0, 0.0, 2, 5, end_value=0.5)
    return float(rate(5))


def _end_of_a_polynomial(lib: ModuleType) -> float:
    return float(jax.jit(lib.polynomial_schedule(1.0, 0.0, 1.5, 15))(jnp.int32(15)))


def _negative_power(lib: ModuleType) -> float:
    return float(lib.polynomial_schedule(1.0, 0.0, -1.0, 10)(10))


def _stair(lib: ModuleType) -> float:
    stairs = lib.exponential_decay(1.0, 41, 0.5, staircase=True)
    return float(jax.jit(stairs)(jnp.int32(41)))


def _long_decay(lib: ModuleType) -> str:
    return f"{lib.exponential_decay(1.0, 1, 0.9999)(jnp.int32(100_000)):.3e}"


def _long_line(lib: ModuleType) -> float:
    return float(lib.linear_schedule(1.0, 0.0, 2**32)(jnp.int32(2**30)))


def _one_step_cycle(lib: ModuleType) -> str:
    return f"{lib.linear_onecycle_schedule(1, 1.0)(1):.1e}"


def _step_of_the_peak(lib: ModuleType) -> int:
    cycle = lib.cosine_onecycle_schedule(100, 1.0, pct_start=0.29)
    return int(jnp.argmax(jnp.array([cycle(count) for count in range(27, 31)]))) + 27


def _fall_before_the_rise(lib: ModuleType) -> str:
    return f"{lib.linear_onecycle_schedule(10, 1.0, 0.9, 0.5)(5):.4f}"


def _traced_length(lib: ModuleType) -> float:
    rate = jax.jit(lambda steps: lib.cosine_onecycle_schedule(steps, 1.0)(3))
    return float(rate(10))


def _corner_before_step_0(lib: ModuleType) -> str:
    rate = lib.piecewise_interpolate_schedule("linear", 1.0, {-2: 0.5, 4: 0.5})
    return f"{rate(0):.4f}"


def _missing_boundary(lib: ModuleType) -> float:
    parts = [lib.constant_schedule(x) for x in (1.0, 2.0, 3.0)]
    return float(lib.join_schedules(parts, [3])(30))


def _slope_before_the_join(lib: ModuleType) -> float:
    def rate(scale: Any) -> Any:
        parts = [lambda count: 0.5, lambda count: scale * jnp.sqrt(1.0 * count)]
        return lib.join_schedules(parts, [3])(0)

    return float(jax.grad(rate)(1.0))


def _decay_to_nothing(lib: ModuleType) -> float:
    return float(lib.exponential_decay(1.0, 10, decay_rate=0.0)(10))


def _monitored(lib: ModuleType) -> list[str]:
    return [*lib.monitor({"norm": jnp.sum}).init(jnp.zeros(1)).measurements]


def _key_of_noise(lib: ModuleType) -> Any:
    return lib.add_noise(0.1, 0.5, 0).init(jnp.zeros(1)).rng_key.dtype


def _accepted(lib: ModuleType) -> int:
    tx, accepted = lib.apply_if_finite(lib.scale(1.0), 1), 0
    state = tx.init(jnp.float32(0))
    for _ in range(4):
        u, state = tx.update(jnp.float32(jnp.nan), state)
        accepted += bool(jnp.isnan(u))
    return accepted


def _accumulator(lib: ModuleType) -> Any:
    with jax.enable_x64(True):
        tx = lib.MultiSteps(lib.sgd(1.0), 2)
        return jax.tree.leaves(tx.init(jnp.zeros(3, "float64")).acc_grads)[0].dtype


def _no_micro_steps(lib: ModuleType) -> str:
    return type(lib.MultiSteps(lib.sgd(1.0), 0)).__name__


def _large_in_float16(lib: ModuleType) -> bool:
    g = jnp.array([300.0, 400.0], jnp.float16)
    return bool(lib.skip_large_updates(g, 0, None, max_squared_norm=1e6)[0])


def _one_array(lib: ModuleType) -> bool:
    pair = lib.LookaheadParams.init_synced(jnp.zeros(2))
    return pair.fast is pair.slow


def _look_ahead_with_value(lib: ModuleType) -> str:
    tx = lib.lookahead(lib.sgd(1.0), 2, 0.5)
    pair = lib.LookaheadParams.init_synced(jnp.float32(0))
    return f"{tx.update(jnp.float32(1), tx.init(pair), pair, value=3.0)[0].fast:.1f}"


def _contrib(lib: ModuleType) -> Any:
    """Where a library has what Optax keeps in `contrib`."""
    return getattr(lib, "contrib", lib)


def _first_weight(lib: ModuleType) -> float:
    rate = lib.linear_schedule(0.5, 0.0, 2)
    tx = _contrib(lib).schedule_free(lib.sgd(rate), rate, weight_lr_power=1.0)
    p = jnp.float32(1)
    return float(tx.update(p, tx.init(p), p)[1].weight_sum)


def _growing_weight(lib: ModuleType) -> float:
    p = jnp.zeros(3, jnp.bfloat16)
    tx = _contrib(lib).schedule_free_sgd(1.0)
    begun = tx.init(p)
    state = begun._replace(weight_sum=jnp.asarray(256, begun.weight_sum.dtype))
    return float(tx.update(p, state, p)[1].weight_sum)


def _normalized_zero(lib: ModuleType) -> float:
    return float(_step(_contrib(lib).normalize(), jnp.float32(0)))


def _sam_of_period_one(lib: ModuleType) -> str:
    tx = _contrib(lib).sam(lib.sgd(0.1), lib.sgd(0.1), sync_period=1)
    p = jnp.float32(1)
    state = tx.init(p)
    for _ in range(3):
        u, state = tx.update(jnp.float32(1), state, p)
        p = p + u
    return f"{p:.1f}"


def _absent_name(lib: ModuleType) -> Any:
    return lib.tree.get(lib.adam(0.1).init(jnp.zeros(1)), "absent")


def _set_counts(lib: ModuleType) -> list[int]:
    tx = optax.inject_hyperparams(lib.adam)(learning_rate=0.1)
    state = lib.tree.set(tx.init(jnp.zeros(1)), count=jnp.int32(7))
    return [int(x) for _, x in lib.tree.get_all_with_path(state, "count")]


def _norm_at_zero(lib: ModuleType) -> float:
    return float(jax.grad(lambda x: lib.tree.norm([x]))(0.0))


def _many_ones(lib: ModuleType) -> float:
    return float(lib.tree.sum([jnp.ones(1, jnp.bfloat16)] * 300))


def _cube_of_a_dict(lib: ModuleType) -> float:
    return float(lib.projections.projection_hypercube({"w": jnp.float32(2)})["w"])


def _l1_sphere(lib: ModuleType) -> Any:
    return lib.projections.projection_l1_sphere(jnp.array([0.5, 0.0]))


def _l2_sphere_of_zero(lib: ModuleType) -> str:
    return f"{lib.projections.projection_l2_sphere(jnp.zeros(2))[0]:.4f}"


def _simplex_of_no_size(lib: ModuleType) -> Any:
    return lib.projections.projection_simplex(jnp.ones(2), 0.0)


def _complex_hyperplane(lib: ModuleType) -> complex:
    normal = {"w": jnp.array([1j])}
    project = lib.projections.projection_hyperplane
    return complex(project({"w": jnp.array([3 + 4j])}, normal, 0.0)["w"][0])


def _dowg_without_eps(lib: ModuleType) -> float:
    return abs(
        float(_step(_contrib(lib).dowg(1.0, eps=0.0), jnp.float32(0), jnp.ones(())))
    )


def _muon_by_rows(lib: ModuleType) -> str:
    tx = _contrib(lib).muon(1.0, preconditioning="aol", eps=10.0)
    return f"{_step(tx, jnp.eye(2), jnp.eye(2))[0, 0]:.4f}"


def _early_offset(lib: ModuleType) -> str:
    p = jnp.float32(1)
    return f"{_step(lib.adafactor(0.1, decay_offset=10), p, p):.1f}"


def _factored_zero(lib: ModuleType) -> float:
    zero = jnp.float16(0)
    return abs(float(_step(lib.adafactor(0.1), zero, zero)))


def _sm3_of_a_scalar(lib: ModuleType) -> str:
    return f"{_step(lib.sm3(0.1, momentum=0.0), jnp.float32(1)):.1f}"


def _scheduled_sm3(lib: ModuleType) -> str:
    return f"{_step(lib.sm3(lambda count: 0.1, momentum=0.0), jnp.ones(1))[0]:.1f}"


def _muon_of_a_dict(lib: ModuleType) -> str:
    return f"{_step(_contrib(lib).scale_by_muon(), {'w': jnp.eye(2)})['w'][0, 0]:.1f}"


def _muon_of_a_small_matrix(lib: ModuleType) -> str:
    tx = _contrib(lib).scale_by_muon(preconditioning="schatten")
    return f"{_step(tx, 1e-8 * jnp.eye(2))[0, 0]:.1f}"


def _muon_of_eight_steps(lib: ModuleType) -> str:
    tx = _contrib(lib).scale_by_muon(ns_coeffs=((2.0, -1.5, 0.5),) * 8)
    return f"{_step(tx, jnp.eye(2))[0, 0]:.1f}"


def _muon_of_all(lib: ModuleType) -> str:
    axes = _contrib(lib).MuonDimensionNumbers(-2, -1)
    tx = _contrib(lib).muon(0.1, muon_weight_dimension_numbers=axes)
    p = {"kernel": jnp.ones((3, 2, 2)), "bias": jnp.ones(2)}
    return f"{jnp.sum(_step(tx, p, p)['kernel'][0]):.1f}"


def _dual_norms(lib: ModuleType) -> list[str]:
    axes = _contrib(lib).MuonDimensionNumbers(1, 2)
    tx = _contrib(lib).scale_by_muon(adaptive=True, weight_dimension_numbers=axes)
    u = _step(tx, jnp.array([1.0, 10.0]).reshape(2, 1, 1))
    return [f"{x:.1f}" for x in u.ravel()]


def _turned_direction(lib: ModuleType) -> str:
    tx = _contrib(lib).scale_by_galore(1, 1, base_optimizer=lib.trace(1.0))
    g = jnp.diag(jnp.array([3.0, 1.0]))
    _, state = tx.update(g, tx.init(g))
    return f"{tx.update(g.at[1, 0].set(0.1), state)[0][0, 0]:.1f}"


def _unprojected(lib: ModuleType) -> int:
    state = _contrib(lib).scale_by_galore(2).init({"bias": jnp.zeros(3)})
    return len(jax.tree.leaves(state.projector))


def _galore_of_none(lib: ModuleType) -> Any:
    tx = _contrib(lib).scale_by_galore(1)
    return _step(tx, {"w": jnp.eye(2), "bias": None})["bias"]


def _waits(lib: ModuleType, name: str, g: float, rate: float) -> str:
    p = jnp.float32(1)
    tx = getattr(_contrib(lib), name)(lambda count: rate * (count + 1))
    return f"{tx.update(jnp.float32(g), tx.init(p), p)[1].estim_lr:.0e}"


def _prodigy_without_gradient(lib: ModuleType) -> str:
    return _waits(lib, "prodigy", g=0.0, rate=1.0)


def _dadapt_without_gradient(lib: ModuleType) -> str:
    return _waits(lib, "dadapt_adamw", g=0.0, rate=1.0)


def _prodigy_without_rate(lib: ModuleType) -> str:
    return _waits(lib, "prodigy", g=1.0, rate=0.0)


def _estimate_of_complex(lib: ModuleType) -> Any:
    p = jnp.ones(2, jnp.complex64)
    tx = _contrib(lib).prodigy()
    return tx.update(p, tx.init(p), p)[1].estim_lr.dtype


def _estimate_of_mixed(lib: ModuleType) -> bool:
    with jax.enable_x64(True):
        p = [jnp.ones(1, "float32"), jnp.ones(1, "float64")]
        tx = _contrib(lib).prodigy()
        begun = tx.init(p)
        return begun.estim_lr.dtype == tx.update(p, begun, p)[1].estim_lr.dtype


def _start_is_shared(lib: ModuleType) -> bool:
    p = jnp.ones(2)
    return _contrib(lib).prodigy().init(p).params0 is p


def _squares_in_float16(lib: ModuleType) -> float:
    g = jnp.array([300.0, 400.0], jnp.float16)
    tx = _contrib(lib).dog()
    return float(tx.update(g, tx.init(g), g)[1][1].sum_sq_norm_grads)


def _stands_still(lib: ModuleType) -> str:
    tx = _contrib(lib).dog(lambda count: 1.0 * count, ("learning_rate", 0.5))
    p = jnp.float32(1)
    _, state = tx.update(p, tx.init(p), p)
    return f"{tx.update(p, state, p)[0]:.1f}"


def _half_polyak(lib: ModuleType) -> str:
    tx, g = lib.polyak_sgd(scaling=0.5), jnp.float32(2)
    return f"{tx.update(g, tx.init(g), g, value=1.0)[0]:.2f}"


def _polyak_of_a_schedule(lib: ModuleType) -> str:
    tx = lib.polyak_sgd(max_learning_rate=lambda count: 0.1)
    g = jnp.float32(2)
    return f"{tx.update(g, tx.init(g), g, value=1.0)[0]:.1f}"


def _small_polyak(lib: ModuleType) -> str:
    tx, g = lib.polyak_sgd(), jnp.float32(1e-9)
    return f"{tx.update(g, tx.init(g), g, value=1.0)[0]:.0e}"


def _momo_with_decay(lib: ModuleType) -> str:
    tx = _contrib(lib).momo(weight_decay=1.0)
    p = jnp.float32(1)
    return f"{tx.update(p, tx.init(p), p, value=1.0)[0]:.2f}"


def _plateau(lib: ModuleType, value: float, **numbers: Any) -> str:
    tx = _contrib(lib).reduce_on_plateau(0.5, **numbers)
    state = tx.init(jnp.float32(1))
    for _ in range(4):
        _, state = tx.update(jnp.float32(1), state, value=value)
    return f"{state.scale:.2f}"


def _negative_plateau(lib: ModuleType) -> str:
    return _plateau(lib, -1.0, patience=3)


def _no_patience(lib: ModuleType) -> str:
    return _plateau(lib, 1.0, patience=0)


def _last(tx: Any, *gradients: Any) -> Any:
    """The last update."""
    state = tx.init(gradients[0])
    for g in gradients:
        u, state = tx.update(g, state)
    return u


def _adan(lib: ModuleType) -> str:
    return f"{_last(lib.scale_by_adan(), jnp.float32(1), jnp.float32(2)):.3f}"


def _acprop(lib: ModuleType) -> str:
    g = jnp.float32(4)
    return f"{_last(_contrib(lib).scale_by_acprop(b1=0.5), g, g):.1f}"


def _belief_of_zero(lib: ModuleType) -> float:
    return float(_step(lib.scale_by_belief(), jnp.float16(0)))


def _adamax_of_zero(lib: ModuleType) -> float:
    return float(_step(lib.scale_by_adamax(), jnp.float16(0)))


def _early_radam(lib: ModuleType) -> str:
    return f"{_last(lib.scale_by_radam(threshold=3.0), *[jnp.float32(1)] * 4):.1f}"


def _sixth_radam(lib: ModuleType) -> str:
    return f"{_last(lib.scale_by_radam(b2=0.9999), *[jnp.float32(1)] * 6):.6f}"


def _unclipped_adopt(lib: ModuleType) -> float:
    tx = _contrib(lib).scale_by_adopt(use_clipping=False)
    return float(_step(tx, jnp.float16(1)))


def _complex_adopt(lib: ModuleType) -> str:
    g = jnp.complex64(1j)
    return f"{_last(_contrib(lib).scale_by_adopt(), g, g):.1f}"


def _slow_mean(lib: ModuleType) -> Any:
    tx, g = _contrib(lib).scale_by_ademamix(mu_dtype="bfloat16"), jnp.ones(1)
    return tx.update(g, tx.init(g))[1].m2.dtype


def _complex_ademamix(lib: ModuleType) -> str:
    u = _step(_contrib(lib).scale_by_simplified_ademamix(), jnp.complex64(1j))
    return f"{u:.1f}"


def _unknown_mode(lib: ModuleType) -> str:
    return type(lib.scale_by_lion(mode="other")).__name__


def _first_rprop(lib: ModuleType) -> str:
    return f"{_step(lib.rprop(0.5), jnp.float32(3)):.1f}"


def _scheduled_rprop(lib: ModuleType) -> str:
    return f"{_step(lib.rprop(lambda count: 0.5), jnp.float32(3)):.1f}"


def _first_rprop_size(lib: ModuleType) -> str:
    tx, g = lib.scale_by_rprop(1e-3, min_step_size=1e-2), jnp.float32(3)
    return f"{tx.update(g, tx.init(g))[1].step_sizes:.3f}"


def _scheduled_optimistic_adam(lib: ModuleType) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tx = lib.optimistic_adam(lambda count: 0.5, nesterov=False)
    return f"{_step(tx, jnp.float32(3)):.1f}"


def _scheduled_novograd(lib: ModuleType) -> str:
    tx = lib.novograd(0.5, weight_decay=lambda count: 0.5)
    return f"{_step(tx, jnp.float32(3), jnp.float32(2)):.1f}"


def _still(make: Callable[[ModuleType], Any], dtype: Any) -> Any:
    """The update from a zero gradient of a zero parameter."""

    def probe(lib: ModuleType) -> str:
        zero = jnp.zeros((), dtype)
        return f"{_step(make(lib), zero, zero):.1f}"

    return probe


def _trusted_in_float16(lib: ModuleType) -> str:
    g = jnp.array([300.0, 400.0], jnp.float16)
    return f"{_step(lib.scale_by_trust_ratio(), g, jnp.array([0.0, 5.0]))[0]:.1f}"


def _normalized_in_float16(lib: ModuleType) -> str:
    g = jnp.array([300.0, 400.0], jnp.float16)
    return f"{_step(lib.normalize_by_update_norm(), g)[0]:.1f}"


def _shrinkage(lib: ModuleType) -> str:
    tx = lib.fromage(jnp.float32(1e-3))
    return f"{_step(tx, jnp.float32(0), jnp.float32(1)):.1e}"


def _second_weight(lib: ModuleType) -> str:
    with jax.enable_x64(True):
        tx, g = _contrib(lib).scale_by_madgrad(1.0, eps=0.0), jnp.float64(1)
        state = tx.init(g)
        for _ in range(2):
            _, state = tx.update(g, state, g)
        return f"{state.s:.10f}"


def _complex_squares(lib: ModuleType) -> Any:
    tx, g = _contrib(lib).scale_by_madgrad(1.0), jnp.complex64(1j)
    return tx.update(g, tx.init(g), g)[1].grad_sum_sq.dtype


def _aliased(lib: ModuleType) -> list[bool]:
    p = jnp.ones(2)
    starts = (
        _contrib(lib).scale_by_madgrad(1.0).init(p).x0,
        _contrib(lib).scale_by_cocob().init(p).init_particles,
        lib.scale_by_distance_over_gradients().init(p).init_params,
    )
    return [x is p for x in starts]


def _distance_of_scalar(lib: ModuleType) -> Any:
    g = jnp.float32(1)
    return _step(lib.scale_by_distance_over_gradients(), g, g).shape


def _negative_curvature(lib: ModuleType) -> bool:
    """Where the slope falls as the parameter grows: 0.1 - 0.1**3, 0.3 - 0.3**3."""
    tx = lib.scale_by_lbfgs()
    state = tx.init(jnp.zeros(1))
    for p in (jnp.array([0.1]), jnp.array([0.3])):
        u, state = tx.update(p**3 - p, state, p)
    return bool(u[0] * (p**3 - p)[0] < 0)


def _memory_shared(lib: ModuleType) -> bool:
    state = lib.scale_by_lbfgs().init(jnp.zeros(1))
    memories = state.diff_params_memory, state.diff_updates_memory
    return len({x.unsafe_buffer_pointer() for x in memories}) == 1


def _products_kept(lib: ModuleType) -> bool:
    return hasattr(lib.scale_by_lbfgs().init(jnp.zeros(1)), "products_memory")


def _empty_lbfgs(lib: ModuleType) -> int:
    return len(jax.tree.leaves(lib.lbfgs().init({})[0]))


def _searched(
    lib: ModuleType,
    p: Any,
    rate: float = 1.0,
    extra: Mapping[str, Any] = {},
    **arguments: Any,
) -> Any:
    """The state after a step down |p|**2, in a search that goes on from `rate`."""
    tx = lib.scale_by_zoom_linesearch(10, **arguments)
    state = tx.init(p)._replace(learning_rate=jnp.asarray(rate, p.real.dtype))

    def f(p: Any) -> Any:
        return jnp.sum(jnp.abs(p) ** 2)

    value, grad = jax.value_and_grad(f)(p)
    known = {"value": value, "grad": grad, "value_fn": f, **extra}
    return tx.update(-grad.conj(), state, p, **known)[1]


def _search_from_zero(lib: ModuleType) -> str:
    return f"{_searched(lib, jnp.ones(1), rate=0.0).value:.1f}"


def _complex_search(lib: ModuleType) -> str:
    loose = {"slope_rtol": 0.4, "curv_rtol": 1.5, "approx_dec_rtol": None}
    return f"{_searched(lib, jnp.array([1j]), **loose).value:.1f}"


def _search_dtype(lib: ModuleType) -> Any:
    return _searched(lib, jnp.ones(1, jnp.bfloat16)).value.dtype


def _search_with_a_keyword(lib: ModuleType) -> str:
    return f"{_searched(lib, jnp.ones(1), extra={'batch_size': 8}).value:.1f}"


DIFFERENCES = (
    Difference(
        "Adam's first float32 update at g = 1, b2 = 0.9999",
        _first_update,
        "1.000000",
        "1.000083",
        "1 - b**t is formed without cancellation",
    ),
    Difference(
        "measurements in the first state of monitor",
        _monitored,
        "['norm']",
        "[]",
        "a state never changes its structure, so that scan and jit take it",
    ),
    Difference(
        "the key of add_noise in the state",
        _key_of_noise,
        "uint32",
        "key<fry>",
        "every checkpoint takes raw data, and not all take typed keys",
    ),
    Difference(
        "weight of schedule_free's first step under linear_schedule(0.5, 0, 2)",
        _first_weight,
        "0.5",
        "0.25",
        "its average reads the schedule from step 0, as its base optimizer does",
    ),
    Difference(
        "sum of schedule_free's weights after 256 and one more, bfloat16 parameters",
        _growing_weight,
        "257.0",
        "256.0",
        "sums are kept in at least float32",
    ),
    Difference(
        "normalize of a zero gradient",
        _normalized_zero,
        "0.0",
        "nan",
        "a zero gradient has nothing to divide by",
    ),
    Difference(
        "parameter 1 after three steps of sam(sgd(0.1), …, sync_period=1), g = 1",
        _sam_of_period_one,
        "0.7",
        "0.8",
        "with a period of one each step is real and none is undone",
    ),
    Difference(
        "moments of a bfloat16 parameter",
        _moments,
        "float32",
        "bfloat16",
        "a bfloat16 second moment cannot decay at b2 = 0.999",
    ),
    Difference(
        "update from a bfloat16 gradient of a float32 parameter",
        _update_dtype,
        "float32",
        "bfloat16",
        "rounding it to bfloat16 would discard digits that the parameter has",
    ),
    Difference(
        "clip_by_global_norm(1) of float16 [300, 400], first element",
        _clipped_in_float16,
        "0.6",
        "0.0",
        "squares are summed in at least float32",
    ),
    Difference(
        "clip_by_global_norm(1) of a gradient of 1e20",
        _clipped,
        "1.0",
        "0.0",
        "and relative to a large unit: no overflow up to 1e20",
    ),
    Difference(
        "clip_by_global_norm(0) of a zero gradient",
        _zero_clipped_to_zero,
        "0.0",
        "nan",
        "a zero gradient has nothing to divide by",
    ),
    Difference(
        "first update of scale_by_stddev with bias correction",
        _first_variance,
        "finite",
        "nan",
        "a variance that rounding makes negative counts as zero",
    ),
    Difference(
        "a schedule as b1",
        _scheduled_b1,
        "-0.1",
        "TypeError",
        "any number may be a schedule or by_path; Optax needs inject_hyperparams",
    ),
    Difference(
        "warmup_cosine_decay_schedule with a traced peak",
        _traced_peak,
        "2.0",
        "TracerBoolConversionError",
        "a schedule's numbers can be swept and differentiated",
    ),
    Difference(
        "linear_schedule at an int32 count, under jax_enable_x64",
        _schedule_dtype,
        "float64",
        "float32",
        "a rate for float64 parameters has float64 digits",
    ),
    Difference(
        "adam(0.1) == adam(0.1)",
        _rebuilt,
        "True",
        "False",
        "a transformation is a value: rebuilding it does not retrace",
    ),
    Difference(
        "gradient of shape (1,) for a trace of shape (3,)",
        _other_shape,
        "ValueError",
        "(3,)",
        "broadcasting hides the mistake",
    ),
    Difference(
        "integer gradient",
        _integers,
        "TypeError",
        "float32",
        "no parameter that is trained is an integer",
    ),
    Difference(
        "mask in a list for parameters in a tuple",
        _other_containers,
        "2.2",
        "ValueError",
        "masks and labels are matched by path, not by container",
    ),
    Difference(
        "numbers kept by chain(adam, freeze) for 1 parameter beside 10 frozen",
        _frozen,
        "3",
        "23",
        "frozen parameters take no part in a chain, in moments, decay or norms",
    ),
    Difference(
        "apply_updates where the update is None",
        _update_is_none,
        "1.0",
        "TypeError",
        "the parameter stays as it is",
    ),
    Difference(
        "first update of inject_hyperparams(adam)(0.5) for bfloat16 parameters",
        _injected_in_bfloat16,
        "-0.5",
        "nan",
        "numbers in the state are float32; in bfloat16, b2=0.999 is 1",
    ),
    Difference(
        "inject_hyperparams(adamw)(0.5, mask=a function of the parameters)",
        _injected_mask,
        "-0.5",
        "TypeError",
        "it is no schedule, so it is not called with the step count",
    ),
    Difference(
        "inject_hyperparams(lbfgs) under jit",
        _injected_whole_number,
        "2",
        "TracerBoolConversionError",
        "whole numbers, such as memory_size, stay as they are",
    ),
    Difference(
        "acc_grads of MultiSteps after a step, g = 2",
        _gathered_after_a_step,
        "2.0",
        "0.0",
        "the mean begins anew at the next micro-step; clearing it is a pass more",
    ),
    Difference(
        "first measurement of snapshot(sum), at three parameters of 1",
        _first_snapshot,
        "0.0",
        "3.0",
        "nothing was measured yet",
    ),
    Difference(
        "second moment of a complex parameter",
        _moment_of_complex,
        "float32",
        "complex64",
        "a mean of squared magnitudes is real",
    ),
    Difference(
        "nodes that stand for what a prefix mask hides, of two parameters",
        _prefix,
        "2",
        "1",
        "the tree of a slot is that of the parameters; Optax's states are taken, too",
    ),
    Difference(
        "a mask of numbers, {'w': 1}",
        _mask_of_numbers,
        "ValueError",
        "2.0",
        "a mask is True or False; a number is rather a multiplier",
    ),
    Difference(
        "scale by an array of shape (1,)",
        _rate_of_a_shape,
        "ValueError",
        "(3,)",
        "an array of several numbers is to be swept over by vmap",
    ),
    Difference(
        "update from a bfloat16 gradient, scaled by a float32 array",
        _wide_rate,
        "bfloat16",
        "float32",
        "a hyperparameter does not decide on the dtype of an update",
    ),
    Difference(
        "add_decayed_weights(-1)",
        _negative_decay,
        "ValueError",
        "0.0",
        "weights would grow",
    ),
    Difference(
        "sgd with momentum=1.5",
        _growing_momentum,
        "ValueError",
        "GradientTransformationExtraArgs",
        "it would diverge",
    ),
    Difference(
        "state of an integer parameter",
        _whole_parameter,
        "TypeError",
        "int32",
        "no parameter that is trained is an integer",
    ),
    Difference(
        "apply_updates of one number to three parameters",
        _broadcast_update,
        "ValueError",
        "(3,)",
        "broadcasting hides the mistake",
    ),
    Difference(
        "update of sgd(1) with the state of adam",
        _foreign_state,
        "TypeError",
        "-1.0",
        "the moments would be lost without a word",
    ),
    Difference(
        "differentially_private_aggregate without a key",
        _open_privacy,
        "TypeError",
        "DifferentiallyPrivateAggregateState",
        "noise that others can draw again hides nothing",
    ),
    Difference(
        "whether tx[0] is the function init",
        _member,
        "TypeError",
        "True",
        "a transformation is a value, no tuple: unpack it, `init, update = tx`",
    ),
    Difference(
        "negative learning rate",
        _uphill,
        "ValueError",
        "1.0",
        "it would ascend",
    ),
    Difference(
        "decay of a moving mean above 1",
        _diverging_mean,
        "ValueError",
        "-0.5",
        "it would diverge",
    ),
    Difference(
        "linear_schedule that begins before step 0",
        _early_beginning,
        "ValueError",
        "1.0",
        "Optax takes 0 instead, and says so in a log only",
    ),
    Difference(
        "exponential_decay with decay_rate=0",
        _decay_to_nothing,
        "ValueError",
        "1.0",
        "Optax takes it for no decay at all",
    ),
    Difference(
        "warmup_constant_schedule without warm-up, from 0 to 1",
        _no_warmup,
        "1.0",
        "0.0",
        "after the warm-up stands the peak, however short it is",
    ),
    Difference(
        "end of warmup_cosine_decay_schedule from a peak of 0 to 0.5",
        _end_above_the_peak,
        "0.5",
        "0.0",
        "the end is where the caller says",
    ),
    Difference(
        "last value of polynomial_schedule(1, 0, 1.5, 15) under jit",
        _end_of_a_polynomial,
        "0.0",
        "nan",
        "what is left is not below 0, however XLA rounds",
    ),
    Difference(
        "polynomial_schedule with power=-1, at its end",
        _negative_power,
        "ValueError",
        "inf",
        "it has no end",
    ),
    Difference(
        "exponential_decay(1, 41, 0.5, staircase=True) at step 41 under jit",
        _stair,
        "0.5",
        "1.0",
        "the stair is found without multiplying by 1 / 41",
    ),
    Difference(
        "0.9999**100000 by exponential_decay",
        _long_decay,
        "4.538e-05",
        "4.530e-05",
        "what float32 takes from the rate is put back",
    ),
    Difference(
        "linear_schedule of 2**32 steps after a quarter of them",
        _long_line,
        "0.75",
        "OverflowError",
        "steps are counted in floating point",
    ),
    Difference(
        "end of a linear_onecycle_schedule of 1 step",
        _one_step_cycle,
        "4.0e-06",
        "1.6e-07",
        "corners that coincide are all applied",
    ),
    Difference(
        "step of the peak at pct_start=0.29 of 100 steps",
        _step_of_the_peak,
        "29",
        "28",
        "0.29 * 100 is 28.999999999999996",
    ),
    Difference(
        "linear_onecycle_schedule with pct_start=0.9, pct_final=0.5, at step 5",
        _fall_before_the_rise,
        "ValueError",
        "0.0016",
        "there is no such cycle",
    ),
    Difference(
        "cosine_onecycle_schedule with a traced number of steps",
        _traced_length,
        "1.0",
        "TracerBoolConversionError",
        "a schedule's numbers can be swept and differentiated",
    ),
    Difference(
        "piecewise_interpolate_schedule with a corner at step -2",
        _corner_before_step_0,
        "ValueError",
        "0.4167",
        "its first value would never be in force",
    ),
    Difference(
        "join_schedules of 3 schedules at 1 boundary",
        _missing_boundary,
        "ValueError",
        "2.0",
        "Optax leaves out the third",
    ),
    Difference(
        "slope in the second of join_schedules, sqrt(count), during the first",
        _slope_before_the_join,
        "0.0",
        "nan",
        "a schedule is read at its own counts only",
    ),
    Difference(
        "accepted by apply_if_finite(…, 1), of 4 gradients in a row that are nan",
        _accepted,
        "2",
        "3",
        "after a step was accepted the count begins anew",
    ),
    Difference(
        "mean that MultiSteps keeps of float64 gradients",
        _accumulator,
        "float64",
        "float32",
        "it has the parameter's dtype, at least float32; accumulator_dtype sets it",
    ),
    Difference(
        "MultiSteps of 0 micro-steps",
        _no_micro_steps,
        "ValueError",
        "MultiSteps",
        "it would never take a step",
    ),
    Difference(
        "skip_large_updates(max_squared_norm=1e6) skips float16 [300, 400]",
        _large_in_float16,
        "False",
        "True",
        "squares are summed in at least float32",
    ),
    Difference(
        "fast and slow parameters of LookaheadParams.init_synced are one array",
        _one_array,
        "False",
        "True",
        "one array cannot be donated twice",
    ),
    Difference(
        "lookahead with an extra argument",
        _look_ahead_with_value,
        "-1.0",
        "TypeError",
        "extra arguments reach the fast optimizer",
    ),
    Difference(
        "tree.get of a name that stands nowhere",
        _absent_name,
        "KeyError",
        "None",
        "the error names the nearest; `default=None`, or `interop.optax`, gives None",
    ),
    Difference(
        "tree.set(count=7) on inject_hyperparams(adam), all counts",
        _set_counts,
        "[7, 7]",
        "[7, 0]",
        "what get_all_with_path finds is replaced",
    ),
    Difference(
        "derivative of tree.norm at zero",
        _norm_at_zero,
        "0.0",
        "nan",
        "the subgradient that is finite",
    ),
    Difference(
        "tree.sum of 300 bfloat16 ones",
        _many_ones,
        "300.0",
        "256.0",
        "sums are at least float32",
    ),
    Difference(
        "projection_hypercube of a dict",
        _cube_of_a_dict,
        "1.0",
        "ValueError",
        "a number bounds every leaf",
    ),
    Difference(
        "projection_l1_sphere of [0.5, 0]",
        _l1_sphere,
        "[0.75 0.25]",
        "[0.75 0.  ]",
        "a zero element counts as positive; Optax's is not on the sphere",
    ),
    Difference(
        "projection_l2_sphere of [0, 0], first element",
        _l2_sphere_of_zero,
        "0.7071",
        "nan",
        "every point of the sphere is as near; it is one of them",
    ),
    Difference(
        "projection_simplex of size 0, of [1, 1]; l1_sphere and l1_ball alike",
        _simplex_of_no_size,
        "[0. 0.]",
        "[nan nan]",
        "zero is the only point there is",
    ),
    Difference(
        "projection_hyperplane of 3 + 4j, normal to 1j",
        _complex_hyperplane,
        "0j",
        "(6+0j)",
        "the product is that of complex numbers; Optax gives a point off the plane",
    ),
    Difference(
        "first update of dowg(eps=0) at a gradient of 0",
        _dowg_without_eps,
        "0.0",
        "nan",
        "a zero gradient is a zero step",
    ),
    Difference(
        "update of muon(1, preconditioning='aol', eps=10) at the identity",
        _muon_by_rows,
        "-0.9236",
        "-0.6964",
        "eps bounds a length, not its square",
    ),
    Difference(
        "first step of adafactor with decay_offset=10",
        _early_offset,
        "-0.1",
        "nan",
        "before the offset only the newest gradient counts",
    ),
    Difference(
        "adafactor of a float16 gradient of zero",
        _factored_zero,
        "0.0",
        "nan",
        "1e-30 is zero in float16; the arithmetic is at least float32",
    ),
    Difference(
        "sm3 of a scalar",
        _sm3_of_a_scalar,
        "-0.1",
        "IndexError",
        "it has one sum of squares",
    ),
    Difference(
        "a schedule as sm3's learning rate",
        _scheduled_sm3,
        "-0.1",
        "TypeError",
        "any number may be a schedule or by_path",
    ),
    Difference(
        "scale_by_muon of a dict of matrices",
        _muon_of_a_dict,
        "1.1",
        "ValueError",
        "parameters with two axes need no dimension numbers",
    ),
    Difference(
        "muon of a matrix of 1e-8, preconditioning='schatten'",
        _muon_of_a_small_matrix,
        "1.1",
        "0.1",
        "eps bounds a length, not its square",
    ),
    Difference(
        "muon with eight triples of coefficients",
        _muon_of_eight_steps,
        "1.0",
        "ValueError",
        "there is a step for each",
    ),
    Difference(
        "muon with dimension numbers for all, and a bias",
        _muon_of_all,
        "-0.1",
        "ValueError",
        "they are for parameters of at least two axes, as in galore",
    ),
    Difference(
        "muon(adaptive=True) of the 1x1 matrices 1 and 10 in one array",
        _dual_norms,
        "['0.7', '7.2']",
        "['7.9', '7.9']",
        "each matrix of a stack has a dual norm of its own",
    ),
    Difference(
        "galore's sum of two gradients of 3, the second turned a little",
        _turned_direction,
        "6.0",
        "0.0",
        "the SVD leaves signs to chance; a direction keeps that of the one before",
    ),
    Difference(
        "arrays that galore keeps for the directions of a bias",
        _unprojected,
        "0",
        "1",
        "arrays without elements break checkpoints",
    ),
    Difference(
        "galore beside a parameter that is None",
        _galore_of_none,
        "None",
        "AttributeError",
        "None stays None in every tree",
    ),
    Difference(
        "prodigy's estimate after a gradient of 0",
        _prodigy_without_gradient,
        "1e-06",
        "nan",
        "it stays until there is something to learn from",
    ),
    Difference(
        "dadapt_adamw's estimate after a gradient of 0",
        _dadapt_without_gradient,
        "1e-06",
        "nan",
        "likewise",
    ),
    Difference(
        "prodigy's estimate after a rate of 0, as at the start of a warm-up",
        _prodigy_without_rate,
        "1e-06",
        "nan",
        "likewise",
    ),
    Difference(
        "dtype of prodigy's estimate for complex parameters",
        _estimate_of_complex,
        "float32",
        "complex64",
        "a step size is real",
    ),
    Difference(
        "prodigy's estimate keeps its dtype for float32 beside float64 parameters",
        _estimate_of_mixed,
        "True",
        "False",
        "a state that changes its types cannot be carried through a scan",
    ),
    Difference(
        "the start kept by prodigy is the caller's array",
        _start_is_shared,
        "False",
        "True",
        "an array that is donated twice is an error",
    ),
    Difference(
        "DoG's sum of squares of float16 [300, 400]",
        _squares_in_float16,
        "250000.0",
        "inf",
        "numbers of the whole tree are at least float32",
    ),
    Difference(
        "second update of dog(…, ('learning_rate', 0.5)) after a rate of 0, g = 1",
        _stands_still,
        "-0.5",
        "-0.0",
        "the first rate holds until the parameters have moved",
    ),
    Difference(
        "update of polyak_sgd(scaling=0.5) at value 1, g = 2",
        _half_polyak,
        "-0.25",
        "-1.00",
        "the step is scaled; Optax measures the gradient after scaling it",
    ),
    Difference(
        "a schedule as polyak_sgd's max_learning_rate",
        _polyak_of_a_schedule,
        "-0.2",
        "TypeError",
        "any number may be a schedule",
    ),
    Difference(
        "update of polyak_sgd at value 1, g = 1e-9",
        _small_polyak,
        "-1e-09",
        "-0e+00",
        "max_learning_rate bounds the step; Optax gives up below a norm of 1.5e-8",
    ),
    Difference(
        "update of momo(weight_decay=1) at value 1, p = g = 1",
        _momo_with_decay,
        "-1.00",
        "-1.50",
        "(p - rate * m) / 2, the proximal step of the paper and the authors' code",
    ),
    Difference(
        "scale of reduce_on_plateau(0.5, patience=3) after 4 values of -1",
        _negative_plateau,
        "0.50",
        "1.00",
        "better means below best - rtol * |best|",
    ),
    Difference(
        "reduce_on_plateau with patience=0",
        _no_patience,
        "ValueError",
        "0.50",
        "Optax reduces when the value has improved",
    ),
    Difference(
        "second update of scale_by_adan at gradients of 1 and 2",
        _adan,
        "0.907",
        "0.946",
        "b2 stands where the paper and its authors' code have it; Optax has 1 - b2",
    ),
    Difference(
        "second update of scale_by_acprop(b1=0.5) at g = 4",
        _acprop,
        "2.0",
        "1.0",
        "the distance from the mean is taken after the step, as in the paper",
    ),
    Difference(
        "scale_by_belief of a zero gradient in float16",
        _belief_of_zero,
        "0.0",
        "nan",
        "arithmetic is at least float32, where eps is not zero",
    ),
    Difference(
        "scale_by_adamax of a zero gradient in float16",
        _adamax_of_zero,
        "0.0",
        "nan",
        "and nothing is divided by a zero maximum",
    ),
    Difference(
        "fourth update of scale_by_radam(threshold=3) at g = 1",
        _early_radam,
        "1.0",
        "nan",
        "below 4 there is no variance to rectify, whatever the threshold",
    ),
    Difference(
        "RAdam's sixth float32 update at g = 1, b2 = 0.9999",
        _sixth_radam,
        "0.008165",
        "0.016002",
        "rho is formed without cancellation",
    ),
    Difference(
        "first update of scale_by_adopt(use_clipping=False) at g = 1 in float16",
        _unclipped_adopt,
        "0.0",
        "nan",
        "the first gradient is not divided by eps",
    ),
    Difference(
        "second update of scale_by_adopt at g = 1j",
        _complex_adopt,
        "0.0+0.1j",
        "ValueError",
        "complex elements are clipped in magnitude",
    ),
    Difference(
        "slow mean of scale_by_ademamix(mu_dtype=bfloat16) after a step",
        _slow_mean,
        "bfloat16",
        "float32",
        "a state keeps its dtypes",
    ),
    Difference(
        "scale_by_simplified_ademamix of a gradient of 1j",
        _complex_ademamix,
        "0.0+1.0j",
        "1.0+0.0j",
        "the square is of the magnitude",
    ),
    Difference(
        "unknown mode of scale_by_lion",
        _unknown_mode,
        "ValueError",
        "GradientTransformation",
        "a mistake is told where it is made",
    ),
    Difference(
        "first update of rprop(0.5)",
        _first_rprop,
        "-0.5",
        "-0.0",
        "Optax returns the update of the step before",
    ),
    Difference(
        "rprop with a schedule",
        _scheduled_rprop,
        "-0.5",
        "TypeError",
        "its first value is the step size to begin with",
    ),
    Difference(
        "first step size of rprop(1e-3) with min_step_size=1e-2",
        _first_rprop_size,
        "0.010",
        "0.001",
        "the bounds hold from the first step, as in PyTorch",
    ),
    Difference(
        "optimistic_adam with a schedule",
        _scheduled_optimistic_adam,
        "-0.5",
        "ValueError",
        "any number may be a schedule or by_path",
    ),
    Difference(
        "novograd with a schedule as weight_decay",
        _scheduled_novograd,
        "-1.0",
        "TypeError",
        "any number may be a schedule or by_path",
    ),
    Difference(
        "scale_by_novograd of a zero float16 gradient",
        _still(lambda lib: lib.scale_by_novograd(), jnp.float16),
        "0.0",
        "nan",
        "eps is 0 in float16; the arithmetic is float32",
    ),
    Difference(
        "scale_by_cocob of a zero float16 gradient",
        _still(lambda lib: _contrib(lib).scale_by_cocob(), jnp.float16),
        "0.0",
        "nan",
        "eps is 0 in float16; the arithmetic is float32",
    ),
    Difference(
        "scale_by_adadelta(eps=0) of a zero gradient",
        _still(lambda lib: lib.scale_by_adadelta(eps=0.0), jnp.float32),
        "0.0",
        "nan",
        "a zero gradient is a zero step",
    ),
    Difference(
        "scale_by_madgrad(1, eps=0) of a zero gradient",
        _still(lambda lib: _contrib(lib).scale_by_madgrad(1.0, eps=0.0), jnp.float32),
        "0.0",
        "nan",
        "a zero gradient is a zero step",
    ),
    Difference(
        "clip_by_block_rms(0) of a zero gradient",
        _still(lambda lib: lib.clip_by_block_rms(0.0), jnp.float32),
        "0.0",
        "nan",
        "a zero gradient has nothing to divide by",
    ),
    Difference(
        "scale_by_trust_ratio of float16 [300, 400], first element at |p| = 5",
        _trusted_in_float16,
        "3.0",
        "0.0",
        "norms are taken in at least float32",
    ),
    Difference(
        "normalize_by_update_norm of float16 [300, 400], first element",
        _normalized_in_float16,
        "0.6",
        "0.0",
        "squares are summed in at least float32",
    ),
    Difference(
        "what fromage(float32 1e-3) takes from a parameter of 1",
        _shrinkage,
        "-5.0e-07",
        "-4.8e-07",
        "1 / sqrt(1 + lr**2) - 1 is formed without cancellation",
    ),
    Difference(
        "sum of madgrad's weights 1 and sqrt(2), in float64",
        _second_weight,
        "2.4142135624",
        "2.4142135382",
        "the root of the count is taken in the dtype of the parameter",
    ),
    Difference(
        "madgrad's sum of squares of complex gradients",
        _complex_squares,
        "float32",
        "TypeError",
        "the size of a complex number is real",
    ),
    Difference(
        "whether madgrad, cocob and L-DoG keep the parameters themselves",
        _aliased,
        "[False, False, False]",
        "[True, True, True]",
        "state and parameters can be donated",
    ),
    Difference(
        "shape of L-DoG's update of a scalar",
        _distance_of_scalar,
        "()",
        "(1,)",
        "an update has the shape of its parameter",
    ),
    Difference(
        "whether L-BFGS steps uphill after a pair of negative curvature",
        _negative_curvature,
        "False",
        "True",
        "such a pair is left out, so that the direction is one of descent",
    ),
    Difference(
        "whether the two memories of L-BFGS begin as one array",
        _memory_shared,
        "False",
        "True",
        "the state can be donated",
    ),
    Difference(
        "whether L-BFGS keeps the inner products of its pairs",
        _products_kept,
        "True",
        "False",
        "a step multiplies the newest pair alone; from_optax computes the others",
    ),
    Difference(
        "arrays in the state of lbfgs for an empty tree",
        _empty_lbfgs,
        "3",
        "IndexError",
        "an empty tree is a tree",
    ),
    Difference(
        "value after a zoom search that goes on from a step size of 0",
        _search_from_zero,
        "0.0",
        "1.0",
        "Optax keeps 0 where no step is possible, and every later step is 0, too",
    ),
    Difference(
        "value after a zoom search for complex parameters of value 1",
        _complex_search,
        "0.0",
        "1.0",
        "the slope at the start is that of the gradient that jax.grad gives",
    ),
    Difference(
        "dtype of the value that a line search keeps for bfloat16 parameters",
        _search_dtype,
        "float32",
        "bfloat16",
        "a decrease smaller than 1 in 128 would be lost",
    ),
    Difference(
        "value after a zoom search with a keyword that value_fn does not take",
        _search_with_a_keyword,
        "0.0",
        "TypeError",
        "another member of the chain may take it",
    ),
)


def markdown() -> str:
    """The table, as it stands in the README."""
    rows = [("", "jaxopt_lite", f"Optax {optax.__version__}", "Why"), ("---",) * 4]
    rows += [(d.subject, d.ours, d.optax, d.reason) for d in DIFFERENCES]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(markdown())
