"""Transformations of some of the parameters only."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.selectors import Selector, as_selector, flags
from jaxopt_lite.core.storage import update_dtype
from jaxopt_lite.core.transformation import (
    EmptyState,
    GradientTransformation,
    as_transformation,
)
from jaxopt_lite.core.trees import Flat, MaskedNode, is_end
from jaxopt_lite.core.types import Mask, Params, PyTree, State, Updates


class MaskedState(NamedTuple):
    """The state of a transformation that sees some of the parameters."""

    inner_state: State


class Masked(GradientTransformation):
    """A transformation that sees the leaves where the mask is true."""

    inner: GradientTransformation
    mask: Any
    mask_compatible_extra_args: bool = False
    holds = {"inner": "inner_state"}

    def _links(self) -> tuple[Link, ...] | None:
        """The leaf rules inside, masked, where there is nothing else."""
        parts = self.inner.parts()
        if not all(isinstance(part, Link) for part in parts):
            return None
        return tuple(part._replace(masks=(*part.masks, self.mask)) for part in parts)

    def parts(self) -> tuple[Any, ...]:
        links = self._links()
        return (self,) if links is None else links

    def split(self, state: State) -> tuple[State, ...]:
        if self._links() is None:
            return (state,)
        return self.inner.split(_inner_state(state))

    def join(self, states: Sequence[State]) -> State:
        if self._links() is None:
            return super().join(states)
        return MaskedState(self.inner.join(states))

    def init(self, params: Params) -> State:
        flat = Flat(params)
        judge(self.mask, "masked", flat)
        return MaskedState(self.inner.init(only(self._chosen(flat), flat)))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        whole = Flat(updates if params is None else params)
        chosen = self._chosen(whole)
        if self.mask_compatible_extra_args:
            extra = mask_extra(chosen, whole, extra)
        g = checks.align("masked", whole, "the updates", updates, "the parameters")
        p = None if params is None else only(chosen, whole)
        held = _inner_state(state)
        inner, new = self.inner.update(only(chosen, g), held, p, **extra)
        moved = checks.align("masked", whole, "the updates of the inner", inner).leaves
        out = [u if c else x for c, u, x in zip(chosen, moved, g.leaves, strict=True)]
        return g.rebuild(out), MaskedState(new)

    def _chosen(self, flat: Flat) -> list[bool]:
        return flags(self.mask, "masked", flat)

    def __repr__(self) -> str:
        return f"masked({self.inner!r}, {self.mask!r})"


def _inner_state(state: State) -> State:
    checks.named_tuple("masked", state, MaskedState)
    return state.inner_state


def masked(
    inner: Any, mask: Mask, *, mask_compatible_extra_args: bool = False
) -> GradientTransformation:
    """Applies a transformation where the mask is true; elsewhere updates pass.

    Where the mask is false `inner` sees `MaskedNode()` and keeps no state, and the
    gradient goes through as it is: to keep parameters still, use `freeze`.

    Args:
        inner: a transformation.
        mask: True or False per parameter: `by_path`, a tree of the parameters' shape
            or a prefix of it, or a function from the parameters to such a tree. It is
            matched by path, so the container's type does not matter.
        mask_compatible_extra_args: whether extra arguments that are trees like the
            parameters are masked as well.

    Returns:
        A transformation whose state is `MaskedState(inner_state)`.

    Raises:
        TypeError: if `inner` is no transformation.
        ValueError: from `init` and `update`, if the mask leaves a parameter uncovered.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.masked(jl.scale(-1.0), jl.by_path({"bias": False, "*": True}))
        >>> params = {"bias": jnp.ones(1), "kernel": jnp.ones(1)}
        >>> tx.update(params, tx.init(params))[0]
        {'bias': Array([1.], dtype=float32), 'kernel': Array([-1.], dtype=float32)}
    """
    tx = as_transformation(inner, "masked: inner")
    return Masked(tx, as_selector(mask), mask_compatible_extra_args)


class Freeze(GradientTransformation):
    """Zero updates where the mask is true; a chain hides these leaves from the rest."""

    mask: Any

    def init(self, params: Params) -> State:
        flat = Flat(params)
        judge(self.mask, "freeze", flat)
        flags(self.mask, "freeze", flat)
        return MaskedState(EmptyState())

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        return fill_frozen([self.mask], updates, updates, params), state

    def __repr__(self) -> str:
        return f"freeze({self.mask!r})"


def freeze(mask: Mask) -> GradientTransformation:
    """Keeps the parameters still where the mask is true.

    In a `chain`, wherever it stands, frozen parameters take no part: they have no
    moments, no weight decay, and do not count in a global norm. (Optax's `freeze`
    only sets to zero what has been computed.)

    Args:
        mask: True or False per parameter, as in `masked`.

    Returns:
        A transformation with the state of Optax's, `MaskedState(EmptyState())`.

    Raises:
        ValueError: from `init` and `update`, if the mask leaves a parameter uncovered.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.chain(
        ...     jl.adam(0.5), jl.freeze(jl.by_path({"embedding": True, "*": False}))
        ... )
        >>> params = {"embedding": jnp.ones(1), "head": jnp.ones(1)}
        >>> tx.update(params, tx.init(params))[0]
        {'embedding': Array([0.], dtype=float32), 'head': Array([-0.5], dtype=float32)}
    """
    return Freeze(as_selector(mask))


def only(chosen: Sequence[bool], flat: Flat) -> PyTree:
    """The tree with `MaskedNode()` where a leaf is not chosen."""
    return flat.rebuild(
        x if c or is_end(x) else MaskedNode()
        for c, x in zip(chosen, flat.leaves, strict=True)
    )


def hide(masks: Sequence[Selector], tree: PyTree, whole: PyTree = None) -> PyTree:
    """The tree without the leaves where any of the masks is true."""
    if not masks or tree is None:
        return tree
    reference = Flat(tree if whole is None else whole)
    flat = checks.align("freeze", reference, "the updates", tree)
    return only([not f for f in _any(masks, reference)], flat)


def fill_frozen(
    masks: Sequence[Selector], new: Updates, old: Updates, params: Params | None
) -> Updates:
    """The new updates, with zeros where any of the masks is true."""
    if not masks:
        return new
    g = Flat(old)
    whole = g if params is None else checks.align("freeze", g, "params", params)
    moved = checks.align("freeze", g, "the updates", new)
    return g.rebuild(
        zeros(x, None if params is None else p) if f and not is_end(x) else u
        for f, u, x, p in zip(
            _any(masks, whole), moved.leaves, g.leaves, whole.leaves, strict=True
        )
    )


def zeros(g: Any, p: Any) -> Any:
    """The zero update of one leaf, also where the parameter is an integer."""
    integral = not jnp.issubdtype(jnp.result_type(g), jnp.number)
    dtype = jnp.result_type(p) if integral and p is not None else update_dtype(g, p)
    return jnp.zeros_like(p if integral and p is not None else g, dtype=dtype)


def mask_extra(
    chosen: Sequence[bool], whole: Flat, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The extra arguments, those masked that are trees like the parameters."""
    masked_ = {}
    for name, value in extra.items():
        flat = Flat(value)
        alike = flat.layout == whole.layout and flat.leaves
        masked_[name] = only(chosen, flat) if alike else value
    return masked_


def judge(selector: Selector, where: str, flat: Flat) -> None:
    """Warns of `by_path` patterns that match nothing."""
    if isinstance(selector, ByPath):
        selector.judge(where, flat)


def _any(masks: Sequence[Selector], flat: Flat) -> list[bool]:
    columns = [flags(mask, "freeze", flat) for mask in masks]
    return [any(row) for row in zip(*columns, strict=True)]
