"""Numbers that are computed from a whole tree."""

import functools
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.numerics import abs_sq, global_norm, promote
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import PyTree
from jaxopt_lite.tree.matching import arrays, rows


def vdot(tree_x: PyTree, tree_y: PyTree) -> jax.Array:
    """The inner product of two trees, the first conjugated.

        sum over leaves of sum conj(x) * y

    It sums in at least float32 (integers stay integers), and leaf by leaf without a
    dot product, so that sharded leaves need not be gathered.

    Raises:
        ValueError: if the paths or the shapes differ; each is named.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.vdot({"w": jnp.array([1.0, 2.0])}, {"w": jnp.array([3.0, 4.0])})
        Array(11., dtype=float32)
    """
    flat, found = rows("tree.vdot", tree_x, tree_y=tree_y)
    other = checks.align("tree.vdot", flat, "tree_y", tree_y, "tree_x")
    checks.shapes("tree.vdot", "tree_y", other, "tree_x", flat)
    products = (jnp.conj(_widened(x)) * _widened(y) for x, y in filter(None, found))
    return _total(map(jnp.sum, products))


def sum(tree: PyTree, associative_reduction: bool = False) -> jax.Array:
    """The sum of all elements.

    Args:
        tree: a tree of arrays, which are summed in at least float32; integers stay
            integers.
        associative_reduction: whether the sums of the leaves are added in pairs, which
            rounds otherwise than one after another.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.sum({"w": jnp.array([1.0, 2.0]), "b": jnp.array(4.0)})
        Array(7., dtype=float32)
    """
    sums = [jnp.sum(_widened(x)) for x in arrays(tree)]
    while associative_reduction and len(sums) > 1:
        pairs = [operator.add(*sums[i : i + 2]) for i in range(0, len(sums) - 1, 2)]
        sums = pairs + sums[2 * len(pairs) :]
    return _total(sums)


def max(tree: PyTree) -> jax.Array:
    """The largest element; -inf where there is none.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.max({"w": jnp.array([1.0, 2.0]), "b": jnp.array(-4.0)})
        Array(2., dtype=float32)
    """
    return _extreme(tree, jnp.max, jnp.maximum, -math.inf)


def min(tree: PyTree) -> jax.Array:
    """The smallest element; inf where there is none.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.min({"w": jnp.array([1.0, 2.0]), "b": jnp.array(-4.0)})
        Array(-4., dtype=float32)
    """
    return _extreme(tree, jnp.min, jnp.minimum, math.inf)


def size(tree: PyTree) -> int:
    """How many elements there are.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.size({"w": jnp.ones((3, 4)), "b": jnp.ones(4), "n": None})
        16
    """
    return functools.reduce(operator.add, map(jnp.size, arrays(tree)), 0)


def norm(
    tree: PyTree, ord: int | float | str | None = None, squared: bool = False
) -> jax.Array:
    """The norm of all elements together, as of one vector.

    The Euclidean norm neither overflows nor underflows (see `global_norm`), and its
    derivative at zero is zero.

    Args:
        tree: a tree of real or complex arrays.
        ord: None or 2 for the Euclidean norm, 1 for the sum of magnitudes, `jnp.inf`
            (or "inf", "infinity") for the largest.
        squared: whether to return the square.

    Returns:
        A real scalar of at least float32.

    Raises:
        ValueError: if `ord` is another.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> params = {"w": jnp.array([3.0, 0.0]), "b": jnp.array(-4.0)}
        >>> tree.norm(params), tree.norm(params, ord=1)
        (Array(5., dtype=float32), Array(7., dtype=float32))
    """
    wide = [jnp.asarray(x).astype(_at_least_float32(x)) for x in arrays(tree)]
    if ord is None or ord == 2:
        return sum([abs_sq(x) for x in wide]) if squared else global_norm(wide)
    if ord == 1:
        result = sum([jnp.abs(x) for x in wide])
    elif ord in (math.inf, "inf", "infinity"):
        result = jnp.maximum(max([jnp.abs(x) for x in wide]), 0.0)
    else:
        raise ValueError(f"tree.norm: ord is {ord!r}; expected None, 1, 2 or inf.")
    return jnp.square(result) if squared else result


def allclose(
    a: PyTree,
    b: PyTree,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> jax.Array:
    """Whether two trees are equal but for rounding, `|a - b| <= atol + rtol * |b|`.

    Args:
        a: a tree.
        b: another of the same paths.
        rtol: what is tolerated relative to `b`.
        atol: what is tolerated in addition.
        equal_nan: whether nan equals nan.

    Raises:
        ValueError: if the paths differ; each is named.

    Example:
        >>> from jaxopt_lite import tree
        >>> tree.allclose({"w": 1.0}, {"w": 1.0 + 1e-7})
        Array(True, dtype=bool)
    """
    _, found = rows("tree.allclose", a, b=b)
    close = [jnp.allclose(x, y, rtol, atol, equal_nan) for x, y in filter(None, found)]
    return functools.reduce(jnp.logical_and, close, jnp.array(True))


def dtype(tree: PyTree, mixed_dtype_handler: str | None = None) -> Any:
    """The dtype of a tree; that of new JAX arrays where there is no leaf.

    Args:
        tree: a tree of arrays.
        mixed_dtype_handler: what is said of leaves of several dtypes. None is an error,
            "promote" gives the dtype that holds all, "highest" and "lowest" that of
            them which all others can be promoted to, or which can be promoted to all
            others.

    Raises:
        ValueError: if the dtypes differ and none is asked for, or none is the highest
            or lowest; from `mixed_dtype_handler`, if it is another.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> params = {"w": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2)}
        >>> tree.dtype(params, "lowest"), tree.dtype(params, "promote")
        (dtype(bfloat16), dtype('float32'))
    """
    choices = {None: _common, "promote": _promoted, "highest": _highest}
    if mixed_dtype_handler not in (*choices, "lowest"):
        raise ValueError(
            f"tree.dtype: mixed_dtype_handler is {mixed_dtype_handler!r}; expected "
            f"None, 'promote', 'highest' or 'lowest'."
        )
    flat = Flat(tree)
    found = {
        path: jnp.asarray(x).dtype
        for path, x in zip(flat.paths, flat.leaves, strict=True)
        if not is_end(x)
    }
    if not found:
        return jnp.asarray([]).dtype
    return choices.get(mixed_dtype_handler, _lowest)(found)


def _common(found: dict[str, Any]) -> Any:
    if len({*found.values()}) > 1:
        _refuse(found, "several dtypes", "'promote', 'highest' or 'lowest'")
    return next(iter(found.values()))


def _promoted(found: dict[str, Any]) -> Any:
    return functools.reduce(jnp.promote_types, found.values())


def _highest(found: dict[str, Any]) -> Any:
    highest = _promoted(found)
    if highest not in found.values():
        _refuse(found, "no highest dtype", "'promote'")
    return highest


def _lowest(found: dict[str, Any]) -> Any:
    for a in found.values():
        if all(jnp.promote_types(a, b) == b for b in found.values()):
            return a
    return _refuse(found, "no lowest dtype", "'promote'")


def _refuse(found: dict[str, Any], what: str, instead: str) -> Any:
    checks.fail(
        f"tree.dtype: the tree has {what}.",
        [(path, str(d)) for path, d in found.items()],
        f"Expected one: cast the tree, or choose by mixed_dtype_handler={instead}.",
        ValueError,
    )


def _at_least_float32(x: Any) -> Any:
    return promote(jnp.asarray(x).dtype, jnp.dtype(jnp.float32))


def _widened(x: Any) -> jax.Array:
    x = jnp.asarray(x)
    is_inexact = jnp.issubdtype(x.dtype, jnp.inexact)
    return x.astype(_at_least_float32(x)) if is_inexact else x


def _total(numbers: Iterable[jax.Array]) -> jax.Array:
    found = list(numbers)
    return functools.reduce(operator.add, found) if found else jnp.zeros(())


def _extreme(
    tree: PyTree,
    within: Callable[..., jax.Array],
    between: Callable[..., jax.Array],
    nothing: float,
) -> jax.Array:
    found = [within(jnp.asarray(x)) for x in arrays(tree) if jnp.size(x)]
    return functools.reduce(between, found) if found else jnp.asarray(nothing)
