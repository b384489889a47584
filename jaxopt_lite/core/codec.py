"""What a slot may be kept as between steps other than an array of its own dtype."""

import functools
import zlib
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_lite.core.trees import MaskedNode
from jaxopt_lite.core.types import Kind, PyTree, Tensor
from jaxopt_lite.core.value import Value

Bits: TypeAlias = Callable[[], jax.Array]
"""A function that gives 32 random bits for each element of a slot, as uint32."""


class Coded(NamedTuple):
    """A slot as codes, and the scales that they are relative to.

    Each is one tree like the parameters. Where a leaf's codes need no scales there
    stands `MaskedNode()`.
    """

    codes: PyTree
    scales: PyTree = MaskedNode()


class Codec(Value):
    """How an array is kept between steps: `store_state` gives it to the slots.

    The codes have one array for each slot and leaf, the scales another or none. A
    codec sees one array at a time, in float32; it is structure and holds no arrays.

    Class attributes:
        has_scales: whether `encode` gives scales; else its `scales` stay as they are.
        is_random: whether `encode` asks for `bits`, for which a step count is kept.
        is_faithful: whether `encode` gives back to the bit what `decode` was given.

    Example:
        A codec that keeps float8, with one scale for the whole array:

        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> class Float8(jl.Codec):
        ...     has_scales = True
        ...     def encode(self, x, kind, bits):
        ...         scale = jnp.max(jnp.abs(x)) / 448
        ...         safe = jnp.where(scale > 0, scale, 1)
        ...         return jl.Coded((x / safe).astype(jnp.float8_e4m3fn), scale)
        ...     def decode(self, kept, kind, shape):
        ...         return kept.codes.astype(jnp.float32) * kept.scales
        >>> tx = jl.store_state(jl.trace(0.9), Float8(), where=lambda p: True)
        >>> tx.init(jnp.zeros((2, 2))).trace.codes.dtype
        dtype(float8_e4m3fn)
    """

    has_scales: ClassVar[bool] = False
    is_random: ClassVar[bool] = False
    is_faithful: ClassVar[bool] = False

    def encode(self, x: Tensor, kind: Kind, bits: Bits) -> Coded:
        """What is kept of an array: `Coded(codes)`, or `Coded(codes, scales)`."""
        raise NotImplementedError

    def decode(self, kept: Coded, kind: Kind, shape: tuple[int, ...]) -> Tensor:
        """The array of a shape again, in float32."""
        raise NotImplementedError

    def refusal(self, x: Any) -> str:
        """Why an array cannot be kept so; nothing where it can."""
        return ""


Keeping: TypeAlias = tuple[Codec | None, Codec | None]
"""The codec that reads what is kept of a leaf, and that which writes it."""


def random_bits(seed: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """32 random bits for each element, of its place and a seed alone.

    They are those of the whole array wherever its parts are computed, so that an array
    on eight devices has the same as on one.
    """
    place = jnp.zeros(shape, jnp.uint32)
    stride = 1
    for axis in reversed(range(len(shape))):
        step = lax.broadcasted_iota(jnp.uint32, shape, axis)
        place = place + step * jnp.uint32(stride % 2**32)
        stride *= shape[axis]
    return mixed(place * jnp.uint32(0x9E3779B9) + seed)


def seed(count: Any, salt: Any) -> jax.Array:
    """What the random bits of one parameter at one step begin with."""
    return mixed(jnp.asarray(count).astype(jnp.uint32) * jnp.uint32(0x9E3779B9) + salt)


def mixed(x: jax.Array) -> jax.Array:
    """A uint32 whose every bit depends on every bit of another.

    The finaliser of MurmurHash3 (Appleby 2011).
    """
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> shift)) * jnp.uint32(factor)
    return x ^ (x >> 16)


@functools.cache
def form(codec: Codec, kind: Kind, shape: tuple[int, ...]) -> Coded:
    """The shapes and dtypes in which an array of some shape is kept."""
    x = jax.ShapeDtypeStruct(shape, jnp.float32)

    def encode(x: Any) -> Coded:
        return codec.encode(x, kind, lambda: jnp.zeros(shape, jnp.uint32))

    return jax.eval_shape(encode, x)


def salt(name: str) -> np.uint32:
    """What tells the random bits of one parameter or slot from those of another."""
    return np.uint32(zlib.crc32(name.encode()))
