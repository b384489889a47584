"""Hyperparameters: numbers, arrays and schedules."""

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import jax

from jaxopt_lite.core import checks
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.types import Count
from jaxopt_lite.core.value import Value, is_array, short_repr


class Schedule(Value):
    """A number that depends on the step: a value with `__call__(count)`.

    Its own numbers may be arrays, traced ones too, so schedules can be swept and
    differentiated like any other hyperparameter. `count` starts at 0.

    Example:
        >>> import jaxopt_lite as jl
        >>> class Halving(jl.Schedule):
        ...     start: float
        ...     def __call__(self, count):
        ...         return self.start * 0.5**count
        >>> Halving(1.0)(3)
        0.125
        >>> tx = jl.sgd(Halving(0.1))
    """

    def __call__(self, count: Count | int) -> Any:
        """The number in force when `count` steps have been taken."""
        raise NotImplementedError


class FromFunction(Schedule):
    """A user's plain function of the count, made a schedule."""

    function: Callable[..., Any]

    def __call__(self, count: Count | int) -> Any:
        value = self.function(count)
        is_number = isinstance(value, int | float) or hasattr(value, "dtype")
        if is_number or hasattr(value, "__jax_array__"):
            return value
        raise TypeError(
            f"the schedule {short_repr(self.function)} returned "
            f"{checks.describe(value)}; expected one number for a step count. If it "
            f"makes a schedule, call it."
        )


def is_scheduled(x: Any) -> bool:
    """Whether a hyperparameter depends on the step."""
    if isinstance(x, ByPath):
        return any(map(is_scheduled, x.values))
    return isinstance(x, Schedule)


def is_numeric(x: Any) -> bool:
    """Whether a field is a hyperparameter that may change: no count, flag or label."""
    if isinstance(x, ByPath):
        return all(map(is_numeric, x.values))
    if is_array(x):
        return jax.numpy.issubdtype(x.dtype, jax.numpy.inexact)
    return isinstance(x, float | Schedule)


def at_count(x: Any, count: Count | None) -> Any:
    """A hyperparameter with its schedules read at `count`."""
    if isinstance(x, Schedule):
        return jax.numpy.asarray(x(cast(Count, count)))
    if isinstance(x, ByPath) and is_scheduled(x):
        return dataclasses.replace(
            x, values=tuple(at_count(v, count) for v in x.values)
        )
    return x
