"""One rise and one fall: schedules for super-convergence."""

import math
from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.numbers import FINITE, fixed_number
from jaxopt_lite.core.types import Count, Numeric
from jaxopt_lite.schedules.arithmetic import FRACTION, POSITIVE
from jaxopt_lite.schedules.piecewise import CosineInterpolated, Interpolated


class LinearOneCycle(Schedule):
    """Three straight lines: up, down to where it began, and further down."""

    transition_steps: Numeric
    peak_value: Numeric
    pct_start: Numeric
    pct_final: Numeric
    div_factor: Numeric
    final_div_factor: Numeric

    def __call__(self, count: Count | int) -> Any:
        first = self.peak_value / self.div_factor
        boundaries = (
            0,
            whole_steps(self.pct_start, self.transition_steps),
            whole_steps(self.pct_final, self.transition_steps),
            self.transition_steps,
        )
        values = (first, self.peak_value, first, first / self.final_div_factor)
        return Interpolated(boundaries, values)(count)


def linear_onecycle_schedule(
    transition_steps: Numeric,
    peak_value: Numeric,
    pct_start: Numeric = 0.3,
    pct_final: Numeric = 0.85,
    div_factor: Numeric = 25.0,
    final_div_factor: Numeric = 1e4,
) -> Schedule:
    """Rises in a straight line to a peak, falls back, and then to nearly nothing.

        step:    0                 pct_start * steps  pct_final * steps  steps
        number:  peak/div_factor   peak               peak/div_factor    first/final_div

    Args:
        transition_steps: length of the whole in steps, more than 0.
        peak_value: the highest number.
        pct_start: the fraction of the steps that the rise takes, in [0, 1], rounded
            down to whole steps.
        pct_final: the fraction after which it is back where it began, at least
            `pct_start`, at most 1, rounded down as well.
        div_factor: by how much the first number is smaller than the peak, more than 0.
        final_div_factor: by how much the last number is smaller than the first.

    Returns:
        A schedule; any of its numbers may be an array (Optax takes a traced peak only).
        Where a cycle is so short that two of its corners coincide, it jumps; Optax
        leaves out one of their factors, and ends at another number.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: Smith and Topin 2017, arXiv 1708.07120.

    Example:
        >>> import jaxopt_lite as jl
        >>> cycle = jl.linear_onecycle_schedule(20, 1.0)
        >>> [round(float(cycle(count)), 3) for count in (0, 3, 6, 17, 20)]
        [0.04, 0.52, 1.0, 0.04, 0.0]
    """
    start = fixed_number("pct_start", pct_start, FRACTION)
    final = fixed_number("pct_final", pct_final, FRACTION)
    if isinstance(start, float) and isinstance(final, float) and final < start:
        raise ValueError(
            f"pct_final is {final:g} and pct_start {start:g}; expected the fall to end "
            f"after the rise: both are counted from the first step."
        )
    return LinearOneCycle(
        fixed_number("transition_steps", transition_steps, POSITIVE),
        fixed_number("peak_value", peak_value, FINITE),
        start,
        final,
        fixed_number("div_factor", div_factor, POSITIVE),
        fixed_number("final_div_factor", final_div_factor, POSITIVE),
    )


class CosineOneCycle(Schedule):
    """Two half waves of the cosine: up, and down much further."""

    transition_steps: Numeric
    peak_value: Numeric
    pct_start: Numeric
    div_factor: Numeric
    final_div_factor: Numeric

    def __call__(self, count: Count | int) -> Any:
        first = self.peak_value / self.div_factor
        rise = whole_steps(self.pct_start, self.transition_steps)
        values = (first, self.peak_value, first / self.final_div_factor)
        return CosineInterpolated((0, rise, self.transition_steps), values)(count)


def cosine_onecycle_schedule(
    transition_steps: Numeric,
    peak_value: Numeric,
    pct_start: Numeric = 0.3,
    div_factor: Numeric = 25.0,
    final_div_factor: Numeric = 1e4,
) -> Schedule:
    """Rises to a peak and falls to nearly nothing, each along half a cosine wave.

        step:    0                 pct_start * steps   steps
        number:  peak/div_factor   peak                first / final_div_factor

    Args:
        transition_steps: length of the whole in steps, more than 0.
        peak_value: the highest number.
        pct_start: the fraction of the steps that the rise takes, in [0, 1], rounded
            down to whole steps.
        div_factor: by how much the first number is smaller than the peak, more than 0.
        final_div_factor: by how much the last number is smaller than the first.

    Returns:
        A schedule; any of its numbers may be an array (Optax takes a traced peak only).

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is no number or array.

    Source: Smith and Topin 2017, arXiv 1708.07120. PyTorch's OneCycleLR, which puts the
    corners one step earlier and does not round, is `interop.pytorch.one_cycle_lr`.

    Example:
        >>> import jaxopt_lite as jl
        >>> cycle = jl.cosine_onecycle_schedule(20, 1.0)
        >>> [round(float(cycle(count)), 3) for count in (0, 3, 6, 13, 20)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    return CosineOneCycle(
        fixed_number("transition_steps", transition_steps, POSITIVE),
        fixed_number("peak_value", peak_value, FINITE),
        fixed_number("pct_start", pct_start, FRACTION),
        fixed_number("div_factor", div_factor, POSITIVE),
        fixed_number("final_div_factor", final_div_factor, POSITIVE),
    )


def whole_steps(fraction: Numeric, total: Numeric) -> Numeric:
    """A fraction of the steps, rounded down.

    Rounding takes no step: 0.29 of 100 is 29, though the product is a little less.
    """
    steps = fraction * total
    if isinstance(steps, int | float):
        return math.floor(steps * (1 + 1e-12))
    steps = jnp.asarray(steps, jnp.result_type(float))
    return jnp.floor(steps * (1 + 4 * jnp.finfo(steps.dtype).eps))
