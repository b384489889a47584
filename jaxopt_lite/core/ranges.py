"""The ranges that a rule declares at its fields, in their annotations."""

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Collection
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar, cast

from jaxopt_lite.core.numbers import (
    BOUND,
    DECAY,
    FINITE,
    NON_NEGATIVE,
    fixed_number,
    fixed_whole_number,
    number,
    whole_number,
    whole_tree_number,
)
from jaxopt_lite.core.types import cached
from jaxopt_lite.core.value import Value, field_names

_Value = TypeVar("_Value", bound=Value)


class Within(NamedTuple):
    """Says in an annotation in which interval a number lies."""

    interval: str


class Whole(NamedTuple):
    """Says in an annotation that a number is whole, such as one of steps."""

    least: int


class Scope(enum.Enum):
    """Says in an annotation how far a number stays the same."""

    WHOLE_TREE = "for all leaves"
    FIXED = "for all leaves, and at every step"


WHOLE_TREE = Scope.WHOLE_TREE
FIXED = Scope.FIXED

Magnitude: TypeAlias = Annotated[Any, Within(NON_NEGATIVE)]
"""A field for a number of at least 0; it is given as any hyperparameter may be."""

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


@cached
def _checks(cls: type[Value]) -> dict[str, Callable[..., Any]]:
    """The check of each field that declares an interval."""
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except (
        AttributeError,
        NameError,
    ):  # a class of the user's that names what only its function knows
        return {}
    checks = {name: _check(hints[name]) for name in field_names(cls)}
    return {name: check for name, check in checks.items() if check}


def _check(hint: Any) -> Callable[..., Any] | None:
    """The check that an annotation declares, or that a member of its union does."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = typing.get_args(hint)
        found = next(filter(None, map(_check, members)), None)
        return partial(_or_none, found) if found and type(None) in members else found
    if hint is float:
        return partial(number, interval="[-inf, inf]")
    marks = getattr(hint, "__metadata__", ())
    for mark in marks:
        if isinstance(mark, Whole):
            check = fixed_whole_number if FIXED in marks else whole_number
            return partial(check, least=mark.least)
        if isinstance(mark, Within):
            return partial(_scoped(marks), interval=mark.interval)
    return None


def _or_none(check: Callable[..., Any], name: str, value: Any) -> Any:
    return None if value is None else check(name, value)


def _scoped(marks: Collection[Any]) -> Callable[..., Any]:
    if FIXED in marks:
        return fixed_number
    return whole_tree_number if WHOLE_TREE in marks else number
