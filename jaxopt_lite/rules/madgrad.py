"""Dual averaging by the cube root of past squares: MADGRAD."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import abs_sq, cube_root, ratio
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    Exact,
    Hyperparameter,
    NonNegative,
    Signed,
    Tensor,
)
from jaxopt_lite.rules.rms import filled


class MadgradState(NamedTuple):
    """How many gradients were seen, their weighted sums, and the first parameters."""

    count: Count  # type: ignore[assignment]
    grad_sum_sq: NonNegative
    s: Signed
    x0: Exact


class MadgradSums(NamedTuple):
    """The weighted sums of squares and of gradients, and the first parameter."""

    grad_sum_sq: NonNegative
    s: Signed
    x0: Exact


class ScaleByMadgrad(Rule):
    """MADGRAD."""

    learning_rate: Magnitude
    momentum: Decay
    eps: Magnitude
    Slots = MadgradSums
    State = MadgradState
    reads_params = True

    def init(self, p: Tensor) -> MadgradSums:
        return MadgradSums(filled(p, 0.0), jnp.zeros_like(p), p)

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> MadgradSums:
        weight = (self.learning_rate + self.eps) * jnp.sqrt(step)
        return MadgradSums(
            slots.grad_sum_sq + weight * abs_sq(g), slots.s + weight * g, slots.x0
        )

    def emit(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Tensor:
        size = cube_root(slots.grad_sum_sq) + self.eps
        # The difference first: near the beginning it is small, and exact.
        return (1 - self.momentum) * ((slots.x0 - p) - ratio(slots.s, size))


def scale_by_madgrad(
    learning_rate: Hyperparameter,
    momentum: Hyperparameter = 0.9,
    eps: Hyperparameter = 1e-6,
) -> GradientTransformation:
    """Steps towards where the weighted sum of all gradients leads from the beginning.

        w = (learning_rate + eps) * sqrt(t)
        grad_sum_sq <- grad_sum_sq + w * |g|**2
        s           <- s + w * g
        u = (1 - momentum) * (x0 - s / (cbrt(grad_sum_sq) + eps) - p)

    where `x0` are the parameters that `init` saw. The update is the step itself: it
    wants no learning rate behind it.

    Args:
        learning_rate: weight of the gradients, at least 0.
        momentum: share of the way that is not taken in one step, in [0, 1).
        eps: added to the learning rate and to the cube root, at least 0.

    Returns:
        A transformation with `MadgradState(count, grad_sum_sq, s, x0)`, three slots
        like the parameter, of which `x0` is a copy of it.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Defazio and Jelassi 2021, arXiv 2101.11075, with `eps` as in the authors'
    code. There `momentum=0` keeps no `x0`. Optax returns nan at a zero gradient with
    `eps=0`, takes the root of `t` in float32 also for float64, and squares complex
    gradients.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_madgrad(1.0, momentum=0.5, eps=0.0)
        >>> p = jnp.array(3.0)
        >>> tx.update(jnp.array(8.0), tx.init(p), p)[0]
        Array(-1., dtype=float32)
    """
    return leafwise(ScaleByMadgrad(learning_rate, momentum, eps))
