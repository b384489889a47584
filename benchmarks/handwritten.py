"""AdamW as one expression per leaf: what a library is measured against."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

B1, B2, EPS = 0.9, 0.999, 1e-8
EVERY = 4


class State(NamedTuple):
    count: Any
    mu: Any
    nu: Any


class Accumulated(NamedTuple):
    mini_step: Any
    acc: Any
    inner: State


def init(params: Any) -> State:
    zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
    return State(jnp.zeros((), jnp.int32), *zeros)


def init_accumulated(params: Any) -> Accumulated:
    acc = jax.tree.map(jnp.zeros_like, params)
    return Accumulated(jnp.zeros((), jnp.int32), acc, init(params))


def adamw(
    params: Any,
    state: State,
    grads: Any,
    *,
    decay: Any,
    clip: Any = 1.0,
    takes: Any = True,
) -> Any:
    """A step at rate 1e-3; `decay` is a tree of numbers, `clip` a factor of `grads`.

    Where it is not taken, everything stays.
    """
    t = state.count + 1
    rate = 1e-3
    mean, root = 1 / (1 - B1**t), 1 / jnp.sqrt(1 - B2**t)

    def mu_of(g, mu):
        return jnp.where(takes, B1 * mu + (1 - B1) * (clip * g), mu)

    def nu_of(g, nu):
        return jnp.where(takes, B2 * nu + (1 - B2) * jnp.square(clip * g), nu)

    def step(p, mu, nu, decay):
        u = rate * (mean * mu / (root * jnp.sqrt(nu) + EPS) + decay * p)
        return p - jnp.where(takes, u, 0)

    mu = jax.tree.map(mu_of, grads, state.mu)
    nu = jax.tree.map(nu_of, grads, state.nu)
    params = jax.tree.map(step, params, mu, nu, decay)
    return params, State(jnp.where(takes, t, state.count), mu, nu)


def clip_adamw(params: Any, state: State, grads: Any, *, decay: Any) -> Any:
    """A step on gradients whose common norm is at most 1."""
    return adamw(params, state, grads, decay=decay, clip=_factor(_norm(grads)))


def guarded_adamw(params: Any, state: State, grads: Any, *, decay: Any) -> Any:
    """A step, unless a gradient is not finite."""
    rests = [jnp.sum(g - g) for g in jax.tree.leaves(grads)]
    return adamw(params, state, grads, decay=decay, takes=sum(rests) == 0)


def guarded_clip_adamw(params: Any, state: State, grads: Any, *, decay: Any) -> Any:
    """Both; the norm says whether all are finite."""
    norm = _norm(grads)
    takes = jnp.isfinite(norm)
    return adamw(params, state, grads, decay=decay, clip=_factor(norm), takes=takes)


def accumulated_adamw(
    params: Any, state: Accumulated, grads: Any, *, decay: Any
) -> Any:
    """A step on the mean of four gradients, at every fourth."""
    n = state.mini_step
    share = 1 / (n + 1)

    def add(g, acc):
        acc = jnp.where(n == 0, 0, acc)
        return acc + share * (g - acc)

    acc = jax.tree.map(add, grads, state.acc)
    takes = n == EVERY - 1
    params, inner = adamw(params, state.inner, acc, decay=decay, takes=takes)
    return params, Accumulated((n + 1) % EVERY, acc, inner)


def _norm(grads: Any) -> Any:
    return jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(grads)))


def _factor(norm: Any) -> Any:
    return jnp.minimum(1.0, 1.0 / norm)
