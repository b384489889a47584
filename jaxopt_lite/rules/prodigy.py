"""Adam whose step size is estimated from how far it has come: Prodigy."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core.numerics import (
    abs_sq,
    bias_correction,
    inner,
    moving_mean,
    ratio,
    real,
    root,
)
from jaxopt_lite.core.ranges import WHOLE_TREE, Decay, Magnitude, Within
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.types import (
    Count,
    Exact,
    NonNegative,
    Numeric,
    Signed,
    Tensor,
)


class ProdigyState(NamedTuple):
    """Adam's moments, the weighted sum of gradients, the start, and the estimate."""

    exp_avg: Signed
    exp_avg_sq: NonNegative
    grad_sum: Signed
    params0: Exact
    estim_lr: jax.Array
    numerator_weighted: jax.Array
    count: Count  # type: ignore[assignment]


class ProdigySlots(NamedTuple):
    """What is kept for each parameter."""

    exp_avg: Signed
    exp_avg_sq: NonNegative
    grad_sum: Signed
    params0: Exact


class Estimate(NamedTuple):
    """The estimated distance to the solution, and the sum that it comes from."""

    estim_lr: Any
    numerator_weighted: Any


class Step(NamedTuple):
    """The next estimate, the one before it, and the step size, which follows that."""

    estim_lr: Any
    numerator_weighted: Any
    d: Any
    rate: Any


class Prodigy(SharedRule):
    """Prodigy; `decays` is a flag, or for each leaf one.

    The weights of past gradients fall with the root of `b2` if `b3` is None.
    """

    learning_rate: Annotated[Magnitude, WHOLE_TREE]
    b1: Annotated[Decay, WHOLE_TREE]
    b2: Annotated[Decay, WHOLE_TREE]
    b3: Annotated[Decay, WHOLE_TREE] | None
    eps: Magnitude
    estim_lr0: Annotated[Any, Within("(0, inf)"), WHOLE_TREE]
    estim_lr_coef: Annotated[Magnitude, WHOLE_TREE]
    weight_decay: Magnitude
    decays: Any
    safeguard_warmup: bool
    Slots = ProdigySlots
    State = ProdigyState
    reads_params = True

    def init(self, p: Tensor) -> ProdigySlots:
        zero = jnp.zeros_like(p)
        nu = jnp.zeros_like(p, dtype=real(p.dtype))
        return ProdigySlots(zero, nu, zero, params0=p)

    def begin(self) -> Estimate:
        return Estimate(self.estim_lr0, 0.0)

    def measure(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, shared: Any
    ) -> tuple[Tensor, Tensor]:
        d = shared.estim_lr
        grad_sum = self.grad_sum(g, slots, d, self.rate(d, step))
        return inner(g, slots.params0 - p), jnp.sum(jnp.abs(grad_sum))

    def settle(self, shared: Any, total: Any, step: Any) -> Step:
        d = shared.estim_lr
        rate = self.rate(d, step)
        progress, size = total
        numerator = self.past() * shared.numerator_weighted
        numerator = numerator + d / self.estim_lr0 * rate * progress
        found = self.estim_lr_coef * ratio(numerator, size)
        return Step(jnp.maximum(d, found), numerator, d, rate)

    def advance(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, shared: Any
    ) -> ProdigySlots:
        scaled = shared.d * g
        return ProdigySlots(
            moving_mean(slots.exp_avg, scaled, self.b1),
            moving_mean(slots.exp_avg_sq, abs_sq(scaled), self.b2),
            self.grad_sum(g, slots, shared.d, shared.rate),
            slots.params0,
        )

    def emit(
        self, g: Tensor, slots: Any, p: Tensor, step: Any, *, shared: Any
    ) -> Tensor:
        u = slots.exp_avg / (root(slots.exp_avg_sq) + shared.estim_lr * self.eps)
        return -shared.rate * (u + self.weight_decay * p if self.decays else u)

    def rate(self, d: Any, step: Any) -> Any:
        """The step size, with Adam's bias correction."""
        return d * self.learning_rate * debias(self.b1, self.b2, step)

    def past(self) -> Any:
        """The weight of past gradients in the estimate."""
        return self.b2**0.5 if self.b3 is None else self.b3

    def grad_sum(self, g: Tensor, slots: Any, d: Any, rate: Any) -> Tensor:
        """The weighted sum of gradients, with this one."""
        weight = d / self.estim_lr0 * (d if self.safeguard_warmup else rate)
        return self.past() * slots.grad_sum + weight * g


def debias(b1: Numeric, b2: Numeric, step: Any) -> Any:
    """What the bias corrections of Adam's two moments come to together."""
    return jnp.sqrt(bias_correction(b2, step)) / bias_correction(b1, step)
