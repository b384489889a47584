"""Which array of a state is which: by its field, and the parameter it is of."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_lite.core.trees import Flat, parent


class Key(NamedTuple):
    """What an array of a state is: the name of a field, and of which parameter."""

    field: str
    path: str | None


class Place(NamedTuple):
    """An array of a state: where it stands, what it is, and the fields beside it."""

    at: str
    node: str
    key: Key
    beside: frozenset[str]
    array: Any

    def __str__(self) -> str:
        field, path = self.key
        return self.at if path is None else f"{field} of {path!r}"

    @property
    def is_count(self) -> bool:
        """Whether it counts steps."""
        return self.key.field == "count" and self.key.path is None


def places(tree: Any, known: Collection[str]) -> Iterator[Place]:
    """The leaves of a state beside parameters at known paths."""
    flat = Flat(tree)
    fields = defaultdict(set)
    for path in flat.paths:
        while path:
            *_, name = path.split("/")
            path = parent(path)
            fields[path].add(name)
    for at, x in zip(flat.paths, flat.leaves, strict=True):
        node, key = _split(at, known)
        yield Place(at, node, key, frozenset(fields[node]), x)


def _split(at: str, known: Collection[str]) -> tuple[str, Key]:
    """The node that a leaf is in, and what it is there.

    What follows the parameter is a number in a list of arrays for each. A field is no
    number either, if there is another way to read the path.
    """
    below = at.split("/")
    ends = [len(below), *([len(below) - 1] if below[-1].isdigit() else [])]
    ways = [
        (i, end)
        for end in ends
        for i in range(1, end)
        if "/".join(below[i:end]) in known
    ]
    if not ways:
        return parent(at), Key(below[-1], None)
    i, end = min(ways, key=lambda way: below[way[0] - 1].isdigit())
    field = "/".join([below[i - 1], *below[end:]])
    return "/".join(below[: i - 1]), Key(field, "/".join(below[i:end]))


def matched(wanted: Sequence[Place], found: Sequence[Place]) -> list[int | None]:
    """Which of the places found takes that of each that is wanted, if there is one.

    Of several for one key those come first that have the same fields beside them, then
    the others, in order. A count takes that of others only if all found are one.
    """
    ways: list[Callable[[Place], Any]] = [
        lambda x: (x.key, x.beside),
        lambda x: None if x.is_count else x.key,
    ]
    taken: list[int | None] = [None for _ in wanted]
    for name in ways:
        left: defaultdict[Any, deque[int]] = defaultdict(deque)
        used = {*taken}
        for j, x in enumerate(found):
            if j not in used and name(x) is not None:
                left[name(x)].append(j)
        for i, x in enumerate(wanted):
            if taken[i] is None and left[name(x)]:
                taken[i] = left[name(x)].popleft()
    if not are_one(found):
        return taken
    one = next(j for j, x in enumerate(found) if x.is_count)
    return [
        one if j is None and x.is_count else j
        for j, x in zip(taken, wanted, strict=True)
    ]


def are_one(found: Sequence[Place]) -> bool:
    """Whether there are counts, all of one number as far as can be seen."""
    counts = [x.array for x in found if x.is_count]
    if not counts:
        return False
    return all(x is counts[0] or _are_equal(x, counts[0]) for x in counts)


def _are_equal(x: Any, y: Any) -> bool:
    if isinstance(x, jax.core.Tracer) or isinstance(y, jax.core.Tracer):
        return False
    return np.array_equal(x, y)
