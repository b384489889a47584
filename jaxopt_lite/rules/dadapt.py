"""Adam whose step size is estimated from the agreement of gradients: D-Adaptation."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core.numerics import (
    abs_sq,
    inner,
    moving_mean,
    ratio,
    root,
)
from jaxopt_lite.core.ranges import WHOLE_TREE, Decay, Magnitude, Within
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.types import Count, NonNegative, Signed, Tensor
from jaxopt_lite.rules.prodigy import Estimate, debias


class DAdaptAdamWState(NamedTuple):
    """Adam's moments, the mean of the steps so far, and the estimate."""

    exp_avg: Signed
    exp_avg_sq: NonNegative
    grad_sum: Signed
    estim_lr: jax.Array
    numerator_weighted: jax.Array
    count: Count  # type: ignore[assignment]


class DAdaptSlots(NamedTuple):
    """What is kept for each parameter."""

    exp_avg: Signed
    exp_avg_sq: NonNegative
    grad_sum: Signed


class Step(NamedTuple):
    """The next estimate, and the step size, which follows the one before it."""

    estim_lr: Any
    numerator_weighted: Any
    rate: Any


class DAdaptAdamW(SharedRule):
    """D-Adaptation of AdamW."""

    learning_rate: Annotated[Magnitude, WHOLE_TREE]
    b1: Annotated[Decay, WHOLE_TREE]
    b2: Annotated[Decay, WHOLE_TREE]
    eps: Annotated[Any, Within("(0, inf)")]
    estim_lr0: Annotated[Any, Within("(0, inf)"), WHOLE_TREE]
    weight_decay: Magnitude
    Slots = DAdaptSlots
    State = DAdaptAdamWState
    reads_params = True

    def begin(self) -> Estimate:
        return Estimate(self.estim_lr0, 0.0)

    def measure(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, shared: Any
    ) -> tuple[Tensor, Tensor]:
        weighted = slots.grad_sum / (root(slots.exp_avg_sq) + self.eps)
        grad_sum = self.grad_sum(g, slots, self.rate(shared.estim_lr, step))
        return inner(g, weighted), jnp.sum(jnp.abs(grad_sum))

    def settle(self, shared: Any, total: Any, step: Any) -> Step:
        rate = self.rate(shared.estim_lr, step)
        agreement, size = total
        past, present = self.weights()
        numerator = past * shared.numerator_weighted + present * rate * agreement
        found = ratio(numerator, present * size)
        return Step(jnp.maximum(shared.estim_lr, found), numerator, rate)

    def advance(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, shared: Any
    ) -> DAdaptSlots:
        return DAdaptSlots(
            moving_mean(slots.exp_avg, shared.rate * g, self.b1),
            moving_mean(slots.exp_avg_sq, abs_sq(g), self.b2),
            self.grad_sum(g, slots, shared.rate),
        )

    def emit(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, shared: Any
    ) -> Tensor:
        moved = slots.exp_avg / (root(slots.exp_avg_sq) + self.eps)
        return -moved - self.weight_decay * shared.rate * p

    def rate(self, d: Any, step: Any) -> Any:
        """The step size, with Adam's bias correction."""
        return d * self.learning_rate * debias(self.b1, self.b2, step)

    def weights(self) -> tuple[Any, Any]:
        """Those of the past and of the present in the means."""
        root = self.b2**0.5
        return root, (1 - self.b2) / (1 + root)

    def grad_sum(self, g: Tensor, slots: Any, rate: Any) -> Tensor:
        """The mean of the steps, with this one."""
        past, present = self.weights()
        return past * slots.grad_sum + present * rate * g
