"""How slots are kept between steps."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.codec import Codec
from jaxopt_lite.core.numerics import promote, real
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.selectors import flags
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import (
    NON_NEGATIVE,
    SIGNED,
    DTypeLike,
    Kind,
    Tensor,
)
from jaxopt_lite.core.value import Value


class Storage(Value):
    """How each slot is kept: in a dtype of its own, or as codes; see `store_state`."""

    dtypes: tuple[tuple[str, Any], ...] = ()
    codec: Any = None
    where: Any = None
    readable: tuple[Codec, ...] = ()
    on_host: bool = False
    host_where: Any = None

    def dtype(self, slot: str, x: Tensor) -> Any:
        """The dtype in which a slot is kept; complex where the slot is."""
        dtype = dict(self.dtypes).get(slot, x.dtype)
        return promote(dtype, jnp.complex64) if jnp.iscomplexobj(x) else dtype

    @property
    def is_random(self) -> bool:
        """Whether it needs a step count to draw from."""
        return any(codec.is_random for codec in self._codecs())

    @property
    def has_scales(self) -> bool:
        """Whether a slot that it codes is two trees."""
        return any(codec.has_scales for codec in self._codecs())

    def codes(self, kind: Kind) -> bool:
        """Whether it codes slots of a kind."""
        return self.codec is not None and kind in (SIGNED, NON_NEGATIVE)

    def choose(
        self, where: str, flat: Flat, seen: Sequence[bool]
    ) -> list[Codec | None]:
        """The codec of the slots of each leaf.

        Raises:
            TypeError: if one cannot hold a leaf; all such leaves are named.
        """
        if self.codec is None:
            return [None for _ in seen]
        coded = _chosen(self.where, f"{where}: where of store_state", flat, seen)
        if isinstance(self.codec, ByPath):
            chosen = self.codec.choose(where, flat, coded)
            codecs = [self.codec.values[i] if i >= 0 else None for i in chosen]
        else:
            codecs = [self.codec for _ in seen]
        codecs = [
            x if is_coded else None for x, is_coded in zip(codecs, coded, strict=True)
        ]
        problems = [
            (path, f"{checks.describe(p)} {why}, {codec!r}")
            for path, p, codec in zip(flat.paths, flat.leaves, codecs, strict=True)
            if codec is not None and (why := codec.refusal(p))
        ]
        if problems:
            checks.fail(
                f"{where}: the state of "
                f"{checks.plural(len(problems), 'parameter', 'parameters')} cannot be "
                f"kept so.",
                problems,
                "Expected real arrays with an axis: leave these out of `where` in "
                "`store_state`.",
                TypeError,
            )
        return codecs

    def _codecs(self) -> tuple[Codec, ...]:
        if isinstance(self.codec, ByPath):
            return self.codec.values
        return () if self.codec is None else (self.codec,)

    def judge(self, flat: Flat) -> None:
        """Warns of patterns that match no parameter; see `ByPath.judge`.

        Silent beside one array without a name: `flatten` puts it in the place of all.
        """
        if flat.paths == [""]:
            return
        for told, given in (
            ("store_state: codec", self.codec),
            ("store_state: where", self.where),
            ("offload_state: where", self.host_where),
        ):
            if isinstance(given, ByPath):
                given.judge(told, flat)

    def offloaded(self, where: str, flat: Flat, seen: Sequence[bool]) -> list[bool]:
        """Whether the slots of each leaf lie in the memory of the host."""
        if not self.on_host:
            return [False for _ in seen]
        told = f"{where}: where of offload_state"
        return _chosen(self.host_where, told, flat, seen)

    def __repr__(self) -> str:
        kept = [f"{slot}={dtype}" for slot, dtype in self.dtypes]
        if self.codec is not None:
            kept.append(repr(self.codec))
        if self.on_host:
            kept.append("on the host")
        return f"keep({', '.join(kept)})"


def _chosen(mask: Any, where: str, flat: Flat, seen: Sequence[bool]) -> list[bool]:
    """Which leaves that are seen a mask chooses; without one, the large matrices."""
    if mask is None:
        chosen = [not is_end(p) and _is_large(p) for p in flat.leaves]
    else:
        chosen = flags(mask, where, flat)
    return [s and c for s, c in zip(seen, chosen, strict=True)]


def _is_large(p: Any) -> bool:
    """Whether a parameter is a matrix, or more, whose state is worth coding."""
    is_real = not jnp.issubdtype(jnp.result_type(p), jnp.complexfloating)
    return is_real and np.ndim(p) > 1 and np.size(p) >= 4096


def keep(**dtypes: DTypeLike | None) -> Storage:
    """The storage that keeps each named slot in its dtype, where one is given.

    Raises:
        TypeError: if one is no floating-point or complex dtype.
    """
    given = {slot: _inexact(slot, d) for slot, d in dtypes.items() if d is not None}
    return Storage(tuple(given.items()))


def _inexact(slot: str, given: DTypeLike) -> Any:
    try:
        dtype = jnp.dtype(given)
    except TypeError:
        dtype = None
    if dtype is None or not jnp.issubdtype(dtype, jnp.inexact):
        raise TypeError(
            f"the dtype of {slot} is {given!r}; expected a floating-point or complex "
            f"dtype, such as jnp.bfloat16."
        )
    return dtype


def arithmetic_dtype(dtype: Any) -> Any:
    """The dtype in which a leaf is computed: its own, at least float32."""
    return promote(_available(jnp.dtype(dtype)), jnp.dtype(jnp.float32))


def update_dtype(g: Any, p: Any) -> Any:
    """The dtype of an update: that which holds the gradient's and the parameter's."""
    return _dtype(g) if p is None else promote(_dtype(g), _dtype(p))


def _dtype(x: Any) -> Any:
    return _available(x.dtype) if hasattr(x, "dtype") else jnp.result_type(x)


def _available(dtype: Any) -> Any:
    """What JAX makes of NumPy's dtypes: of float64 float32, unless x64 is enabled."""
    return jax.dtypes.canonicalize_dtype(dtype, allow_extended_dtype=True)


def widen(x: Tensor, dtype: Any) -> Tensor:
    """A stored slot in the dtype of the arithmetic, real where it is real."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    return x.astype(dtype if jnp.iscomplexobj(x) else real(dtype))
