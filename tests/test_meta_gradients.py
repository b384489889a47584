"""Gradients through training: with respect to the numbers of an optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl

STEPS = 100
START = {"w": np.array([1.0, -0.5, 0.25]), "still": np.zeros(2)}
CURVATURES = np.array([0.5, 1.0, 2.0])

CLASSIC = {
    "sgd": (jl.sgd, {}),
    "momentum": (jl.sgd, {"momentum": 0.9}),
    "nesterov": (jl.sgd, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (jl.adagrad, {}),
    "adagrad from zero": (jl.adagrad, {"initial_accumulator_value": 0.0}),
    "rmsprop": (jl.rmsprop, {}),
    "rmsprop, eps outside": (jl.rmsprop, {"eps_in_sqrt": False}),
    "rmsprop, centered": (jl.rmsprop, {"centered": True, "momentum": 0.9}),
    "rmsprop, debiased": (jl.rmsprop, {"bias_correction": True}),
    "adam": (jl.adam, {}),
    "adamw": (jl.adamw, {}),
    "nadam": (jl.nadam, {}),
    "nadamw": (jl.nadamw, {}),
    "amsgrad": (jl.amsgrad, {}),
    "adamax": (jl.adamax, {}),
    "adabelief": (jl.adabelief, {}),
    "radam": (jl.radam, {}),
    "yogi": (jl.yogi, {}),
    "lamb": (jl.lamb, {}),
    "lion": (jl.lion, {}),
}
"""Of each optimizer of use in most papers, its factory and arguments."""


def loss(p):
    """A valley, and parameters that get no gradient at all."""
    return jnp.sum(CURVATURES * p["w"] ** 2) + 0.0 * jnp.sum(p["still"])


def trained(factory, arguments):
    """From the numbers to the loss after training with them."""

    def end(numbers):
        rate, decay = numbers
        tx = jl.chain(jl.add_decayed_weights(decay), factory(rate, **arguments))

        def step(carry, _):
            p, state = carry
            u, state = tx.update(jax.grad(loss)(p), state, p)
            return (jl.apply_updates(p, u), state), None

        start = jax.tree.map(jnp.asarray, START)
        (p, _), _ = jax.lax.scan(step, (start, tx.init(start)), length=STEPS)
        return loss(p)

    return end


@pytest.mark.parametrize("name", CLASSIC)
def test_a_rate_and_a_decay_are_learnt_through_a_hundred_steps(name, x64):
    end = jax.jit(trained(*CLASSIC[name]))
    at = jnp.array([0.01, 0.05])
    slopes = jax.jit(jax.grad(end))(at)
    h = 1e-6
    steps = h * jnp.eye(2)
    differences = [(end(at + d) - end(at - d)) / (2 * h) for d in steps]
    assert np.isfinite(slopes).all()
    np.testing.assert_allclose(slopes, differences, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", CLASSIC)
def test_slopes_are_finite_where_gradients_are_zero(name, dtype):
    factory, arguments = CLASSIC[name]
    p = jnp.zeros(2, dtype)

    def moved(numbers):
        rate, decay = numbers
        tx = jl.chain(factory(rate, **arguments), jl.add_decayed_weights(decay))
        state, total = tx.init(p), 0.0
        for _ in range(2):
            u, state = tx.update(jnp.zeros(2, dtype), state, p)
            total = total + jnp.sum(u)
        return total.astype(jnp.float32)

    slopes = jax.jit(jax.grad(moved))(jnp.array([0.1, 0.1]))
    assert np.isfinite(slopes).all()
