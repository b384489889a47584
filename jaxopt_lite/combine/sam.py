"""Sharpness-aware minimization: the gradient at a point uphill from the parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.gate import both, committing
from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import fixed_whole_number
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    apply_updates,
    as_transformation,
    select,
)
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, State, Tensor, Updates


class SAMState(NamedTuple):
    """The steps since the last real one, both optimizers' states, the parameters there.

    In opaque mode nothing need be remembered, and `cache` is None.
    """

    steps_since_sync: jax.Array
    opt_state: State
    adv_state: State
    cache: Params | None


class Return(Rule):
    """A step uphill, or the way back and a real step from there."""

    reads_params = True
    trees = ("cache", "uphill")

    def emit(
        self,
        g: Tensor,
        slots: Any,
        p: Tensor,
        step: Any,
        *,
        cache: Tensor,
        uphill: Tensor,
        is_last: Any,
    ) -> Tensor:
        return jnp.where(is_last, cache - p + g, -uphill)


class Sam(GradientTransformation):
    """Steps uphill, and now and then a real step, at each call one of them."""

    optimizer: GradientTransformation
    adv_optimizer: GradientTransformation
    sync_period: int
    reset_state: bool
    holds = {"optimizer": "opt_state", "adv_optimizer": "adv_state"}

    def init(self, params: Params) -> State:
        p = Flat(params)
        copied = (x if is_end(x) else _copy(x) for x in p.leaves)
        return _first_state(self, params, p.rebuild(copied))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("sam", state, SAMState)
        _demand_params(params)
        commit = extra.get("commit")
        is_first = state.steps_since_sync == 0
        is_last = state.steps_since_sync == self.sync_period - 1
        cache = _where(is_first, params, state.cache)
        uphill, adv_state = self.adv_optimizer.update(
            updates,
            state.adv_state,
            params,
            **committing(both(~is_last, commit), extra),
        )
        u, opt_state = self.optimizer.update(
            updates, state.opt_state, cache, **committing(both(is_last, commit), extra)
        )
        way = leafwise(Return())
        named = {"cache": cache, "uphill": uphill, "is_last": is_last}
        u, _ = way.update(u, way.init(params), params, **named)
        if self.reset_state:
            fresh = self.adv_optimizer.init(params)
            adv_state = select(both(is_last, commit), fresh, adv_state)
        following = (state.steps_since_sync + 1) % self.sync_period
        return u, SAMState(
            select(commit, following, state.steps_since_sync),
            opt_state,
            adv_state,
            select(commit, cache, state.cache),
        )


class OpaqueSam(GradientTransformation):
    """All steps uphill and the real step in one call, which needs the gradient."""

    optimizer: GradientTransformation
    adv_optimizer: GradientTransformation
    sync_period: int
    reset_state: bool
    batch_axis_name: str | None
    holds = {"optimizer": "opt_state", "adv_optimizer": "adv_state"}

    def init(self, params: Params) -> State:
        return _first_state(self, params, None)

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        *,
        grad_fn: Callable[[Params, int], Updates] | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("sam", state, SAMState)
        _demand_params(params)
        if grad_fn is None:
            raise ValueError(
                "sam: update was called without `grad_fn`; in opaque mode it expects a "
                "function of the parameters and of the number of the step uphill. "
                "Call update(updates, state, params, grad_fn=jax.grad(loss))."
            )
        g, p, adv_state = updates, params, state.adv_state
        for i in range(self.sync_period - 1):
            u, adv_state = self.adv_optimizer.update(g, adv_state, p, **extra)
            p = apply_updates(p, jax.tree.map(jnp.negative, u))
            g = grad_fn(p, i)
            if self.batch_axis_name is not None:
                g = jax.lax.pmean(g, axis_name=self.batch_axis_name)
        if self.reset_state:
            fresh = self.adv_optimizer.init(params)
            adv_state = select(extra.get("commit"), fresh, adv_state)
        u, opt_state = self.optimizer.update(g, state.opt_state, params, **extra)
        return u, SAMState(state.steps_since_sync, opt_state, adv_state, None)


def sam(
    optimizer: Any,
    adv_optimizer: Any,
    sync_period: int = 2,
    reset_state: bool = True,
    opaque_mode: bool = False,
    batch_axis_name: str | None = None,
) -> GradientTransformation:
    """Takes the gradient of each real step at a point uphill from the parameters.

        p' = p - adv_update(g(p))     sync_period - 1 times, from p
        p <- p + update(g(p'))

    The paper's method is `sam(sgd(lr), chain(normalize(), sgd(rho)))`.

    Args:
        optimizer: takes the real steps.
        adv_optimizer: its updates, reversed, lead uphill.
        sync_period: every how many gradients a real step comes, at least 1.
        reset_state: whether `adv_optimizer` begins anew after each real step.
        opaque_mode: whether one `update` does it all, with the keyword `grad_fn`: a
            function of the parameters and of the number of the step uphill. Otherwise
            each call takes one step, and between real steps the parameters are uphill.
        batch_axis_name: in opaque mode, the mapped axis to average gradients over.

    Returns:
        A transformation with `SAMState(steps_since_sync, opt_state, adv_state, cache)`;
        outside opaque mode `cache` is one slot like the parameter.

    Raises:
        TypeError: if an optimizer is no transformation, or `sync_period` no integer.
        ValueError: if `sync_period` is below 1; from `update`, without parameters, or
            in opaque mode without `grad_fn`.

    Source: Foret et al. 2020, arXiv 2010.01412. With `sync_period=1` it is `optimizer`;
    Optax undoes steps there. Keywords of `update` reach both optimizers.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> uphill = jl.chain(jl.normalize(), jl.sgd(0.5))
        >>> tx = jl.sam(jl.sgd(0.25), uphill, opaque_mode=True)
        >>> grad = jax.grad(lambda p, i=0: p**2)
        >>> p = jnp.array(1.0)
        >>> tx.update(grad(p), tx.init(p), p, grad_fn=grad)[0]
        Array(-0.75, dtype=float32)
    """
    outer = as_transformation(optimizer, "sam: optimizer")
    inner = as_transformation(adv_optimizer, "sam: adv_optimizer")
    period = fixed_whole_number("sync_period", sync_period)
    if opaque_mode:
        return OpaqueSam(outer, inner, period, reset_state, batch_axis_name)
    return Sam(outer, inner, period, reset_state)


def _first_state(tx: Sam | OpaqueSam, params: Params, cache: Params) -> SAMState:
    return SAMState(
        jnp.zeros((), jnp.int32),
        tx.optimizer.init(params),
        tx.adv_optimizer.init(params),
        cache,
    )


def _copy(x: Any) -> Any:
    """A copy for the cache; of a shape the shape."""
    if isinstance(x, jax.ShapeDtypeStruct):
        return x
    return jnp.array(x, copy=True)


def _where(condition: jax.Array, params: Params, cache: Params) -> Params:
    """The parameters where the condition holds, else those of the cache."""
    p = Flat(params)
    held = checks.align("sam", p, "state.cache", cache, "the parameters")
    checks.shapes("sam", "state.cache", held, "parameter", p)
    return p.rebuild(
        x if is_end(x) else jnp.where(condition, x, y)
        for x, y in zip(p.leaves, held.leaves, strict=True)
    )


def _demand_params(params: Params | None) -> None:
    if params is None:
        raise ValueError(
            "sam: update was called without params; expected the parameters. Call "
            "update(updates, state, params)."
        )
