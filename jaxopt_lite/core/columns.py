"""A slot's tree taken apart by leaf, however it is kept, and put together again."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.codec import Codec, Coded, Keeping, form
from jaxopt_lite.core.storage import Storage
from jaxopt_lite.core.trees import Branches, Flat, MaskedNode, is_end
from jaxopt_lite.core.types import PER_AXIS, Kind, PyTree, State


class CodedColumn:
    """A slot of which some leaves are codes: of each leaf a `Coded`."""

    def __init__(self, codes: Flat, scales: Flat | None, p: Flat, has_scales: bool):
        self.codes = codes
        self._p = p
        self._has_scales = has_scales
        beside = [MaskedNode() for _ in p.leaves] if scales is None else scales.leaves
        self.leaves = list(map(Coded, codes.leaves, beside))

    def rebuild(self, leaves: Iterable[Coded]) -> PyTree:
        """The slot again, with other codes."""
        leaves = list(leaves)
        codes = filled(self.codes, [x.codes for x in leaves], self._p.leaves)
        if not self._has_scales:
            return codes
        scales = [x.codes if is_end(x.codes) else x.scales for x in leaves]
        return Coded(codes, self.codes.rebuild_bare(scales))


Column: TypeAlias = Flat | Branches | CodedColumn
"""A slot's tree by leaf: `leaves` in the order of the parameters, and `rebuild`."""


def held(column: Column) -> list[Any]:
    """What stands for each leaf: of codes the codes alone."""
    return [x.codes if isinstance(x, Coded) else x for x in column.leaves]


def filled(flat: Flat, leaves: Sequence[Any], like: Sequence[Any]) -> PyTree:
    """A tree with other leaves, in its boxes where all have the parameters' shapes."""
    alike = all(
        is_end(x) or getattr(x, "shape", None) == np.shape(p)
        for x, p in zip(leaves, like, strict=True)
    )
    return (flat.rebuild if alike else flat.rebuild_bare)(leaves)


def take_apart(
    where: str, slot: str, kind: Kind, storage: Storage, tree: State, p: Flat
) -> Column:
    """A slot's tree in the order of the parameters."""
    what = f"state.{slot}"
    if kind is PER_AXIS:
        return checks.branches(where, p, what, tree)
    if isinstance(tree, Coded):
        codes = checks.align(where, p, f"{what}.codes", tree.codes)
        scales = checks.align(where, p, f"{what}.scales", tree.scales)
        return CodedColumn(codes, scales, p, storage.has_scales)
    flat = checks.align(where, p, what, tree)
    if not storage.codes(kind):
        return flat
    return CodedColumn(flat, None, p, storage.has_scales)


def keepings(
    where: str,
    slot: str,
    kind: Kind,
    storage: Storage,
    coded: CodedColumn,
    writers: Sequence[Codec | None],
    p: Flat,
) -> list[Keeping]:
    """How each leaf of a slot is read and written.

    Raises:
        ValueError: if a leaf is in a form that no known codec gives; all are named.
    """
    found, problems = [], []
    for path, x, writer, leaf in zip(
        p.paths, coded.leaves, writers, p.leaves, strict=True
    ):
        readers = [r for r in (writer, *storage.readable) if r is not None]
        reader = next((r for r in readers if is_form(x, r, kind, leaf)), None)
        found.append((reader, writer))
        if reader is None and not is_end(x.codes) and not _is_plain(x, leaf):
            problems.append((path, f"{_described(x)}, {_expected(writer, kind, leaf)}"))
    if problems:
        checks.fail(
            f"{where}: state.{slot} of "
            f"{checks.plural(len(problems), 'parameter', 'parameters')} is not kept as "
            f"it was.",
            problems,
            "Expected the state of this transformation: one that another codec wrote "
            "is read by `store_state(tx, ...)` with any codec of the package.",
            ValueError,
        )
    return found


def is_form(x: Coded, codec: Codec, kind: Kind, p: Any) -> bool:
    """Whether a codec would keep a leaf in these shapes and dtypes."""
    if is_end(x.codes) or codec.refusal(p):
        return False
    expected = form(codec, kind, np.shape(p))
    pairs = zip(x, expected, strict=True)
    return all(is_end(a) == is_end(b) and (is_end(a) or _alike(a, b)) for a, b in pairs)


def _alike(x: Any, y: Any) -> bool:
    return np.shape(x) == y.shape and x.dtype == y.dtype


def _is_plain(x: Coded, p: Any) -> bool:
    """Whether a leaf is no codes, but an array of floating-point numbers."""
    is_inexact = jnp.issubdtype(x.codes.dtype, jnp.inexact)
    return is_inexact and is_end(x.scales) and np.shape(x.codes) == np.shape(p)


def _described(x: Coded) -> str:
    scales = "" if is_end(x.scales) else f" with scales {checks.describe(x.scales)}"
    return f"found {checks.describe(x.codes)}{scales}"


def _expected(writer: Codec | None, kind: Kind, p: Any) -> str:
    if writer is None:
        return f"expected float32[{','.join(map(str, np.shape(p)))}]"
    expected = _described(form(writer, kind, np.shape(p)))
    return f"{expected.replace('found', 'expected')} of {writer!r}"
