"""A clipped Newton step with a diagonal Hessian that is refreshed now and then."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.numerics import bias_correction, moving_mean
from jaxopt_lite.core.ranges import Bound, Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.types import Count, Signed, Tensor


class CurvatureState(NamedTuple):
    """How many gradients were seen, their mean, and that of the Hessian's diagonal."""

    count: Count  # type: ignore[assignment]
    mu: Signed
    nu: Signed


class Curvature(NamedTuple):
    """The mean of the gradient, and that of the Hessian's diagonal."""

    mu: Signed
    nu: Signed


class ScaleBySophia(Rule):
    """Sophia; the step is taken with the curvature that was known before it."""

    b1: Decay
    b2: Decay
    eps: Magnitude
    gamma: Magnitude
    clip_threshold: Bound
    Slots = Curvature
    State = CurvatureState
    reads_step = True
    trees = ("hessian",)

    def update(
        self,
        g: Tensor,
        slots: Curvature,
        p: Any,
        step: Tensor,
        *,
        hessian: Tensor,
        is_fresh: Any,
    ) -> tuple[Tensor, Curvature]:
        mu = moving_mean(slots.mu, g, self.b1)
        debiased = mu * (1 / bias_correction(self.b1, step))
        u = debiased / jnp.maximum(self.gamma * slots.nu, self.eps)
        nu = jnp.where(is_fresh, moving_mean(slots.nu, hessian, self.b2), slots.nu)
        bound = self.clip_threshold
        return jnp.clip(u, -bound, bound), Curvature(mu, nu)
