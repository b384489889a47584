"""How slots are kept between steps."""

from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.numerics import promote, real
from jaxopt_lite.core.types import DTypeLike, Tensor
from jaxopt_lite.core.value import Value


class Storage(Value):
    """The dtype of each slot that is not kept in the dtype of the arithmetic."""

    dtypes: tuple[tuple[str, Any], ...] = ()

    def dtype(self, slot: str, x: Tensor) -> Any:
        """The dtype in which a slot is kept; complex where the slot is."""
        dtype = dict(self.dtypes).get(slot, x.dtype)
        return promote(dtype, jnp.complex64) if jnp.iscomplexobj(x) else dtype

    def __repr__(self) -> str:
        return f"keep({', '.join(f'{slot}={d}' for slot, d in self.dtypes)})"


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
    return promote(jnp.dtype(dtype), jnp.dtype(jnp.float32))


def update_dtype(g: Any, p: Any) -> Any:
    """The dtype of an update: that which holds the gradient's and the parameter's."""
    return _dtype(g) if p is None else promote(_dtype(g), _dtype(p))


def _dtype(x: Any) -> Any:
    return x.dtype if hasattr(x, "dtype") else jnp.result_type(x)


def widen(x: Tensor, dtype: Any) -> Tensor:
    """A stored slot in the dtype of the arithmetic, real where it is real."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    return x.astype(dtype if jnp.iscomplexobj(x) else real(dtype))
