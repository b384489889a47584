"""Gradients of common norm one."""

from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import UNIT, root
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Tensor
from jaxopt_lite.rules.global_norm import GlobalNormRule


class Normalize(GlobalNormRule):
    """All leaves divided by their common norm."""

    def settle(self, shared: Any, total: Tensor, step: Any) -> Tensor:
        norm = UNIT * root(total)
        return jnp.where(norm == 0, 0.0, 1 / jnp.where(norm == 0, 1.0, norm))


def normalize() -> GradientTransformation:
    """Divides all gradients by their common norm.

        u = g / norm,  norm = sqrt(sum over leaves of sum |g|**2)

    Returns:
        A transformation with an `EmptyState`. A zero gradient stays zero; Optax returns
        nan. A norm below 1e-12 counts as zero.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.normalize()
        >>> g = {"a": jnp.array(3.0), "b": jnp.array(4.0)}
        >>> tx.update(g, tx.init(g))[0]
        {'a': Array(0.6, dtype=float32), 'b': Array(0.8, dtype=float32)}
    """
    return leafwise(Normalize())
