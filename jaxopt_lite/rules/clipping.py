"""Bounds on gradients."""

from typing import Annotated, Any

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import UNIT, root
from jaxopt_lite.core.ranges import WHOLE_TREE, Bound
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Hyperparameter,
    Tensor,
)
from jaxopt_lite.rules.global_norm import GlobalNormRule


class Clip(Rule):
    """Each element within bounds."""

    max_delta: Bound

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return jnp.clip(g, -self.max_delta, self.max_delta)


def clip(max_delta: Hyperparameter) -> GradientTransformation:
    """Clips each element of each gradient to an interval around zero.

        u = min(max(g, -max_delta), max_delta)

    Args:
        max_delta: largest magnitude of an element, at least 0; infinity for no bound.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: if `max_delta` is negative.
        TypeError: if it is no number, array, schedule or `by_path`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.clip(1.0)
        >>> tx.update(jnp.array([3.0, -0.5]), tx.init(jnp.zeros(2)))[0]
        Array([ 1. , -0.5], dtype=float32)
    """
    return leafwise(Clip(max_delta))


class ClipByGlobalNorm(GlobalNormRule):
    """All leaves scaled down together where their common norm is too large."""

    max_norm: Annotated[Bound, WHOLE_TREE]

    def settle(self, shared: Any, total: Tensor, step: Any) -> Tensor:
        norm = UNIT * root(total)
        share = self.max_norm / jnp.where(norm == 0, 1.0, norm)
        return jnp.where(norm == 0, 1.0, jnp.minimum(1.0, share))


def clip_by_global_norm(max_norm: Hyperparameter) -> GradientTransformation:
    """Scales all gradients down together so that their common norm stays bounded.

        u = g * min(1, max_norm / norm),  norm = sqrt(sum over leaves of sum |g|**2)

    The norm is measured in one pass, in at least float32, and is right from 1e-12 to
    1e20; what is smaller passes. Optax overflows at 1e19 in float32 and at 256 in
    float16. A zero gradient stays zero, also with `max_norm=0`.

    Args:
        max_norm: largest common Euclidean norm, at least 0, infinity for no bound; one
            number, array or schedule for the whole tree.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: if `max_norm` is negative.
        TypeError: if `max_norm` is `by_path`, or no number, array or schedule.

    Source: Pascanu, Mikolov and Bengio 2012, arXiv 1211.5063.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.clip_by_global_norm(1.0)
        >>> g = {"a": jnp.array(3.0), "b": jnp.array(4.0)}
        >>> tx.update(g, tx.init(g))[0]
        {'a': Array(0.6, dtype=float32), 'b': Array(0.8, dtype=float32)}
    """
    return leafwise(ClipByGlobalNorm(max_norm))
