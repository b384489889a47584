"""What there is to log of an optimizer."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import jaxopt_lite as jl

PARAMS = {"w": jnp.array([3.0, 4.0]), "b": jnp.zeros(1)}


def build():
    inner = jl.chain(
        jl.clip_by_global_norm(1.0), jl.adamw(jl.linear_schedule(0.5, 0.1, 4))
    )
    return jl.record(jl.apply_if_finite(jl.skip_spikes(inner, 2), 3), ["gradient"])


EXPECTED = {
    "sigmas": 6.0,
    "0/max_norm": 1.0,
    "1/2/learning_rate": 0.3,
    "gradient_norm": 50.0,
    "clipped_fraction": 1.0,
    "notfinite_steps": 1,
    "skipped_steps": 1,
}


def trained(tx, update):
    state = tx.init(PARAMS)
    for size in (1.0, 1.1, np.nan, 10.0):
        g = {"w": size * PARAMS["w"], "b": jnp.zeros(1)}
        _, state = update(g, state, PARAMS)
    return state


def assert_found(found, expected):
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)
    assert all(np.shape(x) == () for x in found.values())


def test_it_gives_hyperparameters_norms_and_counts():
    tx = build()
    state = trained(tx, tx.update)
    found = jl.metrics(tx, state)
    # A nan is not above the bound of the clip.
    assert_found(found, {**EXPECTED, "clipped_fraction": 0.75})
    assert jl.get_hyperparams(tx, state).keys() < found.keys()


def test_it_works_under_jit_and_is_constant_in_its_names():
    tx = build()
    found = jax.jit(lambda state: jl.metrics(tx, state))
    state = trained(tx, jax.jit(tx.update))
    first, last = found(tx.init(PARAMS)), found(state)
    assert first.keys() == last.keys() == jl.metrics(tx, state).keys()
    assert_found(last, {**EXPECTED, "clipped_fraction": 0.75})
    assert first["clipped_fraction"] == 0


def test_in_a_linen_train_state():
    model = nn.Dense(1)
    params = model.init(jax.random.key(0), jnp.ones((1, 2)))["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=build())
    state = state.apply_gradients(grads=jax.tree.map(jnp.ones_like, params))
    found = jl.metrics(state.tx, state.opt_state)
    assert_found(found, {"gradient_norm": 3**0.5, "clipped_fraction": 1.0})


def test_in_an_nnx_optimizer():
    model = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, build(), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        grads = nnx.grad(lambda model: jnp.sum(model(jnp.ones((1, 2)))))(model)
        optimizer.update(model, grads)
        return jl.metrics(optimizer.tx, optimizer.opt_state)

    jitted = step(model, optimizer)
    found = jl.metrics(optimizer.tx, optimizer.opt_state)
    for x in (jitted, found):
        assert_found(x, {"gradient_norm": 3**0.5, "clipped_fraction": 1.0})
    optimizer.update(model, jax.tree.map(jnp.zeros_like, nnx.state(model, nnx.Param)))
    assert_found(found, {"gradient_norm": 3**0.5})


@pytest.mark.parametrize(
    ("tx", "extra", "names"),
    [
        (jl.prodigy(), {}, {"estim_lr", "numerator_weighted"}),
        (jl.reduce_on_plateau(), {"value": 1.0}, {"scale", "best_value"}),
        (jl.chain(jl.snapshot("norm", jl.global_norm), jl.sgd(1.0)), {}, {"0/norm"}),
        (jl.monitor({"norm": jl.global_norm, "tree": lambda g: g}), {}, {"norm"}),
        (jl.inject_hyperparams(lambda: jl.record(jl.sgd(1.0), "update"))(), {}, set()),
        (
            jl.partition(
                {"a": jl.record(jl.sgd(1.0), "update")}, jl.by_path({"*": "a"})
            ),
            {},
            {"a/update_norm"},
        ),
        (optax.sgd(0.1), {}, set()),
    ],
)
def test_it_finds_what_others_keep(tx, extra, names):
    update = tx.update(PARAMS, tx.init(PARAMS), PARAMS, **extra)
    found = jl.metrics(tx, update[1])
    assert names <= found.keys(), found
    assert all(np.shape(x) == () for x in found.values())


def test_it_finds_what_is_inside_an_injected_factory():
    tx = jl.inject_hyperparams(lambda rate: jl.record(jl.sgd(rate), "update"))(0.5)
    _, state = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    assert_found(jl.metrics(tx, state), {"inner_state/update_norm": 2.5, "rate": 0.5})


def test_another_state_is_refused():
    with pytest.raises(
        TypeError, match="Record: the state is a tuple; expected one with"
    ):
        jl.metrics(build(), jl.adam(0.1).init(PARAMS))
    with pytest.raises(TypeError, match="metrics: the optimizer is 3"):
        jl.metrics(3, ())
