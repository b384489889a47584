"""A guard against gradients that are not finite."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.gate import both, committing, gate
from jaxopt_lite.combine.norms import inexact_leaves, norm_of_tree
from jaxopt_lite.core import checks
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.numbers import fixed_whole_number
from jaxopt_lite.core.numerics import saturating_increment
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    as_transformation,
    select,
)
from jaxopt_lite.core.types import Count, Params, State, Updates
from jaxopt_lite.rules.clipping import ClipByGlobalNorm


class ApplyIfFiniteState(NamedTuple):
    """How many gradients were not finite, in a row and in all; the inner state."""

    notfinite_count: Count
    last_finite: jax.Array
    total_notfinite: Count
    inner_state: State


class ApplyIfFinite(GradientTransformation):
    """A transformation that skips gradients that are not finite."""

    inner: GradientTransformation
    max_consecutive_errors: Any
    holds = {"inner": "inner_state"}

    def init(self, params: Params) -> State:
        return ApplyIfFiniteState(
            jnp.zeros((), jnp.int32),
            jnp.ones((), jnp.bool_),
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
        checks.named_tuple("apply_if_finite", state, ApplyIfFiniteState)
        outer = extra.get("commit")
        if _begins_with_norm(self.inner):
            # XLA measures it once, as the clip wants it as well.
            finite = jnp.isfinite(norm_of_tree(updates, extra))
        else:
            finite = all_finite(updates)
        in_a_row = saturating_increment(state.notfinite_count)
        accepted = finite | (in_a_row > self.max_consecutive_errors)
        commit = both(accepted, outer)
        u, inner = self.inner.update(
            updates, state.inner_state, params, **committing(commit, extra)
        )
        in_a_row = jnp.where(accepted, 0, in_a_row)
        total = state.total_notfinite
        total = select(~finite, saturating_increment(total), total)
        return gate(commit, u), ApplyIfFiniteState(
            select(outer, in_a_row, state.notfinite_count),
            select(outer, finite, state.last_finite),
            select(outer, total, state.total_notfinite),
            inner,
        )

    def metrics(self, state: State) -> dict[str, Any]:
        return {"notfinite_steps": state.total_notfinite}

    def __repr__(self) -> str:
        return f"apply_if_finite({self.inner!r}, {self.max_consecutive_errors!r})"


def apply_if_finite(inner: Any, max_consecutive_errors: int) -> GradientTransformation:
    """Skips a step whose gradient holds an infinity or a nan.

    A skipped step gives zero updates and leaves every number of the inner state as it
    was. After `max_consecutive_errors` skipped in a row the next one is accepted as it
    is, so that a run that is lost fails visibly, and counting begins anew.

    Args:
        inner: a transformation.
        max_consecutive_errors: how many steps in a row to skip, at least 0.

    Returns:
        A transformation with `ApplyIfFiniteState(notfinite_count, last_finite,
        total_notfinite, inner_state)`: how many steps were skipped in a row, whether
        the last gradient was finite, and how many were not since `init`.

    Raises:
        TypeError: if `inner` is no transformation, or the number is none.
        ValueError: if the number is negative or has a fraction.

    In Optax the count goes on after a step was accepted, so every later one is accepted
    as well until a gradient is finite. Where `inner` begins with `clip_by_global_norm`,
    a gradient with a norm above 1e24 in float32 counts as not finite: the clip could
    not scale it.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.apply_if_finite(jl.sgd(0.5), max_consecutive_errors=3)
        >>> updates, state = tx.update(jnp.array([jnp.nan, 1]), tx.init(jnp.zeros(2)))
        >>> updates, state.total_notfinite
        (Array([0., 0.], dtype=float32), Array(1, dtype=int32))
    """
    return ApplyIfFinite(
        as_transformation(inner, "apply_if_finite: inner"),
        fixed_whole_number("max_consecutive_errors", max_consecutive_errors, 0),
    )


def all_finite(updates: Updates) -> jax.Array:
    """Whether no leaf holds an infinity or a nan, by one reduction of each."""
    return _all([_is_finite(x) for x in inexact_leaves(updates)])


def _begins_with_norm(tx: GradientTransformation) -> bool:
    """Whether the first thing that a transformation does is to measure a norm."""
    first = next(iter(tx.parts()), None)
    return (
        isinstance(first, Link)
        and isinstance(first.rule, ClipByGlobalNorm)
        and not first.masks
    )


@jax.jit
def _is_finite(x: Any) -> jax.Array:
    # On a CPU `max` may drop a nan, `all(isfinite(x))` writes an array of flags, and
    # so does any comparison with a constant that leaves of one shape have in common.
    return jnp.sum(x - x) == 0


@jax.jit
def _all(flags: list[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.logical_and, flags, jnp.ones((), jnp.bool_))
