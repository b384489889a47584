"""How functions of arrays are applied to trees."""

from collections.abc import Callable
from typing import Any

from jaxopt_lite.core import checks
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import PyTree


def rows(where: str, tree: PyTree, **others: PyTree) -> tuple[Flat, list[Any]]:
    """The leaves of trees, those of one path together.

    A row is None where the first tree has no array.

    Raises:
        ValueError: if one tree has a leaf that another has not; all are named.
    """
    flat = Flat(tree)
    aligned = [
        (name, checks.align(where, flat, name, other, "the first tree"))
        for name, other in others.items()
    ]
    problems = [
        (path, f"{checks.describe(y)} in {name}, {checks.describe(x)} in the first")
        for name, other in aligned
        for path, x, y in zip(flat.paths, flat.leaves, other.leaves, strict=True)
        if is_end(y) and not is_end(x)
    ]
    if problems:
        checks.fail(
            f"{where}: an array meets no array.",
            problems,
            "Expected an array in every tree, or None in the first.",
            ValueError,
        )
    columns = [flat.leaves, *(other.leaves for _, other in aligned)]
    return flat, [None if is_end(row[0]) else row for row in zip(*columns, strict=True)]


def each(
    where: str, function: Callable[..., Any], tree: PyTree, **others: PyTree
) -> PyTree:
    """A function of the leaves of one path, in the shape of the first tree."""
    flat, found = rows(where, tree, **others)
    return flat.rebuild(
        x if row is None else function(*row)
        for x, row in zip(flat.leaves, found, strict=True)
    )


def arrays(tree: PyTree) -> list[Any]:
    """The leaves that are no None and not masked."""
    return [x for x in Flat(tree).leaves if not is_end(x)]
