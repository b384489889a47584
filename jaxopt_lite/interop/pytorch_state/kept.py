"""The rules inside an optimizer, and what a state dict has for their slots."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.codec import Codec, Coded, salt
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.rule import slot_kinds
from jaxopt_lite.core.slots import encode
from jaxopt_lite.core.stage import aligned
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Kind
from jaxopt_lite.interop.pytorch_state.fields import COUNTERPARTS, Counterpart
from jaxopt_lite.interop.pytorch_state.saved import Saved
from jaxopt_lite.interop.pytorch_state.walk import Node
from jaxopt_lite.interop.restoring import in_place_of


class Found(NamedTuple):
    """What a state dict has for a slot of one leaf, and the shape that it should be."""

    slot: str
    i: int
    array: Any
    shape: tuple[int, ...]


class Kept:
    """A rule with its state before the first step, and the leaves that it sees."""

    def __init__(self, node: Node, flat: Flat):
        self.link: Link
        (self.link,) = node.tx.parts()
        self.rule = self.link.rule
        self.seen = node.seen
        self.counterpart = COUNTERPARTS.get(type(self.rule), Counterpart(()))
        self._flat = flat
        self._parts = self.link.unpack(node.state)
        self._columns = {
            slot: aligned(self.link, slot, self._parts[slot], flat)
            for slot in self.counterpart.slots
        }

    @property
    def is_new(self) -> bool:
        """Whether it keeps what PyTorch does not, and so begins anew."""
        has_slots = bool(self.rule.Slots._fields) and any(self.seen)
        return has_slots and not self.counterpart.slots

    @property
    def counts(self) -> list[jax.Array]:
        """Its counts of the steps, unless it begins anew."""
        return [] if self.is_new else [self._parts[name] for name in self.link.counts]

    def found(self, saved: Mapping[str, Saved]) -> Iterator[Found]:
        """What a state dict has for each slot of each leaf."""
        for slot, source in self.counterpart.slots.items():
            for i, path in enumerate(self._flat.paths):
                shape = self._shape(slot, i)
                if shape is not None and path in saved and saved[path].buffers:
                    yield Found(slot, i, source.of(saved[path].buffers), shape)

    def loaded(self, saved: Mapping[str, Saved]) -> Iterator[tuple[Any, Any]]:
        """The tree of each slot, and that which takes its place."""
        codecs = self.link.storage.choose(self.link.name, self._flat, self.seen)
        kinds = slot_kinds(self.rule.Slots)
        leaves = {slot: list(column.leaves) for slot, column in self._columns.items()}
        for slot, i, x, _ in self.found(saved):
            if isinstance(leaves[slot][i], Coded):
                x = _coded(x, codecs[i], kinds[slot], slot, self._flat.paths[i])
            leaves[slot][i] = jax.tree.map(in_place_of, leaves[slot][i], x)
        for slot, column in self._columns.items():
            yield self._parts[slot], column.rebuild(leaves[slot])

    def _shape(self, slot: str, i: int) -> tuple[int, ...] | None:
        """The shape of a slot at one leaf, None where it has none."""
        x = self._columns[slot].leaves[i]
        if isinstance(x, Coded):
            return None if is_end(x.codes) else np.shape(self._flat.leaves[i])
        return None if is_end(x) else np.shape(x)


def _coded(x: Any, codec: Codec | None, kind: Kind, slot: str, path: str) -> Coded:
    """A slot as it is kept."""
    if codec is None:
        return Coded(x)
    return encode(codec, kind, slot, jnp.asarray(salt(path)), jnp.asarray(x))
