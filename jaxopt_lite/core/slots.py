"""The slots of one rule at one leaf: read from how they are kept, and kept again."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from jaxopt_lite.core.codec import Codec, Coded, Keeping, form, random_bits, salt
from jaxopt_lite.core.placement import in_any_mesh
from jaxopt_lite.core.rule import Rule, slot_kinds
from jaxopt_lite.core.storage import widen
from jaxopt_lite.core.transformation import select
from jaxopt_lite.core.types import Kind


class Keeper(NamedTuple):
    """How the slots of a rule are kept at one leaf, and at one step by which chance."""

    rule: Rule
    keeping: Sequence[Keeping]
    shape: tuple[int, ...]
    dtype: Any
    seed: Any

    def read(self, row: Any) -> Any:
        """The slots in the dtype of the arithmetic."""
        return self._slots([reader for reader, _ in self.keeping], row)

    def keep(self, commit: Any, new: Any, old: Any, row: Any) -> tuple[Any, Any]:
        """The slots as `emit` sees them, and how they are kept.

        What is coded is read again, so that nothing keeps the old codes alive while the
        update is formed: XLA would copy them.
        """
        chosen = [
            n if _by_codes(keeping) else select(commit, n, o)
            for keeping, n, o in zip(self.keeping, new, old, strict=True)
        ]
        slots = slot_kinds(self.rule.Slots).items()
        kept = list(map(partial(self._store, commit), slots, self.keeping, chosen, row))
        seen = [
            k if isinstance(k, Coded) else c for k, c in zip(kept, chosen, strict=True)
        ]
        return self._slots([writer for _, writer in self.keeping], seen), kept

    def _slots(self, readers: Sequence[Codec | None], row: Any) -> Any:
        kinds = slot_kinds(self.rule.Slots).values()
        return self.rule.Slots._make(map(self._read, kinds, readers, row))

    def _read(self, kind: Kind, reader: Codec | None, x: Any) -> Any:
        if isinstance(x, Coded):
            x = x.codes if reader is None else decode(reader, kind, self.shape, x)
        return jax.tree.map(lambda y: widen(y, self.dtype), x)

    def _store(
        self,
        commit: Any,
        slot: tuple[str, Kind],
        keeping: Keeping,
        new: Any,
        old: Any,
    ) -> Any:
        """A slot as it is kept, to the bit the old one where the step is not taken."""
        name, kind = slot
        reader, writer = keeping
        if writer is not None:
            coded = encode(writer, kind, name, self.seed, new)
            return select(commit, coded, old) if _by_codes(keeping) else coded
        if reader is not None:
            return Coded(new)
        if isinstance(old, Coded):
            return old._replace(codes=_as_before(commit, new, old.codes))
        return jax.tree.map(partial(_as_before, commit), new, old)


def _by_codes(keeping: Keeping) -> bool:
    """Whether old codes must be kept themselves, as coding anew would change them."""
    reader, writer = keeping
    return reader == writer and writer is not None and not writer.is_faithful


def _as_before(commit: Any, new: Any, old: Any) -> Any:
    if new.dtype == old.dtype:
        return new
    return select(commit, new.astype(old.dtype), old)


def encode(codec: Codec, kind: Kind, slot: str, seed: Any, x: Any) -> Coded:
    """What a codec keeps of a slot, drawing from a seed of this step and leaf."""

    def encoded(x: Any, seed: Any) -> Coded:
        def bits() -> Any:
            return random_bits(seed + salt(slot), x.shape)

        return codec.encode(x.astype(jnp.float32), kind, bits)

    place = _like(x, form(codec, kind, x.shape))
    return in_any_mesh(encoded, x, place)(x, seed)


def decode(codec: Codec, kind: Kind, shape: tuple[int, ...], kept: Coded) -> Any:
    """The slot again."""

    def decoded(kept: Coded) -> Any:
        return codec.decode(kept, kind, shape)

    whole = jax.ShapeDtypeStruct(shape, jnp.float32)
    return in_any_mesh(decoded, kept.codes, _like(kept.codes, whole))(kept)


def _like(x: Any, out: Any) -> Callable[[Any], Any]:
    """Splits arrays as `x` along the axes that are as long, if they have as many."""

    def place(sharding: Any) -> Any:
        def placed(y: Any) -> Any:
            axes = zip(sharding.spec, x.shape, y.shape, strict=False)
            spec = [name if n == m else None for name, n, m in axes]
            return sharding.update(
                spec=PartitionSpec(*spec if x.ndim == y.ndim else ())
            )

        return jax.tree.map(placed, out)

    return place
