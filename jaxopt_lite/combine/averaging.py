"""Moving averages of the parameters."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import bias_correction
from jaxopt_lite.core.placement import fetched
from jaxopt_lite.core.ranges import Decay
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Exact,
    Hyperparameter,
    Params,
    Tensor,
)


class ParamEmaState(NamedTuple):
    """The moving average of the parameters."""

    count: Count  # type: ignore[assignment]
    ema: Params

    def eval_params(self, params: Params) -> Params:
        """The average, and the parameters of which none is kept."""
        p = Flat(params)
        kept = fetched(self.ema)
        means = checks.align("eval_params", p, "state.ema", kept, "the parameters")
        checks.shapes("eval_params", "state.ema", means, "parameter", p)
        return p.rebuild(
            x if is_end(x) or is_end(mean) else mean.astype(jnp.result_type(x))
            for x, mean in zip(p.leaves, means.leaves, strict=True)
        )


class ParamEmaSlots(NamedTuple):
    """The slot of `ParamEma`."""

    ema: Exact


class ParamEma(Rule):
    """The moving average of the parameters, beginning with the first."""

    decay: Decay
    Slots = ParamEmaSlots
    State = ParamEmaState
    reads_params = True

    def init(self, p: Tensor) -> ParamEmaSlots:
        return ParamEmaSlots(p)

    def weight(self, step: Any) -> Any:
        """How far the average moves towards the new parameter."""
        return 1 - self.decay

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> ParamEmaSlots:
        return ParamEmaSlots(slots.ema + self.weight(step) * (p + g - slots.ema))


class DebiasedParamEma(ParamEma):
    """The moving average of the parameters after each step so far."""

    reads_step = True

    def weight(self, step: Any) -> Any:
        return (1 - self.decay) / bias_correction(self.decay, step)


def param_ema(
    decay: Hyperparameter,
    debias: bool = True,
    accumulator_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Keeps a moving average of the parameters, for `eval_params`; updates pass.

        ema <- ema + w * (p + u - ema),  w = (1 - decay) / (1 - decay**t)

    where `u` is the update that arrives here, so it stands at the end of a chain. With
    `debias` this is the mean of the parameters after each step, weighted by
    `decay**age`; without, `w = 1 - decay` and the first parameters count as a long
    past.

    Args:
        decay: weight of the past, per step, in [0, 1).
        debias: whether the average begins with the first step.
        accumulator_dtype: dtype in which the average is kept; by default the
            parameter's, at least float32. In bfloat16 it cannot follow at large decays.

    Returns:
        A transformation with `ParamEmaState(count, ema)`, one slot like the parameter;
        `eval_params(state, params)` reads it. `ema` is debiased as it stands.

    Raises:
        ValueError: if `decay` is outside [0, 1); from `update`, without parameters.
        TypeError: if `decay` is no number, array, schedule or `by_path`.

    Optax has no such transformation: its `ema` averages updates.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.chain(jl.sgd(1.0), jl.param_ema(0.5, debias=False))
        >>> params = jnp.zeros(1)
        >>> _, state = tx.update(-jnp.ones(1), tx.init(params), params)
        >>> jl.eval_params(state, params)
        Array([0.5], dtype=float32)
    """
    rule = DebiasedParamEma if debias else ParamEma
    return leafwise(rule(decay), keep(ema=accumulator_dtype))
