"""Codes without the transformation that keeps them."""

import itertools

import jax
import jax.numpy as jnp

from jaxopt_lite.core.codec import Codec, Coded, salt
from jaxopt_lite.core.columns import is_form
from jaxopt_lite.core.slots import decode, encode
from jaxopt_lite.core.types import NON_NEGATIVE, SIGNED, Kind, Tensor
from jaxopt_lite.storage.store import CODECS


def decoded(kept: Coded, shape: tuple[int, ...]) -> Tensor | None:
    """The array of a shape that a codec with a name keeps so; None if none does."""
    found = _codec(kept, shape)
    return None if found is None else decode(*found, shape, kept)


def encoded(x: Tensor, like: Coded, slot: str, path: str) -> Coded | None:
    """An array in the form of a parameter's slot; None if no codec has a name."""
    found = _codec(like, x.shape)
    if found is None:
        return None
    return encode(*found, slot, jnp.asarray(salt(path)), x)


def _codec(kept: Coded, shape: tuple[int, ...]) -> tuple[Codec, Kind] | None:
    """The codec with a name that keeps an array of a shape so, and of which kind."""
    whole = jax.ShapeDtypeStruct(shape, jnp.float32)
    ways = itertools.product(CODECS.values(), (SIGNED, NON_NEGATIVE))
    return next((way for way in ways if is_form(kept, *way, whole)), None)
