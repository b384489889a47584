"""Which arguments of a factory are numbers, which schedules, and which are neither."""

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.numbers import (
    check_function,
    is_real,
    keeps_state,
    number,
    refuse_box,
)
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.value import is_array
from jaxopt_lite.schedules.stateful import WrappedSchedule

Given = tuple[tuple[str, Any], ...]
"""Arguments by name."""


class Arguments(NamedTuple):
    """The arguments of a call: numbers, schedules, and what stays as it is."""

    numbers: Given
    schedules: Given
    static: Given


def bind(
    factory: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """All arguments of a call by name, with the defaults.

    Raises:
        TypeError: if the factory does not take them.
    """
    try:
        signature = inspect.signature(factory)
    except ValueError:
        raise TypeError(
            f"inject_hyperparams: inner_factory is {factory!r}, whose arguments Python "
            f"does not tell; expected a function such as `adamw`."
        ) from None
    rest = _rest(signature)
    known = [name for name in signature.parameters if name != rest]
    if rest is None:
        refuse_unknown(factory, known, kwargs)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        name = _name(factory)
        raise TypeError(
            f"inject_hyperparams: {name} cannot be called: {error}. Expected "
            f"{name}{_without_annotations(signature)}."
        ) from None
    bound.apply_defaults()
    given = dict(bound.arguments)
    return given.pop(rest) | given if rest else given


def call(factory: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Calls a factory with all its arguments by name."""
    signature = inspect.signature(factory)
    rest = _rest(signature)
    arguments = {k: given[k] for k in signature.parameters if k != rest}
    if rest:
        arguments[rest] = {k: x for k, x in given.items() if k not in arguments}
    bound = inspect.BoundArguments(signature, arguments)
    return factory(*bound.args, **bound.kwargs)


def _without_annotations(signature: inspect.Signature) -> inspect.Signature:
    parameters = signature.parameters.values()
    return inspect.Signature([p.replace(annotation=p.empty) for p in parameters])


def _rest(signature: inspect.Signature) -> str | None:
    """The parameter that takes keywords of other names, if there is one."""
    parameters = signature.parameters.values()
    return next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)


def refuse_unknown(
    factory: Callable[..., Any], known: Iterable[str], names: Iterable[str]
) -> None:
    """Refuses names that a factory has no argument for.

    Raises:
        TypeError: naming each, and the nearest that there is.
    """
    known = list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        hints = [f"{name!r}{_nearest(name, known)}" for name in unknown]
        raise TypeError(
            f"inject_hyperparams: {_name(factory)} has no argument "
            f"{', '.join(hints)}. Expected names among {', '.join(known) or 'none'}."
        )


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _name(factory: Callable[..., Any]) -> str:
    return getattr(factory, "__name__", repr(factory))


def sort(
    factory: Callable[..., Any], given: Mapping[str, Any], static: Iterable[str]
) -> Arguments:
    """Sorts arguments, in the order of the factory's, into what they are.

    What is annotated as a number is one; without an annotation, a floating-point
    default or value shows it. Whole numbers are numbers only where they are annotated
    so: elsewhere they count, such as axes and steps.
    """
    parameters = inspect.signature(factory).parameters
    numbers, schedules, rest = {}, {}, {}
    for name in dict.fromkeys([*(k for k in parameters if k in given), *given]):
        x, parameter = given[name], _evaluated(factory, parameters.get(name))
        refuse_box(name, x)
        if name not in static and isinstance(x, ByPath) and _is_annotated(parameter):
            rest[name] = number(name, x, "[-inf, inf]")
        elif name in static or x is None or isinstance(x, bool | str | ByPath | tuple):
            rest[name] = x
        elif keeps_state(x):
            schedules[name] = x
        elif _is_number(x, parameter):
            numbers[name] = x
        elif _is_schedule(x, parameter):
            check_function(name, x)
            schedules[name] = WrappedSchedule(x)
        else:
            rest[name] = x
    return Arguments(*(tuple(group.items()) for group in (numbers, schedules, rest)))


def _evaluated(
    factory: Callable[..., Any], parameter: inspect.Parameter | None
) -> inspect.Parameter | None:
    """A parameter with its annotation evaluated; without one where that fails."""
    if parameter is None or not isinstance(parameter.annotation, str):
        return parameter
    names = getattr(inspect.unwrap(factory), "__globals__", {})
    try:
        annotation = eval(parameter.annotation, names)
    except Exception:  # An annotation may be any text.
        annotation = parameter.empty
    return parameter.replace(annotation=annotation)


def _is_annotated(parameter: inspect.Parameter | None) -> bool:
    """Whether an argument is declared to be a number."""
    if parameter is None:
        return False
    declared = _members(parameter.annotation)
    return float in declared or type(parameter.default) is float


def _members(annotation: Any) -> list[Any]:
    """The types that an annotation allows, whatever they are called."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [m for part in typing.get_args(annotation) for m in _members(part)]
    if typing.get_origin(annotation) is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if isinstance(annotation, typing.TypeVar):
        return _members(annotation.__bound__)
    for name in ("__supertype__", "__value__"):  # of a NewType, and of a `type` alias
        if hasattr(annotation, name):
            return _members(getattr(annotation, name))
    return [annotation]


def _is_number(x: Any, parameter: inspect.Parameter | None) -> bool:
    """Whether a value is a number that may change.

    A whole one is not where `int` is declared as well: it may be a seed.
    """
    if not isinstance(x, int | float | np.generic | np.ndarray) and not is_array(x):
        return False
    dtype = getattr(x, "dtype", None) or jnp.result_type(x)
    if jnp.issubdtype(dtype, jnp.floating):
        return True
    if parameter is None or not is_real(dtype) or not _is_annotated(parameter):
        return False
    is_float_by_default = type(parameter.default) is float
    return is_float_by_default or int not in _members(parameter.annotation)


def _is_schedule(x: Any, parameter: inspect.Parameter | None) -> bool:
    """Whether a value is a schedule, where its argument may be one."""
    if not callable(x) or (not isinstance(x, Schedule) and not _is_bare(x)):
        return False
    if _is_annotated(parameter):
        return True
    untold = (inspect.Parameter.empty, typing.Any, jax.Array)
    if parameter is not None and parameter.annotation not in untold:
        return False
    return _gives_a_number(x)


def _is_bare(x: Any) -> bool:
    """Whether a callable is no tree, as a module of parameters is."""
    return jax.tree_util.all_leaves([x]) and not isinstance(x, type)


def _gives_a_number(function: Callable[..., Any]) -> bool:
    """Whether a function makes one number of a count; it is asked abstractly."""
    try:
        made = jax.eval_shape(function, jax.ShapeDtypeStruct((), jnp.int32))
    except Exception:  # What a function of something else raises cannot be known.
        return False
    return (
        isinstance(made, jax.ShapeDtypeStruct)
        and made.shape == ()
        and jnp.issubdtype(made.dtype, jnp.floating)
    )
