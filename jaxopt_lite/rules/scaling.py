"""Multiples of the gradient, and of the parameter."""

from typing import Any, NamedTuple

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import plus
from jaxopt_lite.core.ranges import FiniteNumber, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation, identity
from jaxopt_lite.core.types import (
    Count,
    Hyperparameter,
    ScheduleFn,
    Tensor,
)


class Scale(Rule):
    """A multiple of the gradient."""

    step_size: FiniteNumber

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return self.step_size * g


def scale(step_size: Hyperparameter) -> GradientTransformation:
    """Multiplies each gradient by a number.

        u = step_size * g

    Args:
        step_size: any finite number; also an array, a schedule or `by_path`.

    Returns:
        A transformation with an `EmptyState`; with a schedule `ScaleByScheduleState`.

    Raises:
        TypeError: if `step_size` is none of these.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale(-0.1)
        >>> tx.update(jnp.array(2.0), tx.init(jnp.array(0.0)))[0]
        Array(-0.2, dtype=float32)
    """
    return leafwise(Scale(step_size))


def scale_by_schedule(step_size_fn: ScheduleFn) -> GradientTransformation:
    """Multiplies each gradient by a number that depends on the step.

        u = step_size_fn(count) * g,  count = 0, 1, 2, …

    Args:
        step_size_fn: a schedule, or a function from the count (an int32 scalar) to a
            number.

    Returns:
        A transformation with `ScaleByScheduleState(count)`.

    Raises:
        TypeError: if `step_size_fn` cannot be called.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_schedule(jl.linear_schedule(1.0, 0.0, 10))
        >>> tx.update(jnp.array(2.0), tx.init(jnp.array(0.0)))
        (Array(2., dtype=float32), ScaleByScheduleState(count=Array(1, dtype=int32)))
    """
    if not callable(step_size_fn):
        raise TypeError(
            f"step_size_fn is {step_size_fn!r}, a {type(step_size_fn).__name__}; "
            f"expected a schedule or a function of the count. Use `scale` for a number."
        )
    return leafwise(Scale(step_size_fn))


class ScaleByLearningRate(Rule):
    """A step against the gradient."""

    learning_rate: Magnitude

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return -self.learning_rate * g


class ScaleByLearningRateUpward(ScaleByLearningRate):
    """A step along the gradient."""

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return self.learning_rate * g


def scale_by_learning_rate(
    learning_rate: Hyperparameter | None = None, *, flip_sign: bool = True
) -> GradientTransformation:
    """Turns a direction into a step downhill of the size of the learning rate.

        u = -learning_rate * g

    Args:
        learning_rate: step size in units of the parameter per unit of the direction,
            at least 0: a number, an array, a schedule or `by_path`. None leaves
            updates as they are.
        flip_sign: whether to step against the direction.

    Returns:
        A transformation with an `EmptyState`; with a schedule `ScaleByScheduleState`.

    Raises:
        ValueError: if the learning rate is negative.
        TypeError: if it is none of these.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_learning_rate(0.1)
        >>> tx.update(jnp.array(2.0), tx.init(jnp.array(0.0)))[0]
        Array(-0.2, dtype=float32)
    """
    if learning_rate is None:
        return identity()
    rule = ScaleByLearningRate if flip_sign else ScaleByLearningRateUpward
    return leafwise(rule(learning_rate))


class WeightDecaySchedule(NamedTuple):
    """The state of a weight decay that follows a schedule."""

    count: Count  # type: ignore[assignment]


class AddDecayedWeights(Rule):
    """The gradient and a multiple of the parameter."""

    weight_decay: Magnitude
    Counted = WeightDecaySchedule
    reads_params = True

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return plus(g, self.weight_decay, p)


class IndependentWeightDecay(AddDecayedWeights):
    """The update less a multiple of the parameter."""

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return plus(g, -self.weight_decay, p)
