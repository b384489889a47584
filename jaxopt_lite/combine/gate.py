"""What wrappers share that let some steps pass and others not."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.hyperparameters import Schedule, at_count, whole_tree_number
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


def whole_number(
    name: str, value: Any, least: int = 1, *, scheduled: bool = False
) -> Any:
    """A number of steps, checked where it is concrete.

    Args:
        name: the argument's name, for the error.
        value: an integer, an array, or, where `scheduled`, a schedule or a function.
        least: the smallest number allowed.
        scheduled: whether there is a count to read a schedule at.

    Raises:
        TypeError: if it is none of these.
        ValueError: if a concrete number is too small or has a fraction.
    """
    x = whole_tree_number(name, value, f"[{least}, inf)")
    if isinstance(x, Schedule) and not scheduled:
        raise TypeError(
            f"{name} is {value!r}; expected an integer or an array: no count is kept "
            f"here that a schedule could be read at."
        )
    if isinstance(x, float):
        if not x.is_integer():
            raise ValueError(f"{name} is {x:g}; expected an integer.")
        return int(x)
    return x


def steps_at(x: Any, count: Count | None) -> Any:
    """A number of steps with its schedule read at `count`, as an integer."""
    return x if isinstance(x, int) else jnp.asarray(at_count(x, count)).astype("int32")
