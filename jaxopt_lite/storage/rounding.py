"""Parameters in bfloat16 whose steps are not lost."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.codec import random_bits, salt, seed
from jaxopt_lite.core.numerics import saturating_increment
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    as_transformation,
    select,
)
from jaxopt_lite.core.trees import Flat, MaskedNode, is_end
from jaxopt_lite.core.types import Count, DTypeLike, Params, PyTree, State, Updates
from jaxopt_lite.storage.schemes import (
    ByChance,
    Compensated,
    Master,
    Remainder,
    Scheme,
    nearest,
)


class RoundedState(NamedTuple):
    """The step count, what is kept beside the parameters, and the inner state."""

    count: Count  # type: ignore[assignment]
    remainder: PyTree
    inner_state: State


class Rounded(GradientTransformation):
    """A transformation whose updates land on bfloat16 values."""

    inner: GradientTransformation
    scheme: Scheme
    name: str
    holds = {"inner": "inner_state"}

    def init(self, params: Params) -> State:
        flat = Flat(params)
        kept = [
            p if is_end(p) else _at(self.scheme.begin, p, MaskedNode())
            for p in flat.leaves
        ]
        wide = [_at(lambda x: x, p, p) for p in flat.leaves]
        return RoundedState(
            jnp.zeros((), jnp.int32),
            flat.rebuild(kept),
            self.inner.init(flat.rebuild(wide)),
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple(self.name, state, RoundedState)
        if params is None:
            raise ValueError(
                f"{self.name}: update was called without params; expected the "
                f"parameters. Call update(updates, state, params)."
            )
        p = Flat(params)
        g = checks.align(self.name, p, "the gradients", updates, "the parameters")
        kept = checks.align(
            self.name, p, "state.remainder", state.remainder, "the parameters"
        )
        self._check(p, kept)
        weights = [
            _weight(self.scheme, x, k) if _is_short(x) else x
            for x, k in zip(p.leaves, kept.leaves, strict=True)
        ]
        wide = [
            jnp.asarray(y).astype(arithmetic_dtype(jnp.result_type(y)))
            if _is_short(x) and not is_end(y)
            else y
            for x, y in zip(p.leaves, g.leaves, strict=True)
        ]
        u, inner = self.inner.update(
            p.rebuild(wide), state.inner_state, p.rebuild(weights), **extra
        )
        moved = checks.align(self.name, p, "the updates of the inner", u).leaves
        commit, draw = extra.get("commit"), state.count + 1
        landed = [
            _land(self.scheme, x, w, y, k, draw, salt(path), commit)
            if _is_short(x) and not is_end(y)
            else (y, k)
            for path, x, w, y, k in zip(
                p.paths, p.leaves, weights, moved, kept.leaves, strict=True
            )
        ]
        count = select(commit, saturating_increment(state.count), state.count)
        return g.rebuild(y for y, _ in landed), RoundedState(
            count, kept.rebuild(k for _, k in landed), inner
        )

    def _check(self, p: Flat, kept: Flat) -> None:
        """Refuses what was kept for other parameters, or by another wrapper.

        Raises:
            ValueError: naming every such parameter.
        """
        problems = []
        for path, x, k in zip(p.paths, p.leaves, kept.leaves, strict=True):
            if not is_end(x):
                form = _form(self.scheme, np.shape(x), jnp.result_type(x))
                found, expected = checks.describe(k), checks.describe(form)
                if found != expected:
                    problems.append((path, f"found {found}, expected {expected}"))
        if problems:
            checks.fail(
                f"{self.name}: state.remainder of "
                f"{checks.plural(len(problems), 'parameter', 'parameters')} is not "
                f"kept as it was.",
                problems,
                "Expected what this wrapper keeps for these parameters: pass the state "
                "that its `init` or last `update` returned. Another wrapper keeps "
                "other digits.",
                ValueError,
            )

    def __repr__(self) -> str:
        return f"{self.name}({', '.join([repr(self.inner), *self.scheme.options()])})"


@functools.cache
def _form(scheme: Scheme, shape: tuple[int, ...], dtype: Any) -> Any:
    """The shape and dtype of what a scheme keeps beside a parameter."""
    return _at(scheme.begin, jax.ShapeDtypeStruct(shape, dtype), MaskedNode())


def _is_short(x: Any) -> bool:
    return not is_end(x) and jnp.result_type(x) == jnp.bfloat16


def _at(function: Any, p: Any, otherwise: Any) -> Any:
    """What a function makes of a bfloat16 parameter in float32; of shapes shapes."""
    if not _is_short(p):
        return otherwise

    def of(x: Any) -> Any:
        return function(jnp.asarray(x).astype(jnp.float32))

    return jax.eval_shape(of, p) if isinstance(p, jax.ShapeDtypeStruct) else of(p)


@functools.partial(jax.jit, static_argnums=0)
def _weight(scheme: Scheme, p: Any, kept: Any) -> jax.Array:
    return scheme.weight(p.astype(jnp.float32), kept)


@functools.partial(jax.jit, static_argnums=0)
def _land(
    scheme: Scheme, p: Any, w: Any, u: Any, kept: Any, draw: Any, leaf: Any, commit: Any
) -> tuple[jax.Array, Any]:
    """The update that leads to the value to land on, and what is kept beside it."""

    def bits() -> jax.Array:
        return random_bits(seed(draw, leaf), p.shape)

    p = p.astype(jnp.float32)
    w = w + u.astype(jnp.float32)
    u = scheme.land(w, bits) - p
    # The parameter as `(p + u).astype(p.dtype)` will make it, which is not the value
    # aimed at where the two are more than 2**16 apart.
    new = scheme.keep(w, nearest(p + u), bits)
    return u, select(commit, new, kept)


def stochastic_rounding(inner: Any) -> GradientTransformation:
    """Rounds bfloat16 parameters up or down by chance, so that small steps count.

        w = p + inner.update(g, p)            in float32
        p <- one of the two bfloat16 beside w, with the chances whose mean is w

    A step of less than 2**-9 of a parameter is lost where the nearest is taken. The
    update that is returned is float32, and a stock `(p + u).astype(p.dtype)`, as in
    Optax and Flax, lands on the value exactly, while parameter and value are within
    2**16 of each other. The chance depends on the step, the path and the element alone.

    Args:
        inner: a transformation; it sees the parameters and gradients in float32.

    Returns:
        A transformation with `RoundedState(count, remainder, inner_state)`, to stand
        outermost, or in what skips or gathers steps. `remainder` holds nothing.
        Parameters of other dtypes than bfloat16 get the updates of `inner`.

    Raises:
        TypeError: if `inner` is no transformation.
        ValueError: from `update`, if it is called without params, or with the state
            of another wrapper.

    Source: Gupta et al. 2015 (arXiv:1502.02551).

    Example:
        >>> import jaxopt_lite as jl
        >>> tx = jl.stochastic_rounding(jl.sgd(1e-3))
        >>> p = jnp.ones(1000, jnp.bfloat16)
        >>> u, _ = tx.update(jnp.ones_like(p), tx.init(p), p)
        >>> q = jl.apply_updates(p, u)
        >>> q.dtype, bool(jnp.any(q < 1)), bool(jnp.any(q == 1))
        (dtype(bfloat16), True, True)
    """
    return _rounded(inner, ByChance(), "stochastic_rounding")


def kahan(inner: Any) -> GradientTransformation:
    """Adds up in a second bfloat16 what bfloat16 parameters lose by rounding.

        w = p + k + inner.update(g, p + k)    in float32
        p <- bfloat16(w)
        k <- bfloat16(w - p)

    Parameter and remainder have 16 bits of precision together, where a float32 has 24.
    How updates land: see `stochastic_rounding`.

    Args:
        inner: a transformation; it sees `p + k` and the gradients in float32.

    Returns:
        A transformation with `RoundedState(count, remainder, inner_state)`, where
        `remainder` holds `k`.

    Raises:
        TypeError: if `inner` is no transformation.
        ValueError: from `update`, if it is called without params, or with the state
            of another wrapper.

    Source: Kahan 1965; for training Zamirai et al. 2020 (arXiv:2010.06192).

    Example:
        >>> import jaxopt_lite as jl
        >>> tx = jl.kahan(jl.sgd(1e-3))
        >>> p = jnp.ones(1, jnp.bfloat16)
        >>> state = tx.init(p)
        >>> for _ in range(4):
        ...     u, state = tx.update(jnp.ones_like(p), state, p)
        ...     p = jl.apply_updates(p, u)
        >>> p, state.remainder
        (Array([0.996094], dtype=bfloat16), Array([-9.20296e-05], dtype=bfloat16))
    """
    return _rounded(inner, Compensated(), "kahan")


def master_weights(
    inner: Any, remainder: DTypeLike | None = None
) -> GradientTransformation:
    """Trains float32 weights, of which bfloat16 parameters are the upper digits.

        w <- w + inner.update(g, w)           in float32
        p <- bfloat16(w)

    How updates land: see `stochastic_rounding`.

    Args:
        inner: a transformation; it sees `w` and the gradients in float32.
        remainder: `jnp.int16` keeps of `w` only the 16 bits that `p` lacks, which is
            the same to the last bit at half of the memory; `jnp.int8` the upper 8 of
            them, rounded by chance. By default `w` is kept, at 4 bytes.

    Returns:
        A transformation with `RoundedState(count, remainder, inner_state)`, where
        `remainder` holds `w`, or the bits.

    Raises:
        TypeError: if `inner` is no transformation, or `remainder` another dtype.
        ValueError: from `update`, if it is called without params, or with the state
            of another wrapper, or of another `remainder`.

    Source: Micikevicius et al. 2018 (arXiv:1710.03740); the remainder as in FlashOptim
    2026 (arXiv:2602.23349), here of the whole float32, so that 16 bits lose nothing.

    Example:
        >>> import jaxopt_lite as jl
        >>> tx = jl.master_weights(jl.sgd(1e-3), remainder=jnp.int16)
        >>> p = jnp.ones(1, jnp.bfloat16)
        >>> u, state = tx.update(jnp.ones_like(p), tx.init(p), p)
        >>> u, state.remainder
        (Array([0.], dtype=float32), Array([-16777], dtype=int16))
    """
    if remainder is None:
        return _rounded(inner, Master(), "master_weights")
    try:
        dtype = jnp.dtype(remainder)
    except TypeError:
        dtype = None
    if dtype not in (jnp.int8, jnp.int16):
        raise TypeError(
            f"master_weights: remainder is {remainder!r}; expected jnp.int16, jnp.int8 "
            f"or None."
        )
    return _rounded(inner, Remainder(dtype), "master_weights")


def _rounded(inner: Any, scheme: Scheme, name: str) -> GradientTransformation:
    return Rounded(as_transformation(inner, f"{name}: inner"), scheme, name)
