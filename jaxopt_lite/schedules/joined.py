"""Schedules of several pieces."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import (
    FINITE,
    FromFunction,
    Schedule,
    number,
)
from jaxopt_lite.core.types import Count, Numeric, ScheduleFn
from jaxopt_lite.core.value import is_array
from jaxopt_lite.schedules.curves import cosine_wave, progress


class Joined(Schedule):
    """One schedule after another."""

    schedules: tuple[Schedule, ...]
    boundaries: tuple[Numeric, ...]

    def __call__(self, count: Count | int) -> Any:
        value = self.schedules[0](count)
        for boundary, schedule in zip(self.boundaries, self.schedules[1:], strict=True):
            begun = jnp.asarray(count) >= boundary
            value = jnp.where(begun, schedule(jnp.asarray(count) - boundary), value)
        return value


def join_schedules(
    schedules: Sequence[ScheduleFn], boundaries: Sequence[Numeric]
) -> Schedule:
    """Applies schedules one after another, each counting from its own beginning.

    Args:
        schedules: schedules or functions of the count.
        boundaries: the steps at which the second, third… schedule begins, in order;
            one fewer than schedules.

    Returns:
        A schedule.

    Raises:
        ValueError: if the lengths do not fit or the boundaries do not increase.
        TypeError: if a member cannot be called.

    Example:
        >>> import jaxopt_lite as jl
        >>> schedule = jl.join_schedules(
        ...     [jl.linear_schedule(0.0, 1.0, 4), jl.constant_schedule(0.5)], [4]
        ... )
        >>> [float(schedule(count)) for count in (0, 2, 4, 9)]
        [0.0, 0.5, 0.5, 0.5]
    """
    if len(schedules) != len(boundaries) + 1:
        raise ValueError(
            f"join_schedules: found {len(schedules)} schedules and {len(boundaries)} "
            f"boundaries; expected one boundary between each two schedules."
        )
    for i, schedule in enumerate(schedules):
        if not callable(schedule):
            raise TypeError(
                f"join_schedules: member {i} is {schedule!r}, a "
                f"{type(schedule).__name__}; expected a schedule. Use "
                f"`constant_schedule` for a number."
            )
    concrete = [b for b in boundaries if not is_array(b)]
    if any(a > b for a, b in zip(concrete, concrete[1:], strict=False)):
        raise ValueError(
            f"join_schedules: found boundaries {list(boundaries)}; expected steps in "
            f"increasing order."
        )
    values = (s if isinstance(s, Schedule) else FromFunction(s) for s in schedules)
    return Joined(tuple(values), tuple(boundaries))


class WarmupCosineDecay(Schedule):
    """A line up, and half a wave of the cosine down."""

    init_value: Numeric
    peak_value: Numeric
    warmup_steps: Numeric
    decay_steps: Numeric
    end_value: Numeric
    exponent: Numeric

    def __call__(self, count: Count | int) -> Any:
        risen = progress(count, 0, self.warmup_steps)
        up = self.init_value + (self.peak_value - self.init_value) * risen
        length = self.decay_steps - self.warmup_steps
        wave = cosine_wave(progress(count, self.warmup_steps, length), self.exponent)
        down = self.end_value + (self.peak_value - self.end_value) * wave
        return jnp.where(jnp.asarray(count) < self.warmup_steps, up, down)


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
        warmup_steps: length of the warm-up in steps, at least 0.
        decay_steps: length of the whole, warm-up included, more than `warmup_steps`.
        end_value: the number from `decay_steps` on.
        exponent: power of the wave.

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
    warmup = number("warmup_steps", warmup_steps)
    whole = number("decay_steps", decay_steps)
    if isinstance(warmup, float) and isinstance(whole, float) and whole <= warmup:
        raise ValueError(
            f"decay_steps is {whole:g} and warmup_steps {warmup:g}; expected more "
            f"steps in all than in the warm-up: decay_steps counts both."
        )
    return WarmupCosineDecay(
        number("init_value", init_value, FINITE),
        number("peak_value", peak_value, FINITE),
        warmup,
        whole,
        number("end_value", end_value, FINITE),
        number("exponent", exponent, FINITE),
    )
