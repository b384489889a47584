"""Schedules through given numbers at given steps."""

import itertools
import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.checks import describe
from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.numbers import FINITE, fixed_number
from jaxopt_lite.core.types import Count, Numeric
from jaxopt_lite.schedules.arithmetic import (
    as_float,
    between,
    cosine_wave,
    progress,
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
        ValueError: if a factor or a step is negative.
        TypeError: if an argument is no number or array, or the factors no dict.

    Example:
        >>> import jaxopt_lite as jl
        >>> steps = jl.piecewise_constant_schedule(1.0, {10: 0.5, 20: 0.1})
        >>> [round(float(steps(count)), 3) for count in (9, 10, 20)]
        [1.0, 0.5, 0.05]
    """
    return PiecewiseConstant(
        fixed_number("init_value", init_value, FINITE),
        *_boundaries_and_scales(boundaries_and_scales),
    )


class Interpolated(Schedule):
    """Straight lines through given numbers at given steps.

    Where two boundaries coincide the numbers between them are jumped over.
    """

    boundaries: tuple[Numeric, ...]
    values: tuple[Numeric, ...]

    def __call__(self, count: Count | int) -> Any:
        value = jnp.asarray(self.values[0], jnp.result_type(float))
        for (begin, start), (end, stop) in itertools.pairwise(
            zip(self.boundaries, self.values, strict=True)
        ):
            done = progress(count, begin, end - begin, of_none=1.0)
            reached = as_float(count) >= begin
            value = jnp.where(reached, self.between(start, stop, done), value)
        return value

    def between(self, start: Numeric, stop: Numeric, done: jax.Array) -> jax.Array:
        """What lies between two of the numbers."""
        return between(start, stop, done)


class CosineInterpolated(Interpolated):
    """Half waves of the cosine through given numbers at given steps."""

    def between(self, start: Numeric, stop: Numeric, done: jax.Array) -> jax.Array:
        return between(start, stop, 1 - cosine_wave(done))


CURVES = {"linear": Interpolated, "cosine": CosineInterpolated}


class PiecewiseInterpolated(Schedule):
    """Curves through a number that a factor multiplies at each boundary."""

    interpolate_type: str
    init_value: Numeric
    boundaries: tuple[int, ...]
    scales: tuple[Numeric, ...]

    def __call__(self, count: Count | int) -> Any:
        values = itertools.accumulate((self.init_value, *self.scales), operator.mul)
        curve = CURVES[self.interpolate_type]
        return curve((0, *self.boundaries), tuple(values))(count)


def piecewise_interpolate_schedule(
    interpolate_type: str,
    init_value: Numeric,
    boundaries_and_scales: Mapping[int, Numeric] | None = None,
) -> Schedule:
    """Multiplies by a factor up to each of some steps, gradually.

    The numbers reached are those of `piecewise_constant_schedule`; between two of them
    it goes in a straight line or along half a wave of the cosine.

    Args:
        interpolate_type: `"linear"` or `"cosine"`.
        init_value: the number at the first step.
        boundaries_and_scales: from a step, at least 0, to the factor, at least 0, that
            has been applied in full at that step.

    Returns:
        A schedule; any of its numbers may be an array (Optax fails on traced factors).

    Raises:
        ValueError: if a factor or a step is negative, or the type is another.
        TypeError: if an argument is no number or array, or the factors no dict.

    Example:
        >>> import jaxopt_lite as jl
        >>> steps = jl.piecewise_interpolate_schedule("linear", 1.0, {4: 0.5, 8: 0.1})
        >>> [round(float(steps(count)), 3) for count in (0, 2, 4, 6, 8)]
        [1.0, 0.75, 0.5, 0.275, 0.05]
    """
    if interpolate_type not in CURVES:
        raise ValueError(
            f"interpolate_type is {interpolate_type!r}; expected one of {list(CURVES)}."
        )
    return PiecewiseInterpolated(
        interpolate_type,
        fixed_number("init_value", init_value, FINITE),
        *_boundaries_and_scales(boundaries_and_scales),
    )


def _boundaries_and_scales(
    given: Mapping[int, Numeric] | None,
) -> tuple[tuple[int, ...], tuple[Numeric, ...]]:
    """The steps in order, and their factors."""
    if not isinstance(given, Mapping | None):
        raise TypeError(
            f"boundaries_and_scales is {describe(given)}; expected a dict from steps "
            f"to factors, such as {{1000: 0.1}}."
        )
    rules = sorted((given or {}).items())
    for boundary, _ in rules:
        fixed_number(f"boundary {boundary}", boundary)
    return (
        tuple(boundary for boundary, _ in rules),
        tuple(fixed_number(f"scale at {b}", scale) for b, scale in rules),
    )
