"""Codes of a few bits, each block of elements with a scale of its own."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_lite.core.codec import Bits, Codec, Coded
from jaxopt_lite.core.types import NON_NEGATIVE, Kind, Tensor

_LEAST = 4 * np.finfo(np.float32).tiny
_GREATEST = np.float32(jnp.finfo(jnp.bfloat16).max)


class Blocks(Codec):
    """Keeps whole numbers, relative to the largest magnitude of their block.

        x = scale * sign(c) * (|c| / levels)**power

    A block is a run of elements along the last axis; the last one may be shorter.
    Its scale is the largest magnitude, rounded up to bfloat16. A high power leaves fine
    steps near zero, where they matter for whatever is divided by: with power 8, codes
    to 255 reach down to 6e-20 of the scale. A code is one of the two beside `x`, drawn
    with the chances that make its mean `x`, so that what changes by less than a step
    still moves; but what is not zero never becomes zero where nothing is negative.

    Args:
        bits: 8, or 4; of the latter two stand in one byte.
        block: elements of a block.
        signed_power: the power for slots of either sign: 1, 2, 4 or 8.
        non_negative_power: that for slots that are never negative.

    The codes are int8, or uint8 where nothing is negative, in the shape of the array;
    with 4 bits the last axis is half as long.

    Raises:
        ValueError: if one of these is another number.

    Source: block-wise scales as in Dettmers et al. 2022 (arXiv:2110.02861), rounding by
    chance as in Gupta et al. 2015 (arXiv:1502.02551). Tables of codes and the square
    root, as used elsewhere, lose small second moments beside large ones.

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.Blocks(bits=8, block=128)
        Blocks(bits=8, block=128, signed_power=4, non_negative_power=8)
    """

    bits: int = 8
    block: int = 32
    signed_power: int = 4
    non_negative_power: int = 8

    has_scales: ClassVar[bool] = True
    is_random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (
            ("bits", (4, 8)),
            ("signed_power", _POWERS),
            ("non_negative_power", _POWERS),
        ):
            given = getattr(self, name)
            if type(given) is not int or given not in allowed:
                raise ValueError(
                    f"Blocks: {name} is {given!r}; expected one of "
                    f"{', '.join(map(str, allowed))}."
                )
        if type(self.block) is not int or self.block < 1:
            raise ValueError(
                f"Blocks: block is {self.block!r}; expected a whole number of 1 or "
                f"more."
            )

    def encode(self, x: Tensor, kind: Kind, bits: Bits) -> Coded:
        roots, levels = self._map(kind)
        scales = _rounded_up(_largest(jnp.abs(x), self.block))
        # Four times the inverse: that of the largest scales is less than float32 holds.
        inverse = jnp.where(scales >= _LEAST, 4 / jnp.maximum(scales, _LEAST), 0.0)
        part = jnp.abs(x) * 0.25 * _spread(inverse, self.block, x.shape)
        place = part
        for _ in range(roots):
            place = jnp.sqrt(place)
        below = jnp.clip(jnp.floor(place * levels), 0, levels - 1)
        low = _powered(below * (1 / levels), roots)
        high = _powered((below + 1) * (1 / levels), roots)
        # From 0 to just under 1, in steps that a float32 holds.
        chance = (bits() >> 8).astype(jnp.int32).astype(jnp.float32) * 2.0**-24
        is_up = chance * (high - low) < part - low
        # The last operation is one of two whole arrays: XLA:CPU would otherwise do all
        # of this once more where the codes are read.
        if kind == NON_NEGATIVE:
            is_up |= (below == 0) & (x > 0)
            whole = below.astype(jnp.uint8) + is_up
        else:
            magnitude = below.astype(jnp.int8) + is_up
            whole = jnp.where(x < 0, -magnitude, magnitude)
        packed = whole if self.bits == 8 else _pack(whole)
        return Coded(packed, scales.astype(jnp.bfloat16))

    def decode(self, kept: Coded, kind: Kind, shape: tuple[int, ...]) -> Tensor:
        roots, levels = self._map(kind)
        codes = kept.codes if self.bits == 8 else _unpack(kept.codes, shape[-1])
        scales = kept.scales.astype(jnp.float32)
        place = codes.astype(jnp.float32) * (1 / levels)
        return _powered(place, roots) * _spread(scales, self.block, shape)

    def refusal(self, x: Any) -> str:
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return "is complex"
        return "" if x.ndim else "has no axis to take blocks along"

    def _map(self, kind: Kind) -> tuple[int, int]:
        """How often the root is taken, and the largest code."""
        if kind == NON_NEGATIVE:
            return _POWERS.index(self.non_negative_power), 2**self.bits - 1
        return _POWERS.index(self.signed_power), 2 ** (self.bits - 1) - 1


_POWERS = (1, 2, 4, 8)


def _powered(x: jax.Array, squarings: int) -> jax.Array:
    """`sign(x) * |x|**(2**squarings)`."""
    for _ in range(squarings):
        x = x * jnp.abs(x)
    return x


def _largest(x: jax.Array, block: int) -> jax.Array:
    """The largest of each block along the last axis, of what is not negative.

    As whole numbers the bits of such floats have the same order, nan above all. XLA:CPU
    writes the floats themselves to memory before it takes the maximum.
    """
    *outer, length = x.shape
    block = min(block, max(length, 1))
    blocks = -(-length // block)
    padding = [(0, 0)] * len(outer) + [(0, blocks * block - length)]
    whole = lax.bitcast_convert_type(jnp.pad(x, padding), jnp.int32)
    largest = jnp.max(whole.reshape(*outer, blocks, block), axis=-1)
    return lax.bitcast_convert_type(largest, jnp.float32)


def _spread(scales: jax.Array, block: int, shape: tuple[int, ...]) -> jax.Array:
    """The scale of its block at each element of an array of a shape."""
    *outer, blocks = scales.shape
    block = min(block, max(shape[-1], 1))
    wide = jnp.broadcast_to(scales[..., None], (*outer, blocks, block))
    return wide.reshape(*outer, blocks * block)[..., : shape[-1]]


def _rounded_up(x: jax.Array) -> jax.Array:
    """The least bfloat16 that is not less, of a float32 that is not negative.

    Above the greatest bfloat16 it is that. Its bits are cut by hand: XLA drops a
    conversion there and back on some devices.
    """
    whole = lax.bitcast_convert_type(x, jnp.uint32)
    cut = (whole + 0xFFFF) & jnp.uint32(0xFFFF0000)
    up = jnp.minimum(lax.bitcast_convert_type(cut, jnp.float32), _GREATEST)
    return jnp.where(jnp.isfinite(x), up, x)


def _pack(codes: jax.Array) -> jax.Array:
    """Two codes of 4 bits in one byte: the even elements in the low half."""
    padding = [(0, 0)] * (codes.ndim - 1) + [(0, codes.shape[-1] % 2)]
    low, high = (jnp.pad(codes, padding)[..., i::2] for i in (0, 1))
    return (low & 0xF) | (high << 4)


def _unpack(packed: jax.Array, length: int) -> jax.Array:
    """The codes again, with their sign where the dtype has one."""
    twice = _spread(packed, 2, (*packed.shape[:-1], length))
    is_low = lax.broadcasted_iota(jnp.int32, twice.shape, twice.ndim - 1) % 2 == 0
    # To the top of the byte and back, which repeats the sign.
    return jnp.where(is_low, twice << 4, twice) >> 4
