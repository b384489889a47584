"""What gradients and parameters must not become: nan, and negative."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Exact, Tensor


class KeepParamsNonnegative(Rule):
    """Steps that would lead below zero lead to zero."""

    reads_params = True

    def emit(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Tensor:
        return jnp.where(p + g < 0, -p, g)


def keep_params_nonnegative() -> GradientTransformation:
    """Shortens the updates that would make a parameter negative, so that it is zero.

        u = -p where p + g < 0, else g

    It belongs at the end of a chain, after the learning rate. A parameter that is
    negative already becomes zero, unless the update makes it positive.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: from `update`, without parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.chain(jl.sgd(1.0), jl.keep_params_nonnegative())
        >>> p = jnp.array([1.0, 1.0])
        >>> tx.update(jnp.array([0.5, 3.0]), tx.init(p), p)[0]
        Array([-0.5, -1. ], dtype=float32)
    """
    return leafwise(KeepParamsNonnegative())


class ZeroNansState(NamedTuple):
    """Whether the last gradient of each parameter held a nan."""

    found_nan: Exact


class ZeroNans(Rule):
    """Zero in place of nan."""

    Slots = ZeroNansState

    def init(self, p: Tensor) -> ZeroNansState:
        return ZeroNansState(jnp.zeros((), bool))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> ZeroNansState:
        return ZeroNansState(jnp.any(jnp.isnan(g)))

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return jnp.where(jnp.isnan(g), jnp.zeros_like(g), g)


def zero_nans() -> GradientTransformation:
    """Puts zero in place of every nan of a gradient; infinities stay.

        u = 0 where g is nan, else g

    Returns:
        A transformation with `ZeroNansState(found_nan)`: for each parameter whether its
        last gradient held a nan.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.zero_nans()
        >>> tx.update(jnp.array([jnp.nan, 2.0]), tx.init(jnp.zeros(2)))[0]
        Array([0., 2.], dtype=float32)
    """
    return leafwise(ZeroNans())
