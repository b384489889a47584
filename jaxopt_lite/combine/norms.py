"""Norms of whole trees, each measured in one pass over its leaves.

XLA measures once what `clip_by_global_norm` measures as well: both are the same sums.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.numerics import UNIT, distinct_unit, real, root, squares_in_units
from jaxopt_lite.core.parts import UNDIVIDED, Undivided
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import PyTree


def sums_of_squares(flat: Flat, parts: Undivided, kind: int = 0) -> list[Any]:
    """The sum of squares of each leaf, in units of `UNIT**2`; None where it has none.

    Trees of the same shapes that are measured in one step are of different `kind`.
    """
    alike: Counter[tuple[int, ...]] = Counter()
    sums: list[Any] = []
    for path, x in zip(flat.paths, flat.leaves, strict=True):
        if is_end(x) or not _is_inexact(x):
            sums.append(None)
            continue
        unit = distinct_unit(alike[np.shape(x)], kind)
        alike[np.shape(x)] += 1
        sums.append(parts.measure(partial(_sum_of_squares, unit), path, x))
    return sums


def norm(sums: Sequence[Any], parts: Undivided) -> jax.Array:
    """The Euclidean norm of what these are the sums of squares of, where there is one.

    It is right from 1e-12 to 1e20.
    """
    present = [x for x in sums if x is not None]
    return _norm(parts.total(present)) if present else jnp.zeros((), jnp.float32)


def norm_of_tree(tree: PyTree, extra: Mapping[str, Any]) -> jax.Array:
    """The Euclidean norm of all leaves together; `extra` says where they lie."""
    parts = extra.get("device_parts", UNDIVIDED)
    return norm(sums_of_squares(Flat(tree), parts), parts)


def inexact_leaves(tree: PyTree) -> list[Any]:
    """The leaves that are floating-point or complex arrays."""
    return [x for x in Flat(tree).leaves if not is_end(x) and _is_inexact(x)]


def _is_inexact(x: Any) -> bool:
    """Whether an array is of floating-point or complex numbers."""
    return jnp.issubdtype(jnp.result_type(x), jnp.inexact)


@jax.jit
def _sum_of_squares(unit: Any, x: Any) -> jax.Array:
    x = jnp.asarray(x)
    wide = x.astype(arithmetic_dtype(x.dtype))
    return squares_in_units(wide, unit.astype(real(wide.dtype)))


@jax.jit
def _norm(total: jax.Array) -> jax.Array:
    return UNIT * root(total)
