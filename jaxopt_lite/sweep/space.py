"""Spaces: axes, and which of their values each configuration takes."""

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from jaxopt_lite.core import checks
from jaxopt_lite.core.value import structural_key
from jaxopt_lite.sweep.axis import Axis, distinct, read_axes

Row = tuple[int, ...]
"""Which value of each axis a configuration takes."""


@dataclasses.dataclass(frozen=True)
class Space:
    """The configurations of a sweep; made by `grid`, `zipped`, `sample` and `sobol`.

    `len(space)` is their number, `space[i]` is the i-th as a dict, and `a * b` holds
    every configuration of `a` with every one of `b`.

    Args:
        axes: the hyperparameters.
        rows: for each configuration, which value of each axis it takes.

    Example:
        >>> from jaxopt_lite import sweep
        >>> pairs = sweep.zipped(learning_rate=[1e-3, 1e-2], width=[64, 32])
        >>> space = sweep.grid(b1=[0.8, 0.9]) * pairs
        >>> len(space), space[1]
        (4, {'b1': 0.8, 'learning_rate': 0.01, 'width': 32})
    """

    axes: tuple[Axis, ...]
    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict[str, Any]:
        pairs = zip(self.axes, self.rows[i], strict=True)
        return {axis.name: axis.values[level] for axis, level in pairs}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self.__getitem__, range(len(self)))

    def __mul__(self, other: "Space") -> "Space":
        if not isinstance(other, Space):
            return NotImplemented
        twice = [name for name in self.names if name in other.names]
        if twice:
            raise ValueError(
                f"sweep: both spaces have the axes {listed(twice)}; expected each axis "
                f"in one of them."
            )
        pairs = itertools.product(self.rows, other.rows)
        return Space(self.axes + other.axes, tuple(a + b for a, b in pairs))

    def __repr__(self) -> str:
        n = checks.plural(len(self), "configuration", "configurations")
        return f"Space({'; '.join([*map(repr, self.axes), n])})"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the axes, in order."""
        return tuple(axis.name for axis in self.axes)

    def axis(self, name: str) -> Axis:
        """The axis of that name.

        Raises:
            KeyError: if there is none; the text lists those that there are.
        """
        return self.axes[self.names.index(known("axis", name, self.names))]

    def column(self, name: str) -> list[Any]:
        """The value of one axis in each configuration."""
        axis = self.axis(name)
        return [axis.values[level] for level in self.levels(name)]

    def labels(self, name: str) -> list[Any]:
        """The value of one axis in each configuration, as it is shown."""
        labels = self.axis(name).labels
        return [labels[level] for level in self.levels(name)]

    def texts(self, i: int, digits: int) -> dict[str, str]:
        """The i-th configuration in words; see `Axis.texts`."""
        pairs = zip(self.axes, self.rows[i], strict=True)
        return {axis.name: axis.texts(digits)[level] for axis, level in pairs}

    def levels(self, name: str) -> list[int]:
        """Which value of one axis each configuration takes."""
        i = self.names.index(known("axis", name, self.names))
        return [row[i] for row in self.rows]

    def programs(self) -> list[list[int]]:
        """The configurations that share a program: those of equal static values."""
        static = {
            i: [structural_key(x) for x in axis.values]
            for i, axis in enumerate(self.axes)
            if not axis.is_number
        }
        alike: dict[Any, list[int]] = {}
        for k, row in enumerate(self.rows):
            key = tuple(values[row[i]] for i, values in static.items())
            alike.setdefault(key, []).append(k)
        return list(alike.values())


class UnknownName(KeyError):
    """A name that stands for nothing; unlike KeyError's, its text is not quoted."""

    def __str__(self) -> str:
        return str(self.args[0])


def known(what: str, name: str, names: Iterable[str]) -> str:
    """The name, if it is one of several.

    Raises:
        KeyError: if it is not; the text lists them and the nearest.
    """
    names = list(names)
    if name in names:
        return name
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownName(
        f"sweep: no {what} is named {name!r}; expected one of {listed(names)}.{hint}"
    )


def listed(names: Iterable[Any]) -> str:
    """Names as errors show them."""
    return ", ".join(map(repr, names))


def grid(**axes: Any) -> Space:
    """Every combination of the values of some axes.

    Numbers are traced, so that one compilation serves all of them: a list with a float
    in it, and any array. What is no number is static, and each combination of static
    values is compiled by itself: strings, functions, optimizers, flags, None, and whole
    numbers in a list (`width=[16, 32]`; `jnp.array([16, 32])` would be traced).

    Args:
        **axes: the values of each axis: a list, a tuple, a range, or an array of one
            dimension. An axis of positive numbers that lie more evenly by their
            logarithms is remembered as logarithmic.

    Returns:
        A `Space`, whose last axis varies fastest.

    Raises:
        TypeError: if an axis is no sequence.
        ValueError: if there is no axis, or one without values or with a nan.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import sweep
        >>> sweep.grid(b1=jnp.array([0.5, 0.9]), width=[16, 32])
        Space(b1: 2 numbers from 0.5 to 0.9; width: 16, 32; 4 configurations)
    """
    made = read_axes("grid", axes)
    levels = [range(len(axis.values)) for axis in made]
    return Space(made, tuple(itertools.product(*levels)))


def zipped(**axes: Any) -> Space:
    """The first values of all axes together, then the second ones, and so on.

    Args:
        **axes: the values of each axis, equally many, as `grid` takes them.

    Returns:
        A `Space` of as many configurations as each axis has values.

    Raises:
        TypeError: if an axis is no sequence.
        ValueError: if axes differ in length, if there is none, or one without values or
            with a nan.

    Example:
        >>> from jaxopt_lite import sweep
        >>> list(sweep.zipped(b1=[0.8, 0.9], width=[64, 32]))
        [{'b1': 0.8, 'width': 64}, {'b1': 0.9, 'width': 32}]
    """
    made = read_axes("zipped", axes)
    lengths = [len(axis.values) for axis in made]
    if len(set(lengths)) > 1:
        checks.fail(
            "zipped: axes differ in length.",
            [(axis.name, f"{n} values") for axis, n in zip(made, lengths, strict=True)],
            "Expected equally many; `grid` makes all combinations.",
            ValueError,
        )
    once = [distinct(axis) for axis in made]
    rows = zip(*(levels for _, levels in once), strict=True)
    return Space(tuple(axis for axis, _ in once), tuple(rows))
