"""Step sizes from a model of the loss that momentum builds: MoMo."""

from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core.numerics import (
    abs_sq,
    bias_correction,
    inner,
    moving_mean,
    ratio,
    root,
)
from jaxopt_lite.core.ranges import WHOLE_TREE, Decay, FiniteNumber, Magnitude
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.types import Count, NonNegative, Signed, Tensor


class MomoState(NamedTuple):
    """The mean gradient, and the means of losses and of <gradient, parameter>."""

    exp_avg: Signed
    barf: jax.Array
    gamma: jax.Array
    lb: jax.Array
    count: Count  # type: ignore[assignment]


class MomoAdamState(NamedTuple):
    """Adam's moments, and the means of losses and of <gradient, parameter>."""

    exp_avg: Signed
    exp_avg_sq: NonNegative
    barf: jax.Array
    gamma: jax.Array
    lb: jax.Array
    count: Count  # type: ignore[assignment]


class MomoSlots(NamedTuple):
    """The mean gradient."""

    exp_avg: Signed


class MomoAdamSlots(NamedTuple):
    """Adam's moments."""

    exp_avg: Signed
    exp_avg_sq: NonNegative


class Model(NamedTuple):
    """The means that the model of the loss is made of, and its lower bound."""

    barf: Any
    gamma: Any
    lb: Any


class Step(NamedTuple):
    """The model after this step, and the step size."""

    barf: Any
    gamma: Any
    lb: Any
    rate: Any


class Momo(SharedRule):
    """MoMo; `adapt_lower_bound` says whether the lower bound follows the loss."""

    learning_rate: Annotated[Magnitude, WHOLE_TREE]
    b1: Annotated[Decay, WHOLE_TREE]
    lower_bound: Annotated[FiniteNumber, WHOLE_TREE]
    weight_decay: Annotated[Magnitude, WHOLE_TREE]
    adapt_lower_bound: bool
    Slots: ClassVar[type[Any]] = MomoSlots
    State: ClassVar[type[Any] | None] = MomoState
    reads_params = True

    def begin(self) -> Model:
        return Model(0.0, 0.0, self.lower_bound)

    def measure(
        self, g: Tensor, slots: Any, p: Tensor, step: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        new = self.advance(g, slots, p, step)
        size = inner(new.exp_avg, self.direction(new, step))
        return inner(g, p), self.along(slots, new, p), size

    def settle(self, shared: Any, total: Any, step: Any, *, value: Any) -> Step:
        slope, along, size = total
        present, gathered = self.weight(step), self.gathered(step)
        loss = jnp.asarray(value, slope.dtype)
        barf = self.b1 * shared.barf + present * loss
        gamma = self.b1 * shared.gamma + present * slope
        k = 1 + self.learning_rate * self.weight_decay
        tilt = partial(self.tilt, along, shared.gamma, present * slope)
        gap = k * barf + tilt(k)
        bound = self.bound(shared.lb, gap, k * gathered)
        # The proximal step ends where the model reaches its bound, or at the full rate.
        reach = jnp.maximum(gap - k * gathered * bound, 0.0)
        rate = jnp.minimum(self.learning_rate / gathered, ratio(reach, size))
        if self.adapt_lower_bound:
            ahead = barf + tilt(1) - rate * size / 2
            bound = jnp.maximum(ahead / gathered, self.lower_bound)
        return Step(barf, gamma, bound, rate)

    def bound(self, known: Any, gap: Any, weight: Any) -> Any:
        """The lower bound in force: lowered where the model is below it already."""
        if not self.adapt_lower_bound:
            return self.lower_bound
        lowered = jnp.maximum(gap / (2 * weight), self.lower_bound)
        return jnp.where(gap < weight * known, lowered, known)

    def advance(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Any:
        return MomoSlots(self.b1 * slots.exp_avg + self.weight(step) * g)

    def emit(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, shared: Any
    ) -> Tensor:
        decay = self.learning_rate * self.weight_decay
        moved = shared.rate * self.direction(slots, step)
        return -(moved + decay * p) * (1 / (1 + decay))

    def along(self, old: Any, new: Any, p: Tensor) -> Tensor:
        """What `tilt` needs of the mean gradient along the parameter."""
        return inner(new.exp_avg, p)  # the old one, read here, would be copied

    def tilt(self, along: Any, gamma: Any, share: Any, k: Any) -> Any:
        """<mean gradient, p> - k * gamma, from `gamma` before and its new share."""
        return along - k * (self.b1 * gamma + share)

    def weight(self, step: Any) -> Any:
        """The weight of the present in the means, which begin at their first value."""
        return jnp.where(step == 1, 1.0, 1 - self.b1)

    def gathered(self, step: Any) -> Any:
        """The sum of the weights in the means."""
        return 1.0

    def direction(self, slots: Any, step: Any) -> Tensor:
        """What the step is a multiple of."""
        mean: Tensor = slots.exp_avg
        return mean


class MomoAdam(Momo):
    """MoMo in the metric of Adam."""

    b2: Decay
    eps: Magnitude
    Slots = MomoAdamSlots
    State = MomoAdamState

    def advance(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> MomoAdamSlots:
        return MomoAdamSlots(
            moving_mean(slots.exp_avg, g, self.b1),
            moving_mean(slots.exp_avg_sq, abs_sq(g), self.b2),
        )

    def along(self, old: Any, new: Any, p: Tensor) -> Tensor:
        return inner(old.exp_avg, p)

    def tilt(self, along: Any, gamma: Any, share: Any, k: Any) -> Any:
        # At k = 1 the share cancels, and its rounding with it.
        return self.b1 * (along - k * gamma) + (1 - k) * share

    def weight(self, step: Any) -> Any:
        return 1 - self.b1

    def gathered(self, step: Any) -> Any:
        return bias_correction(self.b1, step)

    def direction(self, slots: Any, step: Any) -> Tensor:
        nu = slots.exp_avg_sq * (1 / bias_correction(self.b2, step))
        return slots.exp_avg / (root(nu) + self.eps)
