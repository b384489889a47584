"""Norms of whole trees, each measured in one pass over its leaves.

XLA measures once what `clip_by_global_norm` measures as well: both are the same sums.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import kernel
from jaxopt_lite.core.numerics import UNIT, distinct_unit, real, root, squares_in_units
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import PyTree


def sums_of_squares(leaves: Sequence[Any], kind: int = 0) -> list[jax.Array]:
    """The sum of squares of each of some arrays, in units of `UNIT**2`.

    Trees of the same shapes that are measured in one step are of different `kind`.
    """
    alike: Counter[tuple[int, ...]] = Counter()
    sums = []
    for x in leaves:
        sums.append(_sum_of_squares(x, distinct_unit(alike[np.shape(x)], kind)))
        alike[np.shape(x)] += 1
    return sums


@jax.jit
def norm(sums: Sequence[jax.Array]) -> jax.Array:
    """The Euclidean norm of what these are the sums of squares of."""
    return UNIT * root(kernel.total(sums)) if sums else jnp.zeros((), jnp.float32)


def norm_of_tree(tree: PyTree) -> jax.Array:
    """The Euclidean norm of all leaves together, right from 1e-12 to 1e20."""
    return norm(sums_of_squares(inexact_leaves(tree)))


def inexact_leaves(tree: PyTree) -> list[Any]:
    """The leaves that are floating-point or complex arrays."""
    return [x for x in Flat(tree).leaves if not is_end(x) and is_inexact(x)]


def is_inexact(x: Any) -> bool:
    """Whether an array is of floating-point or complex numbers."""
    return jnp.issubdtype(jnp.result_type(x), jnp.inexact)


@jax.jit
def _sum_of_squares(x: Any, unit: Any) -> jax.Array:
    x = jnp.asarray(x)
    wide = x.astype(arithmetic_dtype(x.dtype))
    return squares_in_units(wide, unit.astype(real(wide.dtype)))
