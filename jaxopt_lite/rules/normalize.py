"""Gradients scaled to a common norm."""

from typing import Annotated, Any

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import UNIT, ratio, root
from jaxopt_lite.core.ranges import WHOLE_TREE, FiniteNumber, Magnitude
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Tensor
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


class NormalizeByUpdateNorm(GlobalNormRule):
    """All leaves divided by their common norm."""

    scale_factor: Annotated[FiniteNumber, WHOLE_TREE]
    eps: Annotated[Magnitude, WHOLE_TREE]

    def settle(self, shared: Any, total: Tensor, step: Any) -> Tensor:
        length = UNIT * root(total) + self.eps
        return self.scale_factor * ratio(jnp.ones_like(length), length)


def normalize_by_update_norm(
    scale_factor: Hyperparameter = 1.0, eps: Hyperparameter = 1e-6
) -> GradientTransformation:
    """Scales all gradients together so that their common norm is a given one.

        u = g * scale_factor / (norm + eps),  norm = sqrt(sum over leaves of sum |g|**2)

    The norm is measured as in `clip_by_global_norm`. A zero gradient stays zero.

    Args:
        scale_factor: the norm that comes out, finite; one number, array or schedule for
            the whole tree.
        eps: added to the norm, at least 0; likewise one for the whole tree.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is `by_path`, or no number, array or schedule.

    Source: Optax, whose norm overflows at 256 in float16 and at 1e19 in float32.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.normalize_by_update_norm()
        >>> g = {"a": jnp.array(3.0), "b": jnp.array(4.0)}
        >>> jl.global_norm(tx.update(g, tx.init(g))[0]).round(4)
        Array(1., dtype=float32)
    """
    return leafwise(NormalizeByUpdateNorm(scale_factor, eps))
