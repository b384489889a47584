"""Gradients that look ahead by the change since the last one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.ranges import FiniteNumber
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Signed, Tensor


class ScaleByOptimisticGradientState(NamedTuple):
    """Whether no gradient was seen yet, and the last one."""

    is_initial_step: jax.Array
    previous_gradient: Signed


class PreviousGradient(NamedTuple):
    """The slot of `ScaleByOptimisticGradient`."""

    previous_gradient: Signed


class Beginning(NamedTuple):
    """Whether no gradient was seen before this step, and after it."""

    is_initial_step: Any
    was_initial_step: Any


class Begun(NamedTuple):
    """What is kept of `Beginning`."""

    is_initial_step: Any


class ScaleByOptimisticGradient(SharedRule):
    """The optimistic gradient, which needs the gradient before."""

    alpha: FiniteNumber
    beta: FiniteNumber
    Slots = PreviousGradient
    State = ScaleByOptimisticGradientState

    def begin(self) -> Begun:
        return Begun(jnp.array(True))

    def settle(self, shared: Any, total: Any, step: Any) -> Beginning:
        return Beginning(jnp.array(False), shared.is_initial_step)

    def update(
        self, g: Tensor, slots: Any, p: Any, step: Any, *, shared: Any
    ) -> tuple[Tensor, PreviousGradient]:
        past = jnp.where(shared.was_initial_step, g, slots.previous_gradient)
        return self.alpha * g + self.beta * (g - past), PreviousGradient(g)


def scale_by_optimistic_gradient(
    alpha: Hyperparameter = 1.0, beta: Hyperparameter = 1.0
) -> GradientTransformation:
    """Adds to each gradient what has changed since the last one.

        u = alpha * g + beta * (g - previous_gradient);  previous_gradient <- g

    In the first step the change is zero.

    Args:
        alpha: weight of the gradient, finite.
        beta: weight of the change, finite.

    Returns:
        A transformation with `ScaleByOptimisticGradientState(is_initial_step,
        previous_gradient)`: a flag, and one slot like the parameter.

    Raises:
        TypeError: if an argument is no number, array, schedule or `by_path`.

    Source: Rakhlin and Sridharan 2013, arXiv 1311.1869; Mokhtari, Ozdaglar and
    Pattathil 2019, arXiv 1901.08511.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_optimistic_gradient()
        >>> u, state = tx.update(jnp.array(3.0), tx.init(jnp.array(0.0)))
        >>> u, tx.update(jnp.array(4.0), state)[0]
        (Array(3., dtype=float32), Array(5., dtype=float32))
    """
    return leafwise(ScaleByOptimisticGradient(alpha, beta))
