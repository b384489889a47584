"""Parameters shown in another form: as one vector, or as pairs of real arrays."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.storage import update_dtype
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, PyTree, State, Updates


class Flatten(GradientTransformation):
    """Shows all parameters as one vector."""

    inner: GradientTransformation
    holds = {"inner": ""}

    def init(self, params: Params) -> State:
        return self.inner.init(_vector(Flat(params).leaves))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        g = Flat(updates)
        p = None if params is None else checks.align("flatten", g, "params", params)
        if p is not None:
            checks.shapes("flatten", "gradient", g, "parameter", p)
        held = None if p is None else _vector(p.leaves)
        u, new = self.inner.update(_vector(g.leaves), state, held, **extra)
        like = [None] * len(g.leaves) if p is None else p.leaves
        return g.rebuild(_pieces(u, g.leaves, like)), new

    def __repr__(self) -> str:
        return f"flatten({self.inner!r})"


def flatten(inner: Any) -> GradientTransformation:
    """Applies a transformation to all parameters as one vector.

    Many small arrays then cost as much as one large array. What depends on a path, on a
    shape or on one parameter's norm sees one parameter with an empty path.

    Args:
        inner: a transformation.

    Returns:
        A transformation with the state that `inner` has for a vector. Where dtypes
        differ the vector has the widest; updates come back in `result_type(gradient,
        parameter)`.

    Raises:
        TypeError: if `inner` is no transformation.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.flatten(jl.trace(0.9))
        >>> tx.init({"a": jnp.zeros((2, 2)), "b": jnp.zeros(1)})
        TraceState(trace=Array([0., 0., 0., 0., 0.], dtype=float32))
    """
    return Flatten(as_transformation(inner, "flatten: inner"))


def _vector(leaves: Sequence[Any]) -> Any:
    """All arrays one after another."""
    arrays = [x for x in leaves if not is_end(x)]
    if any(isinstance(x, jax.ShapeDtypeStruct) for x in arrays):
        return jax.eval_shape(_vector, arrays)
    return jnp.concatenate([jnp.zeros(0, jnp.float16), *map(jnp.ravel, arrays)])


def _pieces(vector: Any, leaves: Sequence[Any], params: Sequence[Any]) -> list[Any]:
    """The arrays again, each in the dtype of its update."""
    sizes = [0 if is_end(x) else np.size(x) for x in leaves]
    pieces = jnp.split(vector, np.cumsum(sizes)[:-1]) if sizes else []
    return [
        x if is_end(x) else _like(piece, x, update_dtype(x, p))
        for piece, x, p in zip(pieces, leaves, params, strict=True)
    ]


def _like(piece: Any, x: Any, dtype: Any) -> Any:
    """A piece in the shape of its gradient; beside a complex leaf a real one is one."""
    part = piece if jnp.issubdtype(dtype, jnp.complexfloating) else jnp.real(piece)
    return part.reshape(np.shape(x)).astype(dtype)


class SplitRealAndImaginaryArrays(NamedTuple):
    """The real and the imaginary part of an array."""

    real: Any
    imaginary: Any


class SplitRealAndImaginaryState(NamedTuple):
    """The state of the transformation inside."""

    inner_state: State


class SplitRealAndImaginary(GradientTransformation):
    """Shows each complex parameter as two real ones."""

    inner: GradientTransformation
    holds = {"inner": "inner_state"}

    def init(self, params: Params) -> State:
        return SplitRealAndImaginaryState(self.inner.init(_split(Flat(params))))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        where = "split_real_and_imaginary"
        checks.named_tuple(where, state, SplitRealAndImaginaryState)
        g = Flat(updates)
        p = None
        if params is not None:
            flat = checks.align(where, g, "params", params)
            checks.shapes(where, "gradient", g, "parameter", flat)
            p = _split(flat)
        u, new = self.inner.update(_split(g), state.inner_state, p, **extra)
        joined = map(_join, jax.tree.leaves(u, is_leaf=_is_leaf))
        return g.rebuild(joined), SplitRealAndImaginaryState(new)

    def __repr__(self) -> str:
        return f"split_real_and_imaginary({self.inner!r})"


def split_real_and_imaginary(inner: Any) -> GradientTransformation:
    """Applies a transformation to the real and imaginary parts as to two parameters.

    Real parameters pass as they are. `jax.grad` of a real loss gives the conjugate of
    the direction of steepest ascent: conjugate it before `update`.

    Args:
        inner: a transformation; it sees the path `w/real` and `w/imaginary` for `w`.

    Returns:
        A transformation with `SplitRealAndImaginaryState(inner_state)`.

    Raises:
        TypeError: if `inner` is no transformation.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.split_real_and_imaginary(jl.clip(1.0))
        >>> tx.update(jnp.array([3.0 - 4.0j]), tx.init(jnp.zeros(1, complex)))[0]
        Array([1.-1.j], dtype=complex64)
    """
    return SplitRealAndImaginary(
        as_transformation(inner, "split_real_and_imaginary: inner")
    )


def _split(flat: Flat) -> PyTree:
    """The tree with a pair of real arrays in place of each complex one."""
    return flat.rebuild_bare(map(_split_leaf, flat.leaves))


def _split_leaf(x: Any) -> Any:
    if is_end(x) or not jnp.issubdtype(jnp.result_type(x), jnp.complexfloating):
        return x
    if isinstance(x, jax.ShapeDtypeStruct):
        return jax.eval_shape(_split_leaf, x)
    return SplitRealAndImaginaryArrays(jnp.real(x), jnp.imag(x))


def _is_leaf(x: Any) -> bool:
    return is_end(x) or isinstance(x, SplitRealAndImaginaryArrays)


def _join(x: Any) -> Any:
    if isinstance(x, SplitRealAndImaginaryArrays):
        return jax.lax.complex(x.real, x.imaginary)
    return x
