"""Adam with a moving mean of the gradient's changes: Adan."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import (
    abs_sq,
    bias_correction,
    moving_mean,
    root,
)
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    Hyperparameter,
    NonNegative,
    Signed,
    Tensor,
)


class ScaleByAdanState(NamedTuple):
    """Means of the gradient, its changes and its squares; the last; how many."""

    m: Signed
    v: Signed
    n: NonNegative
    g: Signed
    t: Count


class AdanSlots(NamedTuple):
    """Means of the gradient, its changes and its squares, and the last gradient."""

    m: Signed
    v: Signed
    n: NonNegative
    g: Signed


class ScaleByAdan(Rule):
    """Adan."""

    b1: Decay
    b2: Decay
    b3: Decay
    eps: Magnitude
    eps_root: Magnitude
    Slots = AdanSlots
    State = ScaleByAdanState
    counter = "t"

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> AdanSlots:
        change = jnp.where(step == 1, 0.0, g - slots.g)
        return AdanSlots(
            m=moving_mean(slots.m, g, self.b1),
            v=moving_mean(slots.v, change, self.b2),
            n=moving_mean(slots.n, abs_sq(g + self.b2 * change), self.b3),
            g=g,
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        ahead = self.b2 / bias_correction(self.b2, step)
        mean = slots.m * (1 / bias_correction(self.b1, step)) + slots.v * ahead
        square = slots.n * (1 / bias_correction(self.b3, step))
        return mean / (root(square + self.eps_root) + self.eps)


def scale_by_adan(
    b1: Hyperparameter = 0.98,
    b2: Hyperparameter = 0.92,
    b3: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
) -> GradientTransformation:
    """Adam's step, with the gradient's mean carried on by the mean of its changes.

        d  = g - (gradient of the step before)    (0 at t = 1)
        m <- b1 * m + (1 - b1) * g
        v <- b2 * v + (1 - b2) * d
        n <- b3 * n + (1 - b3) * |g + b2 * d|**2
        u  = (m / (1 - b1**t) + b2 * v / (1 - b2**t))
             / (sqrt(n / (1 - b3**t) + eps_root) + eps)

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean of changes, per step, in [0, 1).
        b3: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0, for those who differentiate
            through the optimizer.

    Returns:
        A transformation with `ScaleByAdanState(m, v, n, g, t)`, four slots like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Xie et al. 2022, arXiv 2208.06677, whose betas are one minus these. Optax
    has `1 - b2` where the paper and its authors' code have `b2` twice: of `d` and `v`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_adan()
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.zeros(2)))[0].round(6)
        Array([ 1., -1.], dtype=float32)
    """
    return leafwise(ScaleByAdan(b1, b2, b3, eps, eps_root))
