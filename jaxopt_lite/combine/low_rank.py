"""One leaf in the space of its gradient's main directions."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_lite.core.links import placed_like
from jaxopt_lite.core.matrices import Axes
from jaxopt_lite.core.storage import arithmetic_dtype, update_dtype
from jaxopt_lite.core.trees import MaskedNode, is_end


class View:
    """How a transformation sees one leaf: in few directions, or as it is.

    Args:
        x: the leaf, a parameter or its gradient.
        axes: those of its matrices, empty where it is none.
        rank: how many directions are seen at most.
    """

    def __init__(self, x: Any, axes: Axes, rank: int):
        self.axes = axes
        self.leaf = x
        self.dtype: Any = None
        self.shape: tuple[int, ...] = ()
        if not is_end(x):
            self.dtype, self.shape = arithmetic_dtype(jnp.result_type(x)), np.shape(x)
        self.low = self.basis = self.shape
        if axes:
            m, n = axes.sizes(self.shape)
            many, r = axes.counted(self.shape), min(rank, m, n)
            self.low = (*many, r, n) if m >= n else (*many, m, r)
            self.basis = (*many, max(m, n), r)

    def begin(self) -> tuple[Any, Any]:
        """Zeros, of which the base makes its state, and directions to begin with."""
        if is_end(self.leaf):
            return self.leaf, self.leaf
        return (
            self._zeros(self.low),
            self._zeros(self.basis) if self.axes else MaskedNode(),
        )

    def _zeros(self, shape: tuple[int, ...]) -> Any:
        """Zeros, or their shape where the leaf is only a shape.

        What has the shape of the leaf lies where it lies.
        """
        if isinstance(self.leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(shape, self.dtype)
        return placed_like(jnp.asarray(self.leaf), jnp.zeros(shape, self.dtype))

    def project(
        self, g: Any, basis: Any, refresh: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        """The gradient that the base sees, the directions it is made of, and `refresh`.

        The next leaf takes that `refresh`, which is known when these directions are.
        """
        if is_end(g):
            return g, basis, refresh
        wide = jnp.asarray(g).astype(self.dtype)
        if not self.axes:
            return wide, basis, refresh
        return _project(wide, basis, refresh, self.axes)

    def restore(
        self, u: Any, basis: Any, scale: Any, g: Any, p: Any, whole: Any
    ) -> Any:
        """The update of the whole leaf; what is split is brought together before."""
        if is_end(g):
            return g
        if self.axes:
            u = _restore(whole(u), whole(basis), scale, self.axes, self.shape)
        return u.astype(update_dtype(g, p))


@functools.partial(jax.jit, static_argnums=3)
def _project(
    g: jax.Array, basis: jax.Array, refresh: jax.Array, axes: Axes
) -> tuple[jax.Array, jax.Array, jax.Array]:
    matrices = axes.matrices(g)
    rows, columns = axes.sizes(g.shape)
    rank = basis.shape[-1]

    def directions() -> jax.Array:
        u, _, vh = jnp.linalg.svd(matrices, full_matrices=False)
        every = u if rows >= columns else vh.conj().mT
        # Gathered: a slice XLA would take from all of them again wherever it is read.
        found = jnp.take(every, jnp.arange(rank), axis=-1)
        # The sign of a direction is arbitrary: it follows the one that the base knows.
        turned = jnp.sum((basis.conj() * found).real, -2, keepdims=True) < 0
        return jnp.where(turned, -found, found).astype(basis.dtype)

    # A chain of leaves: XLA:CPU takes together what is equally deep, and would hold the
    # updates of all leaves at once.
    basis, refresh = lax.cond(
        refresh, lambda: (directions(), True), lambda: (basis, False)
    )
    wide = basis.astype(g.dtype)
    low = wide.conj().mT @ matrices if rows >= columns else matrices @ wide
    return low, basis, refresh


@functools.partial(jax.jit, static_argnums=(3, 4))
def _restore(
    low: jax.Array, basis: jax.Array, scale: Any, axes: Axes, shape: tuple[int, ...]
) -> jax.Array:
    rows, columns = axes.sizes(shape)
    wide = basis.astype(low.dtype)
    full = wide @ low if rows >= columns else low @ wide.conj().mT
    return axes.array((scale * full).astype(low.dtype), shape)
