"""Value and gradient taken from where a line search has left them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.types import Params, State, Updates
from jaxopt_lite.linesearch.line import branch

_NAME = "value_and_grad_from_state"


def value_and_grad_from_state(
    value_fn: Callable[..., jax.typing.ArrayLike],
) -> Callable[..., tuple[jax.Array, Updates]]:
    """`jax.value_and_grad` that takes from a state what a line search has found.

    A line search ends with value and gradient at the point it moves to, so the next
    step need not compute them again, as long as the function stays the same and the
    parameters are those that `apply_updates` made.

    Args:
        value_fn: a function of the parameters, and of what else is passed, that returns
            one number.

    Returns:
        A function `(params, *args, state, **kwargs) -> (value, grad)`. It takes both
        from the one line search in `state`, however deep it stands, and computes them
        with `value_fn(params, *args, **kwargs)` if the value there is not finite, as
        before the first step. It raises ValueError where no line search, or more than
        one, or one without gradient, is in the state.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> def f(p):
        ...     return jnp.sum(p**2)
        >>> tx = jl.lbfgs()
        >>> p = jnp.array([1.0, 2.0, 3.0])
        >>> state = tx.init(p)
        >>> value_and_grad = jl.value_and_grad_from_state(f)
        >>> for _ in range(2):
        ...     value, grad = value_and_grad(p, state=state)
        ...     u, state = tx.update(
        ...         grad, state, p, value=value, grad=grad, value_fn=f
        ...     )
        ...     p = jl.apply_updates(p, u)
        >>> value_and_grad(p, state=state)[0].round(6)
        Array(0., dtype=float32)
    """

    def value_and_grad(
        params: Params, *args: Any, state: State, **kwargs: Any
    ) -> tuple[jax.Array, Updates]:
        held = _line_search(state)
        p = Flat(params)
        kept = checks.align(_NAME, p, "state.grad", held.grad)
        checks.shapes(_NAME, "state.grad", kept, "parameter", p)

        def known() -> tuple[jax.Array, Updates]:
            return held.value, p.rebuild(kept.leaves)

        def computed() -> tuple[jax.Array, Updates]:
            value, grad = jax.value_and_grad(value_fn)(params, *args, **kwargs)
            return jax.tree.map(
                lambda x, y: jnp.asarray(x, y.dtype), (value, grad), known()
            )

        return branch(jnp.isfinite(held.value), known, computed)

    return value_and_grad


def _line_search(state: State) -> Any:
    """The part of a state that a line search keeps.

    Raises:
        ValueError: if there is none, or several, or if it keeps no gradient.
    """
    parts = jax.tree.leaves(state, is_leaf=_is_line_search)
    found = [part for part in parts if _is_line_search(part)]
    if len(found) != 1:
        raise ValueError(
            f"{_NAME}: the state holds {len(found)} line searches; expected one. Put "
            f"`scale_by_zoom_linesearch` into the optimizer, or "
            f"`scale_by_backtracking_linesearch` with store_grad=True."
        )
    if found[0].grad is None:
        raise ValueError(
            f"{_NAME}: the line search in the state keeps no gradient; expected one. "
            f"Use `scale_by_backtracking_linesearch` with store_grad=True."
        )
    return found[0]


def _is_line_search(part: Any) -> bool:
    """Whether it has the fields that ours and Optax's line searches keep."""
    names = getattr(part, "_fields", ())
    return {"learning_rate", "value", "grad", "info"} <= set(names)
