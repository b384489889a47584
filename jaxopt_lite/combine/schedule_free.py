"""Averaging in place of a learning-rate schedule."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.placement import fetched
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Hyperparameter,
    Numeric,
    Params,
    State,
    Updates,
)
from jaxopt_lite.rules.schedule_free import AverageIterates, AverageState


class ScheduleFreeState(NamedTuple):
    """The base optimizer's state and sequence `z`, and the weights of the average.

    `step_count` is that of the step to come, from 1.
    """

    b1: jax.Array
    weight_sum: jax.Array
    step_count: Count
    max_lr: jax.Array
    base_optimizer_state: State
    z: Params

    def eval_params(self, params: Params) -> Params:
        """The average of all `z`, out of the last and the trained parameters."""
        p = Flat(params)
        kept = fetched(self.z)
        z = checks.align("eval_params", p, "state.z", kept, "the parameters")
        checks.shapes("eval_params", "state.z", z, "parameter", p)
        away = 1 / self.b1 - 1

        def average(y: Any, z: Any) -> Any:
            return (y + away * (y - z)).astype(jnp.result_type(y))

        return p.rebuild(
            x if is_end(x) or is_end(zi) else average(x, zi)
            for x, zi in zip(p.leaves, z.leaves, strict=True)
        )


class ScheduleFree(GradientTransformation):
    """The base optimizer moves `z`; the trained parameters follow with the average."""

    base: GradientTransformation
    average: GradientTransformation
    holds = {"base": "base_optimizer_state", "average": ""}

    def init(self, params: Params) -> State:
        return _joined(self.base.init(params), self.average.init(params))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("schedule_free", state, ScheduleFreeState)
        held = self.child_states(state)
        u, base = self.base.update(updates, held["base"], params, **extra)
        u, average = self.average.update(u, held["average"], params, **extra)
        return u, _joined(base, average)

    def child_states(self, state: State) -> dict[str, State]:
        average = AverageState(
            state.step_count - 1, state.b1, state.weight_sum, state.max_lr, state.z
        )
        return {"base": state.base_optimizer_state, "average": average}

    def __repr__(self) -> str:
        return f"schedule_free({self.base!r}, {self.average!r})"


def _joined(base: State, average: AverageState) -> ScheduleFreeState:
    count, b1, weight_sum, max_lr, z = average
    return ScheduleFreeState(b1, weight_sum, count + 1, max_lr, base, z)


def schedule_free(
    base_optimizer: Any,
    learning_rate: Hyperparameter,
    b1: Numeric = 0.9,
    weight_lr_power: Hyperparameter = 2.0,
    state_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Averages the parameters of a base optimizer, so that no rate need decay.

        z <- z + u                                 (u from the base optimizer at y)
        x <- (1 - c) * x + c * z,                  c = w / (sum of all w so far)
        y <- b1 * x + (1 - b1) * z,                w = (largest rate so far)**power

    The parameters that are trained are `y`. Evaluate with the average `x`:
    `eval_params(state, params)`.

    Args:
        base_optimizer: a transformation without momentum.
        learning_rate: the same that `base_optimizer` has, at least 0: it weighs the
            average; one number, array or schedule for the whole tree.
        b1: how near the trained parameters are to the average, in (0, 1].
        weight_lr_power: the power of the largest rate, at least 0.
        state_dtype: dtype in which `z` is kept; by default the parameter's, at least
            float32.

    Returns:
        A transformation with `ScheduleFreeState(b1, weight_sum, step_count, max_lr,
        base_optimizer_state, z)`, one slot like the parameter beside those of
        `base_optimizer`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number of its kind; if `b1` is a schedule.

    Source: Defazio et al. 2024, arXiv 2405.15682. The schedule is read from step 0, as
    `base_optimizer` reads it; Optax begins at 1. The sum of weights is float32; in
    Optax, with bfloat16 parameters, it stops at 256 times the weight of a step.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.schedule_free(jl.sgd(0.5), learning_rate=0.5, b1=0.5)
        >>> params = jnp.array(4.0)
        >>> state = tx.init(params)
        >>> for _ in range(2):
        ...     updates, state = tx.update(params, state, params)
        ...     params = jl.apply_updates(params, updates)
        >>> jl.eval_params(state, params)
        Array(1.5, dtype=float32)
    """
    rule = AverageIterates(learning_rate, b1, weight_lr_power)
    base = as_transformation(base_optimizer, "schedule_free: base_optimizer")
    return ScheduleFree(base, leafwise(rule, keep(z=state_dtype)))


def schedule_free_eval_params(state: State, params: Params) -> Params:
    """The average that `schedule_free` evaluates with; `eval_params` does the same.

    Args:
        state: a `ScheduleFreeState`, or a state in which one is nested.
        params: the parameters that are trained.

    Returns:
        The parameters to evaluate with, in the dtypes of `params`.

    Raises:
        ValueError: if the state is of no `schedule_free`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.schedule_free_sgd(0.5)
        >>> jl.schedule_free_eval_params(tx.init(jnp.ones(2)), jnp.ones(2))
        Array([1., 1.], dtype=float32)
    """
    leaves = jax.tree.leaves(state, is_leaf=_is_schedule_free)
    found = [part for part in leaves if _is_schedule_free(part)]
    if len(found) != 1:
        raise ValueError(
            f"schedule_free_eval_params: found {len(found)} states of schedule_free in "
            f"a {type(state).__name__}; expected one. Pass the state that `init` or "
            f"the last `update` returned."
        )
    return ScheduleFreeState(*found[0]).eval_params(params)


def _is_schedule_free(part: Any) -> bool:
    """Whether a part of a state is that of schedule_free, ours or Optax's."""
    return getattr(part, "_fields", None) == ScheduleFreeState._fields
