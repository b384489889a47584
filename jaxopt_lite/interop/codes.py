"""The slots that `store_state` codes, as arrays and as codes again."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.codec import Codec, Coded, salt
from jaxopt_lite.core.columns import is_form, is_plain
from jaxopt_lite.core.leafwise import Leafwise
from jaxopt_lite.core.links import Link, placed_like
from jaxopt_lite.core.rule import slot_kinds
from jaxopt_lite.core.slots import decode, encode
from jaxopt_lite.core.stage import aligned
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.trees import Flat, MaskedNode, is_end
from jaxopt_lite.core.types import NON_NEGATIVE, SIGNED, Kind, Params, State
from jaxopt_lite.interop.places import Key, Place
from jaxopt_lite.interop.walk import walk
from jaxopt_lite.storage.store import CODECS


def uncoded(tx: GradientTransformation) -> GradientTransformation:
    """A node of a transformation, its slots kept as arrays."""
    if not isinstance(tx, Leafwise) or tx.storage.codec is None:
        return tx
    return dataclasses.replace(tx, storage=dataclasses.replace(tx.storage, codec=None))


def coded(
    tx: GradientTransformation, state: State, params: Params
) -> tuple[State, set[Key]]:
    """The state of an uncoded transformation as the transformation keeps it.

    Also the slots that are codes now. What `walk` does not reach stays as it is until
    the next update.
    """
    flat = Flat(params)
    new: dict[int, State] = {}
    keys: set[Key] = set()
    for node in walk(tx, state, flat, [not is_end(p) for p in flat.leaves]):
        if isinstance(node.tx, Leafwise) and node.tx.storage.codec is not None:
            (link,) = node.tx.parts()
            new[id(node.state)], own = _kept(link, node.state, flat, node.seen)
            keys |= own
    kept = jax.tree.map(
        lambda x: new.get(id(x), x), state, is_leaf=lambda x: id(x) in new
    )
    return kept, keys


def _kept(
    link: Link, state: State, flat: Flat, seen: Sequence[bool]
) -> tuple[State, set[Key]]:
    """The state of one rule in codes, and the slots that are."""
    parts = link.unpack(state)
    codecs = link.storage.choose(link.name, flat, seen)
    keys = set()
    for slot, kind in slot_kinds(link.rule.Slots).items():
        if not link.storage.codes(kind):
            continue
        column = aligned(link, slot, parts[slot], flat)
        leaves = list(column.leaves)
        for i, (x, codec) in enumerate(zip(leaves, codecs, strict=True)):
            if codec is not None and not is_end(x.codes):
                path, p = flat.paths[i], flat.leaves[i]
                leaves[i] = jax.tree.map(
                    lambda y, p=p: placed_like(p, y),
                    as_codes(x.codes, codec, kind, slot, path),
                )
                keys.add(Key(slot, path))
        parts[slot] = column.rebuild(leaves)
    return link.pack(parts), keys


def as_codes(x: Any, codec: Codec | None, kind: Kind, slot: str, path: str) -> Coded:
    """A slot of the parameter at a path as a codec keeps it; None keeps arrays."""
    if codec is None:
        return Coded(x)
    return encode(codec, kind, slot, jnp.asarray(salt(path)), jnp.asarray(x))


def decoded(
    where: str, found: Sequence[Place], params: Mapping[str, Any]
) -> tuple[list[Place], set[Key]]:
    """The places of a state with arrays for codes, and the slots that were codes.

    Raises:
        ValueError: if codes are of no codec that has a name; all such are named.
    """
    scales = {(x.node, x.key.path): x.array for x in found if _is_half(x, "scales")}
    read: list[Place] = []
    keys: set[Key] = set()
    problems = []
    for x in found:
        path = x.key.path
        if _is_half(x, "scales"):
            continue
        if not _is_half(x, "codes"):
            read.append(x)
            continue
        kept = Coded(x.array, scales.get((x.node, path), MaskedNode()))
        array = _array(kept, params[path or ""])
        key = Key(x.node.rpartition("/")[-1], path)
        if array is None:
            problems.append((path or "", f"{key.field} {checks.describe(x.array)}"))
        elif array is not x.array:
            keys.add(key)
        read.append(x._replace(key=key, array=array))
    if problems:
        names = ", ".join(map(repr, CODECS))
        checks.fail(
            f"{where}: {checks.plural(len(problems), 'slot is', 'slots are')} in codes "
            f"that cannot be read.",
            problems,
            f"Expected codes of {names} in `store_state`, of these parameters.",
            ValueError,
        )
    return read, keys


def _is_half(x: Place, field: str) -> bool:
    """Whether a place holds the codes, or the scales, of a `Coded`."""
    return x.key.field == field and {"codes", "scales"} <= x.beside


def _array(kept: Coded, p: Any) -> Any:
    """What codes stand for; None if no codec that has a name gives such codes."""
    if is_plain(kept, p):
        return kept.codes
    for codec, kind in itertools.product(CODECS.values(), (SIGNED, NON_NEGATIVE)):
        if is_form(kept, codec, kind, p):
            return decode(codec, kind, np.shape(p), kept)
    return None
