"""Second moments kept as one vector for each axis: SM3."""

import functools
from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import abs_sq, inverse_root, moving_mean, real
from jaxopt_lite.core.ranges import Decay, Magnitude, Within
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, PerAxis, Signed, Tensor


class ScaleBySM3State(NamedTuple):
    """The largest sum of squares along each axis, and the mean of the updates."""

    mu: PerAxis
    nu: Signed


class ScaleBySM3(Rule):
    """SM3, the second of the paper's two forms."""

    b1: Decay
    b2: Annotated[Any, Within("[0, 1]")]
    eps: Magnitude
    Slots = ScaleBySM3State

    def init(self, p: Tensor) -> ScaleBySM3State:
        axes = tuple(jnp.zeros(n, real(p.dtype)) for n in p.shape)
        largest = axes if p.ndim else (jnp.zeros((), real(p.dtype)),)
        return ScaleBySM3State(largest, jnp.zeros_like(p))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> ScaleBySM3State:
        bounds = [jnp.expand_dims(x, _others(g, i)) for i, x in enumerate(slots.mu)]
        bound = functools.reduce(jnp.minimum, bounds)
        total = self.b2 * bound + jnp.where(self.b2 == 1, 1, 1 - self.b2) * abs_sq(g)
        u = g * jnp.where(total > 0, inverse_root(total + self.eps), 0.0)
        largest = tuple(_largest(total, i) for i in range(len(slots.mu)))
        return ScaleBySM3State(largest, moving_mean(slots.nu, u, self.b1))

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return slots.nu


def _largest(total: Tensor, axis: int) -> Tensor:
    """The largest along an axis: of a vector itself, which XLA would else copy."""
    if total.ndim < 2:
        return total
    return jnp.max(total, _others(total, axis), initial=0.0)


def _others(x: Tensor, axis: int) -> tuple[int, ...]:
    """All axes but one."""
    return tuple(i for i in range(x.ndim) if i != axis)


def scale_by_sm3(
    b1: Hyperparameter = 0.9, b2: Hyperparameter = 1.0, eps: Hyperparameter = 1e-8
) -> GradientTransformation:
    """Divides each gradient by the root of a bound on the sum of its squares.

        total = min over axes of mu + |g|**2
        mu    <- max of total over all axes but one, for each axis
        nu    <- b1 * nu + (1 - b1) * g / sqrt(total + eps)   (0 where total is 0)
        u     = nu

    With `b2 < 1`, `b2 * mu + (1 - b2) * |g|**2` takes the place of the sum.

    Args:
        b1: weight of the past mean of the updates, per step, in [0, 1).
        b2: weight of the past squares, per step, in [0, 1]; 1 for their sum.
        eps: added under the root, at least 0.

    Returns:
        A transformation with `ScaleBySM3State(mu, nu)`: `mu` has a list of vectors at
        each leaf, one for each axis; `nu` is like the parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Anil et al. 2019, arXiv 1901.11150, SM3-II. A scalar has one number in `mu`;
    Optax fails on scalars, and on schedules.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_sm3(b1=0.0)
        >>> g = jnp.array([[3.0, 0.0], [0.0, 4.0]])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u
        Array([[1., 0.],
               [0., 1.]], dtype=float32)
        >>> state.mu
        [Array([ 9., 16.], dtype=float32), Array([ 9., 16.], dtype=float32)]
    """
    return leafwise(ScaleBySM3(b1, b2, eps))
