"""What wrappers share that let some steps pass and others not."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import at_count
from jaxopt_lite.core.types import Count, Updates


def both(condition: jax.Array, commit: jax.Array | None) -> jax.Array:
    """A wrapper's condition, and that of the wrapper around it if there is one."""
    return condition if commit is None else condition & commit


def committing(commit: jax.Array, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The extra arguments for an inner transformation whose step counts or not."""
    return {**extra, "commit": commit}


def gate(is_open: jax.Array, updates: Updates) -> Updates:
    """The updates where the gate is open; zeros, whatever they hold, where not."""
    return jax.tree.map(functools.partial(_gate, is_open), updates)


@jax.jit
def _gate(is_open: jax.Array, u: jax.Array) -> jax.Array:
    return jnp.where(is_open, u, jnp.zeros_like(u))


def steps_at(x: Any, count: Count | None) -> Any:
    """A number of steps with its schedule read at `count`, as an integer."""
    return x if isinstance(x, int) else jnp.asarray(at_count(x, count)).astype("int32")
