"""The nearest point of a set, of all leaves of a tree taken as one vector.

Each keeps the dtypes of the tree and is computed in at least float32. Numbers may be
traced, and derivatives exist wherever the projection has one.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.numerics import promote
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Numeric, PyTree
from jaxopt_lite.tree import norm, size, vdot
from jaxopt_lite.tree.matching import arrays, each


def projection_non_negative(tree: PyTree) -> PyTree:
    """The nearest tree without negative elements, `max(x, 0)`.

    Args:
        tree: a tree of real arrays.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_non_negative({"w": jnp.array([-1.0, 2.0])})
        {'w': Array([0., 2.], dtype=float32)}
    """
    return each("projection_non_negative", jax.nn.relu, tree)


def projection_box(tree: PyTree, lower: PyTree, upper: PyTree) -> PyTree:
    """The nearest tree with `lower <= x <= upper`.

    Args:
        tree: a tree of real arrays.
        lower: the lower bound: one number, or a tree like `tree`.
        upper: the upper bound, likewise.

    Raises:
        ValueError: if a bound is a tree of other paths.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_box({"w": jnp.array([-1.0, 2.0])}, 0.0, 0.5)
        {'w': Array([0. , 0.5], dtype=float32)}
    """
    bounds = {"lower": _spread(lower, tree), "upper": _spread(upper, tree)}
    return each("projection_box", _clip, tree, **bounds)


def projection_hypercube(tree: PyTree, scale: PyTree = 1) -> PyTree:
    """The nearest tree with `0 <= x <= scale`.

    Args:
        tree: a tree of real arrays.
        scale: the upper bound: one number, or a tree like `tree`.

    Raises:
        ValueError: if `scale` is a tree of other paths.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_hypercube({"w": jnp.array([-1.0, 2.0])})
        {'w': Array([0., 1.], dtype=float32)}
    """
    return projection_box(tree, 0, scale)


def projection_simplex(tree: PyTree, scale: Numeric = 1) -> PyTree:
    """The nearest tree without negative elements whose sum is `scale`.

        max(x - t, 0),  with t such that its sum is scale

    Args:
        tree: a tree of real arrays.
        scale: the sum, at least 0.

    Raises:
        ValueError: if `scale` is negative.

    Source: Held, Wolfe and Crowder 1974, Mathematical Programming 6.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_simplex({"w": jnp.array([0.25, 1.0]), "b": 0.75})
        {'b': Array(0.375, dtype=float32), 'w': Array([0.   , 0.625], dtype=float32)}
    """
    _check(scale)
    if not size(tree):
        return tree
    largest, t = _threshold(tree, scale)
    return _wide(lambda x: jax.nn.relu((x - largest) - t), tree)


def projection_l1_sphere(tree: PyTree, scale: Numeric = 1) -> PyTree:
    """The nearest tree whose magnitudes sum to `scale`.

    Where several are nearest, as of zero, a zero element counts as positive.

    Args:
        tree: a tree of real or complex arrays.
        scale: the sum of magnitudes, at least 0.

    Raises:
        ValueError: if `scale` is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_l1_sphere(jnp.array([-0.5, 0.0]))
        Array([-0.75,  0.25], dtype=float32)
    """
    _check(scale)
    if not size(tree):
        return tree
    largest, t = _threshold(_wide(jnp.abs, tree), scale)
    return _wide(lambda x: _phase(x) * jax.nn.relu((jnp.abs(x) - largest) - t), tree)


def projection_l1_ball(tree: PyTree, scale: Numeric = 1) -> PyTree:
    """The nearest tree whose magnitudes sum to at most `scale`.

    Args:
        tree: a tree of real or complex arrays.
        scale: the greatest sum of magnitudes, at least 0.

    Raises:
        ValueError: if `scale` is negative.

    Source: Duchi, Shalev-Shwartz, Singer and Chandra 2008, ICML.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_l1_ball(jnp.array([-2.0, 1.5]))
        Array([-0.75,  0.25], dtype=float32)
    """
    is_inside = norm(tree, ord=1) <= scale
    return _either(is_inside, tree, projection_l1_sphere(tree, scale))


def projection_l2_sphere(tree: PyTree, scale: Numeric = 1) -> PyTree:
    """The nearest tree of Euclidean norm `scale`.

    All are equally near to zero; the one with equal elements is returned.

    Args:
        tree: a tree of real or complex arrays.
        scale: the norm, at least 0.

    Raises:
        ValueError: if `scale` is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_l2_sphere(jnp.array([3.0, 4.0]), 2.0)
        Array([1.2, 1.6], dtype=float32)
    """
    _check(scale)
    length = norm(tree)
    is_zero = length == 0
    whole = jnp.where(is_zero, 1.0, length)
    equal = jnp.sqrt(jnp.asarray(1 / max(size(tree), 1), length.dtype))
    return _wide(lambda x: jnp.where(is_zero, equal, x / whole) * scale, tree)


def projection_l2_ball(tree: PyTree, scale: Numeric = 1) -> PyTree:
    """The nearest tree of Euclidean norm at most `scale`.

    Args:
        tree: a tree of real or complex arrays.
        scale: the greatest norm, at least 0.

    Raises:
        ValueError: if `scale` is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_l2_ball(jnp.array([3.0, 4.0]), 2.0)
        Array([1.2, 1.6], dtype=float32)
    """
    _check(scale)
    length = norm(tree)
    is_inside = length <= scale
    whole = jnp.where(is_inside, 1.0, length)
    return _either(is_inside, tree, _wide(lambda x: x / whole * scale, tree))


def projection_linf_ball(tree: PyTree, scale: Numeric = 1) -> PyTree:
    """The nearest tree whose magnitudes are at most `scale`.

    Args:
        tree: a tree of real or complex arrays.
        scale: the greatest magnitude, at least 0.

    Raises:
        ValueError: if `scale` is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_linf_ball(jnp.array([-3.0, 0.5]))
        Array([-1. ,  0.5], dtype=float32)
    """
    _check(scale)

    def shortened(x: jax.Array) -> jax.Array:
        if jnp.iscomplexobj(x):
            return jnp.where(jnp.abs(x) <= scale, x, _phase(x) * scale)
        return jnp.clip(x, -scale, scale)

    return _wide(shortened, tree)


def projection_vector(x: PyTree, a: PyTree) -> PyTree:
    """The nearest multiple of the tree `a`, `<a, x> / <a, a> * a`.

    Args:
        x: a tree of real or complex arrays.
        a: the direction, a tree of the same paths; of zero, the only multiple is zero.

    Raises:
        ValueError: if the paths or shapes differ; each is named.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> projections.projection_vector(jnp.array([3.0, 5.0]), jnp.array([2.0, 0.0]))
        Array([3., 0.], dtype=float32)
    """
    unit, _ = _unit(a)
    along = vdot(unit, x)
    return each("projection_vector", lambda x, u: _as(x, along * u), x, a=unit)


def projection_hyperplane(x: PyTree, a: PyTree, b: Numeric) -> PyTree:
    """The nearest tree `y` with `<a, y> = b`.

    Args:
        x: a tree of real or complex arrays.
        a: the normal of the plane, a tree of the same paths, not zero; where it is, no
            plane is meant and `x` returned.
        b: the inner product.

    Raises:
        ValueError: if the paths or shapes differ; each is named.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> x, a = jnp.array([3.0, 5.0]), jnp.array([2.0, 0.0])
        >>> projections.projection_hyperplane(x, a, 4.0)
        Array([2., 5.], dtype=float32)
    """
    unit, length = _unit(a)
    return _moved(x, b / length - vdot(unit, x), unit)


def projection_halfspace(x: PyTree, a: PyTree, b: Numeric) -> PyTree:
    """The nearest tree `y` with `<a, y> <= b`; of complex trees, the real part counts.

    Args:
        x: a tree of real or complex arrays.
        a: the outward normal, a tree of the same paths, not zero; where it is, no plane
            is meant and `x` returned.
        b: the greatest inner product.

    Raises:
        ValueError: if the paths or shapes differ; each is named.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import projections
        >>> x, a = jnp.array([3.0, 5.0]), jnp.array([2.0, 0.0])
        >>> projections.projection_halfspace(x, a, 4.0)
        Array([2., 5.], dtype=float32)
    """
    unit, length = _unit(a)
    return _moved(x, jnp.minimum(b / length - vdot(unit, x).real, 0), unit)


def _check(scale: Any) -> None:
    if isinstance(scale, int | float) and scale < 0:
        raise ValueError(f"projections: scale is {scale}; expected at least 0.")


def _as(like: Any, x: jax.Array) -> jax.Array:
    return x.astype(jnp.asarray(like).dtype)


def _wide(function: Any, tree: PyTree) -> PyTree:
    """A function of each leaf in at least float32, back in the leaf's own dtype."""

    def applied(x: Any) -> jax.Array:
        x = jnp.asarray(x)
        y = function(x.astype(promote(x.dtype, jnp.dtype(jnp.float32))))
        return y if jnp.iscomplexobj(x) != jnp.iscomplexobj(y) else _as(x, y)

    return each("projection", applied, tree)


def _either(condition: jax.Array, tree: PyTree, other: PyTree) -> PyTree:
    return each(
        "projection", lambda x, y: jnp.where(condition, x, y), tree, other=other
    )


def _clip(x: Any, lower: Any, upper: Any) -> jax.Array:
    x = jnp.asarray(x)
    return _as(x, jnp.clip(x, lower, upper))


def _spread(bound: PyTree, tree: PyTree) -> PyTree:
    """A bound for every leaf, where there is one for all."""
    if jax.tree_util.all_leaves([bound]) and jnp.ndim(bound) == 0:
        flat = Flat(tree)
        return flat.rebuild_bare(x if is_end(x) else bound for x in flat.leaves)
    return bound


def _phase(x: jax.Array) -> jax.Array:
    """The sign, of modulus 1 also at zero."""
    return jnp.where(x == 0, 1, jnp.sign(x))


def _threshold(tree: PyTree, scale: Numeric) -> tuple[jax.Array, jax.Array]:
    """The largest element m, and t for which the sum of `max(x - m - t, 0)` is `scale`.

    Sorting finds which elements stay above zero. Of these alone `t` is computed, so
    that derivatives are those of a mean. The largest is taken off first, so that
    nothing is lost of elements that are large and close together.
    """
    x = jnp.concatenate([jnp.ravel(x) for x in arrays(tree)])
    x = x.astype(promote(x.dtype, jnp.dtype(jnp.float32)))
    largest = jax.lax.stop_gradient(jnp.max(x))
    x = x - largest
    falling = -jnp.sort(-jax.lax.stop_gradient(x))
    counts = jnp.arange(1, x.size + 1)
    excess = jnp.cumsum(falling) - jax.lax.stop_gradient(jnp.asarray(scale, x.dtype))
    stay = jnp.count_nonzero(falling * counts > excess)
    kept = x >= falling[jnp.maximum(stay, 1) - 1]
    total = jnp.sum(jnp.where(kept, x, 0)) - scale
    return largest, total / jnp.count_nonzero(kept)


def _unit(a: PyTree) -> tuple[PyTree, jax.Array]:
    """A tree divided by its norm, and the norm; zero and infinity where it is zero.

    What is divided by the infinite norm vanishes, and so does every move along zero.
    """
    length = norm(a)
    is_zero = length == 0
    whole = jnp.where(is_zero, 1.0, length)
    return _wide(lambda x: x / whole, a), jnp.where(is_zero, jnp.inf, length)


def _moved(x: PyTree, distance: jax.Array, unit: PyTree) -> PyTree:
    return each("projection", lambda x, u: _as(x, x + distance * u), x, a=unit)
