"""Trees whose elements are computed from elements at the same place."""

import operator
from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.types import DTypeLike, Numeric, PyTree
from jaxopt_lite.tree.matching import each


def add(tree_x: PyTree, tree_y: PyTree, *other_trees: PyTree) -> PyTree:
    """The sum of two or more trees.

    Raises:
        ValueError: if their paths differ; each is named.

    Example:
        >>> from jaxopt_lite import tree
        >>> tree.add({"w": 1.0, "n": None}, {"w": 2.0, "n": None})
        {'n': None, 'w': 3.0}
    """
    total = each("tree.add", operator.add, tree_x, tree_y=tree_y)
    return add(total, *other_trees) if other_trees else total


def sub(tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """The difference of two trees.

    Raises:
        ValueError: if their paths differ; each is named.

    Example:
        >>> from jaxopt_lite import tree
        >>> tree.sub({"w": 3.0}, {"w": 2.0})
        {'w': 1.0}
    """
    return each("tree.sub", operator.sub, tree_x, tree_y=tree_y)


def mul(tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """The product of two trees, element by element.

    Raises:
        ValueError: if their paths differ; each is named.

    Example:
        >>> from jaxopt_lite import tree
        >>> tree.mul({"w": 3.0}, {"w": 2.0})
        {'w': 6.0}
    """
    return each("tree.mul", operator.mul, tree_x, tree_y=tree_y)


def div(tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """The quotient of two trees, element by element.

    Raises:
        ValueError: if their paths differ; each is named.

    Example:
        >>> from jaxopt_lite import tree
        >>> tree.div({"w": 3.0}, {"w": 2.0})
        {'w': 1.5}
    """
    return each("tree.div", operator.truediv, tree_x, tree_y=tree_y)


def scale(scalar: Numeric, tree: PyTree) -> PyTree:
    """A number times a tree.

    Example:
        >>> from jaxopt_lite import tree
        >>> tree.scale(2.0, {"w": 1.5})
        {'w': 3.0}
    """
    return each("tree.scale", lambda x: scalar * x, tree)


def add_scale(tree_x: PyTree, scalar: Numeric, tree_y: PyTree) -> PyTree:
    """A tree and a multiple of another, `tree_x + scalar * tree_y`.

    Raises:
        ValueError: if their paths differ; each is named.

    Example:
        >>> from jaxopt_lite import tree
        >>> tree.add_scale({"w": 1.0}, -0.5, {"w": 2.0})
        {'w': 0.0}
    """
    return each("tree.add_scale", lambda x, y: x + scalar * y, tree_x, tree_y=tree_y)


def where(condition: Any, tree_x: PyTree, tree_y: PyTree) -> PyTree:
    """The first tree where the condition is true, the second elsewhere.

    Args:
        condition: a flag, or an array of flags that fits every leaf.
        tree_x: what is taken where it is true.
        tree_y: what is taken elsewhere; its paths are those of `tree_x`.

    Raises:
        ValueError: if the paths differ; each is named.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.where(True, {"w": jnp.ones(2)}, {"w": jnp.zeros(2)})
        {'w': Array([1., 1.], dtype=float32)}
    """
    return each(
        "tree.where", lambda x, y: jnp.where(condition, x, y), tree_x, tree_y=tree_y
    )


def clip(
    tree: PyTree, min_value: Numeric | None = None, max_value: Numeric | None = None
) -> PyTree:
    """A tree with every element brought into `[min_value, max_value]`.

    Args:
        tree: a tree of real arrays.
        min_value: the lower bound; None is none.
        max_value: the upper bound; None is none.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.clip({"w": jnp.array([-3.0, 0.5])}, -1, 1)
        {'w': Array([-1. ,  0.5], dtype=float32)}
    """
    return each("tree.clip", lambda x: jnp.clip(x, min_value, max_value), tree)


def conj(tree: PyTree) -> PyTree:
    """The complex conjugate.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.conj(jnp.array([1 + 2j]))
        Array([1.-2.j], dtype=complex64)
    """
    return each("tree.conj", jnp.conj, tree)


def real(tree: PyTree) -> PyTree:
    """The real part.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.real(jnp.array([1 + 2j]))
        Array([1.], dtype=float32)
    """
    return each("tree.real", jnp.real, tree)


def zeros_like(tree: PyTree, dtype: DTypeLike | None = None) -> PyTree:
    """A tree of zeros in the shape of another.

    Args:
        tree: gives the shapes.
        dtype: of every leaf; None keeps each as it is.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.zeros_like({"w": jnp.ones(2), "n": None}, jnp.bfloat16)
        {'n': None, 'w': Array([0, 0], dtype=bfloat16)}
    """
    return each("tree.zeros_like", lambda x: jnp.zeros_like(x, dtype=dtype), tree)


def ones_like(tree: PyTree, dtype: DTypeLike | None = None) -> PyTree:
    """A tree of ones in the shape of another.

    Args:
        tree: gives the shapes.
        dtype: of every leaf; None keeps each as it is.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.ones_like({"w": jnp.zeros(2)})
        {'w': Array([1., 1.], dtype=float32)}
    """
    return each("tree.ones_like", lambda x: jnp.ones_like(x, dtype=dtype), tree)


def full_like(
    tree: PyTree, fill_value: Numeric, dtype: DTypeLike | None = None
) -> PyTree:
    """A tree of one number in the shape of another.

    Args:
        tree: gives the shapes.
        fill_value: the number.
        dtype: of every leaf; None keeps each as it is.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.full_like({"w": jnp.zeros(2)}, 0.5)
        {'w': Array([0.5, 0.5], dtype=float32)}
    """
    return each(
        "tree.full_like", lambda x: jnp.full_like(x, fill_value, dtype=dtype), tree
    )


def batch_shape(tree: PyTree, shape: tuple[int, ...] = ()) -> PyTree:
    """A tree whose leaves are repeated along new leading axes.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.batch_shape({"w": jnp.ones(3)}, (5, 2))["w"].shape
        (5, 2, 3)
    """
    return each(
        "tree.batch_shape", lambda x: jnp.broadcast_to(x, (*shape, *jnp.shape(x))), tree
    )


def cast(tree: PyTree, dtype: DTypeLike | None) -> PyTree:
    """A tree in another dtype; None leaves it as it is.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.cast({"w": jnp.ones(2)}, jnp.bfloat16)
        {'w': Array([1, 1], dtype=bfloat16)}
    """
    if dtype is None:
        return tree
    return each("tree.cast", lambda x: jnp.asarray(x).astype(dtype), tree)


def cast_like(tree: PyTree, other_tree: PyTree) -> PyTree:
    """A tree in the dtypes of another.

    Args:
        tree: what is cast.
        other_tree: gives the dtypes; a leaf of it without one leaves that of `tree`
            as it is.

    Raises:
        ValueError: if the paths differ; each is named.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.cast_like({"w": jnp.ones(2)}, {"w": jnp.ones(2, jnp.bfloat16)})
        {'w': Array([1, 1], dtype=bfloat16)}
    """
    return each("tree.cast_like", _in_dtype_of, tree, other_tree=other_tree)


def _in_dtype_of(x: Any, y: Any) -> Any:
    return jnp.asarray(x).astype(y.dtype) if hasattr(y, "dtype") else x
