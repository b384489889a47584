"""An interval of step sizes with a good one in it, and how it is found and narrowed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core.transformation import select
from jaxopt_lite.linesearch.interpolation import cubic_minimum, quadratic_minimum
from jaxopt_lite.linesearch.line import Point


class Interval(NamedTuple):
    """An interval with a good step size in it, once it is found.

    `low` has the lowest value seen that decreases enough, and may be right of `high`;
    `third` is a further point for interpolation.
    """

    is_found: jax.Array
    low: Point
    high: Point
    third: Point

    @property
    def length(self) -> jax.Array:
        """The distance between the step sizes at its ends."""
        return jnp.abs(self.high.stepsize - self.low.stepsize)


def bracketed(
    last: Point, point: Point, is_first: Any, is_high: Any, is_good: Any
) -> Interval:
    """The interval between the last two points, if a good one lies there.

    Args:
        last: the point before.
        point: the point of a longer step.
        is_first: whether the point before is the start, which any other may exceed.
        is_high: whether the point decreases too little.
        is_good: whether it fulfils all criteria itself.
    """
    is_high |= ~is_first & (point.value >= last.value)
    is_low = ~is_high & (point.slope >= 0)
    low, high = select(is_low, (point, last), (last, point))
    return Interval(is_high | is_low | is_good, low, high, low)


def narrowed(interval: Interval, point: Point, is_high: Any) -> Interval:
    """The part of an interval on that side of a point where a good one lies.

    Args:
        interval: the whole.
        point: a point in it.
        is_high: whether the point decreases too little.
    """
    is_found, low, high, _ = interval
    is_high |= point.value >= low.value
    is_turned = ~is_high & (point.slope * (high.stepsize - low.stepsize) >= 0)
    return Interval(
        is_found,
        low=select(is_high, low, point),
        high=select(is_high, point, select(is_turned, low, high)),
        third=select(is_high | is_turned, high, low),
    )


def interpolated(interval: Interval) -> jax.Array:
    """Where the function may have its minimum; the middle if that is near an end."""
    low, high = interval.low.stepsize, interval.high.stepsize
    left, right = jnp.minimum(low, high), jnp.maximum(low, high)

    def is_inside(x: jax.Array, margin: float) -> jax.Array:
        room = margin * (right - left)
        return (x > left + room) & (x < right - room)

    cubic = cubic_minimum(interval.low, interval.high, interval.third)
    quadratic = quadratic_minimum(interval.low, interval.high)
    otherwise = jnp.where(is_inside(quadratic, 0.1), quadratic, (low + high) / 2)
    return jnp.where(is_inside(cubic, 0.2), cubic, otherwise)
