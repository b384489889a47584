"""What each array of a state is, told by its path alone."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_lite.core.codec import Coded
from jaxopt_lite.core.trees import Flat, MaskedNode, is_end, parent


class Key(NamedTuple):
    """By what an array is found: the name of its field, and of which parameter it is.

    Of several arrays for one parameter the field says which.
    """

    field: str
    path: str | None = None


class Slot(NamedTuple):
    """What a state keeps under a key: an array alone, or codes and their scales.

    `at` is its whole path, however it is kept, and `beside` are the fields of the node
    that its field is of.
    """

    at: str
    key: Key
    beside: frozenset[str]
    kept: Coded

    def __str__(self) -> str:
        field, path = self.key
        return self.at if path is None else f"{field} of {path!r}"

    @property
    def is_count(self) -> bool:
        """Whether it counts steps."""
        return self.key == Key("count")


def slots(tree: Any, known: Collection[str]) -> list[Slot]:
    """All slots of a state, as it is or as a checkpoint has it."""
    flat = Flat(tree)
    return _slots(flat.paths, flat.leaves, known)


def positions(flat: Flat, known: Collection[str]) -> list[Slot]:
    """All slots, with the positions of their arrays among the leaves."""
    here = [x if is_end(x) else i for i, x in enumerate(flat.leaves)]
    return _slots(flat.paths, here, known)


def _slots(
    paths: Sequence[str], leaves: Iterable[Any], known: Collection[str]
) -> list[Slot]:
    """In the order of their paths: a container may have another order of its own."""
    arrays = [(p, x) for p, x in zip(paths, leaves, strict=True) if not is_end(x)]
    # Of fields without arrays a checkpoint may have no trace.
    fields = _fields(path for path, _ in arrays)
    found: dict[str, Slot] = {}
    for path, x in arrays:
        bare = _unboxed(path, fields, known)
        at, node, key, part = _read(bare, known)
        slot = found.get(
            at, Slot(at, key, frozenset(fields[node]), Coded(MaskedNode()))
        )
        if not is_end(getattr(slot.kept, part)):  # of parameters `w` and `codes/w`
            slot = slot._replace(at=f"{at}/{part}", kept=Coded(MaskedNode()))
        found[slot.at] = slot._replace(kept=slot.kept._replace(**{part: x}))
    return [found[at] for at in sorted(found, key=_by_number)]


def _fields(paths: Iterable[str]) -> defaultdict[str, set[str]]:
    """The names below each node."""
    fields = defaultdict(set)
    for path in paths:
        while path:
            *_, name = path.split("/")
            path = parent(path)
            fields[path].add(name)
    return fields


def _unboxed(path: str, fields: Mapping[str, set[str]], known: Collection[str]) -> str:
    """A path without what a box calls its one array.

    A checkpoint without a target has that as a name like any other.
    """
    above, _, name = path.rpartition("/")
    is_boxed = name in ("value", "raw_value") and fields[above] == {name}
    return above if above and is_boxed and not _ways(path.split("/"), known) else path


def _read(path: str, known: Collection[str]) -> tuple[str, str, Key, str]:
    """Where a slot stands, the node of its field, its key, and the part that it is."""
    above, below, number = _split(path.split("/"), known)
    part = "codes"
    if len(above) > 1 and above[-1] in Coded._fields:
        part = above.pop()
    *node, field = above
    owner = "/".join(below) if below else None
    at = "/".join([*above, *below, *number])
    return at, "/".join(node), Key("/".join([field, *number]), owner), part


def _split(
    path: list[str], known: Collection[str]
) -> tuple[list[str], list[str], list[str]]:
    """What is above the path of a parameter in a path, that path, and a number below.

    Below stands the number of one of several arrays. A field is no number, if there is
    another way to read the path.
    """
    ways = _ways(path, known)
    if not ways:
        return path, [], []
    i, end = min(ways, key=lambda way: path[way[0] - 1].isdigit())
    return path[:i], path[i:end], path[end:]


def _ways(path: Sequence[str], known: Collection[str]) -> list[tuple[int, int]]:
    """Where in a path that of a parameter may begin and end."""
    ends = [len(path), *([len(path) - 1] if path[-1].isdigit() else [])]
    return [
        (i, end)
        for end in ends
        for i in range(1, end)
        if "/".join(path[i:end]) in known
    ]


def _by_number(path: str) -> list[tuple[bool, int, str]]:
    """Orders paths so that the tenth of a chain comes after the second."""
    parts = path.split("/")
    return [(not x.isdigit(), int(x) if x.isdigit() else 0, x) for x in parts]


def matched(wanted: Sequence[Slot], found: Sequence[Slot]) -> list[int | None]:
    """Which of the slots found takes that of each that is wanted, if there is one.

    Of several for one key those come first that have the same fields beside them, then
    the others, in order. A count takes that of others only if all found are one; else
    that which stands where it does.
    """
    ways: list[Callable[[Slot], Any]] = [
        lambda x: (x.key, x.beside),
        lambda x: x.at if x.is_count else x.key,
    ]
    taken: list[int | None] = [None for _ in wanted]
    for name in ways:
        left: defaultdict[Any, deque[int]] = defaultdict(deque)
        used = {*taken}
        for j, x in enumerate(found):
            if j not in used:
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


def are_one(found: Sequence[Slot]) -> bool:
    """Whether there are counts, all of one number as far as can be seen."""
    counts = [x.kept.codes for x in found if x.is_count]
    if not counts:
        return False
    return all(x is counts[0] or _are_equal(x, counts[0]) for x in counts)


def _are_equal(x: Any, y: Any) -> bool:
    if isinstance(x, jax.core.Tracer) or isinstance(y, jax.core.Tracer):
        return False
    return np.array_equal(x, y)
