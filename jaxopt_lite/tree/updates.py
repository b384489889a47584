"""Slow copies of parameters."""

from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.numerics import promote
from jaxopt_lite.core.types import Count, Numeric, Params
from jaxopt_lite.tree.matching import each


def incremental_update(
    new_tensors: Params, old_tensors: Params, step_size: Numeric
) -> Params:
    """Moves a slow copy of the parameters towards the parameters.

        slow <- step_size * new + (1 - step_size) * slow

    The arithmetic is in at least float32. A slow copy in bfloat16 does not move where
    `step_size` is below 1/256: begin with one in float32.

    Args:
        new_tensors: the parameters; None where there is none.
        old_tensors: the slow copy.
        step_size: weight of the new, per step, in [0, 1].

    Returns:
        The slow copy, in its own dtypes; integers are those of the new.

    Raises:
        ValueError: if the paths differ; each is named.

    Source: Polyak and Juditsky 1992, SIAM J. Control Optim. 30.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> new, slow = {"w": jnp.array(1.0)}, {"w": jnp.array(0.0)}
        >>> jl.incremental_update(new, slow, 0.25)
        {'w': Array(0.25, dtype=float32)}
    """

    def moved(new: Any, old: Any) -> Any:
        new, old = jnp.asarray(new), jnp.asarray(old)
        if not jnp.issubdtype(old.dtype, jnp.inexact):
            return new.astype(old.dtype)
        wide = promote(promote(new.dtype, old.dtype), jnp.dtype(jnp.float32))
        mean = step_size * new.astype(wide) + (1 - step_size) * old.astype(wide)
        return mean.astype(old.dtype)

    return each("incremental_update", moved, new_tensors, old_tensors=old_tensors)


def periodic_update(
    new_tensors: Params,
    old_tensors: Params,
    steps: Count | int,
    update_period: Count | int,
) -> Params:
    """Takes the parameters as the slow copy at every `update_period`-th step.

        slow <- new if steps % update_period == 0 else slow

    Args:
        new_tensors: the parameters; None where there is none.
        old_tensors: the slow copy.
        steps: how many steps were taken.
        update_period: the number of steps from one copy to the next, at least 1.

    Returns:
        The slow copy, in its own dtypes.

    Raises:
        ValueError: if the paths differ; each is named. If the period is below 1.

    Source: target networks, Mnih et al. 2015, arXiv 1312.5602.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> new, slow = {"w": jnp.array(1.0)}, {"w": jnp.array(0.0)}
        >>> jl.periodic_update(new, slow, steps=20, update_period=10)
        {'w': Array(1., dtype=float32)}
    """
    if isinstance(update_period, int) and update_period < 1:
        raise ValueError(f"update_period is {update_period}; expected at least 1.")
    is_due = jnp.mod(steps, update_period) == 0

    def chosen(new: Any, old: Any) -> Any:
        old = jnp.asarray(old)
        return jnp.where(is_due, jnp.asarray(new).astype(old.dtype), old)

    return each("periodic_update", chosen, new_tensors, old_tensors=old_tensors)
