"""Averages of past gradients: momentum and the moving mean."""

from typing import Annotated, Any, NamedTuple

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import bias_correction, moving_mean
from jaxopt_lite.core.ranges import Decay, Within
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Hyperparameter,
    Signed,
    Tensor,
)


class TraceState(NamedTuple):
    """The trace of past gradients."""

    trace: Signed


class Trace(Rule):
    """Heavy-ball momentum."""

    decay: Annotated[Any, Within("[0, 1]")]
    Slots = TraceState

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> TraceState:
        return TraceState(g + self.decay * slots.trace)

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return slots.trace


class NesterovTrace(Trace):
    """Momentum that looks one step ahead."""

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return g + self.decay * slots.trace


def trace(
    decay: Hyperparameter,
    nesterov: bool = False,
    accumulator_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Adds up past gradients, each weighted by how long ago it came.

        trace <- g + decay * trace
        u      = trace                        (g + decay * trace with nesterov)

    Args:
        decay: weight of the past, per step, in [0, 1]; 0.9 is usual.
        nesterov: whether to look one step ahead.
        accumulator_dtype: dtype in which the trace is kept; by default the
            parameter's, at least float32.

    Returns:
        A transformation with `TraceState(trace)`, one slot like the parameter.

    Raises:
        ValueError: if `decay` is outside [0, 1].
        TypeError: if `decay` is no number, array, schedule or `by_path`.

    Source: Polyak 1964; Nesterov 1983; in this form Sutskever et al. 2013. Optax keeps
    a bfloat16 parameter's trace in bfloat16.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.trace(0.9)
        >>> u, state = tx.update(jnp.array(1.0), tx.init(jnp.array(0.0)))
        >>> u, state = tx.update(jnp.array(1.0), state)
        >>> u
        Array(1.9, dtype=float32)
    """
    rule = NesterovTrace if nesterov else Trace
    return leafwise(rule(decay), keep(trace=accumulator_dtype))


class EmaState(NamedTuple):
    """The moving mean of past gradients."""

    count: Count  # type: ignore[assignment]
    ema: Signed


class EmaSlots(NamedTuple):
    """The slot of `Ema`."""

    ema: Signed


class Ema(Rule):
    """The exponential moving mean."""

    decay: Decay
    Slots = EmaSlots
    State = EmaState

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> EmaSlots:
        return EmaSlots(moving_mean(slots.ema, g, self.decay))

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return slots.ema


class DebiasedEma(Ema):
    """The exponential moving mean of what has been seen."""

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return slots.ema / bias_correction(self.decay, step)


def ema(
    decay: Hyperparameter,
    debias: bool = True,
    accumulator_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Replaces each gradient by the exponential moving mean of the gradients so far.

        ema <- decay * ema + (1 - decay) * g
        u    = ema / (1 - decay**t)           (ema without debias)

    Args:
        decay: weight of the past, per step, in [0, 1).
        debias: whether to divide by the weight gathered so far.
        accumulator_dtype: dtype in which the mean is kept; by default the
            parameter's, at least float32.

    Returns:
        A transformation with `EmaState(count, ema)`, one slot like the parameter.

    Raises:
        ValueError: if `decay` is outside [0, 1).
        TypeError: if `decay` is no number, array, schedule or `by_path`.

    Source: the first moment of Adam, Kingma and Ba 2014, arXiv 1412.6980.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.ema(0.5)
        >>> tx.update(jnp.array(2.0), tx.init(jnp.array(0.0)))[0]
        Array(2., dtype=float32)
    """
    rule = DebiasedEma if debias else Ema
    return leafwise(rule(decay), keep(ema=accumulator_dtype))
