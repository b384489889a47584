"""Which axes of a parameter make a matrix, and the parameter as such matrices."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.selectors import ByTree, PerLeaf, as_selector
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.types import Tensor


@dataclasses.dataclass(frozen=True)
class Axes:
    """The axes that are a matrix's rows and columns; the others count matrices.

    Without any axis: no matrix.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.rows or self.columns)

    def sizes(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """How many rows and columns a matrix has."""
        rows = math.prod(shape[i] for i in self.rows)
        return rows, math.prod(shape[i] for i in self.columns)

    def counted(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The sizes of the axes that count matrices."""
        named = (*self.rows, *self.columns)
        return tuple(n for i, n in enumerate(shape) if i not in named)

    def matrices(self, x: Tensor) -> Tensor:
        """An array as matrices: `[..., rows, columns]`."""
        moved = x.transpose(self._order(x.ndim))
        return moved.reshape(*self.counted(x.shape), *self.sizes(x.shape))

    def array(self, matrices: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The array of a shape whose matrices these are."""
        order = self._order(len(shape))
        moved = matrices.reshape([shape[i] for i in order])
        return moved.transpose(np.argsort(order).tolist())

    def of_rank(self, ndim: int) -> "Axes":
        """The same axes of an array of some rank, counted from the front.

        Raises:
            ValueError: if the array has no such axes, or one is named twice.
        """
        named = (*self.rows, *self.columns)
        if not all(-ndim <= i < ndim for i in named):
            raise ValueError(f"has {ndim} axes")
        if len({i % ndim for i in named}) < len(named):
            raise ValueError("has an axis that is named twice")
        return Axes(
            tuple(i % ndim for i in self.rows), tuple(i % ndim for i in self.columns)
        )

    def _order(self, ndim: int) -> tuple[int, ...]:
        named = (*self.rows, *self.columns)
        return (*(i for i in range(ndim) if i not in named), *named)


NO_MATRIX = Axes((), ())


class MatrixAxes(PerLeaf):
    """The axes of every parameter, from dimension numbers as users give them.

    `given` is None (the axes of parameters with two of them), `Axes` (for parameters
    with at least two), `ByPath` or `ByTree` of `Axes`, or a function of the parameters
    that returns a tree of dimension numbers.
    """

    given: Any

    def judge(self, where: str, flat: Flat) -> None:
        if isinstance(self.given, ByPath):
            self.given.judge(where, flat)

    def resolve(self, where: str, flat: Flat, seen: Sequence[bool]) -> list[Any]:
        """The axes of every leaf that is seen.

        Raises:
            ValueError: if one is no matrix, or has not the axes; all are named.
        """
        found = self.find(where, flat, seen)
        problems = [
            (path, f"{checks.describe(leaf)} has no dimension numbers")
            for path, leaf, axes, is_seen in zip(
                flat.paths, flat.leaves, found, seen, strict=True
            )
            if is_seen and not axes
        ]
        if problems:
            checks.fail(
                f"{where}: {checks.plural(len(problems), 'parameter', 'parameters')} "
                f"without a matrix.",
                problems,
                "Expected two axes, or dimension numbers that name them: leave such "
                "parameters to another transformation by `partition` or `masked`.",
                ValueError,
            )
        return found

    def find(self, where: str, flat: Flat, seen: Sequence[bool]) -> list[Axes]:
        """The axes of every leaf, `NO_MATRIX` where it is none or is not seen.

        Raises:
            ValueError: if a leaf has not the axes that it is given; all are named.
        """
        found, problems = [], []
        for i, axes in enumerate(self._given(where, flat)):
            ndim = np.ndim(flat.leaves[i]) if seen[i] else 0
            try:
                found.append(axes.of_rank(ndim) if seen[i] else NO_MATRIX)
            except ValueError as error:
                named = f"reduction_axis {axes.rows}, output_axis {axes.columns}"
                text = f"{checks.describe(flat.leaves[i])} {error}; found {named}"
                problems.append((flat.paths[i], text))
        if problems:
            checks.fail(
                f"{where}: dimension numbers that do not fit.",
                problems,
                "Expected each axis of the parameter at most once, and None for a "
                "parameter that is no matrix.",
                ValueError,
            )
        return found

    def _given(self, where: str, flat: Flat) -> list[Axes]:
        """The axes of every leaf as they were given."""
        if self.given is None:
            two = [np.ndim(leaf) == 2 for leaf in flat.leaves]
            return [Axes((0,), (1,)) if x else NO_MATRIX for x in two]
        if isinstance(self.given, Axes):
            some = [np.ndim(leaf) >= 2 for leaf in flat.leaves]
            return [self.given if x else NO_MATRIX for x in some]
        if isinstance(self.given, ByPath | ByTree):
            return [x or NO_MATRIX for x in self.given.resolve(where, flat)]
        tree = _axes_of(self.given(flat.tree))
        return [x or NO_MATRIX for x in as_selector(tree).resolve(where, flat)]


def matrix_axes(given: Any) -> MatrixAxes:
    """The axes that a user's dimension numbers name.

    Args:
        given: None, dimension numbers (a NamedTuple with `reduction_axis` and
            `output_axis`), or one or None per parameter: `by_path`, a tree or a prefix
            of it, or a function of the parameters; or what this function returned.

    Raises:
        TypeError: if something else stands in place of dimension numbers.
    """
    if isinstance(given, MatrixAxes):
        return given
    if given is None:
        return MatrixAxes(None)
    if isinstance(given, ByPath):
        values = tuple(map(_axes, given.values))
        return MatrixAxes(dataclasses.replace(given, values=values))
    if _is_dimension_numbers(given):
        return MatrixAxes(_axes(given))
    if callable(given) and jax.tree_util.all_leaves([given]):
        return MatrixAxes(given)
    return MatrixAxes(as_selector(_axes_of(given)))


def _axes_of(tree: Any) -> Any:
    """A tree of dimension numbers as one of axes, each of which is a leaf."""
    return jax.tree.map(_axes, tree, is_leaf=_is_dimension_numbers)


def _is_dimension_numbers(x: Any) -> bool:
    return x is None or hasattr(x, "reduction_axis")


def _axes(given: Any) -> Axes:
    """Dimension numbers, ours or Optax's, as axes."""
    if given is None:
        return NO_MATRIX
    if not _is_dimension_numbers(given):
        raise TypeError(
            f"dimension numbers are {given!r}, a {type(given).__name__}; expected "
            f"MuonDimensionNumbers(reduction_axis, output_axis), or None for a "
            f"parameter that is no matrix."
        )
    return Axes(_several(given.reduction_axis), _several(given.output_axis))


def _several(axes: Any) -> tuple[int, ...]:
    return tuple(axes) if isinstance(axes, tuple | list) else (axes,)
