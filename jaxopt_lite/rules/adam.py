"""The mean of the gradient over the root of the mean of its square: Adam."""

from typing import Any, ClassVar, NamedTuple

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import (
    abs_sq,
    bias_correction,
    moving_mean,
    root,
)
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


class ScaleByAdamState(NamedTuple):
    """How many gradients were seen, their mean, and the mean of their squares."""

    count: Count  # type: ignore[assignment]
    mu: Signed
    nu: NonNegative


class Moments(NamedTuple):
    """The first and the second moment of the gradient."""

    mu: Signed
    nu: NonNegative


class ScaleByAdam(Rule):
    """Adam."""

    b1: Decay
    b2: Decay
    eps: Magnitude
    eps_root: Magnitude
    Slots: ClassVar[type[Any]] = Moments
    State: ClassVar[type[Any] | None] = ScaleByAdamState

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> Moments:
        return Moments(
            mu=moving_mean(slots.mu, g, self.b1),
            nu=moving_mean(slots.nu, abs_sq(g), self.b2),
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        mu = slots.mu * (1 / bias_correction(self.b1, step))
        return mu / self.denominator(slots.nu, step)

    def denominator(self, nu: Tensor, step: Any) -> Tensor:
        """The root of the debiased second moment."""
        nu = nu * (1 / bias_correction(self.b2, step))
        return root(nu + self.eps_root) + self.eps


class NesterovAdam(ScaleByAdam):
    """Adam that looks one step ahead."""

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        past = self.b1 / bias_correction(self.b1, step + 1)
        present = (1 - self.b1) / bias_correction(self.b1, step)
        return (past * slots.mu + present * g) / self.denominator(slots.nu, step)


def scale_by_adam(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Divides the gradient's moving mean by the root of its squares' moving mean.

        mu <- b1 * mu + (1 - b1) * g
        nu <- b2 * nu + (1 - b2) * |g|**2
        u   = mu / (1 - b1**t) / (sqrt(nu / (1 - b2**t) + eps_root) + eps)

    With `nesterov`, `b1 * mu / (1 - b1**(t+1)) + (1 - b1) * g / (1 - b1**t)` takes the
    place of `mu / (1 - b1**t)`.

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0, for those who differentiate
            through the optimizer.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.
        nesterov: whether to look one step ahead.

    Returns:
        A transformation with `ScaleByAdamState(count, mu, nu)`, two slots like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Kingma and Ba 2014, arXiv 1412.6980; with nesterov Dozat 2016, whose further
    factor `b2` on `nu` is left out, as in Optax. A scheduled `b1` or `b2` counts with
    its present value, as in PyTorch. The bias correction is exact to rounding; in
    Optax's float32 it is off by 1.3e-5 at b2=0.999.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_adam()
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.zeros(2)))[0].round(6)
        Array([ 1., -1.], dtype=float32)
    """
    rule = NesterovAdam if nesterov else ScaleByAdam
    return leafwise(
        rule(b1, b2, eps, eps_root),
        keep(mu=mu_dtype),
    )
