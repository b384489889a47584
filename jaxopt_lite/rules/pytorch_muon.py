"""Muon as PyTorch writes it: the iteration in bfloat16, no bias correction."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.numerics import moving_mean, root
from jaxopt_lite.core.placement import as_it_lies
from jaxopt_lite.core.ranges import Decay
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.types import Tensor
from jaxopt_lite.rules.momentum import TraceState


class Muon(Rule):
    """The momentum of a matrix, its singular values drawn to one."""

    momentum: Decay
    nesterov: bool
    ns_coefficients: tuple[float, float, float]
    eps: float
    ns_steps: int
    adjust_lr_fn: str | None
    Slots = TraceState
    stacks = True

    def init(self, p: Tensor) -> TraceState:
        if p.ndim != 2:
            raise ValueError(
                f"muon: a parameter has the shape {p.shape}; expected matrices alone. "
                f"Give the others another optimizer with `partition`."
            )
        return TraceState(jnp.zeros_like(p))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> TraceState:
        return TraceState(moving_mean(slots.trace, g, self.momentum))

    def emit(
        self,
        g: Tensor,
        slots: Any,
        p: Any,
        step: Any,
        *,
        whole: Callable[[Tensor], Tensor] = as_it_lies,
    ) -> Tensor:
        u = moving_mean(g, slots.trace, 1 - self.momentum)
        u = whole(u if self.nesterov else slots.trace)
        return self.adjustment(*g.shape) * self.orthogonal(u).astype(g.dtype)

    def orthogonal(self, u: Tensor) -> Tensor:
        """Newton and Schulz's iteration, in bfloat16."""
        a, b, c = self.ns_coefficients
        x = u.astype(jnp.bfloat16)
        x = x.T if u.shape[0] > u.shape[1] else x
        norm = root(jnp.sum(jnp.square(x.astype(jnp.float32))))
        x = x / jnp.maximum(norm.astype(jnp.bfloat16), self.eps)
        for _ in range(self.ns_steps):
            gram = x @ x.T
            x = _fused(a, x, 1.0, _fused(b, gram, c, gram, gram), x)
        return x.T if u.shape[0] > u.shape[1] else x

    def adjustment(self, rows: int, columns: int) -> float:
        """The factor of the learning rate for a matrix of this shape."""
        if self.adjust_lr_fn == "match_rms_adamw":
            return 0.2 * math.sqrt(max(rows, columns))
        return math.sqrt(max(1, rows / columns))


def _fused(beta: float, x: Tensor, alpha: float, y: Tensor, z: Tensor) -> Tensor:
    """`beta * x + alpha * (y @ z)`, rounded to bfloat16 once."""
    product = jnp.matmul(y, z, preferred_element_type=jnp.float32)
    return (beta * x.astype(jnp.float32) + alpha * product).astype(jnp.bfloat16)
