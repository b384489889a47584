"""How a bfloat16 parameter takes a step that is finer than its digits: one array."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lite.core.codec import Bits
from jaxopt_lite.core.trees import MaskedNode
from jaxopt_lite.core.types import Tensor
from jaxopt_lite.core.value import Value
from jaxopt_lite.storage.floats import moving_with, stochastically_rounded


class Scheme(Value):
    """What stands in for the digits that a bfloat16 parameter has not.

    `p` is the parameter, `w` what it stands for, both in float32.
    """

    def begin(self, p: Tensor) -> Any:
        """What is kept beside the parameter before the first step."""
        return MaskedNode()

    def weight(self, p: Tensor, kept: Any) -> Tensor:
        """What the parameter stands for: this is what the optimizer sees."""
        return p

    def land(self, w: Tensor, bits: Bits) -> Tensor:
        """The bfloat16 value that the parameter is to have, in float32."""
        return nearest(w)

    def keep(self, w: Tensor, p: Tensor, bits: Bits) -> Any:
        """What is kept beside the parameter that came of it."""
        return MaskedNode()

    def options(self) -> list[str]:
        """What a `repr` says of it beside the name of the wrapper."""
        return []


class ByChance(Scheme):
    """Nothing: it is rounded by chance, so that the mean is right."""

    def land(self, w: Tensor, bits: Bits) -> Tensor:
        return stochastically_rounded(w, bits()).astype(jnp.float32)


class Compensated(Scheme):
    """The rest, as another bfloat16."""

    def begin(self, p: Tensor) -> Tensor:
        return jnp.zeros_like(p, jnp.bfloat16)

    def weight(self, p: Tensor, kept: Any) -> Tensor:
        return p + kept.astype(jnp.float32)

    def keep(self, w: Tensor, p: Tensor, bits: Bits) -> Tensor:
        return nearest(w - p).astype(jnp.bfloat16)


class Master(Scheme):
    """All digits, as a float32 beside it."""

    def begin(self, p: Tensor) -> Tensor:
        return p

    def weight(self, p: Tensor, kept: Any) -> Tensor:
        return kept

    def keep(self, w: Tensor, p: Tensor, bits: Bits) -> Tensor:
        return w


class Remainder(Scheme):
    """The lower 16 bits of a float32, or the upper 8 of them, rounded by chance."""

    dtype: Any

    def begin(self, p: Tensor) -> Tensor:
        return jnp.zeros_like(p, self.dtype)

    def weight(self, p: Tensor, kept: Any) -> Tensor:
        shift = 16 - 8 * self.dtype.itemsize
        return moving_with(p, _at_place(_place(p) + (kept.astype(jnp.int32) << shift)))

    def land(self, w: Tensor, bits: Bits) -> Tensor:
        # Halves go up: half to even, or away from zero, leaves remainders of 2**15,
        # which a signed 16-bit number does not hold.
        cut = (_place(w) + 0x8000) & jnp.int32(-0x10000)
        return moving_with(w, jnp.where(jnp.isfinite(w), _at_place(cut), w))

    def keep(self, w: Tensor, p: Tensor, bits: Bits) -> Tensor:
        shift = 16 - 8 * self.dtype.itemsize
        rest = _place(w) - _place(p)
        if shift:
            rest = (rest + (bits() >> (32 - shift)).astype(jnp.int32)) >> shift
        ends = jnp.iinfo(self.dtype)
        return jnp.clip(rest, ends.min, ends.max).astype(self.dtype)

    def options(self) -> list[str]:
        return [f"remainder={self.dtype}"]


def nearest(x: jax.Array) -> jax.Array:
    """The nearest bfloat16 in float32, by an operation that XLA does not drop."""
    return lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)


def _place(x: jax.Array) -> jax.Array:
    """Where a float32 stands among all float32, from zero."""
    whole = lax.bitcast_convert_type(x, jnp.int32)
    return jnp.where(whole < 0, jnp.int32(-(2**31)) - whole, whole)


def _at_place(place: jax.Array) -> jax.Array:
    """The float32 at a place."""
    whole = jnp.where(place < 0, jnp.int32(-(2**31)) - place, place)
    return lax.bitcast_convert_type(whole, jnp.float32)
