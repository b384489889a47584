"""Schedules of one piece."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.numbers import FINITE, fixed_number
from jaxopt_lite.core.types import Count, Numeric
from jaxopt_lite.schedules.arithmetic import (
    POSITIVE,
    as_float,
    between,
    cosine_wave,
    exponential,
    power,
    progress,
)


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
    return Constant(fixed_number("value", value, FINITE))


class Linear(Schedule):
    """A straight line between two numbers."""

    init_value: Numeric
    end_value: Numeric
    transition_steps: Numeric
    transition_begin: Numeric

    def __call__(self, count: Count | int) -> Any:
        done = progress(count, self.transition_begin, self.transition_steps)
        return between(self.init_value, self.end_value, done)


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
        fixed_number("init_value", init_value, FINITE),
        fixed_number("end_value", end_value, FINITE),
        fixed_number("transition_steps", transition_steps),
        fixed_number("transition_begin", transition_begin),
    )


class Polynomial(Schedule):
    """A power of what is left."""

    init_value: Numeric
    end_value: Numeric
    power: Numeric
    transition_steps: Numeric
    transition_begin: Numeric

    def __call__(self, count: Count | int) -> Any:
        done = progress(count, self.transition_begin, self.transition_steps)
        return between(self.end_value, self.init_value, power(1 - done, self.power))


def polynomial_schedule(
    init_value: Numeric,
    end_value: Numeric,
    power: Numeric,
    transition_steps: Numeric,
    transition_begin: Numeric = 0,
) -> Schedule:
    """Goes from one number to another along a power of the steps left, and stays there.

        end + (init - end) * (1 - clip((count - begin) / steps, 0, 1))**power

    Args:
        init_value: the number up to `transition_begin`.
        end_value: the number from `transition_begin + transition_steps` on.
        power: 1 for a straight line, more to move fast at first, at least 0; with 0
            `init_value` stays.
        transition_steps: length in steps, at least 0; with 0 `init_value` stays.
        transition_begin: where it begins, in steps, at least 0.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if `power` or a number of steps is negative. (With a negative power
            Optax ends at infinity.)
        TypeError: if an argument is no number or array.

    Example:
        >>> import jaxopt_lite as jl
        >>> decay = jl.polynomial_schedule(1.0, 0.0, power=2, transition_steps=4)
        >>> [float(decay(count)) for count in (0, 1, 2, 4, 9)]
        [1.0, 0.5625, 0.25, 0.0, 0.0]
    """
    return Polynomial(
        fixed_number("init_value", init_value, FINITE),
        fixed_number("end_value", end_value, FINITE),
        fixed_number("power", power),
        fixed_number("transition_steps", transition_steps),
        fixed_number("transition_begin", transition_begin),
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
        exponent: power of the wave, at least 0.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if `decay_steps` is not positive, or `exponent` negative.
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
        fixed_number("init_value", init_value, FINITE),
        fixed_number("decay_steps", decay_steps, POSITIVE),
        fixed_number("alpha", alpha, FINITE),
        fixed_number("exponent", exponent),
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
        value = self.init_value * exponential(self.decay_rate, jnp.maximum(passed, 0.0))
        if self.end_value is None:
            return value
        higher = jnp.maximum(value, self.end_value)
        lower = jnp.minimum(value, self.end_value)
        bounded = jnp.where(jnp.asarray(self.decay_rate) < 1, higher, lower)
        return jnp.where(jnp.asarray(self.transition_steps) > 0, bounded, value)

    def passed(self, steps: jax.Array) -> jax.Array:
        """How often the whole factor has been applied."""
        some = jnp.asarray(self.transition_steps) > 0
        each = jnp.where(some, self.transition_steps, 1.0)
        return jnp.where(some, self.times(steps, each), 0.0)

    def times(self, steps: jax.Array, each: jax.Array) -> jax.Array:
        """How often `each` goes into `steps`."""
        return steps / each


class Staircase(ExponentialDecay):
    """A constant factor every so many steps."""

    def times(self, steps: jax.Array, each: jax.Array) -> jax.Array:
        # Not the floor of the quotient: XLA multiplies by 1 / 41, and 41 / 41 is less
        # than 1 then.
        return steps // each


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
        fixed_number("init_value", init_value, FINITE),
        fixed_number("transition_steps", transition_steps),
        fixed_number("decay_rate", decay_rate, POSITIVE),
        fixed_number("transition_begin", transition_begin),
        None if end_value is None else fixed_number("end_value", end_value, FINITE),
    )
