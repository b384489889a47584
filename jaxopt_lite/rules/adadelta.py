"""Steps as large as past steps were, whatever the unit of the gradient: Adadelta."""

from typing import Any, NamedTuple

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import abs_sq, moving_mean, ratio, root
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, NonNegative, Tensor


class ScaleByAdaDeltaState(NamedTuple):
    """The mean of squared gradients, and that of squared updates."""

    e_g: NonNegative
    e_x: NonNegative


class ScaleByAdaDelta(Rule):
    """Adadelta. Its update needs the mean of the updates before it."""

    rho: Decay
    eps: Magnitude
    Slots = ScaleByAdaDeltaState

    def update(
        self, g: Tensor, slots: Any, p: Any, step: Any
    ) -> tuple[Tensor, ScaleByAdaDeltaState]:
        e_g = moving_mean(slots.e_g, abs_sq(g), self.rho)
        # Its root is taken once, for the update: XLA writes what two passes take
        # a root of.
        size = ratio(slots.e_x + self.eps, e_g + self.eps)
        e_x = moving_mean(slots.e_x, abs_sq(g) * size, self.rho)
        return g * root(size), ScaleByAdaDeltaState(e_g, e_x)


def scale_by_adadelta(
    rho: Hyperparameter = 0.9, eps: Hyperparameter = 1e-6
) -> GradientTransformation:
    """Divides the gradient by its moving size and multiplies by that of past updates.

        e_g <- rho * e_g + (1 - rho) * |g|**2
        u    = g * sqrt(e_x + eps) / sqrt(e_g + eps)      (0 where e_g + eps is 0)
        e_x <- rho * e_x + (1 - rho) * |u|**2

    Args:
        rho: weight of the past, per step, in [0, 1).
        eps: added under both roots, at least 0; it decides how large the first steps
            are.

    Returns:
        A transformation with `ScaleByAdaDeltaState(e_g, e_x)`, two slots like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zeiler 2012, arXiv 1212.5701. Optax returns nan at a zero gradient with
    `eps=0`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_adadelta(rho=0.0, eps=1.0)
        >>> tx.update(jnp.array(0.75), tx.init(jnp.array(0.0)))[0]
        Array(0.6, dtype=float32)
    """
    return leafwise(ScaleByAdaDelta(rho, eps))
