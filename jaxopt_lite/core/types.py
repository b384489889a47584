"""The types that the package speaks of, each with one sentence."""

import functools
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeAlias, TypeVar, cast

import jax

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def cached(
    function: Callable[_Arguments, _Result],
) -> Callable[_Arguments, _Result]:
    """`functools.cache`, with the types of the function kept."""
    return cast(Callable[_Arguments, _Result], functools.cache(function))


PyTree: TypeAlias = Any
"""Any nesting of dicts, tuples, dataclasses… whose leaves are arrays."""

Params: TypeAlias = PyTree
"""A tree of parameters."""

Updates: TypeAlias = PyTree
"""A tree of gradients on the way in, of increments on the way out."""

State: TypeAlias = PyTree
"""A tree of arrays that the caller carries from step to step."""

Numeric: TypeAlias = float | jax.Array
"""A Python number (exact, structure) or a JAX array (traced, sweepable)."""

Count: TypeAlias = jax.Array
"""How many steps were taken: an int32 scalar that saturates."""

DTypeLike: TypeAlias = Any
"""Whatever `jax.numpy.dtype` takes."""

Mask: TypeAlias = Any
"""True or False per parameter: a tree, `by_path`, or a function of the parameters."""

Labels: TypeAlias = Any
"""A group's name per parameter: a tree, `by_path`, or a function of the parameters."""

Tensor: TypeAlias = jax.Array
"""The array of one leaf."""


class Kind(NamedTuple):
    """What a slot holds: storage and sharding read only this.

    Its name is `"signed"`, `"non-negative"`, `"exact"` or `"per axis"`.
    """

    name: str


SIGNED = Kind("signed")
NON_NEGATIVE = Kind("non-negative")
EXACT = Kind("exact")
PER_AXIS = Kind("per axis")

Signed: TypeAlias = Annotated[Tensor, SIGNED]
"""A slot shaped like the parameter, of either sign, such as a first moment."""

NonNegative: TypeAlias = Annotated[Tensor, NON_NEGATIVE]
"""A slot shaped like the parameter and never negative, such as a second moment."""

Exact: TypeAlias = Annotated[Tensor, EXACT]
"""A slot that bears no rounding, such as a copy of the parameter."""

PerAxis: TypeAlias = Annotated[tuple[Tensor, ...], PER_AXIS]
"""A slot of several arrays, one for each axis of the parameter."""

ScheduleFn: TypeAlias = Callable[[Count], Numeric]
"""A function from the step count (from 0) to a number."""

Hyperparameter: TypeAlias = Numeric | ScheduleFn
"""What a leaf rule's number may be: a number, an array, a schedule or `by_path`."""
