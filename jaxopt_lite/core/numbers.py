"""Numbers as rules keep them, checked where they are concrete."""

import contextlib
import contextvars
import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.checks import article, describe
from jaxopt_lite.core.hyperparameters import FromFunction, Schedule, is_scheduled
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.trees import is_box, unbox
from jaxopt_lite.core.types import Numeric
from jaxopt_lite.core.value import is_array

NON_NEGATIVE = "[0, inf)"
FINITE = "(-inf, inf)"
DECAY = "[0, 1)"
BOUND = "[0, inf]"


@contextlib.contextmanager
def called(**names: str) -> Iterator[None]:
    """Lets errors of parts speak of arguments under the names that the caller knows.

    with called(decay="momentum"):
        return trace(momentum)
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        field = re.split(r"\W", str(error), maxsplit=1)[0]
        if type(error) not in (TypeError, ValueError) or field not in names:
            raise
        raise type(error)(names[field] + str(error).removeprefix(field)) from None


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
    refuse_box(name, value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | str) or value is None:
        _refuse_type(name, value)
    if isinstance(value, int | float):
        _check_range(name, value, interval)
        return float(value)
    if is_array(value) or isinstance(value, np.ndarray):
        return _array(name, value, interval)
    if callable(value) and not isinstance(value, type):
        check_function(name, value)
        return cast(Numeric, FromFunction(value))
    _refuse_type(name, value)


def _array(name: str, value: Any, interval: str) -> Numeric:
    """An array of numbers, whole ones made floating."""
    dtype = value.dtype
    if not is_real(dtype):
        _refuse_type(name, value)
    _check_range(name, value, interval)
    if jnp.issubdtype(dtype, jnp.integer):
        return jnp.asarray(value).astype(float)
    return cast(Numeric, value)


def is_real(dtype: Any) -> bool:
    """Whether arrays of a dtype hold real numbers."""
    return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)


def check_function(name: str, function: Callable[..., Any]) -> None:
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
    if not is_array(value):
        return x
    if not isinstance(value, jax.core.Tracer) and np.any(np.asarray(value) % 1):
        raise ValueError(f"{name} is {value}; expected integers.")
    return value


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


def refuse_box(name: str, value: Any) -> None:
    """Refuses a framework's box, such as `nnx.Param`, where a number belongs.

    Raises:
        TypeError: saying what is in the box.
    """
    if is_box(value):
        raise TypeError(
            f"{name} is {article(type(value).__name__)} around "
            f"{describe(unbox(value))}; expected what is in it: take it out by "
            f"`param[...]` of nnx or `unbox()` of linen."
        )


def _refuse_type(name: str, value: Any) -> NoReturn:
    cures: dict[type, str] = {
        tuple: " To sweep over many, give an array to jax.vmap over the optimizer.",
        dict: " To give groups of parameters their own, make a by_path of it.",
    }
    raise TypeError(
        f"{name} is {describe(value)}; expected a number, an array, a schedule or "
        f"by_path of these.{cures.get(type(value), '')}"
    )


def _check_range(name: str, value: Any, interval: str) -> None:
    if isinstance(value, jax.core.Tracer) or not _IS_CHECKED.get():
        return
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        raise ValueError(f"{name} is beyond what a float holds; expected less.")
    values = np.asarray(value, np.float64)
    low, high = map(float, interval[1:-1].split(","))
    above = values >= low if interval[0] == "[" else values > low
    below = values <= high if interval[-1] == "]" else values < high
    if not np.all(above & below):
        wrong = values[~(above & below)].ravel()[0]
        raise ValueError(f"{name} is {wrong:g}; expected a number in {interval}.")


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
