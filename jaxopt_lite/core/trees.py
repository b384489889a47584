"""Trees taken apart down to the box: leaves, canonical paths, alignment.

A leaf is an array, None, a masked position (a tuple without elements, such as
`MaskedNode()`), or a framework's box around an array (`flax.linen.Partitioned`,
`flax.nnx.Param`): boxes differ between `init` and `update` in some frameworks, and
their contents do not, so nothing is ever compared below a box.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax

from jaxopt_lite.core.types import PyTree, cached


class MaskedNode(NamedTuple):
    """Stands in a tree where a transformation does not see the leaf."""


@cached
def _boxes(cls: type) -> bool:
    return hasattr(cls, "unbox") or hasattr(cls, "get_raw_value")


def is_box(x: Any) -> bool:
    """Whether `x` is a framework's box around one array."""
    return _boxes(type(x))


def is_masked(x: Any) -> bool:
    """Whether `x` is a masked position: a tuple without elements."""
    return isinstance(x, tuple) and not x


def is_end(x: Any) -> bool:
    """Whether no array stands here: None, or a masked position."""
    return x is None or is_masked(x)


def _is_leaf(x: Any) -> bool:
    return x is None or _boxes(type(x)) or is_masked(x)


@functools.lru_cache(maxsize=64)
def _paths(structure: Any) -> list[str]:
    """The path of every leaf of trees of one structure."""
    tree = structure.unflatten([0] * structure.num_leaves)
    keyed, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in keyed]


class Flat:
    """A tree taken apart: `leaves` out of their boxes, `paths` canonical.

    Trees of equal `layout` have the same structure and order of leaves.
    """

    def __init__(self, tree: PyTree):
        self.tree = tree
        self._boxed: list[Any]
        self.structure: Any
        self._boxed, self.structure = jax.tree.flatten(tree, is_leaf=_is_leaf)
        self.layout: Any = (self.structure, None)
        self.leaves = [unbox(x) if is_box(x) else x for x in self._boxed]

    @functools.cached_property
    def paths(self) -> list[str]:
        """The path of every leaf, the same in every framework: `encoder/0/kernel`."""
        return _paths(self.structure)

    def rebuild(self, leaves: Iterable[Any]) -> PyTree:
        """The same tree with other leaves, in boxes where these were."""
        return self.structure.unflatten(map(_rebox, self._boxed, leaves))

    def rebuild_bare(self, leaves: Iterable[Any]) -> PyTree:
        """The same tree with other leaves, without boxes."""
        return self.structure.unflatten(leaves)

    def order(self, paths: list[str]) -> list[int] | None:
        """Which leaf stands at each of some paths; None where they do not match.

        A masked position stands for every leaf below it, as in Optax's states.
        """
        position = {path: i for i, path in enumerate(self.paths)}
        masked = {path for path, i in position.items() if is_masked(self.leaves[i])}
        found = [path if path in position else _above(path, masked) for path in paths]
        covered = {path for path in found if path is not None}
        if None in found or position.keys() - masked - covered:
            return None
        return [position[path] for path in found if path is not None]


def _above(path: str, known: set[str]) -> str | None:
    """The nearest path above, of those that are known."""
    return next((p for p in upwards(parent(path)) if p in known), None)


class Reordered(Flat):
    """A tree whose leaves are seen in the order of another's paths."""

    def __init__(self, flat: Flat, paths: list[str], order: list[int]):
        self._order = order
        self._original = flat
        self.tree = flat.tree
        # Two trees are alike only if their leaves stand in the same order as well.
        self.layout = (flat.structure, tuple(order))
        self.leaves = [flat.leaves[i] for i in order]
        self._paths = paths

    @property
    def paths(self) -> list[str]:
        """The paths of the other tree."""
        return self._paths

    def _restored(self, leaves: Iterable[Any]) -> list[Any]:
        placed = dict(zip(self._order, leaves, strict=True))
        return [placed.get(i, x) for i, x in enumerate(self._original.leaves)]

    def rebuild(self, leaves: Iterable[Any]) -> PyTree:
        return self._original.rebuild(self._restored(leaves))

    def rebuild_bare(self, leaves: Iterable[Any]) -> PyTree:
        return self._original.rebuild_bare(self._restored(leaves))


class Branches:
    """A tree in which a list of arrays stands where another has a leaf.

    `leaves` are tuples, in the order of the other's leaves.
    """

    def __init__(self, tree: PyTree, paths: list[str]):
        self._flat = Flat(tree)
        position = {path: i for i, path in enumerate(paths)}
        # The array at `w/0` is the first of the leaf `w`; at an end there is no list.
        self._owners = [
            position[path if is_end(x) else parent(path)]
            for path, x in zip(self._flat.paths, self._flat.leaves, strict=True)
        ]
        self.leaves: list[Any] = [()] * len(paths)
        for i, x in zip(self._owners, self._flat.leaves, strict=True):
            self.leaves[i] = x if is_end(x) else (*self.leaves[i], x)

    def rebuild(self, leaves: Iterable[Any]) -> PyTree:
        """The same tree with other arrays."""
        rest = [[x] if is_end(x) else list(x) for x in leaves]
        return self._flat.rebuild_bare([rest[i].pop(0) for i in self._owners])


def parent(path: str) -> str:
    """The path without its last component."""
    return path.rpartition("/")[0]


def upwards(path: str) -> Iterator[str]:
    """A path and those above it; the last is the empty path of the whole tree."""
    while path:
        yield path
        path = parent(path)
    yield path


def unbox(x: Any) -> Any:
    """What a box holds: its one leaf, or None."""
    leaves = jax.tree.leaves(x)
    return leaves[0] if leaves else None


def _rebox(old: Any, new: Any) -> Any:
    if not is_box(old) or is_end(new):
        return new
    structure: Any = jax.tree.structure(old)
    return structure.unflatten([new])
