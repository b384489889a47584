"""The sign of the gradient's mean: Lion."""

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import moving_mean
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Hyperparameter,
    Signed,
    Tensor,
)

Mode = Literal["hard", "smooth", "refined"]


class ScaleByLionState(NamedTuple):
    """How many gradients were seen, and their mean."""

    count: Count  # type: ignore[assignment]
    mu: Signed


class Mean(NamedTuple):
    """The mean of the gradient."""

    mu: Signed


class Lion(Rule):
    """What both forms of Lion share; `mode` chooses what becomes of the mean."""

    b1: Decay
    b2: Decay
    mode: Mode
    smooth_beta: Magnitude
    Slots = Mean
    State = ScaleByLionState

    def bounded(self, mean: Tensor) -> Tensor:
        """The mean, with elements of magnitude 1 at most."""
        if self.mode == "hard":
            return jnp.sign(mean)
        if self.mode == "smooth":
            return jnp.tanh(self.smooth_beta * mean)
        return jnp.where(jnp.abs(mean) < 1, mean, jnp.sign(mean))


class LionFromOldMean(Lion):
    """Lion as it is written, for any `b2`."""

    def update(self, g: Tensor, slots: Any, p: Any, step: Any) -> tuple[Tensor, Mean]:
        mean = moving_mean(slots.mu, g, self.b1)
        return self.bounded(mean), Mean(moving_mean(slots.mu, g, self.b2))


class LionFromNewMean(Lion):
    """Lion that finds its mean again in the new slot, and so moves fewer bytes.

    `b1 * old + (1 - b1) * g` is `(b1 * new + (b2 - b1) * g) / b2`. The division makes
    rounding errors larger: this is for a `b2` that is known not to be small.
    """

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> Mean:
        return Mean(moving_mean(slots.mu, g, self.b2))

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        weight = self.b1 / self.b2
        return self.bounded(weight * slots.mu + (1 - weight) * g)


def scale_by_lion(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.99,
    mu_dtype: DTypeLike | None = None,
    *,
    mode: Mode = "hard",
    smooth_beta: Hyperparameter = 1.0,
) -> GradientTransformation:
    """Takes the sign of a mean of the gradient and its past.

        u   = sign(b1 * mu + (1 - b1) * g)
        mu <- b2 * mu + (1 - b2) * g

    Args:
        b1: weight of the past in the update, in [0, 1).
        b2: weight of the past in the mean that is kept, per step, in [0, 1).
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.
        mode: `"hard"` for the sign; `"smooth"` for `tanh(smooth_beta * x)` of the mean
            `x`; `"refined"` for `x` where it is below 1 in magnitude, else its sign.
        smooth_beta: how steep the smooth sign is, at least 0.

    Returns:
        A transformation with `ScaleByLionState(count, mu)`, one slot like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Chen et al. 2023, arXiv 2302.06675. Where `b2` is a Python number of at
    least 0.5 the mean is found from the new `mu`: to rounding the same, with fewer
    bytes to move.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_lion()
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.zeros(2)))[0]
        Array([ 1., -1.], dtype=float32)
    """
    if mode not in ("hard", "smooth", "refined"):
        raise ValueError(f"mode is {mode!r}; expected 'hard', 'smooth' or 'refined'.")
    is_large = isinstance(b2, float) and b2 >= 0.5
    rule = (LionFromNewMean if is_large else LionFromOldMean)(b1, b2, mode, smooth_beta)
    return leafwise(rule, keep(mu=mu_dtype))
