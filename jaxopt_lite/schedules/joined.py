"""Schedules of several pieces."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import FromFunction, Schedule
from jaxopt_lite.core.types import Count, Numeric, ScheduleFn
from jaxopt_lite.core.value import is_array
from jaxopt_lite.schedules.warmup import (
    WarmupCosineDecay,
    warmup_cosine_decay_schedule,
)


class Joined(Schedule):
    """One schedule after another."""

    schedules: tuple[Schedule, ...]
    boundaries: tuple[Numeric, ...]

    def __call__(self, count: Count | int) -> Any:
        count = jnp.asarray(count)
        value: Any = None
        for i, schedule in enumerate(self.schedules):
            own = count - self.boundaries[i - 1] if i else count
            here = own >= 0
            if i < len(self.boundaries):
                here &= count < self.boundaries[i]
            # Read at its own counts only: at others it may have no finite derivative,
            # and that would pass through the selection.
            found = schedule(jnp.where(here, own, 0))
            value = jnp.where(own >= 0, found, value) if i else found
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


class Restarted(Schedule):
    """One cycle of a cosine with warm-up after another."""

    cycles: tuple[WarmupCosineDecay, ...]

    def __call__(self, count: Count | int) -> Any:
        begins = itertools.accumulate(cycle.decay_steps for cycle in self.cycles[:-1])
        return Joined(self.cycles, tuple(begins))(count)


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Numeric]]) -> Schedule:
    """Falls along a cosine again and again, each time from a warm-up of its own.

    Args:
        cosine_kwargs: the arguments of `warmup_cosine_decay_schedule` for each cycle;
            its `decay_steps` is the length of the cycle.

    Returns:
        A schedule; any of its numbers may be an array. After the last cycle its
        `end_value` stays.

    Raises:
        ValueError: if there is no cycle, or an argument is outside its range.
        TypeError: if an argument is missing, or no number or array.

    Source: Loshchilov and Hutter 2016, arXiv 1608.03983, with warm-ups.

    Example:
        >>> import jaxopt_lite as jl
        >>> cycle = {"init_value": 0.0, "warmup_steps": 2, "decay_steps": 6}
        >>> schedule = jl.sgdr_schedule(
        ...     [cycle | {"peak_value": 1.0}, cycle | {"peak_value": 0.5}]
        ... )
        >>> [round(float(schedule(count)), 3) for count in (0, 2, 4, 6, 8, 12)]
        [0.0, 1.0, 0.5, 0.0, 0.5, 0.0]
    """
    cycles = tuple(warmup_cosine_decay_schedule(**kwargs) for kwargs in cosine_kwargs)
    if not cycles:
        raise ValueError("sgdr_schedule: found no cycle; expected one or more.")
    return Restarted(cast(tuple[WarmupCosineDecay, ...], cycles))
