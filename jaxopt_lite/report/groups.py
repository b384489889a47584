"""Which rules apply to which parameter, and with which numbers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxopt_lite.combine.masking import Freeze, Masked
from jaxopt_lite.combine.partition import Partition
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params
from jaxopt_lite.core.value import field_names
from jaxopt_lite.report.text import snake


class Applied(NamedTuple):
    """A rule as one parameter meets it."""

    name: str
    numbers: dict[str, Any]


class Treatment(NamedTuple):
    """All that happens to one parameter: its label in a partition, and the rules."""

    label: str
    rules: list[Applied]


def treatments(tx: Any, params: Params) -> dict[str, Treatment]:
    """What a transformation does to each parameter, by path."""
    flat = Flat(params)
    found = [Treatment("", []) for _ in flat.leaves]
    _walk(tx.parts(), flat, [not is_end(leaf) for leaf in flat.leaves], found)
    return {
        path: treatment
        for path, leaf, treatment in zip(flat.paths, flat.leaves, found, strict=True)
        if not is_end(leaf)
    }


def _walk(
    parts: Sequence[Any], flat: Flat, seen: list[bool], found: list[Treatment]
) -> None:
    """Notes what each part does to the leaves that are seen."""
    for part in parts:
        if isinstance(part, Freeze):
            frozen = part.mask.resolve("freeze", flat)
            for i, is_frozen in enumerate(frozen):
                if is_frozen and seen[i]:
                    found[i] = Treatment("frozen", [])
                    seen[i] = False
    for part in parts:
        if isinstance(part, Link):
            _note_link(part, flat, seen, found)
        elif isinstance(part, Masked):
            chosen = part.mask.resolve("masked", flat)
            inside = [s and bool(c) for s, c in zip(seen, chosen, strict=True)]
            _walk(part.inner.parts(), flat, inside, found)
        elif isinstance(part, Partition):
            labels = part.labels.resolve("partition", flat)
            for label, tx in zip(part.names, part.transforms, strict=True):
                inside = [s and x == label for s, x in zip(seen, labels, strict=True)]
                for i in (i for i, is_inside in enumerate(inside) if is_inside):
                    found[i] = found[i]._replace(label=str(label))
                _walk(tx.parts(), flat, inside, found)
        elif not isinstance(part, Freeze):
            for i in (i for i, is_seen in enumerate(seen) if is_seen):
                found[i].rules.append(Applied(snake(type(part).__name__), {}))


def _note_link(
    link: Link, flat: Flat, seen: list[bool], found: list[Treatment]
) -> None:
    rule = link.rule
    names = field_names(type(rule))
    values = [getattr(rule, name) for name in names]
    resolved = [
        value.resolve(link.name, flat) if isinstance(value, ByPath) else None
        for value in values
    ]
    for i, is_seen in enumerate(link.sees(flat)):
        if is_seen and seen[i]:
            numbers = (
                value if by_leaf is None else by_leaf[i]
                for value, by_leaf in zip(values, resolved, strict=True)
            )
            applied = Applied(snake(link.name), dict(zip(names, numbers, strict=True)))
            found[i].rules.append(applied)
