"""Numbers that depend on what they have seen."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.numerics import saturating_increment
from jaxopt_lite.core.types import Count, State
from jaxopt_lite.core.value import Value


class StatefulSchedule:
    """A number that depends on what it has seen, for `inject_hyperparams`.

    `init()` gives its state, `update(state, **extra)` the next one, and calling it with
    a state the number in force. In a step both get the extra arguments of the
    transformation; the first number, and the one that is shown, is asked for without.
    Any object with these three methods will do.

    Example:
        >>> import jaxopt_lite as jl
        >>> class OfLoss(jl.StatefulSchedule):
        ...     def init(self):
        ...         return jnp.ones(())
        ...     def update(self, state, *, value, **extra):
        ...         return jnp.minimum(state, value)
        ...     def __call__(self, state, **extra):
        ...         return 0.1 * state
        >>> tx = jl.inject_hyperparams(jl.sgd)(OfLoss())
        >>> g = jnp.ones(1)
        >>> _, state = tx.update(g, tx.init(g), value=0.5)
        >>> tx.update(g, state, value=0.5)[0]
        Array([-0.05], dtype=float32)
    """

    def init(self) -> State:
        """The state before the first step."""
        raise NotImplementedError

    def update(self, state: State, **extra: Any) -> State:
        """The state after one more step."""
        raise NotImplementedError

    def __call__(self, state: State, **extra: Any) -> Any:
        """The number in force."""
        raise NotImplementedError


class WrappedScheduleState(NamedTuple):
    """How many steps a schedule has seen."""

    count: Count  # type: ignore[assignment]


class WrappedSchedule(Value):
    """A schedule that counts the steps itself: a `StatefulSchedule`.

    Args:
        schedule_fn: from the number of steps taken to a number.

    Example:
        >>> import jaxopt_lite as jl
        >>> schedule = jl.WrappedSchedule(jl.linear_schedule(1.0, 0.0, 4))
        >>> float(schedule(schedule.update(schedule.init())))
        0.75
    """

    schedule_fn: Callable[..., Any]

    def init(self) -> WrappedScheduleState:
        """No steps."""
        return WrappedScheduleState(jnp.zeros((), jnp.int32))

    def update(self, state: WrappedScheduleState, **extra: Any) -> WrappedScheduleState:
        """One step more."""
        return WrappedScheduleState(saturating_increment(state.count))

    def __call__(self, state: WrappedScheduleState, **extra: Any) -> Any:
        """The number in force."""
        return self.schedule_fn(state.count)
