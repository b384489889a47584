"""How an array of the state is split, from how its parameter is."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

Shape: TypeAlias = tuple[int, ...]

Origin: TypeAlias = list[int | None]
"""Which axis of its parameter each axis of an array is, None where it is none."""

AnyMesh: TypeAlias = Mesh | AbstractMesh

Names: TypeAlias = tuple[str, ...]
"""The axes of a mesh over which one axis of an array is split."""


class Place(NamedTuple):
    """Where a parameter lies, and over which further axes of the mesh its state is."""

    shape: Shape
    sharding: NamedSharding
    zero_axes: Names = ()

    @property
    def mesh(self) -> AnyMesh:
        return self.sharding.mesh

    @property
    def split(self) -> NamedSharding:
        """Where an array of the parameter's shape lies in the state."""
        own = names(self.sharding.spec, len(self.shape))
        spread = _spread(own, self.shape, self.mesh, self.zero_axes)
        return self.sharding if spread == own else self._along(spread)

    def of_blocks(self, shape: Shape) -> NamedSharding:
        """Where an array lies that has one number for each block of the last axis."""
        if len(shape) != len(self.shape) or shape[:-1] != self.shape[:-1]:
            return self._along([])
        *outer, last = names(self.split.spec, len(self.shape))
        parts, length, many = size(self.mesh, last), self.shape[-1], shape[-1]
        block = -(-length // max(many, 1))
        # Else a device would have blocks of which it has not all elements.
        fits = many % parts == 0 and (length // parts) % max(block, 1) == 0
        return self._along([*outer, last if fits else ()])

    def of_slot(self, shape: Shape, origin: Origin | None) -> NamedSharding:
        """Where an array lies of which some axes are the parameter's, if any."""
        own = names(self.split.spec, len(self.shape))
        origin = [None for _ in shape] if origin is None else origin
        kept = [() if i is None else own[i] for i in origin]
        # A vector stays whole: to split it would take a message more than it saves.
        if math.prod(shape) > max(shape, default=1):
            kept = _spread(kept, shape, self.mesh, self.zero_axes)
        return self._along(kept)

    def _along(self, axes: Sequence[Names]) -> NamedSharding:
        entries = [x[0] if len(x) == 1 else x or None for x in axes]
        while entries and entries[-1] is None:
            entries.pop()
        return NamedSharding(self.mesh, PartitionSpec(*entries))


def names(spec: PartitionSpec, ndim: int) -> list[Names]:
    """Over which axes of the mesh each axis of an array is split."""
    entries = [*spec, *[None] * (ndim - len(spec))]
    return [
        () if x is None else tuple(x) if isinstance(x, tuple) else (x,) for x in entries
    ]


def size(mesh: AnyMesh, axes: Names) -> int:
    """Into how many parts some axes of a mesh split."""
    return math.prod(mesh.shape[name] for name in axes)


def _spread(
    own: Sequence[Names], shape: Shape, mesh: AnyMesh, axes: Names
) -> list[Names]:
    """What is split already, over further axes of the mesh: the first axis that fits.

    One that is not split is preferred, and where none fits all stays as it is.
    """
    used = {name for x in own for name in x}
    more = tuple(name for name in axes if name not in used)
    for i in sorted(range(len(shape)), key=lambda i: bool(own[i])):
        whole = own[i] + more
        if more and shape[i] and shape[i] % size(mesh, whole) == 0:
            return [whole if j == i else x for j, x in enumerate(own)]
    return list(own)


def rising(shape: Shape) -> Shape:
    """The sizes of a shape, of equal ones the later made larger; their order stays."""
    found, last = list(shape), 0
    for i in np.argsort(shape, kind="stable").tolist():
        last = found[i] = max(shape[i], last + 1)
    return tuple(found)


def falling(shape: Shape) -> Shape:
    """The sizes of a shape, of equal ones the earlier made larger."""
    return rising(shape[::-1])[::-1]


def origin(
    shape: Shape, param: Shape, grown: Shape, grown_param: Shape
) -> Origin | None:
    """Which axes of its parameter an array has.

    Read from the shape that the array has where no two axes of the parameter have one
    size. Nothing where that shape is not the array's own grown in the same way.
    """
    if param and shape[-len(param) :] == param:
        return [*[None] * (len(shape) - len(param)), *range(len(param))]
    found: Origin = [None for _ in shape]
    if len(grown) != len(shape):
        return None
    for i, n in enumerate(grown_param):
        at = [j for j, m in enumerate(grown) if m == n]
        if at:
            found[i if i in at else at[0]] = i
    back = [m if i is None else param[i] for i, m in zip(found, grown, strict=True)]
    return found if tuple(back) == shape else None
