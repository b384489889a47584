"""Sophia: a diagonal Hessian, estimated every few steps, and the step that uses it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.gate import both, committing
from jaxopt_lite.combine.noise import count_arrays, key_data
from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import fixed_whole_number
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    as_transformation,
    select,
)
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Hyperparameter,
    Params,
    PyTree,
    State,
    Updates,
)
from jaxopt_lite.rules.sophia import CurvatureState, ScaleBySophia


class HutchinsonState(NamedTuple):
    """The data of the key for the next estimate."""

    key: jax.Array


class Hutchinson(GradientTransformation):
    """An estimate of the Hessian's diagonal in the place of the updates."""

    random_seed: Any

    def init(self, params: Params) -> State:
        return HutchinsonState(key_data(self.random_seed))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        *,
        obj_fn: Callable[[Params], Any] | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        if params is None or obj_fn is None:
            missing = "params" if params is None else "`obj_fn`"
            raise ValueError(
                f"hutchinson_estimator_diag_hessian: update was called without "
                f"{missing}; expected the parameters and the loss as a function of "
                f"them. Call update(updates, state, params, obj_fn=loss)."
            )
        following, drawn = jax.random.split(jax.random.wrap_key_data(state.key))
        signs = _signs_like(drawn, params)
        _, product = jax.jvp(jax.grad(obj_fn), (params,), (signs,))
        diagonal = jax.tree.map(jnp.multiply, product, signs)
        data = jax.random.key_data(following)
        return diagonal, HutchinsonState(select(extra.get("commit"), data, state.key))


def hutchinson_estimator_diag_hessian(
    random_seed: Any = None,
) -> GradientTransformation:
    """Estimates the diagonal of the Hessian of the loss at the parameters.

        u = z * (H z),  z = -1 or 1 at random, so that E[u] = diag(H)

    Args:
        random_seed: a key of `jax.random`, or an integer to make one of; None is 0.

    Returns:
        A transformation with `HutchinsonState(key)`, the key as raw data. Its `update`
        takes the loss as `obj_fn`, a function of the parameters.

    Raises:
        ValueError: from `update`, without parameters or without `obj_fn`.

    Source: Hutchinson 1989, Communications in Statistics 18; Liu et al. 2023, arXiv
    2305.14342, who draw `z` from a normal distribution.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.hutchinson_estimator_diag_hessian(0)
        >>> p = jnp.array([1.0, 2.0])
        >>> tx.update(p, tx.init(p), p, obj_fn=lambda p: jnp.sum(p**3))[0]
        Array([ 6., 12.], dtype=float32)
    """
    return Hutchinson(0 if random_seed is None else random_seed)


def _signs_like(key: jax.Array, params: Params) -> PyTree:
    """Random signs in the shapes and dtypes of the parameters."""
    flat = Flat(params)
    keys = iter(jax.random.split(key, count_arrays(params)))
    return flat.rebuild(
        x
        if is_end(x)
        else jax.random.rademacher(next(keys), x.shape, jnp.float32).astype(x.dtype)
        for x in flat.leaves
    )


class SophiaState(NamedTuple):
    """The step count, both means, and the state of what estimates the Hessian."""

    count: Count  # type: ignore[assignment]
    mu: Updates
    nu: Updates
    hessian_fn_state: State


class Sophia(GradientTransformation):
    """Estimates the Hessian every few steps; the rule does the rest."""

    inner: GradientTransformation
    hessian_diagonal_fn: GradientTransformation
    update_interval: Any
    holds = {"inner": "", "hessian_diagonal_fn": "hessian_fn_state"}

    def init(self, params: Params) -> State:
        held = self.inner.init(params)
        estimator = self.hessian_diagonal_fn.init(params)
        return SophiaState(
            count=held.count, mu=held.mu, nu=held.nu, hessian_fn_state=estimator
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("scale_by_sophia", state, SophiaState)
        is_fresh = state.count % self.update_interval == 0
        commit = both(is_fresh, extra.get("commit"))
        keywords = committing(commit, extra)

        def estimate() -> tuple[Updates, State]:
            return self.hessian_diagonal_fn.update(
                updates, state.hessian_fn_state, params, **keywords
            )

        def skip() -> tuple[Updates, State]:
            shapes, _ = jax.eval_shape(estimate)
            nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
            return nothing, state.hessian_fn_state

        # The one place for a branch: an estimate costs as much as two gradients.
        hessian, hessian_fn_state = jax.lax.cond(is_fresh, estimate, skip)
        u, held = self.inner.update(
            updates,
            CurvatureState(state.count, state.mu, state.nu),
            params,
            **{**extra, "hessian": hessian, "is_fresh": is_fresh},
        )
        return u, SophiaState(
            count=held.count, mu=held.mu, nu=held.nu, hessian_fn_state=hessian_fn_state
        )


class WinRate(GradientTransformation):
    """Prints now and then which share of the steps was not clipped."""

    inner: GradientTransformation
    clip_threshold: Any
    every: int
    holds = {"inner": ""}

    def init(self, params: Params) -> State:
        return self.inner.init(params)

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        u, new = self.inner.update(updates, state, params, **extra)
        leaves = jax.tree.leaves(u)
        inside = sum(jnp.sum(jnp.abs(x) < self.clip_threshold) for x in leaves)
        rate = inside / max(sum(x.size for x in leaves), 1)
        jax.lax.cond(
            new.count % self.every == 0,
            lambda: jax.debug.print("Sophia: {} of the steps not clipped", rate),
            lambda: None,
        )
        return u, new


def scale_by_sophia(
    b1: Hyperparameter = 0.965,
    b2: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-8,
    gamma: Hyperparameter = 0.01,
    clip_threshold: Hyperparameter | None = 1.0,
    update_interval: int = 10,
    hessian_diagonal_fn: Any = None,
    mu_dtype: DTypeLike | None = None,
    verbose: bool = False,
    print_win_rate_every_n_steps: int = 0,
) -> GradientTransformation:
    """Divides the gradient's moving mean by that of the Hessian's diagonal, clipped.

        mu <- b1 * mu + (1 - b1) * g
        u   = clip(mu / (1 - b1**t) / max(gamma * nu, eps), ±clip_threshold)
        nu <- b2 * nu + (1 - b2) * hessian          every update_interval steps

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past curvature, per estimate, in [0, 1).
        eps: least denominator, at least 0.
        gamma: factor of the curvature, at least 0.
        clip_threshold: largest magnitude of an element, at least 0; None for none.
        update_interval: every how many steps the Hessian is estimated, at least 1.
        hessian_diagonal_fn: a transformation whose updates are the estimate; by default
            `hutchinson_estimator_diag_hessian()`, which takes the keyword `obj_fn`.
            Keywords of `update` reach it.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.
        verbose: whether to print which share of the steps was not clipped.
        print_win_rate_every_n_steps: every how many steps; 0 for none.

    Returns:
        A transformation with `SophiaState(count, mu, nu, hessian_fn_state)`, two slots
        like the parameter.

    Raises:
        ValueError: if an argument is outside its range; from `update`, if the estimator
            misses something.
        TypeError: if an argument is no number of its kind, or no transformation.

    Source: Liu et al. 2023, arXiv 2305.14342. As in Optax a step uses the curvature
    known before it, so the first steps are signs; the paper estimates first.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_sophia()
        >>> p = jnp.array([1.0, -2.0])
        >>> tx.update(2 * p, tx.init(p), p, obj_fn=lambda p: jnp.sum(p**2))[0]
        Array([ 1., -1.], dtype=float32)
    """
    bound = math.inf if clip_threshold is None else clip_threshold
    rule = ScaleBySophia(b1, b2, eps, gamma, bound)
    estimator = as_transformation(
        hessian_diagonal_fn or hutchinson_estimator_diag_hessian(),
        "scale_by_sophia: hessian_diagonal_fn",
    )
    interval = fixed_whole_number("update_interval", update_interval)
    tx = Sophia(leafwise(rule, keep(mu=mu_dtype)), estimator, interval)
    every = fixed_whole_number(
        "print_win_rate_every_n_steps", print_win_rate_every_n_steps, least=0
    )
    return WinRate(tx, bound, every) if verbose and every else tx
