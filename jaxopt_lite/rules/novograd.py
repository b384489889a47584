"""Momentum of gradients that are divided by the norm of their array: NovoGrad."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import moving_mean, plus, ratio, real, root
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Exact,
    Hyperparameter,
    Signed,
    Tensor,
)
from jaxopt_lite.rules.norms import sum_of_squares


class ScaleByNovogradState(NamedTuple):
    """How many gradients were seen, their momentum, the mean of their squared norm."""

    count: Count  # type: ignore[assignment]
    mu: Signed
    nu: Exact


class NovogradMoments(NamedTuple):
    """The momentum, and for the whole array the mean of the squared norm."""

    mu: Signed
    nu: Exact


class ScaleByNovograd(Rule):
    """NovoGrad."""

    b1: Decay
    b2: Decay
    eps: Magnitude
    eps_root: Magnitude
    weight_decay: Magnitude
    Slots = NovogradMoments
    State = ScaleByNovogradState
    reads_params = True

    def init(self, p: Tensor) -> NovogradMoments:
        return NovogradMoments(jnp.zeros_like(p), jnp.zeros((), real(p.dtype)))

    def advance(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> NovogradMoments:
        squares = sum_of_squares(g)
        nu = jnp.where(step == 1, squares, moving_mean(slots.nu, squares, self.b2))
        size = root(nu + self.eps_root) + self.eps
        added = plus(g * ratio(jnp.ones_like(size), size), self.weight_decay, p)
        return NovogradMoments(self.b1 * slots.mu + added, nu)

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return slots.mu


def scale_by_novograd(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.25,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    weight_decay: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Adds up past gradients, each divided by the moving norm of its array.

        nu <- b2 * nu + (1 - b2) * |g|**2                (|g|**2 in the first step)
        mu <- b1 * mu + g / (sqrt(nu + eps_root) + eps) + weight_decay * p
        u   = mu

    A gradient of an array that has only seen zeros counts as zero.

    Args:
        b1: weight of the past in the momentum, per step, in [0, 1).
        b2: weight of the past mean squared norm, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        weight_decay: multiple of the parameter that enters the momentum, at least 0.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.

    Returns:
        A transformation with `ScaleByNovogradState(count, mu, nu)`: a slot like the
        parameter, and one number for each.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Ginsburg et al. 2019, arXiv 1905.11286. Optax returns nan at a zero gradient
    in float16, where `eps` is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_novograd()
        >>> p = jnp.zeros(2)
        >>> tx.update(jnp.array([3.0, 4.0]), tx.init(p), p)[0]
        Array([0.6, 0.8], dtype=float32)
    """
    return leafwise(
        ScaleByNovograd(b1, b2, eps, eps_root, weight_decay),
        keep(mu=mu_dtype),
    )
