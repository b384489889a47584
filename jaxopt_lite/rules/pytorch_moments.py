"""Adam's relatives as PyTorch writes them: AMSGrad, NAdam, RAdam."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.numerics import (
    abs_sq,
    bias_correction,
    moving_mean,
    real,
    root,
)
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.types import Count, Exact, NonNegative, Signed, Tensor
from jaxopt_lite.rules.adam import Moments, ScaleByAdam, ScaleByAdamState
from jaxopt_lite.rules.maximum import ScaleByAmsgrad


class Amsgrad(ScaleByAmsgrad):
    """AMSGrad over the largest second moment before its bias is corrected."""

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        mu = slots.mu * (1 / bias_correction(self.b1, step))
        return mu / self.denominator(slots.nu_max, step)


class MomentsAndProduct(NamedTuple):
    """The two moments, and the product of all momentum weights so far."""

    mu: Signed
    nu: NonNegative
    mu_product: Exact


class NadamState(NamedTuple):
    """The two moments, the product of all momentum weights so far, and the count."""

    count: Count  # type: ignore[assignment]
    mu: Signed
    nu: NonNegative
    mu_product: Exact


class Nadam(Rule):
    """Nesterov's momentum in Adam, with a weight that rises from step to step."""

    b1: Decay
    b2: Decay
    eps: Magnitude
    momentum_decay: Magnitude
    Slots = MomentsAndProduct
    State = NadamState
    reads_step = True

    def init(self, p: Tensor) -> MomentsAndProduct:
        dtype = real(p.dtype)
        zeros = jnp.zeros_like(p, dtype=dtype)
        return MomentsAndProduct(jnp.zeros_like(p), zeros, jnp.ones((), dtype))

    def momentum(self, step: Any) -> Any:
        """The weight of the momentum at a step."""
        return self.b1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> MomentsAndProduct:
        return MomentsAndProduct(
            mu=moving_mean(slots.mu, g, self.b1),
            nu=moving_mean(slots.nu, abs_sq(g), self.b2),
            mu_product=slots.mu_product * self.momentum(step),
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        following = self.momentum(step + 1)
        present = (1 - self.momentum(step)) / (1 - slots.mu_product)
        past = following / (1 - slots.mu_product * following)
        nu = slots.nu * (1 / bias_correction(self.b2, step))
        return (present * g + past * slots.mu) / (root(nu) + self.eps)


class Radam(Rule):
    """Adam that trusts its second moment only after some steps."""

    b1: Decay
    b2: Decay
    eps: Magnitude
    Slots = Moments
    State = ScaleByAdamState
    reads_step = True
    advance = ScaleByAdam.advance

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        mu = slots.mu * (1 / bias_correction(self.b1, step))
        gathered = bias_correction(self.b2, step)
        longest = 2 / (1 - self.b2) - 1
        length = longest - 2 * step * (1 - gathered) / gathered
        is_long = length > 5
        # Where the length is not trusted the root may be of a negative number.
        safe = jnp.where(is_long, length, 6.0)
        ratio = (safe - 4) * (safe - 2) * longest
        rectified = jnp.sqrt(ratio / ((longest - 4) * (longest - 2) * safe) * gathered)
        return mu * jnp.where(is_long, rectified / (root(slots.nu) + self.eps), 1.0)
