"""Slots kept as shorter floating-point numbers."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lite.core.codec import Bits, Codec, Coded
from jaxopt_lite.core.types import Kind, Tensor


class Float32(Codec):
    """Keeps float32, also of the slots that are computed in float64.

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.Float32()
        Float32()
    """

    is_faithful: ClassVar[bool] = True

    def encode(self, x: Tensor, kind: Kind, bits: Bits) -> Coded:
        return Coded(x)

    def decode(self, kept: Coded, kind: Kind, shape: tuple[int, ...]) -> Tensor:
        return kept.codes

    def refusal(self, x: Any) -> str:
        return _complex(x)


class Bfloat16(Codec):
    """Keeps bfloat16, rounded up or down by chance so that the mean is right.

    A second moment that decays by a thousandth each step would stand still if it were
    rounded to the nearest, which is 0.4 % away.

    Source: Gupta et al. 2015 (arXiv:1502.02551).

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.Bfloat16()
        Bfloat16()
    """

    is_random: ClassVar[bool] = True
    is_faithful: ClassVar[bool] = True

    def encode(self, x: Tensor, kind: Kind, bits: Bits) -> Coded:
        return Coded(stochastically_rounded(x, bits()))

    def decode(self, kept: Coded, kind: Kind, shape: tuple[int, ...]) -> Tensor:
        return kept.codes.astype(jnp.float32)

    def refusal(self, x: Any) -> str:
        return _complex(x)


def _complex(x: Any) -> str:
    return "" if jnp.issubdtype(x.dtype, jnp.floating) else "is complex"


def stochastically_rounded(x: jax.Array, bits: jax.Array) -> jax.Array:
    """One of the two bfloat16 beside a float32, with the chances that keep the mean.

    What is infinite or nan stays so; the derivative is that of the float32. The bits
    are cut by hand, since XLA drops a conversion there and back on some devices.
    """
    whole = lax.bitcast_convert_type(x, jnp.uint32)
    cut = (whole + (bits & 0xFFFF)) & jnp.uint32(0xFFFF0000)
    rounded = jnp.where(jnp.isfinite(x), lax.bitcast_convert_type(cut, jnp.float32), x)
    return moving_with(x, rounded.astype(jnp.bfloat16))


@jax.custom_jvp
def moving_with(x: jax.Array, y: jax.Array) -> jax.Array:
    """`y`, made of the bits of `x`, with the derivative of `x`: bits have none."""
    return y


@moving_with.defjvp
def _of_moving_with(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> Any:
    (x, y), (dx, _) = primals, tangents
    return moving_with(x, y), dx.astype(y.dtype)
