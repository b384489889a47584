"""Where the polynomial through what is known of a function has its minimum.

All are nan or infinite where there is no minimum, or none that is determined.
"""

import jax
import jax.numpy as jnp

from jaxopt_lite.linesearch.line import Point


def quadratic_minimum(a: Point, b: Point) -> jax.Array:
    """That of the parabola through two points, with the slope of the first."""
    distance = b.stepsize - a.stepsize
    return a.stepsize - a.slope / (2 * _excess(a, b) / jnp.square(distance))


def cubic_minimum(a: Point, b: Point, c: Point) -> jax.Array:
    """That of the cubic through three points, with the slope of the first.

    With x measured from the first point the cubic is `A x**3 + B x**2 + C x + D`.
    """
    to_b, to_c = b.stepsize - a.stepsize, c.stepsize - a.stepsize
    at_b, at_c = _excess(a, b) / jnp.square(to_b), _excess(a, c) / jnp.square(to_c)
    third = (at_b - at_c) / (to_b - to_c)
    second = at_b - third * to_b
    root = jnp.sqrt(jnp.square(second) - 3 * third * a.slope)
    # Two forms of one number; each is used where it takes no difference of equals. On a
    # quadratic function the third coefficient is nothing but rounding.
    step = jnp.where(
        second > 0, -a.slope / (second + root), (root - second) / (3 * third)
    )
    return a.stepsize + step


def _excess(a: Point, b: Point) -> jax.Array:
    """By how much the value at the second exceeds the tangent of the first."""
    return b.value - a.value - a.slope * (b.stepsize - a.stepsize)
