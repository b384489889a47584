"""A guard against steps whose loss or gradient is far beyond the last ones."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.gate import both, committing, gate
from jaxopt_lite.combine.norms import norm_of_tree
from jaxopt_lite.core import checks, given
from jaxopt_lite.core.numbers import fixed_whole_number
from jaxopt_lite.core.numerics import saturating_increment
from jaxopt_lite.core.ranges import FIXED, Magnitude, checked
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    as_transformation,
    select,
)
from jaxopt_lite.core.types import Count, Numeric, Params, State, Updates
from jaxopt_lite.core.value import is_array

MEASURES = ("norm", "value")
"""What may be watched: the norm of the gradient, or the loss."""


class SkipSpikesState(NamedTuple):
    """What the last accepted steps measured, the oldest first, and how many they are.

    How many steps were skipped in a row and in all; the inner state.
    """

    window: jax.Array
    filled: Count
    spike_count: Count
    total_skipped: Count
    inner_state: State


class SkipSpikes(GradientTransformation):
    """A transformation that skips steps that measure far more than the last ones."""

    inner: GradientTransformation
    length: int
    sigmas: Annotated[Magnitude, FIXED]
    of: str
    max_consecutive_spikes: Any
    holds = {"inner": "inner_state"}

    def init(self, params: Params) -> State:
        return SkipSpikesState(
            jnp.zeros(self.length, jnp.float32),
            jnp.zeros((), jnp.int32),
            jnp.zeros((), jnp.int32),
            jnp.zeros((), jnp.int32),
            self.inner.init(params),
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("skip_spikes", state, SkipSpikesState)
        outer = extra.get("commit")
        x = self._measured(updates, extra)
        is_spike = ~jnp.isfinite(x) | self._is_beyond(x, state)
        in_a_row = saturating_increment(state.spike_count)
        # So many in a row are no spikes: they are where the run is now.
        is_level = jnp.isfinite(x) & (in_a_row > self.max_consecutive_spikes)
        accepted = ~is_spike | is_level
        commit = both(accepted, outer)
        u, inner = self.inner.update(
            updates, state.inner_state, params, **committing(commit, extra)
        )
        begun = jnp.where(is_spike, 0, state.filled)
        total = state.total_skipped
        return gate(commit, u), SkipSpikesState(
            select(commit, jnp.append(state.window[1:], x), state.window),
            select(commit, jnp.minimum(begun + 1, self.length), state.filled),
            select(outer, jnp.where(accepted, 0, in_a_row), state.spike_count),
            select(both(~accepted, outer), saturating_increment(total), total),
            inner,
        )

    def metrics(self, state: State) -> dict[str, Any]:
        return {"skipped_steps": state.total_skipped}

    def _measured(self, updates: Updates, extra: dict[str, Any]) -> jax.Array:
        if self.of == "norm":
            return norm_of_tree(updates, extra).astype(jnp.float32)
        if "value" not in extra:
            raise TypeError(
                "skip_spikes: update was called without `value`; expected it as a "
                "keyword. Call update(updates, state, params, value=...)."
            )
        given.check_value("skip_spikes", extra["value"])
        return jnp.asarray(extra["value"]).astype(jnp.float32)

    def _is_beyond(self, x: jax.Array, state: State) -> jax.Array:
        """Whether a measurement is far above those of a full window."""
        bound = jnp.mean(state.window) + self.sigmas * jnp.std(state.window)
        return (state.filled == self.length) & (x > bound)

    def __repr__(self) -> str:
        return f"skip_spikes({self.inner!r}, {self.length}, {self.sigmas!r})"


def skip_spikes(
    inner: Any,
    window: int = 128,
    sigmas: Numeric = 6.0,
    *,
    of: str = "norm",
    max_consecutive_spikes: int = 10,
) -> GradientTransformation:
    """Skips a step whose gradient norm or loss is far above that of the last steps.

        skip where  x > mean(window) + sigmas * std(window),  or x is not finite

    A skipped step gives zero updates and leaves every number of the inner state as it
    was; what it measured does not enter the window. Until the window is full only what
    is not finite is skipped. After `max_consecutive_spikes` skipped in a row the next
    finite step is accepted and the window begins anew: the run has come to another
    level. What is not finite is never accepted, so watch `metrics`.

    Args:
        inner: a transformation.
        window: how many accepted steps to compare with, at least 2.
        sigmas: how many standard deviations above their mean is too far, at least 0: a
            number or an array.
        of: what to watch: `"norm"`, the global norm of the gradients; or `"value"`, the
            loss, which `update` is then given as `value=`. For both, wrap twice.
        max_consecutive_spikes: how many steps in a row to skip, at least 0.

    Returns:
        A transformation with `SkipSpikesState(window, filled, spike_count,
        total_skipped, inner_state)`: float32 measurements, the oldest first, how many
        there are, how many steps were skipped in a row and in all.

    Raises:
        TypeError: if `inner` is no transformation, or a number none; from `update`, if
            `value` is wanted and missing.
        ValueError: if a number is out of its range, or `of` is something else.

    It costs one pass over the gradients, and none where `inner` begins with
    `clip_by_global_norm`, or `of` is `"value"`. Chowdhery et al. 2022, arXiv
    2204.02311, section 5.1, go back to a checkpoint and leave out the batches of a
    spike; here the step is not taken in the first place.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.skip_spikes(jl.sgd(1.0), window=3)
        >>> state = tx.init(jnp.zeros(1))
        >>> for g in (1.0, 1.1, 0.9, 50.0, 1.0):
        ...     updates, state = tx.update(jnp.full(1, g), state)
        ...     print(updates)
        [-1.]
        [-1.1]
        [-0.9]
        [0.]
        [-1.]
        >>> state.total_skipped
        Array(1, dtype=int32)
    """
    if is_array(window):
        raise TypeError(
            f"window is {checks.describe(window)}; expected a Python integer, which "
            f"an array in the state is as long as."
        )
    if of not in MEASURES:
        raise ValueError(
            f"skip_spikes: of is {of!r}; expected one of "
            f"{', '.join(map(repr, MEASURES))}."
        )
    return checked(
        SkipSpikes(
            as_transformation(inner, "skip_spikes: inner"),
            fixed_whole_number("window", window, 2),
            sigmas,
            of,
            fixed_whole_number("max_consecutive_spikes", max_consecutive_spikes, 0),
        )
    )
