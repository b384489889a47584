"""Transformations that act at some steps only."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl

BOTH = pytest.mark.parametrize(
    ("wrap", "otherwise"),
    [(jl.conditionally_transform, 1.0), (jl.conditionally_mask, 0.0)],
)


@BOTH
@pytest.mark.parametrize("library", [jl, optax])
def test_acts_at_some_steps(wrap, otherwise, library):
    tx = wrap(library.trace(0.5), lambda step: step % 2 == 1)
    params = {"w": jnp.zeros(()), "none": None}
    update = jax.jit(tx.update)
    state = tx.init(params)
    for count, trace in enumerate([0.0, 1.0, 1.0, 1.5, 1.5]):
        assert state.step == count
        u, state = update({"w": jnp.float32(1), "none": None}, state, params)
        assert u["w"] == (trace if count % 2 else otherwise)
        assert jax.tree.leaves(state.inner_state) == [trace]


@BOTH
def test_extra_arguments(wrap, otherwise):
    def is_small(step, value):
        return value < 1

    class Times(jl.Rule):
        def emit(self, g, slots, p, step, *, value):
            return g * value

    tx = wrap(jl.leafwise(Times()), is_small, forward_extra_args=True)
    state = tx.init(jnp.zeros(()))
    for value, expected in [(0.5, 0.5), (2.0, otherwise)]:
        u, state = tx.update(jnp.float32(1), state, value=value, other=3)
        assert u == expected


@BOTH
def test_the_function_sees_the_step_alone_unless_asked(wrap, otherwise):
    seen = []

    def never(step, **extra):
        seen.append(extra)
        return False

    for forwards in (False, True):
        tx = wrap(jl.sgd(0.1), never, forwards)
        tx = jl.apply_if_finite(tx, 1)
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)), value=1.0)
    assert seen == [{}, {"value": 1.0}]


@BOTH
def test_a_skipped_gradient_does_not_come_out(wrap, otherwise):
    tx = wrap(jl.set_to_zero(), lambda step: step != 1)
    state = tx.init(jnp.ones(1))
    assert tx.update(jnp.array([jnp.nan]), state)[0] == 0
    _, state = tx.update(jnp.ones(1), state)
    u, _ = tx.update(jnp.array([2.0]), state)
    np.testing.assert_array_equal(u, [2 * otherwise])


@BOTH
def test_the_function_returns_a_flag(wrap, otherwise):
    for wrong in (lambda step: step, lambda step: jnp.array([True])):
        tx = wrap(jl.sgd(0.1), wrong)
        with pytest.raises(ValueError, match="should_transform_fn returned"):
            tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


def test_with_extra_args_support():
    ours, theirs = jl.sgd(0.1), optax.sgd(0.1)
    assert jl.with_extra_args_support(ours) is ours
    tx = jl.with_extra_args_support(optax.GradientTransformation(*theirs))
    u, _ = tx.update(jnp.ones(1), tx.init(jnp.ones(1)), value=3.0)
    np.testing.assert_allclose(u, -0.1)
    with pytest.raises(TypeError, match="with_extra_args_support: tx is None"):
        jl.with_extra_args_support(None)
