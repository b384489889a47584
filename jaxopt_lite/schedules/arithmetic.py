"""What the curves are made of."""

import math

import jax
import jax.numpy as jnp

from jaxopt_lite.core.types import Count, Numeric

POSITIVE = "(0, inf)"
FRACTION = "[0, 1]"


def in_steps(steps: Numeric, total: Numeric) -> Numeric:
    """A length in steps, where a number below 1 is a fraction of the total.

    It is not rounded: the schedules that take one are continuous where it ends.
    """
    if isinstance(steps, int | float):
        return steps if steps >= 1 else steps * total
    return jnp.where(steps < 1, steps * total, steps)


def as_float(count: Count | int) -> jax.Array:
    """The count in JAX's default floating dtype."""
    return jnp.asarray(count, jnp.result_type(float))


def progress(
    count: Count | int, begin: Numeric, steps: Numeric, of_none: float = 0.0
) -> jax.Array:
    """The fraction of `steps` that has passed since `begin`, in [0, 1].

    Where there are no steps, or fewer than none, it is `of_none`.
    """
    some = jnp.asarray(steps) > 0
    fraction = (as_float(count) - begin) / jnp.where(some, steps, 1.0)
    return jnp.where(some, jnp.clip(fraction, 0.0, 1.0), of_none)


def between(start: Numeric, end: Numeric, done: jax.Array) -> jax.Array:
    """From `start` to `end` as `done` goes from 0 to 1, and exactly there at both."""
    return start * (1 - done) + end * done


def power(base: jax.Array, exponent: Numeric) -> jax.Array:
    """`base**exponent` for a base in [0, 1], with finite derivatives at 0."""
    positive = base > 0
    at_zero = jnp.where(jnp.asarray(exponent) == 0, 1.0, 0.0)
    return jnp.where(
        positive, jnp.power(jnp.where(positive, base, 1.0), exponent), at_zero
    )


def cosine_wave(done: jax.Array, exponent: Numeric = 1.0) -> jax.Array:
    """From 1 to 0 as `done` goes from 0 to 1."""
    return power(0.5 * (1 + jnp.cos(jnp.pi * done)), exponent)


def exponential(rate: Numeric, passed: jax.Array) -> jax.Array:
    """`rate**passed`, where what rounding takes from a Python rate is put back.

    In float32 it is 1e-3 after 100,000 steps at 0.9999.
    """
    value = jnp.power(rate, passed)
    if isinstance(rate, float):
        rounded = float(passed.dtype.type(rate))
        if 0 < rounded != rate:
            value = value * jnp.exp(passed * math.log(rate / rounded))
    return value
