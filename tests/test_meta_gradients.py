"""Gradients through training: with respect to the numbers of an optimizer."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl

STEPS = 100
START = {"w": np.array([1.0, -0.5, 0.25]), "still": np.zeros(2)}
CURVATURES = np.array([0.5, 1.0, 2.0])

FLAGS_OF_RMSPROP = [
    {
        "eps": 0.1,
        "eps_in_sqrt": under,
        "centered": centered,
        "bias_correction": debias,
        **momentum,
    }
    for under, centered, debias, momentum in itertools.product(
        *[(True, False)] * 3,
        [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    )
]
CLASSIC = {
    "sgd": (jl.sgd, {}),
    "momentum": (jl.sgd, {"momentum": 0.9}),
    "nesterov": (jl.sgd, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (jl.adagrad, {}),
    "adagrad from zero": (jl.adagrad, {"initial_accumulator_value": 0.0}),
    "rmsprop": (jl.rmsprop, {}),
    "rmsprop, eps outside": (jl.rmsprop, {"eps_in_sqrt": False}),
    "rmsprop, all flags": (jl.rmsprop, FLAGS_OF_RMSPROP[2]),
    "adam": (jl.adam, {}),
    "adamw": (jl.adamw, {}),
    "nadam": (jl.nadam, {}),
    "nadamw": (jl.nadamw, {}),
    "lion": (jl.lion, {}),
    "amsgrad": (jl.amsgrad, {}),
    # At b2=0.999 both sides of their maximum fall alike, and differences see the kink.
    "adamax": (jl.adamax, {"b2": 0.9}),
    "adamaxw": (jl.adamaxw, {"b2": 0.9}),
    "adadelta": (jl.adadelta, {}),
    "adabelief": (jl.adabelief, {}),
    "radam": (jl.radam, {}),
    "yogi": (jl.yogi, {}),
    "adan": (jl.adan, {}),
    "lamb": (jl.lamb, {}),
    "lars": (jl.lars, {}),
    "novograd": (jl.novograd, {}),
    "adafactor": (jl.adafactor, {"min_dim_size_to_factor": 2}),
    "came": (jl.came, {}),
    "adam_mini": (jl.adam_mini, {}),
}
"""Of each optimizer of use in most papers, its factory and arguments."""

RMSPROPS = {
    f"rmsprop({', '.join(name for name, x in flags.items() if x)})": (jl.rmsprop, flags)
    for flags in FLAGS_OF_RMSPROP
}


def built(factory, arguments, rate, decay):
    """The optimizer with a weight decay of its own, or with one before it."""
    name = {"weight_decay", "weight_decay_rate"} & {
        *inspect.signature(factory).parameters
    }
    if name:
        return factory(rate, **arguments, **dict.fromkeys(name, decay))
    return jl.chain(jl.add_decayed_weights(decay), factory(rate, **arguments))


def loss(p):
    """A valley, and parameters that get no gradient at all."""
    return jnp.sum(CURVATURES * p["w"] ** 2) + 0.0 * jnp.sum(p["still"])


def trained(factory, arguments):
    """From the numbers to the loss after training with them."""

    def end(numbers):
        tx = built(factory, arguments, *numbers)

        def step(carry, _):
            p, state = carry
            u, state = tx.update(jax.grad(loss)(p), state, p)
            return (jl.apply_updates(p, u), state), None

        start = jax.tree.map(jnp.asarray, START)
        (p, _), _ = jax.lax.scan(step, (start, tx.init(start)), length=STEPS)
        return loss(p)

    return end


def slopes_by_differences(function, at, h):
    """The gradient, by differences of the fourth order."""
    steps = h * np.eye(len(at))
    near = jax.vmap(function)(at + np.concatenate([steps, -steps]))
    far = jax.vmap(function)(at + 2 * np.concatenate([steps, -steps]))
    n = len(at)
    return (8 * (near[:n] - near[n:]) - (far[:n] - far[n:])) / (12 * h)


def assert_learnable(factory, arguments):
    """The slopes of the loss are those that differences show."""
    end = trained(factory, arguments)
    at = jnp.array([1e-3, 0.05])

    @jax.jit
    def both(at):
        return jax.grad(end)(at), slopes_by_differences(end, at, 1e-6)

    slopes, differences = both(at)
    np.testing.assert_allclose(slopes, differences, rtol=1e-5, atol=1e-9)
    assert np.abs(slopes).min() > 0


@pytest.mark.parametrize("name", CLASSIC)
def test_a_rate_and_a_decay_are_learnt_through_a_hundred_steps(name, x64):
    assert_learnable(*CLASSIC[name])


@pytest.mark.full
@pytest.mark.parametrize("name", RMSPROPS)
def test_they_are_learnt_whatever_the_flags_of_rmsprop(name, x64):
    assert_learnable(*RMSPROPS[name])


@pytest.mark.parametrize("name", CLASSIC | RMSPROPS)
def test_slopes_are_finite_where_gradients_are_zero(name):
    factory, arguments = (CLASSIC | RMSPROPS)[name]

    def moved(numbers, p):
        tx = built(factory, arguments, *numbers)
        state, total = tx.init(p), 0.0
        for _ in range(2):
            u, state = tx.update(jnp.zeros_like(p), state, p)
            total = total + jnp.sum(u)
        return total.astype(jnp.float32)

    at, p = jnp.array([0.1, 0.1]), jnp.zeros(2)
    of_zeros, of_ones, rounded = jax.jit(
        lambda: [jax.grad(moved)(at, x) for x in (p, p + 1, p.astype(jnp.bfloat16))]
    )()
    assert np.isfinite(of_zeros).all()
    assert np.isfinite(of_ones).all()
    assert np.isfinite(rounded).all()
