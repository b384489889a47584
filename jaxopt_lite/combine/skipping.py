"""Which micro-steps of `MultiSteps` to leave out."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.numerics import abs_sq, promote
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Count, Numeric, Params, PyTree, State, Updates


def skip_not_finite(
    updates: Updates, gradient_step: Count, params: Params | None
) -> tuple[jax.Array, PyTree]:
    """Skips a micro-step whose gradient holds an infinity or a nan.

    For the argument `should_skip_update_fn` of `MultiSteps`.

    Args:
        updates: the gradient of the micro-step.
        gradient_step: how many steps were taken; not looked at.
        params: the parameters, or None; not looked at.

    Returns:
        Whether to skip, and `{"should_skip", "num_not_finite"}`, the number an int32.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> jl.skip_not_finite(jnp.array([1.0, jnp.inf]), jnp.array(0), None)[0]
        Array(True, dtype=bool)
    """
    found = jnp.zeros((), jnp.int32)
    for x in _arrays(updates):
        found = found + jnp.sum(~jnp.isfinite(x), dtype=jnp.int32)
    skip = found > 0
    return skip, {"should_skip": skip, "num_not_finite": found}


def skip_large_updates(
    updates: Updates,
    gradient_step: Count,
    params: Params | None,
    max_squared_norm: Numeric,
) -> tuple[jax.Array, PyTree]:
    """Skips a micro-step whose gradient has a large norm, or none.

    For the argument `should_skip_update_fn` of `MultiSteps`, with its bound:
    `functools.partial(skip_large_updates, max_squared_norm=100.0)`.

    Args:
        updates: the gradient of the micro-step.
        gradient_step: how many steps were taken; not looked at.
        params: the parameters, or None; not looked at.
        max_squared_norm: the squared norm from which on to skip.

    Returns:
        Whether to skip, and `{"should_skip", "norm_squared"}`. Squares are summed in at
        least float32, in Optax in the gradient's dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> g = jnp.array([3.0, 4.0])
        >>> skip, kept = jl.skip_large_updates(g, jnp.array(0), None, 25.0)
        >>> skip, kept["norm_squared"]
        (Array(True, dtype=bool), Array(25., dtype=float32))
    """
    sums = [
        jnp.sum(abs_sq(x.astype(arithmetic_dtype(x.dtype)))) for x in _arrays(updates)
    ]
    dtype = functools.reduce(promote, [x.dtype for x in sums], jnp.dtype(jnp.float32))
    total = functools.reduce(
        jnp.add, [x.astype(dtype) for x in sums], jnp.zeros((), dtype)
    )
    skip = ~(total < max_squared_norm)  # true for nan, too
    return skip, {"should_skip": skip, "norm_squared": total}


def _arrays(updates: Updates) -> list[jax.Array]:
    """The leaves that can be large or infinite."""
    leaves = [x for x in Flat(updates).leaves if not is_end(x)]
    return [
        jnp.asarray(x)
        for x in leaves
        if jnp.issubdtype(jnp.result_type(x), jnp.inexact)
    ]


def first_skip_state(
    function: Callable[..., Any] | None, gradient_step: Count, params: Params
) -> PyTree:
    """What a skip function says of a zero gradient; its shapes where only such are."""
    if function is None:
        return ()

    def ask(params: Params) -> PyTree:
        zeros = jax.tree.map(jnp.zeros_like, params)
        _, found = function(zeros, gradient_step, params)
        return jax.tree.map(_strong, found)

    shapes = [isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(params)]
    return jax.eval_shape(ask, params) if any(shapes) else ask(params)


def _strong(x: Any) -> jax.Array:
    """A number of the caller's as an array of its own, of one dtype for good."""
    return jnp.array(x, dtype=jnp.result_type(jnp.asarray(x).dtype))


def call_skip(
    function: Callable[..., Any], updates: Updates, state: State, params: Params | None
) -> tuple[jax.Array, PyTree]:
    """Whether to skip a micro-step, and what to keep of it in the state's dtypes.

    Raises:
        ValueError: if the function returns no flag.
    """
    skip, found = function(updates, state.gradient_step, params)
    skip = jnp.asarray(skip)
    if skip.dtype != jnp.bool_ or skip.shape:
        raise ValueError(
            f"MultiSteps: should_skip_update_fn returned {checks.describe(skip)} for a "
            f"flag; expected a scalar of dtype bool."
        )
    kept = jax.tree.map(
        lambda new, old: jnp.asarray(new).astype(old.dtype), found, state.skip_state
    )
    return skip, kept
