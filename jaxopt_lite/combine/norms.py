"""Norms of whole trees, each measured in one pass over its leaves.

XLA measures once what `clip_by_global_norm` measures as well: both are the same sums.
"""

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import kernel
from jaxopt_lite.core.numerics import UNIT, distinct_unit, real, root, squares_in_units
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import PyTree


def sums_of_squares(tree: PyTree) -> list[jax.Array]:
    """The sum of squares of each leaf of inexact numbers, in units of `UNIT**2`."""
    alike: Counter[tuple[int, ...]] = Counter()
    sums = []
    for x in inexact_leaves(tree):
        sums.append(_sum_of_squares(x, distinct_unit(alike[np.shape(x)])))
        alike[np.shape(x)] += 1
    return sums


def norm_of_tree(tree: PyTree) -> jax.Array:
    """The Euclidean norm of all leaves together, right from 1e-12 to 1e20."""
    sums = sums_of_squares(tree)
    if not sums:
        return jnp.zeros((), jnp.float32)
    return _norm(sums)


def inexact_leaves(tree: PyTree) -> list[Any]:
    """The leaves that are floating-point or complex arrays."""
    leaves = (x for x in Flat(tree).leaves if not is_end(x))
    return [x for x in leaves if jnp.issubdtype(jnp.result_type(x), jnp.inexact)]


@jax.jit
def _norm(sums: list[jax.Array]) -> jax.Array:
    return UNIT * root(kernel.total(sums))


@jax.jit
def _sum_of_squares(x: Any, unit: Any) -> jax.Array:
    x = jnp.asarray(x)
    wide = x.astype(arithmetic_dtype(x.dtype))
    return squares_in_units(wide, unit.astype(real(wide.dtype)))
