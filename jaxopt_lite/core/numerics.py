"""Scalar arithmetic that keeps its digits."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Count, Numeric, PyTree, cached

_LAST = np.iinfo(np.int32).max


def saturating_increment(count: Count) -> Count:
    """`count + 1`, or `count` where int32 ends."""
    return count + (count < _LAST).astype(count.dtype)


def bias_correction(b: Numeric, step: jax.Array) -> jax.Array:
    """The weight `1 - b**step` that a moving average from zero has gathered.

    Formed as `-expm1(step * log(b))`, with the logarithm taken in double precision
    where `b` is a Python number: in float32 the plain form is off by 1.3e-5 at b=0.999
    and by 1.3e-2 at b=0.999999. A traced `b` loses what float32 loses of `b` itself.

    Args:
        b: decay of the average, in [0, 1).
        step: how many values it has seen, from 1, in the dtype of the result.
    """
    if isinstance(b, int | float):
        return -jnp.expm1(step * (math.log(b) if b > 0 else -math.inf))
    positive = b > 0
    log_b = jnp.log1p(-(1 - jnp.where(positive, b, 0.5)))
    # At b = 0 the value is 1 and the derivative that of 1 - b in the first step.
    at_zero = jnp.where(step == 1, 1 - b, 1.0)
    return jnp.where(positive, -jnp.expm1(step * log_b), at_zero)


def moving_mean(mean: jax.Array, x: jax.Array, b: Numeric) -> jax.Array:
    """The moving mean after one more value, `b * mean + (1 - b) * x`.

    In float32 `b` and `1 - b` do not sum to 1, and over thousands of steps the mean
    drifts: Adam's update at b2=0.9999 by 6e-5. What rounding takes from a Python `b`
    is added again, where it would show.
    """
    new = (1 - b) * x
    if isinstance(b, float):
        dtype = real(mean.dtype)
        lost = b - float(dtype.type(b))
        if abs(lost) > 4 * jnp.finfo(dtype).eps * (1 - b):
            new = new + lost * mean
    return b * mean + new


def plus(x: jax.Array, weight: Numeric, y: jax.Array) -> jax.Array:
    """`x + weight * y`, and `x` itself where the weight is the number 0.

    XLA does not drop a product with 0, and would read `y` for it.
    """
    if isinstance(weight, int | float) and weight == 0:
        return x
    return x + weight * y


def abs_sq(x: jax.Array) -> jax.Array:
    """`|x|**2`, real also where `x` is complex.

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.abs_sq(jnp.array([3 + 4j]))
        Array([25.], dtype=float32)
    """
    if jnp.iscomplexobj(x):
        return jnp.square(x.real) + jnp.square(x.imag)
    return jnp.square(x)


def inner(x: jax.Array, y: jax.Array) -> jax.Array:
    """The inner product `sum of Re(conj(x) * y)`, real also for complex numbers."""
    if jnp.iscomplexobj(x) or jnp.iscomplexobj(y):
        return jnp.sum(x.real * y.real + x.imag * y.imag)
    return jnp.sum(x * y)


@jax.custom_jvp
def root(x: jax.Array) -> jax.Array:
    """`sqrt(x)`, whose derivative at 0 is taken as 0: it would be infinite."""
    return jnp.sqrt(x)


@root.defjvp
def _of_root(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    y = root(x)
    return y, ratio(0.5 * dx, y)


@jax.custom_jvp
def inverse_root(x: jax.Array) -> jax.Array:
    """`1 / sqrt(x)`, and 0 where `x` is 0, the derivative too."""
    return jnp.where(x > 0, lax.rsqrt(x), 0.0)


@inverse_root.defjvp
def _of_inverse_root(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    y = inverse_root(x)
    # The cube alone overflows float32 where `x` is below 1e-25.
    return y, -0.5 * y * (y * (y * dx))


@jax.custom_jvp
def cube_root(x: jax.Array) -> jax.Array:
    """`cbrt(x)`, whose derivative at 0 is taken as 0."""
    return jnp.cbrt(x)


@cube_root.defjvp
def _of_cube_root(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    y = cube_root(x)
    return y, ratio(dx / 3, jnp.square(y))


def ratio(x: jax.Array, y: jax.Array) -> jax.Array:
    """`x / y`, and 0 where `y` is 0."""
    return jnp.where(y == 0, 0.0, x / jnp.where(y == 0, 1.0, y))


UNIT = 2.0**16
"""The unit of norms that are measured in one pass: see `squares_in_units`."""


def distinct_unit(k: int, kind: int = 0) -> np.float32:
    """The unit of the k-th leaf of its shape in one of four trees: `UNIT` or more."""
    return np.float32(UNIT * (1 + (k % 32 + kind / 4) / 32))


def squares_in_units(x: jax.Array, unit: jax.Array) -> jax.Array:
    """The sum of squares of `x / UNIT`, without overflow up to |x| = 1e20.

    The scaling takes no pass of its own, as long as `unit` differs between leaves of
    one shape: XLA would write one constant for all of them to memory as an array. It
    is undone on the scalar. What is below 1e-12 counts as zero.
    """
    return jnp.sum(abs_sq(x * (1 / unit))) * jnp.square(unit / UNIT)


def global_norm(updates: PyTree) -> jax.Array:
    """The Euclidean norm of all leaves together.

        norm = sqrt(sum over leaves of sum |g|**2)

    The squares are taken relative to the largest magnitude, in at least float32, so
    float16 gradients of 300 and float32 gradients of 1e20 or 1e-20 have a norm.

    Args:
        updates: a tree of arrays; None and masked leaves count as nothing.

    Returns:
        A scalar of at least float32; 0 for a tree without leaves. Optax sums in the
        dtype of the gradients.

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.global_norm({"w": jnp.array([3e20, 4e20]), "b": None})
        Array(5.e+20, dtype=float32)
    """
    wide = [_widened(x) for x in Flat(updates).leaves if not is_end(x)]
    wide = [x for x in wide if x.size]
    if not wide:
        return jnp.zeros((), jnp.float32)
    largest = functools.reduce(jnp.maximum, [jnp.max(jnp.abs(x)) for x in wide])
    largest = jax.lax.stop_gradient(largest)
    scale = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1.0)
    total = functools.reduce(jnp.add, [jnp.sum(abs_sq(x / scale)) for x in wide])
    # At zero the root has no derivative; the norm's is taken as 0 there.
    is_zero = total == 0
    return jnp.where(is_zero, 0.0, scale * jnp.sqrt(jnp.where(is_zero, 1.0, total)))


def safe_norm(
    x: jax.Array,
    min_norm: Numeric,
    ord: int | float | str | None = None,
    axis: None | tuple[int, ...] | int = None,
    keepdims: bool = False,
) -> jax.Array:
    """A norm that is at least `min_norm`, with derivative 0 where it is raised to that.

        max(norm(x), min_norm)

    Args:
        x: a real or complex array.
        min_norm: the least norm returned.
        ord: which norm, as in `jnp.linalg.norm`.
        axis: along which axes, as there.
        keepdims: whether they stay, with size one.

    Returns:
        The norm, computed in at least float32 and returned in the dtype of `x`, or of
        its real part.

    Example:
        >>> import jaxopt_lite as jl
        >>> jax.grad(lambda x: jl.safe_norm(x, 1e-6))(jnp.zeros(2))
        Array([0., 0.], dtype=float32)
    """
    wide = _widened(x)
    norm = functools.partial(jnp.linalg.norm, ord=ord, axis=axis, keepdims=True)
    is_small = norm(wide) <= min_norm
    result = jnp.where(is_small, min_norm, norm(jnp.where(is_small, 1.0, wide)))
    if not keepdims:
        result = jnp.squeeze(result, axis)
    return result.astype(_real_dtype(x))


def safe_root_mean_squares(x: jax.Array, min_rms: Numeric) -> jax.Array:
    """A root mean square, at least `min_rms`; its derivative is 0 where raised to that.

        max(sqrt(mean(|x|**2)), min_rms)

    Args:
        x: a real or complex array.
        min_rms: the least number returned, also where there is no element.

    Returns:
        A scalar, computed in at least float32 and returned in the dtype of `x`, or of
        its real part.

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.safe_root_mean_squares(jnp.array([3.0, -3.0]), 1e-6)
        Array(3., dtype=float32)
    """
    wide = _widened(x)
    mean = jnp.sum(abs_sq(wide)) / max(wide.size, 1)
    is_small = jnp.sqrt(mean) <= min_rms
    root = jnp.sqrt(jnp.where(is_small, 1.0, mean))
    return jnp.where(is_small, min_rms, root).astype(_real_dtype(x))


def safe_increment(count: jax.Array | int) -> jax.Array:
    """`count + 1`, or `count` where its dtype ends.

    Args:
        count: an integer or floating-point array.

    Raises:
        TypeError: if it is of another dtype.

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.safe_increment(jnp.array([1, 127], jnp.int8))
        Array([  2, 127], dtype=int8)
    """
    count = jnp.asarray(count)
    if jnp.issubdtype(count.dtype, jnp.integer):
        last: Any = jnp.iinfo(count.dtype).max
    elif jnp.issubdtype(count.dtype, jnp.floating):
        last = jnp.finfo(count.dtype).max
    else:
        raise TypeError(
            f"safe_increment: count is of {count.dtype}; expected an integer or "
            f"floating-point array."
        )
    return count + (count < last).astype(count.dtype)


def _real_dtype(x: Any) -> Any:
    """The dtype of the real part of an array, float32 where that is no float."""
    dtype = jnp.asarray(x).dtype
    inexact = jnp.issubdtype(dtype, jnp.inexact)
    return real(dtype if inexact else jnp.dtype(jnp.float32))


def _widened(x: Any) -> jax.Array:
    x = jnp.asarray(x)
    return x.astype(promote(x.dtype, jnp.dtype(jnp.float32)))


@cached
def promote(a: Any, b: Any) -> Any:
    """The dtype that holds both, whatever promotion the user has chosen."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(a, b)


def real(dtype: Any) -> Any:
    """The dtype of the real part."""
    return np.empty(0, dtype).real.dtype
