"""One step for the gradients of several."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.gate import both, committing, gate, steps_at
from jaxopt_lite.combine.skipping import call_skip, first_skip_state
from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import fixed_whole_number, whole_number
from jaxopt_lite.core.numerics import saturating_increment
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    as_transformation,
    select,
)
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Params,
    PyTree,
    State,
    Updates,
)
from jaxopt_lite.rules.accumulation import (
    Accumulate,
    AccumulateMean,
    AccumulateState,
)


class MultiStepsState(NamedTuple):
    """How many micro-steps into which step; the inner state; the mean so far."""

    mini_step: Count
    gradient_step: Count
    inner_opt_state: State
    acc_grads: Updates
    skip_state: PyTree = ()


class MultiSteps(GradientTransformation):
    """Gathers the gradients of several micro-steps for one step of an optimizer.

        acc <- acc + (g - acc) / (n + 1)      the mean of n + 1 gradients
        u    = opt.update(acc) at every k-th micro-step, 0 at the others

    Schedules inside `opt` count its own steps. Extra arguments reach `opt` as they are
    at the micro-step that completes the mean.

    Args:
        opt: a transformation.
        every_k_schedule: how many micro-steps make a step, at least 1: an integer, an
            array, or a schedule of the number of steps taken.
        use_grad_mean: whether `opt` is given the mean of the gradients or their sum.
        should_skip_update_fn: from (updates, gradient_step, params) to a flag, and what
            to keep of it in `skip_state`. Where the flag is true the micro-step counts
            as not taken. `skip_not_finite` and `skip_large_updates` are such functions.
        accumulator_dtype: dtype of the mean; by default the parameter's, at least
            float32.

    Returns:
        A transformation with `MultiStepsState(mini_step, gradient_step,
        inner_opt_state, acc_grads, skip_state)`, one slot like the parameter beside
        those of `opt`.

    Raises:
        TypeError: if `opt` is no transformation, `every_k_schedule` no number of steps,
            or `accumulator_dtype` no floating-point dtype.
        ValueError: if `every_k_schedule` is below 1 or has a fraction.

    Optax clears the mean after a step, at the price of a pass over it; here it begins
    anew with the next micro-step. Optax accumulates float64 in float32 by default.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.MultiSteps(jl.sgd(1.0), every_k_schedule=2)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (2.0, 4.0):
        ...     updates, state = tx.update(jnp.full(1, g), state)
        ...     print(updates, tx.has_updated(state))
        [0.] False
        [-3.] True
    """

    opt: Any
    every_k_schedule: Any
    use_grad_mean: bool = True
    should_skip_update_fn: Callable[..., Any] | None = None
    accumulator_dtype: DTypeLike | None = None
    holds = {"opt": "inner_opt_state"}
    counter = "gradient_step"

    def __post_init__(self) -> None:
        k = whole_number("every_k_schedule", self.every_k_schedule)
        opt = as_transformation(self.opt, "MultiSteps: opt")
        dtypes = dict(keep(accumulator_dtype=self.accumulator_dtype).dtypes)
        object.__setattr__(self, "opt", opt)
        object.__setattr__(self, "every_k_schedule", k)
        object.__setattr__(self, "accumulator_dtype", dtypes.get("accumulator_dtype"))
        super().__post_init__()

    @property
    def inner_opt(self) -> GradientTransformation:
        """The optimizer inside."""
        return self.opt

    def init(self, params: Params) -> State:
        gradient_step = jnp.zeros((), jnp.int32)
        return MultiStepsState(
            jnp.zeros((), jnp.int32),
            gradient_step,
            self.opt.init(params),
            self._accumulator().init(params).acc,
            first_skip_state(self.should_skip_update_fn, gradient_step, params),
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("MultiSteps", state, MultiStepsState)
        outer = extra.get("commit")
        n, step = state.mini_step, state.gradient_step
        take, skip_state = outer, state.skip_state
        if self.should_skip_update_fn is not None:
            skip, found = call_skip(self.should_skip_update_fn, updates, state, params)
            take = both(~skip, outer)
            skip_state = select(outer, found, skip_state)
        is_last = n >= steps_at(self.every_k_schedule, step) - 1
        emits = both(is_last, take)
        mean, gathered = self._accumulator().update(
            updates, AccumulateState(state.acc_grads), params, n=n, commit=take
        )
        u, inner = self.opt.update(
            mean, state.inner_opt_state, params, **committing(emits, extra)
        )
        return gate(emits, u), MultiStepsState(
            select(take, jnp.where(is_last, 0, n + 1), n),
            select(emits, saturating_increment(step), step),
            inner,
            gathered.acc,
            skip_state,
        )

    def _accumulator(self) -> GradientTransformation:
        rule = AccumulateMean() if self.use_grad_mean else Accumulate()
        return leafwise(rule, keep(acc=self.accumulator_dtype))

    def has_updated(self, state: State) -> jax.Array:
        """Whether the last update was that of a completed step."""
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def gradient_transformation(self) -> GradientTransformation:
        """This transformation itself."""
        return self


class ApplyEvery(NamedTuple):
    """How many gradients are in the sum, and the sum."""

    count: Count  # type: ignore[assignment]
    grad_acc: Updates


class SumOfEvery(GradientTransformation):
    """The sum of k updates at every k-th step."""

    k: Any

    def init(self, params: Params) -> State:
        sums = leafwise(Accumulate()).init(params).acc
        return ApplyEvery(jnp.zeros((), jnp.int32), sums)

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("apply_every", state, ApplyEvery)
        commit, n = extra.get("commit"), state.count
        is_last = n >= steps_at(self.k, None) - 1
        u, gathered = leafwise(Accumulate()).update(
            updates, AccumulateState(state.grad_acc), params, n=n, commit=commit
        )
        count = select(commit, jnp.where(is_last, 0, n + 1), n)
        return gate(both(is_last, commit), u), ApplyEvery(count, gathered.acc)

    def __repr__(self) -> str:
        return f"apply_every({self.k!r})"


def apply_every(k: int = 1) -> GradientTransformation:
    """Adds up k updates and lets the sum pass; zeros in between.

    What stands before it in a chain takes every step. To take one step for the mean of
    k gradients, use `MultiSteps`.

    Args:
        k: how many updates make a sum, at least 1.

    Returns:
        A transformation with `ApplyEvery(count, grad_acc)`, one slot like the
        parameter.

    Raises:
        TypeError: if `k` is no integer and no array.
        ValueError: if `k` is below 1 or has a fraction.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.apply_every(2)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (2.0, 4.0):
        ...     updates, state = tx.update(jnp.full(1, g), state)
        ...     print(updates)
        [0.]
        [6.]
    """
    return SumOfEvery(fixed_whole_number("k", k))
