"""Transformations that remember nothing."""

from collections.abc import Callable
from typing import Any

from jaxopt_lite.combine.masking import zeros
from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import EmptyState, GradientTransformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, State, Tensor, Updates


class SetToZero(GradientTransformation):
    """Zero updates."""

    def init(self, params: Params) -> State:
        return EmptyState()

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        g = Flat(updates)
        if params is None:
            p: list[Any] = [None] * len(g.leaves)
        else:
            p = checks.align("set_to_zero", g, "params", params).leaves
        moved = (
            x if is_end(x) else zeros(x, y) for x, y in zip(g.leaves, p, strict=True)
        )
        return g.rebuild(moved), state

    def __repr__(self) -> str:
        return "set_to_zero()"


def set_to_zero() -> GradientTransformation:
    """Makes every update zero, so that the parameters stay.

    It takes integer parameters too, and `float0` gradients.

    Returns:
        A transformation with an `EmptyState`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.set_to_zero()
        >>> tx.update({"w": jnp.ones(2)}, tx.init({"w": jnp.ones(2)}))[0]
        {'w': Array([0., 0.], dtype=float32)}
    """
    return SetToZero()


class Stateless(GradientTransformation):
    """A function of updates and parameters."""

    function: Callable[[Updates, Params | None], Updates]

    def init(self, params: Params) -> State:
        return EmptyState()

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        return self.function(updates, params), state


def stateless(
    f: Callable[[Updates, Params | None], Updates],
) -> GradientTransformation:
    """Makes a transformation of a function of updates and parameters.

        u = f(updates, params)

    Args:
        f: takes the trees of updates and of parameters (None if the caller gives
            none), returns the tree of new updates.

    Returns:
        A transformation with an `EmptyState`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.stateless(lambda updates, params: jax.tree.map(jnp.sign, updates))
        >>> tx.update(jnp.array([2.0, -3.0]), tx.init(None))[0]
        Array([ 1., -1.], dtype=float32)
    """
    return Stateless(f)


class OfLeaf(Rule):
    """A function of one gradient and its parameter."""

    function: Callable[[Tensor, Tensor | None], Tensor]

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return self.function(g, p)


def stateless_with_tree_map(
    f: Callable[[Tensor, Tensor | None], Tensor],
) -> GradientTransformation:
    """Makes a transformation of a function of one gradient and its parameter.

        u = f(g, p)

    Args:
        f: takes a gradient and its parameter (None if the caller gives none), both in
            at least float32, and returns the update in the same shape.

    Returns:
        A transformation with an `EmptyState`. Masked and None leaves never reach `f`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.stateless_with_tree_map(lambda g, p: jnp.tanh(g) + 0.5 * p)
        >>> p = {"w": jnp.array([2.0])}
        >>> tx.update({"w": jnp.array([0.0])}, tx.init(p), p)[0]
        {'w': Array([1.], dtype=float32)}
    """
    return leafwise(OfLeaf(f))
