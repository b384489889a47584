"""Groups of parameters that begin to be trained one after another."""

import dataclasses
from typing import Any

import jax

from jaxopt_lite.combine.condition import conditionally_mask
from jaxopt_lite.combine.partition import Partition
from jaxopt_lite.core import checks
from jaxopt_lite.core.numbers import fixed_whole_number
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.types import Count
from jaxopt_lite.core.value import Value, is_array


class From(Value):
    """Whether some number of steps was taken."""

    start: int

    def __call__(self, count: Count) -> jax.Array:
        return count >= self.start


def unfreeze(inner: Any, starts: ByPath) -> GradientTransformation:
    """Lets each group of parameters stand still until a step of its own.

    Before it the updates of a group are zero, and its state stays as `init` made it:
    moments gather nothing of gradients that were not followed. Its counts begin with
    its own first step, so that bias corrections are those of a training that begins
    there. A learning rate that is to follow the steps of all goes behind it, and a
    bound on the norm of all before it:

        chain(clip_by_global_norm(1.0), unfreeze(scale_by_adam(), starts),
              scale_by_learning_rate(schedule))

    Args:
        inner: a transformation; each group has one.
        starts: a `by_path` of numbers of steps: how many are taken before the group's
            first, 0 for none.

    Returns:
        A transformation with the `PartitionState` of `partition`, whose labels are the
        numbers of steps.

    Raises:
        TypeError: if `inner` is no transformation, or `starts` no `by_path` of whole
            numbers.
        ValueError: if a number is negative; from `init` and `update`, if a parameter
            has none.

    Source: Howard and Ruder 2018, arXiv 1801.06146, section 3.3. What never trains is
    better left to `freeze`, where it has no state.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.unfreeze(jl.sgd(1.0), jl.by_path({"head": 0, "*": 1}))
        >>> params = {"body": jnp.ones(1), "head": jnp.ones(1)}
        >>> state = tx.init(params)
        >>> for _ in range(2):
        ...     updates, state = tx.update(params, state, params)
        ...     print(updates["body"], updates["head"])
        [0.] [-1.]
        [-1.] [-1.]
    """
    tx = as_transformation(inner, "unfreeze: inner")
    if not isinstance(starts, ByPath):
        raise TypeError(
            f"unfreeze: starts is {starts!r}, {checks.article(type(starts).__name__)}; "
            f"expected by_path from patterns to numbers of steps, such as "
            f"by_path({{'head/*': 0, '*': 1000}})."
        )
    steps = [
        _start(f"starts[{pattern!r}]", x)
        for pattern, x in zip(starts.patterns, starts.values, strict=True)
    ]
    groups = {str(n): _beginning(tx, n) for n in sorted(set(steps))}
    labels = dataclasses.replace(starts, values=tuple(map(str, steps)))
    return Partition(tuple(groups), tuple(groups.values()), labels)


def _beginning(tx: GradientTransformation, start: int) -> GradientTransformation:
    return conditionally_mask(tx, From(start)) if start else tx


def _start(name: str, x: Any) -> int:
    """A number of steps that is part of the structure, since it names a group."""
    if is_array(x):
        raise TypeError(f"{name} is {checks.describe(x)}; expected a Python integer.")
    return fixed_whole_number(name, x, 0)
