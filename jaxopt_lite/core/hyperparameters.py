"""Hyperparameters: numbers, arrays, schedules, and their checks."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, NoReturn, cast

import jax
import numpy as np

from jaxopt_lite.core.checks import article
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.types import Count, Numeric
from jaxopt_lite.core.value import Value, is_array


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
        return self.function(count)


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


NON_NEGATIVE = "[0, inf)"
FINITE = "(-inf, inf)"
DECAY = "[0, 1)"
BOUND = "[0, inf]"


def number(name: str, value: Any, interval: str = NON_NEGATIVE) -> Numeric:
    """A hyperparameter that a leaf rule reads, checked where it is concrete.

    `by_path` is looked for before callables, since it is one. A plain function becomes
    a schedule. Tracers and what schedules give are let pass.

    Args:
        name: the argument's name, for the error.
        value: a Python number, an array, a schedule, a function of the count, or
            `by_path` of these.
        interval: the numbers allowed, as in `"[0, 1)"`.

    Returns:
        The hyperparameter as a rule keeps it; the lift resolves it to a number.

    Raises:
        TypeError: if it is none of these.
        ValueError: if a concrete number lies outside the interval.
    """
    if isinstance(value, ByPath):
        if any(isinstance(v, ByPath) for v in value.values):
            _refuse_type(name, value)
        resolved = tuple(
            number(f"{name}[{pattern!r}]", v, interval)
            for pattern, v in zip(value.patterns, value.values, strict=True)
        )
        return cast(Numeric, dataclasses.replace(value, values=resolved))
    if isinstance(value, Schedule):
        return cast(Numeric, value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | str) or value is None:
        _refuse_type(name, value)
    if isinstance(value, int | float):
        _check_range(name, np.asarray(float(value)), interval)
        return float(value)
    if is_array(value) or isinstance(value, np.ndarray):
        if not isinstance(value, jax.core.Tracer):
            _check_range(name, np.asarray(value, np.float64), interval)
        return cast(Numeric, value)
    if callable(value):
        _check_function(name, value)
        return cast(Numeric, FromFunction(value))
    _refuse_type(name, value)


def _check_function(name: str, function: Callable[..., Any]) -> None:
    """Refuses a function of something else, such as the maker of a schedule."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return
    needed = [p.name for p in parameters if p.default is p.empty and p.kind in _PLAIN]
    if len(needed) > 1:
        raise TypeError(
            f"{name} is a function of ({', '.join(needed)}); expected one of the step "
            f"count alone. If it makes a schedule, call it."
        )


_PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def whole_tree_number(name: str, value: Any, interval: str = NON_NEGATIVE) -> Numeric:
    """A hyperparameter that all leaves share, so that `by_path` makes no sense.

    Raises:
        TypeError: if `value` is `by_path`, besides what `number` raises.
    """
    if isinstance(value, ByPath):
        raise TypeError(
            f"{name} is one number for the whole tree, found by_path. Use `partition` "
            f"to give groups of parameters transformations of their own."
        )
    return number(name, value, interval)


def fixed_number(name: str, value: Any, interval: str = NON_NEGATIVE) -> Numeric:
    """A hyperparameter of the whole tree that must not change from step to step.

    Raises:
        TypeError: if `value` is a schedule, besides what `whole_tree_number` raises.
    """
    x = whole_tree_number(name, value, interval)
    if is_scheduled(x):
        raise TypeError(
            f"{name} is {value!r}; expected a number or an array that stays the same "
            f"at every step."
        )
    return x


def _refuse_type(name: str, value: Any) -> NoReturn:
    raise TypeError(
        f"{name} is {value!r}, {article(type(value).__name__)}; expected a number, an "
        f"array, a schedule or by_path of these."
    )


def _check_range(name: str, values: np.ndarray, interval: str) -> None:
    low, high = map(float, interval[1:-1].split(","))
    above = values >= low if interval[0] == "[" else values > low
    below = values <= high if interval[-1] == "]" else values < high
    if not np.all(above & below):
        wrong = values[~(above & below)].ravel()[0]
        raise ValueError(f"{name} is {wrong:g}; expected a number in {interval}.")
