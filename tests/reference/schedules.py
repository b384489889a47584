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
    warmup_steps: float,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Schedule:
    if warmup_steps < 1:
        warmup_steps = warmup_steps * decay_steps

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


def polynomial_schedule(
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    def schedule(count: int) -> float:
        done = min(max((count - transition_begin) / transition_steps, 0), 1)
        return end_value + (init_value - end_value) * (1 - done) ** power

    return schedule


def piecewise_interpolate_schedule(
    interpolate_type: str,
    init_value: float,
    boundaries_and_scales: Mapping[int, float] | None = None,
) -> Schedule:
    corners = [(0, init_value)]
    for boundary, scale in sorted((boundaries_and_scales or {}).items()):
        corners.append((boundary, corners[-1][1] * scale))
    return through(corners, interpolate_type)


def through(corners: Sequence[tuple[int, float]], kind: str) -> Schedule:
    """Through numbers at steps; of several at one step the last counts."""

    def schedule(count: int) -> float:
        before = [corner for corner in corners if corner[0] <= count][-1]
        after = next((corner for corner in corners if corner[0] > count), None)
        if after is None:
            return before[1]
        done = (count - before[0]) / (after[0] - before[0])
        if kind == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        return before[1] + (after[1] - before[1]) * done

    return schedule


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    low = peak_value / div_factor
    corners = [
        (0, low),
        (math.floor(round(pct_start * transition_steps, 6)), peak_value),
        (math.floor(round(pct_final * transition_steps, 6)), low),
        (transition_steps, low / final_div_factor),
    ]
    return through(corners, "linear")


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    low = peak_value / div_factor
    corners = [
        (0, low),
        (math.floor(round(pct_start * transition_steps, 6)), peak_value),
        (transition_steps, low / final_div_factor),
    ]
    return through(corners, "cosine")


def warmup_constant_schedule(
    init_value: float, peak_value: float, warmup_steps: int
) -> Schedule:
    def schedule(count: int) -> float:
        if count >= warmup_steps:
            return peak_value
        return init_value + (peak_value - init_value) * count / warmup_steps

    return schedule


def warmup_exponential_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    up = warmup_constant_schedule(init_value, peak_value, warmup_steps)
    down = exponential_decay(
        peak_value,
        transition_steps,
        decay_rate,
        transition_begin,
        staircase,
        end_value,
    )
    return join_schedules([up, down], [warmup_steps])


def sgdr_schedule(cosine_kwargs: Sequence[Mapping[str, float]]) -> Schedule:
    def schedule(count: int) -> float:
        begin = 0
        for cycle in cosine_kwargs:
            value = warmup_cosine_decay_schedule(**cycle)(count - begin)
            begin += cycle["decay_steps"]
            if count < begin:
                break
        return value

    return schedule


def inverse_sqrt_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    timescale: float | None = None,
) -> Schedule:
    up = warmup_constant_schedule(init_value, peak_value, warmup_steps)
    scale = warmup_steps if timescale is None else timescale

    def schedule(count: int) -> float:
        if count < warmup_steps:
            return up(count)
        return peak_value * (1 + (count - warmup_steps) / scale) ** -0.5

    return schedule


def cooldown_schedule(
    schedule: float | Schedule,
    total_steps: int,
    cooldown_steps: float,
    end_value: float = 0.0,
    shape: str = "1-sqrt",
) -> Schedule:
    steps = cooldown_steps if cooldown_steps >= 1 else cooldown_steps * total_steps
    begin = total_steps - steps

    def cooled(count: int) -> float:
        held = min(count, math.floor(begin))
        value = schedule(held) if callable(schedule) else schedule
        if count <= begin or not steps:
            return value
        done = min((count - begin) / steps, 1)
        left = 1 - done if shape == "linear" else 1 - math.sqrt(done)
        return end_value + (value - end_value) * left

    return cooled


def warmup_stable_decay_schedule(
    init_value: float,
    peak_value: float,
    total_steps: int,
    warmup_steps: float = 0.05,
    cooldown_steps: float = 0.2,
    end_value: float = 0.0,
    shape: str = "1-sqrt",
) -> Schedule:
    steps = warmup_steps if warmup_steps >= 1 else warmup_steps * total_steps
    up = warmup_constant_schedule(init_value, peak_value, steps)
    down = cooldown_schedule(peak_value, total_steps, cooldown_steps, end_value, shape)
    return lambda count: up(count) if count < steps else down(count)
