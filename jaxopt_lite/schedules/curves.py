"""Schedules of one piece."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import FINITE, NON_NEGATIVE, Schedule, number
from jaxopt_lite.core.types import Count, Numeric

POSITIVE = "(0, inf)"


class Constant(Schedule):
    """The same number at every step."""

    value: Numeric

    def __call__(self, count: Count | int) -> Any:
        return self.value


def constant_schedule(value: Numeric) -> Schedule:
    """The same number at every step.

    Args:
        value: any number or array.

    Returns:
        A schedule.

    Raises:
        TypeError: if `value` is no number or array.

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.constant_schedule(0.1)(1000)
        0.1
    """
    return Constant(number("value", value, FINITE))


class Linear(Schedule):
    """A straight line between two numbers."""

    init_value: Numeric
    end_value: Numeric
    transition_steps: Numeric
    transition_begin: Numeric

    def __call__(self, count: Count | int) -> Any:
        done = progress(count, self.transition_begin, self.transition_steps)
        return self.init_value + (self.end_value - self.init_value) * done


def linear_schedule(
    init_value: Numeric,
    end_value: Numeric,
    transition_steps: Numeric,
    transition_begin: Numeric = 0,
) -> Schedule:
    """Goes in a straight line from one number to another, and stays there.

        init + (end - init) * clip((count - begin) / steps, 0, 1)

    Args:
        init_value: the number up to `transition_begin`.
        end_value: the number from `transition_begin + transition_steps` on.
        transition_steps: length in steps, at least 0; with 0 `init_value` stays.
        transition_begin: where the line begins, in steps, at least 0.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if a number of steps is negative.
        TypeError: if an argument is no number or array.

    Example:
        >>> import jaxopt_lite as jl
        >>> warmup = jl.linear_schedule(0.0, 1.0, transition_steps=4)
        >>> [float(warmup(count)) for count in (0, 1, 4, 9)]
        [0.0, 0.25, 1.0, 1.0]
    """
    return Linear(
        number("init_value", init_value, FINITE),
        number("end_value", end_value, FINITE),
        number("transition_steps", transition_steps),
        number("transition_begin", transition_begin),
    )


class CosineDecay(Schedule):
    """Half a wave of the cosine."""

    init_value: Numeric
    decay_steps: Numeric
    alpha: Numeric
    exponent: Numeric

    def __call__(self, count: Count | int) -> Any:
        wave = cosine_wave(progress(count, 0, self.decay_steps), self.exponent)
        return self.init_value * ((1 - self.alpha) * wave + self.alpha)


def cosine_decay_schedule(
    init_value: Numeric,
    decay_steps: Numeric,
    alpha: Numeric = 0.0,
    exponent: Numeric = 1.0,
) -> Schedule:
    """Falls along half a wave of the cosine, and stays there.

        init * ((1 - alpha) * wave**exponent + alpha)
        wave = (1 + cos(pi * min(count / steps, 1))) / 2

    Args:
        init_value: the number at the first step.
        decay_steps: length in steps, more than 0.
        alpha: the last number, as a fraction of the first.
        exponent: power of the wave.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if `decay_steps` is not positive.
        TypeError: if an argument is no number or array.

    Source: Loshchilov and Hutter 2016, arXiv 1608.03983, without restarts. PyTorch's
    CosineAnnealingLR rises again after its end.

    Example:
        >>> import jaxopt_lite as jl
        >>> decay = jl.cosine_decay_schedule(1.0, decay_steps=10)
        >>> [round(float(decay(count)), 3) for count in (0, 5, 10, 20)]
        [1.0, 0.5, 0.0, 0.0]
    """
    return CosineDecay(
        number("init_value", init_value, FINITE),
        number("decay_steps", decay_steps, POSITIVE),
        number("alpha", alpha, FINITE),
        number("exponent", exponent, FINITE),
    )


class ExponentialDecay(Schedule):
    """A constant factor per step."""

    init_value: Numeric
    transition_steps: Numeric
    decay_rate: Numeric
    transition_begin: Numeric
    end_value: Numeric | None

    def __call__(self, count: Count | int) -> Any:
        passed = self.passed(as_float(count) - self.transition_begin)
        value = self.init_value * jnp.power(self.decay_rate, jnp.maximum(passed, 0.0))
        if self.end_value is None:
            return value
        higher = jnp.maximum(value, self.end_value)
        lower = jnp.minimum(value, self.end_value)
        return jnp.where(jnp.asarray(self.decay_rate) < 1, higher, lower)

    def passed(self, steps: jax.Array) -> jax.Array:
        """How often the whole factor has been applied."""
        long_enough = jnp.asarray(self.transition_steps) > 0
        return jnp.where(
            long_enough, steps / jnp.where(long_enough, self.transition_steps, 1.0), 0.0
        )


class Staircase(ExponentialDecay):
    """A constant factor every so many steps."""

    def passed(self, steps: jax.Array) -> jax.Array:
        return jnp.floor(super().passed(steps))


def exponential_decay(
    init_value: Numeric,
    transition_steps: Numeric,
    decay_rate: Numeric,
    transition_begin: Numeric = 0,
    staircase: bool = False,
    end_value: Numeric | None = None,
) -> Schedule:
    """Multiplies by a constant factor every `transition_steps` steps.

        init * rate**(max(count - begin, 0) / steps)    (the exponent rounded down with
                                                         staircase)

    Args:
        init_value: the number up to `transition_begin`.
        transition_steps: in how many steps the factor is applied, at least 0; with 0
            `init_value` stays.
        decay_rate: the factor, more than 0.
        transition_begin: where the decay begins, in steps, at least 0.
        staircase: whether to move in jumps (PyTorch's StepLR).
        end_value: bound that the decay does not cross.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range. (Optax takes a `decay_rate`
            of 0 for no decay.)
        TypeError: if an argument is no number or array.

    Example:
        >>> import jaxopt_lite as jl
        >>> decay = jl.exponential_decay(1.0, transition_steps=10, decay_rate=0.5)
        >>> [round(float(decay(count)), 3) for count in (0, 10, 20)]
        [1.0, 0.5, 0.25]
    """
    rule = Staircase if staircase else ExponentialDecay
    return rule(
        number("init_value", init_value, FINITE),
        number("transition_steps", transition_steps),
        number("decay_rate", decay_rate, POSITIVE),
        number("transition_begin", transition_begin),
        None if end_value is None else number("end_value", end_value, FINITE),
    )


class PiecewiseConstant(Schedule):
    """A number that is multiplied by a factor at each boundary."""

    init_value: Numeric
    boundaries: tuple[int, ...]
    scales: tuple[Numeric, ...]

    def __call__(self, count: Count | int) -> Any:
        value = jnp.asarray(self.init_value, jnp.result_type(float))
        for boundary, factor in zip(self.boundaries, self.scales, strict=True):
            value = value * jnp.where(jnp.asarray(count) >= boundary, factor, 1.0)
        return value


def piecewise_constant_schedule(
    init_value: Numeric, boundaries_and_scales: Mapping[int, Numeric] | None = None
) -> Schedule:
    """Multiplies by a factor at each of some steps, and is constant in between.

    Args:
        init_value: the number before the first boundary.
        boundaries_and_scales: from a step to the factor, at least 0, that applies from
            that step on.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if a factor is negative.
        TypeError: if an argument is no number or array.

    Example:
        >>> import jaxopt_lite as jl
        >>> steps = jl.piecewise_constant_schedule(1.0, {10: 0.5, 20: 0.1})
        >>> [round(float(steps(count)), 3) for count in (9, 10, 20)]
        [1.0, 0.5, 0.05]
    """
    rules = sorted((boundaries_and_scales or {}).items())
    return PiecewiseConstant(
        number("init_value", init_value, FINITE),
        tuple(boundary for boundary, _ in rules),
        tuple(number(f"scale at {b}", scale, NON_NEGATIVE) for b, scale in rules),
    )


def as_float(count: Count | int) -> jax.Array:
    """The count in JAX's default floating dtype."""
    return jnp.asarray(count, jnp.result_type(float))


def progress(count: Count | int, begin: Numeric, steps: Numeric) -> jax.Array:
    """The fraction of `steps` that has passed since `begin`, in [0, 1]."""
    some = jnp.asarray(steps) > 0
    fraction = (as_float(count) - begin) / jnp.where(some, steps, 1.0)
    return jnp.where(some, jnp.clip(fraction, 0.0, 1.0), 0.0)


def cosine_wave(done: jax.Array, exponent: Numeric) -> jax.Array:
    """From 1 to 0 as `done` goes from 0 to 1."""
    return jnp.power(0.5 * (1 + jnp.cos(jnp.pi * done)), exponent)
