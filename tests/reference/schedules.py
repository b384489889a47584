"""The formulas of the schedules, one count at a time."""

import math
from collections.abc import Callable, Mapping, Sequence

Schedule = Callable[[int], float]


def constant_schedule(value: float) -> Schedule:
    return lambda count: value


def linear_schedule(
    init_value: float,
    end_value: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    def schedule(count: int) -> float:
        done = min(max((count - transition_begin) / transition_steps, 0), 1)
        return (1 - done) * init_value + done * end_value

    return schedule


def cosine_decay_schedule(
    init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0
) -> Schedule:
    def schedule(count: int) -> float:
        done = min(count, decay_steps) / decay_steps
        left = ((1 + math.cos(math.pi * done)) / 2) ** exponent
        return init_value * (alpha + (1 - alpha) * left)

    return schedule


def warmup_cosine_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Schedule:
    def schedule(count: int) -> float:
        if count < warmup_steps:
            return init_value + (peak_value - init_value) * count / warmup_steps
        done = min((count - warmup_steps) / (decay_steps - warmup_steps), 1)
        left = ((1 + math.cos(math.pi * done)) / 2) ** exponent
        return end_value + (peak_value - end_value) * left

    return schedule


def exponential_decay(
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    def schedule(count: int) -> float:
        since = max(count - transition_begin, 0)
        power = since // transition_steps if staircase else since / transition_steps
        value = init_value * decay_rate**power
        if end_value is None:
            return value
        return max(value, end_value) if decay_rate < 1 else min(value, end_value)

    return schedule


def piecewise_constant_schedule(
    init_value: float, boundaries_and_scales: Mapping[int, float] | None = None
) -> Schedule:
    def schedule(count: int) -> float:
        past = [s for b, s in (boundaries_and_scales or {}).items() if b <= count]
        return init_value * math.prod(past)

    return schedule


def join_schedules(
    schedules: Sequence[Schedule], boundaries: Sequence[int]
) -> Schedule:
    def schedule(count: int) -> float:
        begun = sum(boundary <= count for boundary in boundaries)
        start = boundaries[begun - 1] if begun else 0
        return schedules[begun](count - start)

    return schedule
