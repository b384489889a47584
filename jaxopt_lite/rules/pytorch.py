"""Where PyTorch's formulas are its own: dampening, AdaGrad's epsilon and decay."""

from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.ranges import FiniteNumber, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.types import Tensor
from jaxopt_lite.rules.momentum import Trace, TraceState
from jaxopt_lite.rules.rms import ScaleByRss, over_root


class DampenedTrace(Trace):
    """Momentum that takes every gradient but the first with less weight."""

    dampening: FiniteNumber
    reads_step = True

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> TraceState:
        undamped = (step == 1) | (self.decay == 0)
        weight = jnp.where(undamped, 1.0, 1 - self.dampening)
        return TraceState(weight * g + self.decay * slots.trace)


class DivideByRss(ScaleByRss):
    """AdaGrad with `eps` beside the root."""

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return over_root(g, slots.sum_of_squares, self.eps, eps_in_sqrt=False)


class InverseTimeDecay(Rule):
    """Steps that shrink with one over their number."""

    rate: Magnitude
    reads_step = True

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return g * (1 / (1 + (step - 1) * self.rate))
