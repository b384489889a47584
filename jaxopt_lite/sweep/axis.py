"""Axes: hyperparameters, and the values that they take."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.value import is_array, short_repr, structural_key


@dataclasses.dataclass(frozen=True)
class Axis:
    """A hyperparameter and the values that it takes.

    A number is traced, so that one program serves all its values; anything else is
    static and costs a compilation for each value.
    """

    name: str
    values: tuple[Any, ...]
    is_number: bool
    is_logarithmic: bool = False

    def __repr__(self) -> str:
        if self.is_number and len(self.values) > 1:
            low, high = min(self.values), max(self.values)
            numbers = (
                f"{self.name}: {len(self.values)} numbers from {low:g} to {high:g}"
            )
            return f"{numbers}, logarithmic" if self.is_logarithmic else numbers
        return f"{self.name}: {', '.join(map(short_repr, self.values))}"

    @property
    def labels(self) -> list[Any]:
        """The values as JSON, tables and pictures show them, alike in any process.

        A number, a string or None is itself, another static value is in words. Static
        values that would read alike or be equal (`1 == 1.0 == True`) are in words with,
        where these are the same, the place among them: `f #1`, `f #2`.
        """
        if self.is_number:
            return [*self.values]
        keys = [structural_key(x) for x in self.values]
        names = [*map(_plain, self.values)]
        equal = _alike(names, keys)
        names = [str(x) if len(equal[x]) > 1 else x for x in names]
        same = _alike(map(str, names), keys)
        return [
            x if len(alike := same[str(x)]) == 1 else f"{x} #{alike.index(key) + 1}"
            for x, key in zip(names, keys, strict=True)
        ]

    def texts(self, digits: int) -> list[str]:
        """The labels in words; traced numbers are rounded to so many digits."""
        return [
            f"{x:.{digits}g}" if self.is_number and isinstance(x, float) else str(x)
            for x in self.labels
        ]


def _plain(x: Any) -> Any:
    """A value as JSON holds it: itself, or in words without the place in memory."""
    if x is None or isinstance(x, bool | int | float | str):
        return x
    return re.sub(" at 0x[0-9a-f]+", "", short_repr(x))


def _alike(names: Iterable[Any], keys: list[Any]) -> dict[Any, list[Any]]:
    """By name the different values that have it, each known by its key."""
    found: dict[Any, list[Any]] = {}
    for name, key in zip(names, keys, strict=True):
        others = found.setdefault(name, [])
        if key not in others:
            others.append(key)
    return found


def read_axes(where: str, axes: dict[str, Any]) -> tuple[Axis, ...]:
    """The axes that the caller gave, checked; an error names all that are wrong."""
    if not axes:
        raise ValueError(
            f"{where}: found no axis; expected at least one, such as "
            f"learning_rate=[1e-3, 1e-2]."
        )
    unordered = [
        (name, short_repr(x)) for name, x in axes.items() if not _is_sequence(x)
    ]
    if unordered:
        checks.fail(
            f"{where}: {checks.plural(len(unordered), 'axis is', 'axes are')} no "
            f"sequence of values.",
            unordered,
            "Expected a list, a tuple, a range or an array of one dimension. Write one "
            "value x as [x]; a distribution belongs to `sample`.",
            TypeError,
        )
    opaque = [(name, what) for name, x in axes.items() if (what := _opaque(x))]
    if opaque:
        checks.fail(
            f"{where}: {checks.plural(len(opaque), 'axis', 'axes')} cannot be swept.",
            opaque,
            "Expected an array of numbers, or a list of anything but keys; each seed "
            "of `run` has a key of its own.",
            TypeError,
        )
    made = tuple(_axis(name, x) for name, x in axes.items())
    problems = [(axis.name, "no value") for axis in made if not axis.values]
    problems += [
        (axis.name, "a nan") for axis in made if any(map(_is_nan, axis.values))
    ]
    if problems:
        checks.fail(
            f"{where}: {checks.plural(len(problems), 'axis', 'axes')} cannot be swept.",
            problems,
            "Expected at least one value, and no nan.",
            ValueError,
        )
    return made


def _is_sequence(x: Any) -> bool:
    if is_array(x) or isinstance(x, np.ndarray):
        return x.ndim == 1
    return isinstance(x, list | tuple | range)


def _opaque(x: Any) -> str:
    """What is wrong with values that NumPy cannot hold as numbers or text."""
    if isinstance(x, np.ndarray) and x.dtype == object:
        return "an array of objects"
    each = [x] if is_array(x) else x
    is_key = (
        is_array(y) and jnp.issubdtype(y.dtype, jax.dtypes.prng_key) for y in each
    )
    return "keys of jax.random" if any(is_key) else ""


def _is_nan(x: Any) -> bool:
    return isinstance(x, float) and x != x


def _axis(name: str, given: Any) -> Axis:
    """An axis of the values given: Python numbers, or whatever else they are."""
    if is_array(given) or isinstance(given, np.ndarray):
        values = [_python(x) for x in np.asarray(given)]
        traced = not any(isinstance(x, bool | str) for x in values)
    else:
        values = [_python(x) if _is_scalar(x) else x for x in given]
        traced = any(isinstance(x, float) for x in values)
    is_number = traced and all(type(x) in (int, float) for x in values)
    if is_number and any(isinstance(x, float) for x in values):
        values = [float(x) for x in values]
    return Axis(name, tuple(values), is_number, is_number and _is_geometric(values))


def _is_scalar(x: Any) -> bool:
    is_any_array = is_array(x) or isinstance(x, np.ndarray)
    return isinstance(x, np.generic) or (is_any_array and x.shape == ())


def _python(x: Any) -> Any:
    """A NumPy scalar as Python has it; a float with the digits that it prints."""
    return float(str(x)) if isinstance(x.item(), float) else x.item()


def _is_geometric(values: list[Any]) -> bool:
    """Whether positive numbers lie more evenly by their logarithms."""
    x = np.unique(np.asarray(values, np.float64))
    if len(x) < 3 or x[0] <= 0 or not np.isfinite(x[-1]):
        return False
    gaps, ratios = np.diff(x), np.diff(np.log(x))
    return bool(np.std(ratios) / np.mean(ratios) < np.std(gaps) / np.mean(gaps))


def distinct(axis: Axis) -> tuple[Axis, list[int]]:
    """An axis with each value once, and which of them stood where."""
    keys = [structural_key(x) for x in axis.values]
    position = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    values = {key: x for key, x in zip(keys, axis.values, strict=True)}
    once = dataclasses.replace(axis, values=tuple(map(values.__getitem__, position)))
    return once, [position[key] for key in keys]
