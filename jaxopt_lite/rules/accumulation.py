"""Sums and means of the gradients of several steps."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.types import Signed, Tensor


class AccumulateState(NamedTuple):
    """The sum, or the mean, of the gradients of a cycle so far."""

    acc: Signed


class Accumulate(Rule):
    """The sum of the gradients of a cycle; `n` of them came before this one."""

    Slots = AccumulateState

    def advance(
        self, g: Tensor, slots: Any, p: Any, step: Any, *, n: Any
    ) -> AccumulateState:
        # Beginning anew here spares the pass that would clear the sum at the end.
        acc = jnp.where(n == 0, jnp.zeros_like(slots.acc), slots.acc)
        return AccumulateState(acc + self.share(g, acc, n))

    def share(self, g: Tensor, acc: Tensor, n: Any) -> Tensor:
        """What one gradient adds."""
        return g

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any, *, n: Any) -> Tensor:
        return slots.acc


class AccumulateMean(Accumulate):
    """The mean of the gradients of a cycle, which stays in their range."""

    def share(self, g: Tensor, acc: Tensor, n: Any) -> Tensor:
        return (g - acc) * (jnp.ones((), g.real.dtype) / (n + 1))
