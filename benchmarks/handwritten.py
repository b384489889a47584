"""AdamW as one expression per leaf: what a library is measured against."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

B1, B2, EPS = 0.9, 0.999, 1e-8


class State(NamedTuple):
    count: Any
    mu: Any
    nu: Any


def init(params: Any) -> State:
    zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
    return State(jnp.zeros((), jnp.int32), *zeros)


def adamw(params: Any, state: State, grads: Any, *, decay: Any, clip: Any = 1.0) -> Any:
    """A step at rate 1e-3; `decay` is a tree of numbers, `clip` a factor of `grads`."""
    t = state.count + 1
    rate = 1e-3
    mean, root = 1 / (1 - B1**t), 1 / jnp.sqrt(1 - B2**t)

    def mu_of(g, mu):
        return B1 * mu + (1 - B1) * (clip * g)

    def nu_of(g, nu):
        return B2 * nu + (1 - B2) * jnp.square(clip * g)

    def step(p, mu, nu, decay):
        return p - rate * (mean * mu / (root * jnp.sqrt(nu) + EPS) + decay * p)

    mu = jax.tree.map(mu_of, grads, state.mu)
    nu = jax.tree.map(nu_of, grads, state.nu)
    return jax.tree.map(step, params, mu, nu, decay), State(t, mu, nu)


def clip_adamw(params: Any, state: State, grads: Any, *, decay: Any) -> Any:
    """A step on gradients whose common norm is at most 1."""
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(grads)))
    return adamw(params, state, grads, decay=decay, clip=jnp.minimum(1.0, 1.0 / norm))
