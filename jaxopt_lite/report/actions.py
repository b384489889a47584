"""The rules that one parameter goes through, in order, and why."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.inject import InjectHyperparams
from jaxopt_lite.combine.layout import Flatten, SplitRealAndImaginary
from jaxopt_lite.combine.masking import Freeze, Masked, only
from jaxopt_lite.combine.partition import Partition
from jaxopt_lite.core.hyperparameters import at_count, is_scheduled
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.rule import slot_kinds
from jaxopt_lite.core.selectors import ByFunction, PerLeaf, Selector, flags
from jaxopt_lite.core.transformation import FromFunctions, GradientTransformation
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.value import field_names, short_repr
from jaxopt_lite.report.text import shown, snake


class Number(NamedTuple):
    """A number in force, and which pattern or schedule it comes from."""

    value: Any
    source: str


class Action(NamedTuple):
    """A rule or wrapper as one parameter meets it."""

    name: str
    acts: bool
    numbers: dict[str, Number]
    notes: tuple[str, ...]
    depth: int


class _Place(NamedTuple):
    """One leaf of a tree, at which step, and how deep inside."""

    flat: Flat
    i: int
    step: jax.Array
    depth: int = 0

    @property
    def seen(self) -> list[bool]:
        """This leaf alone: what others lack is not asked here."""
        return [j == self.i for j in range(len(self.flat.leaves))]

    def among(self, chosen: Sequence[bool]) -> "_Place":
        """The same place where only some of the leaves are in sight."""
        return self._replace(flat=Flat(only(chosen, self.flat)))

    @property
    def inside(self) -> "_Place":
        return self._replace(depth=self.depth + 1)


def actions(tx: Any, flat: Flat, i: int, step: int) -> Iterator[Action]:
    """What a transformation does to one leaf."""
    yield from _of_parts(tx.parts(), _Place(flat, i, jnp.asarray(step, jnp.int32)))


def _of_parts(parts: Sequence[Any], at: _Place) -> Iterator[Action]:
    for part in parts:
        if isinstance(part, Freeze):
            frozen = flags(part.mask, "freeze", at.flat)
            if frozen[at.i]:
                note = _why("mask", part.mask, at)
                yield Action("freeze", True, {}, (note,), at.depth)
                return
            at = at.among([not x for x in frozen])
    for part in parts:
        if isinstance(part, Link):
            yield _of_link(part, at)
        elif isinstance(part, Masked):
            yield from _of_masked(part, at)
        elif isinstance(part, Partition):
            yield from _of_partition(part, at)
        elif not isinstance(part, Freeze):
            yield from _of_other(part, at)


def _of_link(link: Link, at: _Place) -> Action:
    """A rule, with its numbers for this leaf and the storage of its slots."""
    notes = [_why("mask", mask, at) for mask in link.masks]
    if not link.sees(at.flat)[at.i]:
        return Action(snake(link.name), False, {}, tuple(notes), at.depth)
    fields = {name: getattr(link.rule, name) for name in field_names(type(link.rule))}
    numbers = _numbers(link.name, fields, at)
    return Action(
        snake(link.name), True, numbers, (*notes, *_storage(link, at)), at.depth
    )


def _of_masked(masked: Masked, at: _Place) -> Iterator[Action]:
    chosen = flags(masked.mask, "masked", at.flat)
    note = _why("mask", masked.mask, at)
    yield Action("masked", chosen[at.i], {}, (note,), at.depth)
    if chosen[at.i]:
        yield from _of_parts(masked.inner.parts(), at.among(chosen).inside)


def _of_partition(partition: Partition, at: _Place) -> Iterator[Action]:
    labels = partition.labels.resolve("partition", at.flat)
    note = _why("label", partition.labels, at)
    yield Action("partition", True, {}, (note,), at.depth)
    groups = dict(zip(partition.names, partition.transforms, strict=True))
    own = labels[at.i]
    group = at.among([x == own for x in labels])
    yield from _of_parts(groups[own].parts(), group.inside)


def _of_other(tx: GradientTransformation, at: _Place) -> Iterator[Action]:
    """A wrapper and what it is around, or a transformation of another library."""
    numbers = _numbers(type(tx).__name__, tx.hyperparams(), at)
    yield Action(_name(tx), True, numbers, (), at.depth)
    if isinstance(tx, InjectHyperparams):
        yield from _of_parts(tx.begun().parts(), at.inside)
    elif not isinstance(tx, Flatten | SplitRealAndImaginary):  # these show other trees
        for name in tx.holds:
            yield from _of_parts(tx.children()[name].parts(), at.inside)


def _name(tx: GradientTransformation) -> str:
    """The name of the function that made a transformation."""
    if isinstance(tx, FromFunctions):
        return str(getattr(tx.update_fn, "__qualname__", tx.update_fn)).split(".")[0]
    return snake(repr(tx).partition("(")[0])


def _numbers(where: str, fields: Mapping[str, Any], at: _Place) -> dict[str, Number]:
    """The values of a leaf, each with where it comes from."""
    found = {}
    for name, x in fields.items():
        sources = []
        if isinstance(x, ByPath):
            k = x.choose(where, at.flat, at.seen)[at.i]
            sources.append(f"by {x.patterns[k]!r}")
            x = x.values[k]
        elif isinstance(x, PerLeaf):
            x = x.resolve(where, at.flat, at.seen)[at.i]
        if is_scheduled(x):
            sources.append(f"from {shown(x)}")
            x = at_count(x, at.step)
        found[name] = Number(x, " ".join(sources))
    return found


def _why(what: str, selector: Selector, at: _Place) -> str:
    """What a mask or label says of a leaf, and by which pattern."""
    value = selector.resolve(what, at.flat)[at.i]
    said = f"{what} is {value!r}"
    if isinstance(selector, ByPath):
        k = selector.choose(what, at.flat, at.seen)[at.i]
        of = f" of {selector.name}" if selector.name else ""
        return f"{said} by {selector.patterns[k]!r}{of}"
    if isinstance(selector, ByFunction):
        return f"{said} by {short_repr(selector.function)}"
    return said


def _storage(link: Link, at: _Place) -> Iterator[str]:
    """How the slots of a leaf are kept, where that is not as they are computed."""
    storage, kinds = link.storage, slot_kinds(link.rule.Slots)
    for slot, dtype in storage.dtypes:
        yield f"{slot} in {dtype}"
    codec = storage.choose(link.name, at.flat, at.seen)[at.i]
    coded = [slot for slot, kind in kinds.items() if storage.codes(kind)]
    if codec is not None and coded:
        yield f"{', '.join(coded)} as {codec!r}"
    if kinds and storage.offloaded(link.name, at.flat, at.seen)[at.i]:
        yield "on the host"
