"""Fast parameters that explore, slow ones that follow."""

from typing import Annotated, Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.gate import both
from jaxopt_lite.core import checks
from jaxopt_lite.core.ranges import FIXED, Steps, Within, checked
from jaxopt_lite.core.storage import arithmetic_dtype, update_dtype
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    apply_updates,
    as_transformation,
    select,
)
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Count, Numeric, Params, State, Updates


class LookaheadParams(NamedTuple):
    """Parameters to take gradients at, and those to evaluate with."""

    fast: Params
    slow: Params

    @classmethod
    def init_synced(cls, params: Params) -> Self:
        """Two equal sets of parameters, each with memory of its own."""
        return cls(fast=params, slow=jax.tree.map(jnp.array, params))


class LookaheadState(NamedTuple):
    """The state of the fast optimizer, and its steps since the last meeting."""

    fast_state: State
    steps_since_sync: Count

    def eval_params(self, params: Params) -> Params:
        """The slow parameters."""
        return _pair(params).slow


class Lookahead(GradientTransformation):
    """A fast optimizer whose steps slow parameters follow."""

    fast_optimizer: GradientTransformation
    sync_period: Annotated[Steps, FIXED]
    slow_step_size: Annotated[Any, Within("[0, 1]"), FIXED]
    reset_state: bool
    holds = {"fast_optimizer": "fast_state"}

    def init(self, params: Params) -> State:
        fast = params.fast if hasattr(params, "fast") else params
        return LookaheadState(self.fast_optimizer.init(fast), jnp.zeros((), jnp.int32))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("lookahead", state, LookaheadState)
        pair = _pair(params)
        g = updates.fast if hasattr(updates, "fast") else updates
        commit, n = extra.get("commit"), state.steps_since_sync
        meets = n >= self.sync_period - 1
        u, fast_state = self.fast_optimizer.update(
            g, state.fast_state, pair.fast, **extra
        )
        fast, slow = self._move(meets, u, pair)
        if self.reset_state:
            fresh = self.fast_optimizer.init(apply_updates(pair.fast, fast))
            fast_state = select(both(meets, commit), fresh, fast_state)
        steps = select(commit, jnp.where(meets, 0, n + 1), n)
        return pair._replace(fast=fast, slow=slow), LookaheadState(fast_state, steps)

    def _move(
        self, meets: jax.Array, updates: Updates, pair: Any
    ) -> tuple[Updates, Updates]:
        """The updates of the fast and of the slow parameters."""
        fast = Flat(pair.fast)
        slow = checks.align("lookahead", fast, "params.slow", pair.slow, "params.fast")
        u = checks.align("lookahead", fast, "the updates", updates, "params.fast")
        checks.shapes("lookahead", "params.slow", slow, "params.fast", fast)
        moves = [
            (x, x)
            if is_end(x) or is_end(f)
            else _move_leaf(meets, self.slow_step_size, x, f, s)
            for x, f, s in zip(u.leaves, fast.leaves, slow.leaves, strict=True)
        ]
        return fast.rebuild(a for a, _ in moves), slow.rebuild(b for _, b in moves)

    def __repr__(self) -> str:
        return (
            f"lookahead({self.fast_optimizer!r}, {self.sync_period!r}, "
            f"{self.slow_step_size!r}, reset_state={self.reset_state})"
        )


@jax.jit
def _move_leaf(
    meets: jax.Array, slow_step_size: Any, u: Any, f: Any, s: Any
) -> tuple[jax.Array, jax.Array]:
    dtype = update_dtype(u, f)
    wide = arithmetic_dtype(dtype)
    x, y, z = (jnp.asarray(a).astype(wide) for a in (u, f, s))
    size = jnp.asarray(slow_step_size).astype(z.real.dtype)
    # Both parameters are led to where the slow ones will be once they are rounded.
    slow = (size * (y + x - z)).astype(update_dtype(u, s))
    met = (z + slow).astype(jnp.asarray(s).dtype)
    fast = jnp.where(meets, met.astype(wide) - y, x).astype(dtype)
    return fast, jnp.where(meets, slow, jnp.zeros_like(slow))


def _pair(params: Any) -> Any:
    """The fast and slow parameters.

    Raises:
        ValueError: if there are none.
        TypeError: if they are no pair.
    """
    if params is None:
        raise ValueError(
            "lookahead: update was called without params; expected the fast and the "
            "slow parameters. Call update(updates, state, params)."
        )
    if not hasattr(params, "fast") or not hasattr(params, "slow"):
        raise TypeError(
            f"lookahead: params is a {type(params).__name__}; expected fast and slow "
            f"parameters. Begin with LookaheadParams.init_synced(params)."
        )
    return params


def lookahead(
    fast_optimizer: Any,
    sync_period: int,
    slow_step_size: Numeric,
    reset_state: bool = False,
) -> GradientTransformation:
    """Lets slow parameters follow a fast optimizer; now and then both meet.

        fast <- fast + u
        every sync_period steps:
            slow <- slow + slow_step_size * (fast - slow);  fast <- slow

    Parameters are a `LookaheadParams(fast, slow)`, made by
    `LookaheadParams.init_synced(params)`. Take gradients at `params.fast`; evaluate
    with `params.slow`, which `eval_params(state, params)` returns. What changes the
    gradient or the update belongs inside `fast_optimizer`.

    Args:
        fast_optimizer: a transformation.
        sync_period: steps from meeting to meeting, at least 1: an integer or an array.
        slow_step_size: the part of the way that the slow parameters go, in [0, 1].
        reset_state: whether the fast optimizer begins anew after each meeting.

    Returns:
        A transformation with `LookaheadState(fast_state, steps_since_sync)`. Its
        updates are a pair like its parameters; gradients may be such a pair, too, of
        which the fast count.

    Raises:
        TypeError: if an argument is none of these; from `update`, if the parameters are
            no pair.
        ValueError: if a number is out of its range; from `update`, without parameters.

    Source: Zhang et al. 2019, arXiv 1907.08610. In Optax both parameters are one array
    at first, and cannot be donated; extra arguments do not reach the fast optimizer.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.lookahead(jl.sgd(1.0), sync_period=2, slow_step_size=0.5)
        >>> params = jl.LookaheadParams.init_synced(jnp.zeros(1))
        >>> state = tx.init(params)
        >>> for _ in range(2):
        ...     updates, state = tx.update(-jnp.ones(1), state, params)
        ...     params = jl.apply_updates(params, updates)
        ...     print(params.fast, params.slow)
        [1.] [0.]
        [1.] [1.]
    """
    return checked(
        Lookahead(
            as_transformation(fast_optimizer, "lookahead: fast_optimizer"),
            sync_period,
            slow_step_size,
            reset_state,
        )
    )
