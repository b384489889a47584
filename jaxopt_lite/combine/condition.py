"""Transformations that act at some steps only."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.gate import both, committing, gate
from jaxopt_lite.core import checks
from jaxopt_lite.core.numerics import promote, saturating_increment
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    accepted,
    as_transformation,
    select,
)
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Count, Params, State, Updates


class ConditionallyTransformState(NamedTuple):
    """The inner state, and how many steps were taken, by the inner or not."""

    inner_state: State
    step: Count


class ConditionallyMaskState(NamedTuple):
    """How many steps were taken, by the inner or not, and the inner state."""

    step: Count
    inner_state: State


class _Conditional(GradientTransformation):
    """A transformation that acts where a function of the step says so."""

    inner: GradientTransformation
    should_transform_fn: Callable[..., Any]
    forward_extra_args: bool
    holds = {"inner": "inner_state"}

    def _step(
        self, updates: Updates, state: State, params: Params | None, extra: Any
    ) -> tuple[jax.Array, Updates, State, Count]:
        """Whether the inner acts, its updates and its state, and the next count."""
        commit = extra.get("commit")
        acts = both(self._acts(state.step, extra), commit)
        u, inner = self.inner.update(
            updates, state.inner_state, params, **committing(acts, extra)
        )
        step = select(commit, saturating_increment(state.step), state.step)
        return acts, u, inner, step

    def _acts(self, step: Count, extra: dict[str, Any]) -> jax.Array:
        own = {name: x for name, x in extra.items() if name != "commit"}
        keywords = accepted(self.should_transform_fn, own)
        found = self.should_transform_fn(
            step, **(keywords if self.forward_extra_args else {})
        )
        acts = jnp.asarray(found)
        if acts.dtype != jnp.bool_ or acts.shape:
            raise ValueError(
                f"should_transform_fn returned {checks.describe(acts)}; expected a "
                f"scalar of dtype bool."
            )
        return acts


class ConditionallyTransform(_Conditional):
    """A transformation at some steps; at the others updates pass."""

    def init(self, params: Params) -> State:
        return ConditionallyTransformState(
            self.inner.init(params), jnp.zeros((), jnp.int32)
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        where = "conditionally_transform"
        checks.named_tuple(where, state, ConditionallyTransformState)
        acts, u, inner, step = self._step(updates, state, params, extra)
        g = Flat(updates)
        moved = checks.align(where, g, "the updates of the inner", u).leaves
        chosen = (_choose(acts, x, y) for x, y in zip(moved, g.leaves, strict=True))
        return g.rebuild(chosen), ConditionallyTransformState(inner, step)


class ConditionallyMask(_Conditional):
    """A transformation at some steps; at the others updates are zero."""

    def init(self, params: Params) -> State:
        return ConditionallyMaskState(jnp.zeros((), jnp.int32), self.inner.init(params))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("conditionally_mask", state, ConditionallyMaskState)
        acts, u, inner, step = self._step(updates, state, params, extra)
        return gate(acts, u), ConditionallyMaskState(step, inner)


def _choose(acts: jax.Array, u: Any, g: Any) -> Any:
    """The inner's update or the gradient, in the dtype that holds both."""
    return u if is_end(u) or is_end(g) else _choose_array(acts, u, g)


@jax.jit
def _choose_array(acts: jax.Array, u: jax.Array, g: jax.Array) -> jax.Array:
    dtype = promote(u.dtype, g.dtype)
    return jnp.where(acts, u.astype(dtype), g.astype(dtype))


def conditionally_transform(
    inner: Any,
    should_transform_fn: Callable[..., Any],
    forward_extra_args: bool = False,
) -> GradientTransformation:
    """Applies a transformation at some steps; at the others updates pass as they are.

    Where it is not applied, the inner state stays as it was.

    Args:
        inner: a transformation.
        should_transform_fn: from the number of steps taken to a flag.
        forward_extra_args: whether the function is given the extra arguments of
            `update` as well, those that it takes.

    Returns:
        A transformation with `ConditionallyTransformState(inner_state, step)`.

    Raises:
        TypeError: if `inner` is no transformation.
        ValueError: from `update`, if the function returns no flag.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.conditionally_transform(jl.scale(-1.0), lambda step: step >= 1)
        >>> state = tx.init(jnp.zeros(1))
        >>> for _ in range(2):
        ...     updates, state = tx.update(jnp.ones(1), state)
        ...     print(updates)
        [1.]
        [-1.]
    """
    return ConditionallyTransform(
        as_transformation(inner, "conditionally_transform: inner"),
        should_transform_fn,
        forward_extra_args,
    )


def conditionally_mask(
    inner: Any,
    should_transform_fn: Callable[..., Any],
    forward_extra_args: bool = False,
) -> GradientTransformation:
    """Applies a transformation at some steps; at the others updates are zero.

    Where it is not applied, the inner state stays as it was.

    Args:
        inner: a transformation.
        should_transform_fn: from the number of steps taken to a flag.
        forward_extra_args: whether the function is given the extra arguments of
            `update` as well, those that it takes.

    Returns:
        A transformation with `ConditionallyMaskState(step, inner_state)`.

    Raises:
        TypeError: if `inner` is no transformation.
        ValueError: from `update`, if the function returns no flag.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.conditionally_mask(jl.scale(-1.0), lambda step: step >= 1)
        >>> state = tx.init(jnp.zeros(1))
        >>> for _ in range(2):
        ...     updates, state = tx.update(jnp.ones(1), state)
        ...     print(updates)
        [0.]
        [-1.]
    """
    return ConditionallyMask(
        as_transformation(inner, "conditionally_mask: inner"),
        should_transform_fn,
        forward_extra_args,
    )
