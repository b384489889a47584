"""The ranges of hyperparameters: declared at fields, checked where concrete."""

import contextlib
import contextvars
import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, NamedTuple, NoReturn, TypeAlias, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.checks import article
from jaxopt_lite.core.hyperparameters import FromFunction, Schedule, is_scheduled
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.types import Numeric, cached
from jaxopt_lite.core.value import Value, field_names, is_array

_Value = TypeVar("_Value", bound=Value)

NON_NEGATIVE = "[0, inf)"
FINITE = "(-inf, inf)"
DECAY = "[0, 1)"
BOUND = "[0, inf]"


class Within(NamedTuple):
    """Says in an annotation in which interval a number lies."""

    interval: str


class Whole(NamedTuple):
    """Says in an annotation that a number is whole, such as one of steps."""

    least: int


class Scope(enum.Enum):
    """Says in an annotation how far a number must stay the same."""

    WHOLE_TREE = enum.auto()
    FIXED = enum.auto()
    """For the whole tree, and at every step."""


WHOLE_TREE = Scope.WHOLE_TREE
FIXED = Scope.FIXED

Magnitude: TypeAlias = Annotated[Any, Within(NON_NEGATIVE)]
"""A field for a number of at least 0: given as any hyperparameter, read as one number.
"""

Decay: TypeAlias = Annotated[Any, Within(DECAY)]
"""A field for the weight of the past in a moving mean."""

FiniteNumber: TypeAlias = Annotated[Any, Within(FINITE)]
"""A field for a number of either sign."""

Bound: TypeAlias = Annotated[Any, Within(BOUND)]
"""A field for a number of at least 0, where infinity bounds nothing."""


Steps: TypeAlias = Annotated[Any, Whole(1)]
"""A field for a number of steps, at least 1."""


def checked(value: _Value) -> _Value:
    """A rule or transformation whose numbers are what its fields declare.

    Functions of the count become schedules, as `number` makes them.

    Raises:
        TypeError: if a number is none, or may change where it must not.
        ValueError: if a concrete number lies outside its interval.
    """
    numbers = {
        name: check(name, getattr(value, name))
        for name, check in _checks(type(value)).items()
    }
    return cast(_Value, dataclasses.replace(cast(Any, value), **numbers))


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Lets numbers pass that were checked when they were given.

    What a schedule gives must not stop a training under way, which `jit` would not.
    """
    token = _IS_CHECKED.set(False)
    try:
        yield
    finally:
        _IS_CHECKED.reset(token)


_IS_CHECKED = contextvars.ContextVar("is_checked", default=True)


@cached
def _checks(cls: type[Value]) -> dict[str, Callable[..., Any]]:
    """The check of each field that declares an interval."""
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError:  # a class of the user's that names what only its function knows
        return {}
    checks = {name: _check(hints[name]) for name in field_names(cls)}
    return {name: check for name, check in checks.items() if check}


def _check(hint: Any) -> Callable[..., Any] | None:
    """The check that an annotation declares, or that a member of its union does."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        found = [check for m in typing.get_args(hint) if (check := _check(m))]
        return partial(_or_none, found[0]) if found else None
    if hint is float:
        return partial(number, interval="[-inf, inf]")
    marks = getattr(hint, "__metadata__", ())
    for mark in marks:
        if isinstance(mark, Whole):
            check = fixed_whole_number if FIXED in marks else whole_number
            return partial(check, least=mark.least)
        if isinstance(mark, Within):
            check = (
                fixed_number
                if FIXED in marks
                else whole_tree_number
                if WHOLE_TREE in marks
                else number
            )
            return partial(check, interval=mark.interval)
    return None


def _or_none(check: Callable[..., Any], name: str, value: Any) -> Any:
    return None if value is None else check(name, value)


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
        _check_range(name, value, interval)
        return float(value)
    if is_array(value) or isinstance(value, np.ndarray):
        return _array(name, value, interval)
    if callable(value):
        _check_function(name, value)
        return cast(Numeric, FromFunction(value))
    _refuse_type(name, value)


def _array(name: str, value: Any, interval: str) -> Numeric:
    """An array of numbers, whole ones made floating."""
    dtype = value.dtype
    if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
        _refuse_type(name, value)
    _check_range(name, value, interval)
    if jnp.issubdtype(dtype, jnp.integer):
        return jnp.asarray(value).astype(float)
    return cast(Numeric, value)


def _check_function(name: str, function: Callable[..., Any]) -> None:
    """Refuses a function of something else than the count."""
    if keeps_state(function):
        raise TypeError(
            f"{name} is {function!r}, which keeps a state of its own; expected a "
            f"function of the step count. Give it to `inject_hyperparams` of the "
            f"optimizer, where there is a place for that state."
        )
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


def keeps_state(x: Any) -> bool:
    """Whether a value is a schedule with a state of its own."""
    methods = (getattr(x, name, None) for name in ("init", "update", "__call__"))
    return not isinstance(x, type) and all(map(callable, methods))


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


def whole_number(name: str, value: Any, least: int = 1) -> Any:
    """A number of steps, checked where it is concrete.

    Args:
        name: the argument's name, for the error.
        value: an integer, an array, a schedule or a function of the count.
        least: the smallest number allowed.

    Returns:
        The number, an integer where it is concrete.

    Raises:
        TypeError: if it is none of these.
        ValueError: if a concrete number is too small or has a fraction.
    """
    x = whole_tree_number(name, value, f"[{least}, inf)")
    if isinstance(x, float):
        if not x.is_integer():
            raise ValueError(f"{name} is {x:g}; expected an integer.")
        return int(x)
    return value if is_array(value) else x


def fixed_whole_number(name: str, value: Any, least: int = 1) -> Any:
    """A number of steps, where there is no count that a schedule could be read at.

    Raises:
        TypeError: if `value` is a schedule, besides what `whole_number` raises.
    """
    x = whole_number(name, value, least)
    if is_scheduled(x):
        raise TypeError(
            f"{name} is {value!r}; expected an integer or an array: no count is kept "
            f"here that a schedule could be read at."
        )
    return x


def _refuse_type(name: str, value: Any) -> NoReturn:
    raise TypeError(
        f"{name} is {value!r}, {article(type(value).__name__)}; expected a number, an "
        f"array, a schedule or by_path of these."
    )


def _check_range(name: str, value: Any, interval: str) -> None:
    if isinstance(value, jax.core.Tracer) or not _IS_CHECKED.get():
        return
    values = np.asarray(value, np.float64)
    low, high = map(float, interval[1:-1].split(","))
    above = values >= low if interval[0] == "[" else values > low
    below = values <= high if interval[-1] == "]" else values < high
    if not np.all(above & below):
        wrong = values[~(above & below)].ravel()[0]
        raise ValueError(f"{name} is {wrong:g}; expected a number in {interval}.")
