"""Rules that PyTorch has with step sizes of their own: ASGD, Adafactor."""

from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.numerics import abs_sq, real, root
from jaxopt_lite.core.ranges import Magnitude, Within
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.types import Count, Exact, Tensor


class AsgdSlots(NamedTuple):
    """The step size of the step to come, and the average of the parameters."""

    eta: Exact
    ax: Exact


class AsgdState(NamedTuple):
    """The count, the step size of the step to come, the average of the parameters."""

    count: Count  # type: ignore[assignment]
    eta: Exact
    ax: Exact


class Asgd(Rule):
    """Gradient descent with a falling rate, and an average from step `t0` on."""

    lr: Magnitude
    lambd: Magnitude
    alpha: Magnitude
    t0: Magnitude
    Slots = AsgdSlots
    State = AsgdState
    reads_step = True
    reads_params = True

    def init(self, p: Tensor) -> AsgdSlots:
        return AsgdSlots(jnp.zeros((), real(p.dtype)), jnp.zeros_like(p))

    def update(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Any:
        is_first = step == 1
        eta = jnp.where(is_first, self.lr, slots.eta)
        u = -eta * (self.lambd * p + g)
        share = jnp.where(is_first, 1.0, 1 / jnp.maximum(step - 1 - self.t0, 1.0))
        average = jnp.where(share == 1, p + u, slots.ax + share * (p + u - slots.ax))
        following = self.lr / (1 + self.lambd * self.lr * step) ** self.alpha
        return u, AsgdSlots(following, average)


class AdafactorSlots(NamedTuple):
    """Mean squares of rows and columns of a matrix, or of a vector's elements.

    What a parameter has no use for has one element.
    """

    row_var: Exact
    col_var: Exact
    variance: Exact


class AdafactorState(NamedTuple):
    """The count, and the mean squares of rows, columns and elements."""

    count: Count  # type: ignore[assignment]
    row_var: Exact
    col_var: Exact
    variance: Exact


class Adafactor(Rule):
    """Adafactor, factored in the last two axes of every parameter that has them."""

    lr: Magnitude
    beta2_decay: Annotated[Any, Within("(-inf, 0]")]
    eps1: Magnitude | None
    eps2: Magnitude
    d: Annotated[Any, Within("(0, inf)")]
    weight_decay: Magnitude
    Slots = AdafactorSlots
    State = AdafactorState
    reads_step = True
    reads_params = True

    def init(self, p: Tensor) -> AdafactorSlots:
        dtype = real(p.dtype)
        none = jnp.zeros((1,), dtype)
        if p.ndim < 2:
            return AdafactorSlots(none, none, jnp.zeros_like(p, dtype=dtype))
        *stack, rows, columns = p.shape
        row = jnp.zeros((*stack, rows, 1), dtype)
        return AdafactorSlots(row, jnp.zeros((*stack, 1, columns), dtype), none)

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> AdafactorSlots:
        weight = step**self.beta2_decay
        squares = abs_sq(g)

        def moved(mean: Tensor, x: Tensor) -> Tensor:
            return mean + weight * (x - mean)

        if g.ndim < 2:
            return slots._replace(variance=moved(slots.variance, squares))
        return slots._replace(
            row_var=moved(slots.row_var, _mean(squares, -1)),
            col_var=moved(slots.col_var, _mean(squares, -2)),
        )

    def emit(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Tensor:
        eps = jnp.finfo(p.dtype).eps if self.eps1 is None else self.eps1
        nu = slots.variance
        if g.ndim >= 2:
            level = jnp.maximum(_mean(slots.row_var, -2), eps)
            nu = slots.row_var * slots.col_var / level
        u = g / root(jnp.maximum(nu, eps * eps))
        scale = jnp.maximum(self.eps2, _root_mean_square(p))
        rate = scale * jnp.minimum(self.lr, 1 / jnp.sqrt(step))
        step_down = rate / jnp.maximum(1.0, _root_mean_square(u) / self.d) * u
        return -step_down - self.lr * self.weight_decay * p


def _mean(x: Tensor, axis: int) -> Tensor:
    """The mean along an axis, which stays; 0 where it has no elements."""
    return jnp.sum(x, axis, keepdims=True) / max(x.shape[axis], 1)


def _root_mean_square(x: Tensor) -> Tensor:
    return root(jnp.sum(abs_sq(x)) / max(x.size, 1))
