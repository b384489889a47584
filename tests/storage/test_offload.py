"""Slots in the memory of the host between steps."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.test_errors import message

pytestmark = pytest.mark.skipif(
    not hasattr(jax, "memory"), reason="this JAX has no jax.memory"
)

SHAPES = {"a": (64, 96), "b": (96,), "c": (128, 64), "d": (64, 96)}
ON_HOST = {"a": True, "b": False, "c": True, "d": True}
TRANSFORMATIONS = {
    "adamw": jl.adamw(1e-2),
    "guarded": jl.apply_if_finite(
        jl.chain(jl.clip_by_global_norm(1.0), jl.adam(0.1)), 3
    ),
    "coded": jl.store_state(jl.adamw(1e-2), "int8"),
    "stacked": jl.muon(0.02),
    "measured": jl.prodigy(),
    "factored": jl.adafactor(1e-2),
    "injected": jl.inject_hyperparams(jl.adamw)(1e-2),
}


def tree(seed):
    random = np.random.default_rng(seed)
    return {
        name: jnp.asarray(random.normal(size=shape), jnp.float32)
        for name, shape in SHAPES.items()
    }


def kinds(state):
    return jax.tree.map(lambda x: x.sharding.memory_kind, state)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_gives_what_it_gives_on_the_device(name):
    plain = TRANSFORMATIONS[name]
    tx = jl.offload_state(plain)
    params, gradients = tree(0), jax.tree.map(lambda *x: jnp.stack(x), tree(1), tree(2))

    def last(tx):
        def step(carry, g):
            params, state = carry
            u, state = tx.update(g, state, params)
            return (jl.apply_updates(params, u), state), None

        run = jax.jit(lambda s: jax.lax.scan(step, (params, s), gradients)[0])
        return run(tx.init(params))

    found, expected = last(tx), last(plain)
    for x, y in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert np.array_equal(x, y)
    assert kinds(found[1]) == kinds(tx.init(params))
    assert "pinned_host" in jax.tree.leaves(kinds(found[1]))


def test_large_matrices_lie_on_the_host():
    tx = jl.offload_state(jl.adam(0.1))
    params = tree(0)
    state = tx.init(params)
    expected = {k: "pinned_host" if on else "device" for k, on in ON_HOST.items()}
    default = jax.devices()[0].default_memory().kind
    expected = {k: x if x == "pinned_host" else default for k, x in expected.items()}
    assert kinds(state)[0].mu == expected
    _, eager = tx.update(params, state, params)
    _, jitted = jax.jit(tx.update)(params, state, params)
    assert kinds(eager)[0].nu == kinds(jitted)[0].nu == expected


def test_where_chooses():
    tx = jl.offload_state(jl.trace(0.9), where=jl.by_path({"b": True, "*": False}))
    trace = kinds(tx.init(tree(0))).trace
    assert [k for k, kind in trace.items() if kind == "pinned_host"] == ["b"]


def test_codes_and_scales_lie_there_in_either_order():
    for tx in (
        jl.offload_state(jl.store_state(jl.trace(0.9), "int8")),
        jl.store_state(jl.offload_state(jl.trace(0.9)), "int8"),
    ):
        trace = kinds(tx.init(tree(0))).inner_state.trace
        assert trace.codes["a"] == trace.scales["a"] == "pinned_host"


def test_state_and_parameters_can_be_donated_in_the_order_they_come_back():
    tx = jl.offload_state(jl.adamw(1e-2))
    params, g = tree(0), tree(1)
    state = tx.init(params)

    def step(params, state):
        u, state = tx.update(g, state, params)
        return jl.apply_updates(params, u), state

    expected = jax.jit(step)(params, state)
    found = jax.jit(step, donate_argnums=(0, 1))(params, state)
    assert state[0].mu["a"].is_deleted()
    for x, y in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert np.array_equal(x, y)


@pytest.mark.parametrize("averages", ["schedule_free", "param_ema"])
def test_parameters_to_evaluate_with_lie_on_the_device(averages):
    made = {
        "schedule_free": jl.schedule_free_sgd(0.1),
        "param_ema": jl.chain(jl.sgd(0.1), jl.param_ema(0.5)),
    }
    plain, params = made[averages], tree(0)
    tx = jl.offload_state(plain)
    _, state = tx.update(tree(1), tx.init(params), params)
    _, expected = plain.update(tree(1), plain.init(params), params)
    found = jl.eval_params(state, params)
    assert set(jax.tree.leaves(kinds(found))) == set(jax.tree.leaves(kinds(params)))
    expected = jl.eval_params(expected, params)
    for x, y in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert np.array_equal(x, y)


def test_each_leaf_is_fetched_after_the_one_before_the_last():
    tx = jl.offload_state(jl.trace(0.9))
    params = tree(0)
    steps = jax.make_jaxpr(tx.update)(params, tx.init(params), params).eqns
    barriers = [x for x in steps if x.primitive.name == "optimization_barrier"]
    calls = [x for x in steps if x.params.get("name") == "step"]
    (first,), (third, after_first), (fourth, after_second) = (
        x.invars for x in barriers
    )
    assert first != third != fourth
    assert after_first in calls[0].outvars
    assert after_second in calls[1].outvars


def test_shapes_are_enough():
    tx = jl.offload_state(jl.adam(0.1))
    state = jax.eval_shape(tx.init, tree(0))
    assert state[0].mu["a"].shape == SHAPES["a"]


def test_a_backend_without_it(monkeypatch):
    tx = jl.offload_state(jl.adam(0.1))
    memories = [SimpleNamespace(kind="device"), SimpleNamespace(kind="far")]
    device = SimpleNamespace(platform="tpu", addressable_memories=lambda: memories)
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert message(RuntimeError, tx.init, tree(0)) == (
        "offload_state: tpu has the memories device, far; expected pinned_host among "
        "them. Keep the state on the device there, in few bytes by `store_state`."
    )
    monkeypatch.delattr(jax, "memory")
    text = message(RuntimeError, tx.init, tree(0))
    assert text.startswith(f"offload_state: JAX {jax.__version__} has no `jax.memory`")


def test_another_librarys_transformation():
    text = message(TypeError, jl.offload_state, jl.chain(optax.adam(0.1)))
    assert text.startswith("offload_state: FromFunctions(")
    assert text.endswith("Give `offload_state` those that are, and `chain` the rest.")
