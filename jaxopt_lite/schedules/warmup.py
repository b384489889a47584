"""Schedules that rise to a peak first."""

from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.numbers import FINITE, fixed_number
from jaxopt_lite.core.types import Count, Numeric
from jaxopt_lite.schedules.arithmetic import (
    POSITIVE,
    as_float,
    between,
    cosine_wave,
    in_steps,
    progress,
)
from jaxopt_lite.schedules.curves import exponential_decay


class WarmupConstant(Schedule):
    """A line up, and then a constant."""

    init_value: Numeric
    peak_value: Numeric
    warmup_steps: Numeric

    def __call__(self, count: Count | int) -> Any:
        risen = progress(count, 0, self.warmup_steps, of_none=1.0)
        return between(self.init_value, self.peak_value, risen)


def warmup_constant_schedule(
    init_value: Numeric, peak_value: Numeric, warmup_steps: Numeric
) -> Schedule:
    """Rises in a straight line to a peak, and stays there.

    Args:
        init_value: the number at the first step.
        peak_value: the number at the end of the warm-up and ever after.
        warmup_steps: length of the warm-up in steps, at least 0. With 0 it begins at
            the peak; Optax stays at `init_value` for ever.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if `warmup_steps` is negative.
        TypeError: if an argument is no number or array.

    Example:
        >>> import jaxopt_lite as jl
        >>> schedule = jl.warmup_constant_schedule(0.0, 1.0, warmup_steps=4)
        >>> [float(schedule(count)) for count in (0, 1, 4, 9)]
        [0.0, 0.25, 1.0, 1.0]
    """
    return WarmupConstant(
        fixed_number("init_value", init_value, FINITE),
        fixed_number("peak_value", peak_value, FINITE),
        fixed_number("warmup_steps", warmup_steps),
    )


class WarmupCosineDecay(Schedule):
    """A line up, and half a wave of the cosine down."""

    init_value: Numeric
    peak_value: Numeric
    warmup_steps: Numeric
    decay_steps: Numeric
    end_value: Numeric
    exponent: Numeric

    def __call__(self, count: Count | int) -> Any:
        warmup = in_steps(self.warmup_steps, self.decay_steps)
        up = WarmupConstant(self.init_value, self.peak_value, warmup)
        done = progress(count, warmup, self.decay_steps - warmup)
        wave = cosine_wave(done, self.exponent)
        down = between(self.end_value, self.peak_value, wave)
        return jnp.where(as_float(count) < warmup, up(count), down)


def warmup_cosine_decay_schedule(
    init_value: Numeric,
    peak_value: Numeric,
    warmup_steps: Numeric,
    decay_steps: Numeric,
    end_value: Numeric = 0.0,
    exponent: Numeric = 1.0,
) -> Schedule:
    """Rises in a straight line to a peak, then falls along half a wave of the cosine.

    Args:
        init_value: the number at the first step.
        peak_value: the number at the end of the warm-up.
        warmup_steps: length of the warm-up in steps, at least 0; below 1 a fraction of
            `decay_steps`.
        decay_steps: length of the whole, warm-up included, more than `warmup_steps`.
        end_value: the number from `decay_steps` on, also where the peak is 0 (Optax
            ends at 0 then).
        exponent: power of the wave, at least 0.

    Returns:
        A schedule; any of its numbers may be an array, `peak_value` too (Optax fails on
        a traced peak).

    Raises:
        ValueError: if the warm-up takes the whole or more.
        TypeError: if an argument is no number or array.

    Source: Loshchilov and Hutter 2016, arXiv 1608.03983; the warm-up as in Goyal et al.
    2017, arXiv 1706.02677.

    Example:
        >>> import jaxopt_lite as jl
        >>> schedule = jl.warmup_cosine_decay_schedule(0.0, 1.0, 10, 110)
        >>> [round(float(schedule(count)), 3) for count in (0, 5, 10, 60, 110)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    warmup = fixed_number("warmup_steps", warmup_steps)
    whole = fixed_number("decay_steps", decay_steps, POSITIVE)
    if isinstance(warmup, float) and isinstance(whole, float) and whole <= warmup:
        raise ValueError(
            f"decay_steps is {whole:g} and warmup_steps {warmup:g}; expected more "
            f"steps in all than in the warm-up: decay_steps counts both."
        )
    return WarmupCosineDecay(
        fixed_number("init_value", init_value, FINITE),
        fixed_number("peak_value", peak_value, FINITE),
        warmup,
        whole,
        fixed_number("end_value", end_value, FINITE),
        fixed_number("exponent", exponent),
    )


class WarmupExponentialDecay(Schedule):
    """A line up, and then a constant factor per step."""

    init_value: Numeric
    peak_value: Numeric
    warmup_steps: Numeric
    transition_steps: Numeric
    decay_rate: Numeric
    transition_begin: Numeric
    staircase: bool
    end_value: Numeric | None

    def __call__(self, count: Count | int) -> Any:
        up = WarmupConstant(self.init_value, self.peak_value, self.warmup_steps)
        down = exponential_decay(
            self.peak_value,
            self.transition_steps,
            self.decay_rate,
            self.transition_begin + self.warmup_steps,
            self.staircase,
            self.end_value,
        )
        return jnp.where(as_float(count) < self.warmup_steps, up(count), down(count))


def warmup_exponential_decay_schedule(
    init_value: Numeric,
    peak_value: Numeric,
    warmup_steps: Numeric,
    transition_steps: Numeric,
    decay_rate: Numeric,
    transition_begin: Numeric = 0,
    staircase: bool = False,
    end_value: Numeric | None = None,
) -> Schedule:
    """Rises in a straight line to a peak, then falls by a constant factor.

    After the warm-up it is `exponential_decay`, counted from the end of the warm-up.

    Args:
        init_value: the number at the first step.
        peak_value: the number at the end of the warm-up.
        warmup_steps: length of the warm-up in steps, at least 0.
        transition_steps: in how many steps the factor is applied, at least 0; with 0
            `peak_value` stays.
        decay_rate: the factor, more than 0.
        transition_begin: for how many steps the peak is held, at least 0.
        staircase: whether to move in jumps.
        end_value: bound that the decay does not cross.

    Returns:
        A schedule; any of its numbers may be an array (Optax fails on a traced rate).

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Example:
        >>> import jaxopt_lite as jl
        >>> schedule = jl.warmup_exponential_decay_schedule(0.0, 1.0, 4, 10, 0.5)
        >>> [round(float(schedule(count)), 3) for count in (0, 2, 4, 14, 24)]
        [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    return WarmupExponentialDecay(
        fixed_number("init_value", init_value, FINITE),
        fixed_number("peak_value", peak_value, FINITE),
        fixed_number("warmup_steps", warmup_steps),
        fixed_number("transition_steps", transition_steps),
        fixed_number("decay_rate", decay_rate, POSITIVE),
        fixed_number("transition_begin", transition_begin),
        staircase,
        None if end_value is None else fixed_number("end_value", end_value, FINITE),
    )


class InverseSqrt(Schedule):
    """A line up, and then one over the root of the step."""

    init_value: Numeric
    peak_value: Numeric
    warmup_steps: Numeric
    timescale: Numeric | None

    def __call__(self, count: Count | int) -> Any:
        up = WarmupConstant(self.init_value, self.peak_value, self.warmup_steps)
        scale = self.warmup_steps if self.timescale is None else self.timescale
        since = jnp.maximum(as_float(count) - self.warmup_steps, 0.0)
        return up(count) * jnp.sqrt(scale / (scale + since))


def inverse_sqrt_schedule(
    init_value: Numeric,
    peak_value: Numeric,
    warmup_steps: Numeric,
    timescale: Numeric | None = None,
) -> Schedule:
    """Rises in a straight line to a peak, then falls with the root of the step.

        init + (peak - init) * count / warmup_steps                  in the warm-up
        peak * sqrt(timescale / (timescale + count - warmup_steps))  afterwards

    With the default timescale the second line is `peak * sqrt(warmup_steps / count)`.
    It has no end; `cooldown_schedule` gives it one.

    Args:
        init_value: the number at the first step.
        peak_value: the number at the end of the warm-up.
        warmup_steps: length of the warm-up in steps, at least 0.
        timescale: after three times as many steps the peak has halved; more than 0. By
            default as long as the warm-up, which then is more than 0.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: Vaswani et al. 2017, arXiv 1706.03762; the timescale as in Zhai et al. 2021,
    arXiv 2106.04560.

    Example:
        >>> import jaxopt_lite as jl
        >>> schedule = jl.inverse_sqrt_schedule(0.0, 1.0, warmup_steps=4)
        >>> [round(float(schedule(count)), 3) for count in (0, 2, 4, 16, 64)]
        [0.0, 0.5, 1.0, 0.5, 0.25]
    """
    shortest = POSITIVE if timescale is None else "[0, inf)"
    return InverseSqrt(
        fixed_number("init_value", init_value, FINITE),
        fixed_number("peak_value", peak_value, FINITE),
        fixed_number("warmup_steps", warmup_steps, shortest),
        None if timescale is None else fixed_number("timescale", timescale, POSITIVE),
    )
