"""Schedules that go down at the end of training."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.numbers import FINITE, fixed_number, whole_tree_number
from jaxopt_lite.core.types import Count, Numeric, ScheduleFn
from jaxopt_lite.schedules.arithmetic import (
    POSITIVE,
    between,
    in_steps,
    power,
    progress,
)
from jaxopt_lite.schedules.warmup import WarmupConstant

SHAPES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "1-sqrt": lambda done: 1 - power(done, 0.5),
    "linear": lambda done: 1 - done,
}
"""What is left of the number after a fraction of the cooldown."""


class Cooldown(Schedule):
    """A schedule, and at the end of all steps a way down from it."""

    schedule: Schedule | Numeric
    total_steps: Numeric
    cooldown_steps: Numeric
    end_value: Numeric
    shape: str

    def __call__(self, count: Count | int) -> Any:
        steps = in_steps(self.cooldown_steps, self.total_steps)
        begin = self.total_steps - steps
        left = SHAPES[self.shape](progress(count, begin, steps))
        return between(self.end_value, self.held(count, begin), left)

    def held(self, count: Count | int, begin: Numeric) -> Any:
        """The schedule, which stands still from `begin` on."""
        if not isinstance(self.schedule, Schedule):
            return self.schedule
        count = jnp.asarray(count)
        # A plain function may index with the count, so that it stays an integer.
        last = jnp.floor(jnp.asarray(begin)).astype(count.dtype)
        return self.schedule(jnp.minimum(count, last))


def cooldown_schedule(
    schedule: Numeric | ScheduleFn,
    total_steps: Numeric,
    cooldown_steps: Numeric,
    end_value: Numeric = 0.0,
    shape: str = "1-sqrt",
) -> Schedule:
    """Follows a schedule, but goes down from it over the last steps.

        end + (held - end) * (1 - sqrt(done))      or (1 - done) for "linear"
        done = clip((count - begin) / cooldown_steps, 0, 1)
        begin = total_steps - cooldown_steps
        held = schedule(min(count, begin))

    A run at a constant rate can thus be ended at any step.

    Args:
        schedule: a number, a schedule or a function of the count.
        total_steps: length of the whole in steps, more than 0.
        cooldown_steps: length of the way down in steps, at least 0; below 1 a fraction
            of `total_steps`. With 0 there is none.
        end_value: the number from `total_steps` on.
        shape: `"1-sqrt"`, which falls fast at first and ever more slowly, or
            `"linear"`.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range, or the cooldown takes more than
            the whole.
        TypeError: if an argument is no number or array.

    Source: Hägele et al. 2024, arXiv 2405.18392.

    Example:
        >>> import jaxopt_lite as jl
        >>> schedule = jl.cooldown_schedule(1.0, total_steps=100, cooldown_steps=0.16)
        >>> [round(float(schedule(count)), 3) for count in (0, 84, 85, 88, 93, 100)]
        [1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    total, cooldown = _lengths(total_steps, cooldown_steps)
    _fit(total, cooldown=cooldown)
    return Cooldown(
        whole_tree_number("schedule", schedule, FINITE),
        total,
        cooldown,
        fixed_number("end_value", end_value, FINITE),
        _known(shape),
    )


class WarmupStableDecay(Schedule):
    """A line up, a constant, and a way down."""

    init_value: Numeric
    peak_value: Numeric
    total_steps: Numeric
    warmup_steps: Numeric
    cooldown_steps: Numeric
    end_value: Numeric
    shape: str

    def __call__(self, count: Count | int) -> Any:
        steps = in_steps(self.warmup_steps, self.total_steps)
        up = WarmupConstant(self.init_value, self.peak_value, steps)(count)
        return Cooldown(
            up, self.total_steps, self.cooldown_steps, self.end_value, self.shape
        )(count)


def warmup_stable_decay_schedule(
    init_value: Numeric,
    peak_value: Numeric,
    total_steps: Numeric,
    warmup_steps: Numeric = 0.05,
    cooldown_steps: Numeric = 0.2,
    end_value: Numeric = 0.0,
    shape: str = "1-sqrt",
) -> Schedule:
    """Rises in a straight line to a peak, stays there, and goes down at the end.

    The way down is that of `cooldown_schedule`. Unlike with a cosine, the number before
    it does not depend on how long training goes on.

    Args:
        init_value: the number at the first step.
        peak_value: the number between warm-up and cooldown.
        total_steps: length of the whole in steps, more than 0.
        warmup_steps: length of the warm-up in steps, at least 0; below 1 a fraction of
            `total_steps`.
        cooldown_steps: length of the way down, as `warmup_steps`.
        end_value: the number from `total_steps` on.
        shape: `"1-sqrt"` or `"linear"`.

    Returns:
        A schedule; any of its numbers may be an array.

    Raises:
        ValueError: if an argument is outside its range, or warm-up and cooldown take
            more than the whole.
        TypeError: if an argument is no number or array.

    Source: Hu et al. 2024, arXiv 2404.06395; the shape as in Hägele et al. 2024, arXiv
    2405.18392.

    Example:
        >>> import jaxopt_lite as jl
        >>> schedule = jl.warmup_stable_decay_schedule(
        ...     0.0, 1.0, total_steps=100, warmup_steps=10, cooldown_steps=0.2
        ... )
        >>> [round(float(schedule(count)), 3) for count in (0, 5, 10, 80, 85, 100)]
        [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    total, cooldown = _lengths(total_steps, cooldown_steps)
    warmup = fixed_number("warmup_steps", warmup_steps)
    _fit(total, warmup=warmup, cooldown=cooldown)
    return WarmupStableDecay(
        fixed_number("init_value", init_value, FINITE),
        fixed_number("peak_value", peak_value, FINITE),
        total,
        warmup,
        cooldown,
        fixed_number("end_value", end_value, FINITE),
        _known(shape),
    )


def _lengths(total: Numeric, cooldown: Numeric) -> tuple[Numeric, Numeric]:
    return (
        fixed_number("total_steps", total, POSITIVE),
        fixed_number("cooldown_steps", cooldown),
    )


def _fit(total: Numeric, **parts: Numeric) -> None:
    """Refuses parts that are longer than the whole, where all are concrete."""
    if not all(isinstance(x, float) for x in (total, *parts.values())):
        return
    steps = {name: in_steps(part, total) for name, part in parts.items()}
    if sum(steps.values()) > total * (1 + 1e-12):
        taken = " and ".join(f"{x:g} steps of {name}" for name, x in steps.items())
        raise ValueError(
            f"found {taken} in total_steps={total:g}; expected them to fit. A number "
            f"below 1 is a fraction of total_steps."
        )


def _known(shape: str) -> str:
    if shape not in SHAPES:
        raise ValueError(f"shape is {shape!r}; expected one of {list(SHAPES)}.")
    return shape
