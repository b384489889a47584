"""The gradient's mean over the largest it has been: Adamax and AMSGrad."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import bias_correction, moving_mean, root
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Hyperparameter,
    NonNegative,
    Signed,
    Tensor,
)
from jaxopt_lite.rules.adam import Moments, ScaleByAdam, ScaleByAdamState


class ScaleByAdamax(Rule):
    """Adamax."""

    b1: Decay
    b2: Decay
    eps: Magnitude
    Slots = Moments
    State = ScaleByAdamState

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> Moments:
        return Moments(
            mu=moving_mean(slots.mu, g, self.b1),
            nu=jnp.maximum(jnp.abs(g) + self.eps, self.b2 * slots.nu),
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        mu = slots.mu * (1 / bias_correction(self.b1, step))
        return mu / jnp.where(slots.nu > 0, slots.nu, 1.0)


def scale_by_adamax(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
) -> GradientTransformation:
    """Divides the gradient's moving mean by its largest magnitude, slowly forgotten.

        mu <- b1 * mu + (1 - b1) * g
        nu <- max(|g| + eps, b2 * nu)
        u   = mu / (1 - b1**t) / nu

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: what remains of the largest magnitude, per step, in [0, 1).
        eps: added to the magnitude, at least 0.

    Returns:
        A transformation with `ScaleByAdamState(count, mu, nu)`, two slots like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Kingma and Ba 2014, arXiv 1412.6980, section 7.1, with `eps` as in PyTorch
    and Optax. At a zero gradient in float16 Optax gives nan.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_adamax()
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.zeros(2)))[0].round(6)
        Array([ 1., -1.], dtype=float32)
    """
    return leafwise(ScaleByAdamax(b1, b2, eps))


class ScaleByAmsgradState(NamedTuple):
    """Adam's count and moments, and the largest second moment so far."""

    count: Count  # type: ignore[assignment]
    mu: Signed
    nu: NonNegative
    nu_max: NonNegative


class MomentsAndMaximum(NamedTuple):
    """The first and the second moment of the gradient, and the largest second."""

    mu: Signed
    nu: NonNegative
    nu_max: NonNegative


class ScaleByAmsgrad(ScaleByAdam):
    """AMSGrad; two flags choose which moments are debiased."""

    bias_correction_mu: bool
    bias_correction_nu: bool
    Slots = MomentsAndMaximum
    State = ScaleByAmsgradState

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> Any:
        mu, nu = super().advance(g, slots, p, step)
        nu_hat = nu
        if self.bias_correction_nu:
            nu_hat = nu * (1 / bias_correction(self.b2, step))
        return MomentsAndMaximum(mu, nu, jnp.maximum(slots.nu_max, nu_hat))

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        mu = slots.mu
        if self.bias_correction_mu:
            mu = mu * (1 / bias_correction(self.b1, step))
        return mu / (root(slots.nu_max + self.eps_root) + self.eps)


def scale_by_amsgrad(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> GradientTransformation:
    """Divides the gradient's moving mean by the largest root of its mean square.

        mu     <- b1 * mu + (1 - b1) * g
        nu     <- b2 * nu + (1 - b2) * |g|**2
        nu_max <- max(nu_max, nu / (1 - b2**t))
        u       = mu / (1 - b1**t) / (sqrt(nu_max + eps_root) + eps)

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0, for those who differentiate
            through the optimizer.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.
        bias_correction_mu: whether `mu` is divided by `1 - b1**t`.
        bias_correction_nu: whether `nu` is divided by `1 - b2**t` before the maximum.

    Returns:
        A transformation with `ScaleByAmsgradState(count, mu, nu, nu_max)`, three slots
        like the parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Reddi, Kale and Kumar 2018, arXiv 1904.09237, which debiases neither moment.
    PyTorch debiases the maximum, not what it is taken of.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_amsgrad(b1=0.0, b2=0.5)
        >>> g = jnp.array(3.0)
        >>> state = tx.update(g, tx.init(g))[1]
        >>> tx.update(0.1 * g, state)[0].round(6)
        Array(0.1, dtype=float32)
    """
    return leafwise(
        ScaleByAmsgrad(b1, b2, eps, eps_root, bias_correction_mu, bias_correction_nu),
        keep(mu=mu_dtype),
    )
