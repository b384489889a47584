"""The gradient over how far it lies from what was expected: AdaBelief and ACProp."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import (
    abs_sq,
    bias_correction,
    moving_mean,
    root,
)
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    Hyperparameter,
    NonNegative,
    Signed,
    Tensor,
)
from jaxopt_lite.rules.adam import Moments, NesterovAdam, ScaleByAdam


class ScaleByBeliefState(NamedTuple):
    """How many gradients were seen, their mean, and their mean square from it."""

    count: Count  # type: ignore[assignment]
    mu: Signed
    nu: NonNegative


class ScaleByBelief(ScaleByAdam):
    """AdaBelief."""

    State = ScaleByBeliefState

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> Moments:
        mu = moving_mean(slots.mu, g, self.b1)
        nu = moving_mean(slots.nu, abs_sq(g - mu), self.b2)
        return Moments(mu, nu + self.eps_root)

    def denominator(self, nu: Tensor, step: Any) -> Tensor:
        return root(nu * (1 / bias_correction(self.b2, step))) + self.eps


class NesterovBelief(ScaleByBelief, NesterovAdam):
    """AdaBelief that looks one step ahead."""


def scale_by_belief(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-16,
    eps_root: Hyperparameter = 1e-16,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Divides the gradient's moving mean by how far gradients lie from it.

        mu <- b1 * mu + (1 - b1) * g
        nu <- b2 * nu + (1 - b2) * |g - mu|**2 + eps_root
        u   = mu / (1 - b1**t) / (sqrt(nu / (1 - b2**t)) + eps)

    With `nesterov`, `b1 * mu / (1 - b1**(t+1)) + (1 - b1) * g / (1 - b1**t)` takes the
    place of `mu / (1 - b1**t)`.

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added to `nu` at every step, at least 0.
        nesterov: whether to look one step ahead.

    Returns:
        A transformation with `ScaleByBeliefState(count, mu, nu)`, two slots like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zhuang et al. 2020, arXiv 2010.07468. Arithmetic is at least float32, which
    has numbers as small as `eps`; at a zero gradient in float16 Optax gives nan.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_belief(b1=0.5)
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.zeros(2)))[0].round(4)
        Array([ 2., -2.], dtype=float32)
    """
    rule = NesterovBelief if nesterov else ScaleByBelief
    return leafwise(rule(b1, b2, eps, eps_root))


class ScaleByAcprop(ScaleByBelief):
    """ACProp."""

    def update(
        self, g: Tensor, slots: Any, p: Any, step: Any
    ) -> tuple[Tensor, Moments]:
        # Nothing is known before the first step: the gradient goes out as it is.
        is_first = step == 1
        known = self.denominator(slots.nu, jnp.where(is_first, 1.0, step - 1))
        denominator = jnp.where(is_first, 1 + self.eps, known)
        return g / denominator, self.advance(g, slots, p, step)


def scale_by_acprop(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-16,
    eps_root: Hyperparameter = 1e-16,
) -> GradientTransformation:
    """Divides each gradient by how far those before it lay from their moving mean.

        u   = g / (sqrt(nu / (1 - b2**(t-1))) + eps)    (g / (1 + eps) at t = 1)
        mu <- b1 * mu + (1 - b1) * g
        nu <- b2 * nu + (1 - b2) * |g - mu|**2 + eps_root

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added to `nu` at every step, at least 0.

    Returns:
        A transformation with `ScaleByBeliefState(count, mu, nu)`, two slots like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zhuang et al. 2021, arXiv 2110.05454, without rectification. Optax measures
    the distance from the mean before the step, not after it, so its `nu` is larger by
    `1 / b1**2` and its updates smaller by `b1`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_acprop(b1=0.5)
        >>> g = jnp.array(4.0)
        >>> u, state = tx.update(g, tx.init(g))
        >>> u, tx.update(g, state)[0].round(4)
        (Array(4., dtype=float32), Array(2., dtype=float32))
    """
    return leafwise(ScaleByAcprop(b1, b2, eps, eps_root))
