"""What coded moments do to the updates of AdamW, on gradients that are hard to code."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_lite as jl
from jaxopt_lite.core.types import NON_NEGATIVE

pytestmark = pytest.mark.optimized

STEPS, LAST = 1000, 100
SHAPE = (64, 128)
ROWS = np.exp(2 * np.random.default_rng(0).normal(size=(64, 1)))
SCALES = {
    "rows": np.broadcast_to(ROWS, SHAPE),
    "rare": np.ones(SHAPE),
    "tiny": 1e-9 * np.exp(np.random.default_rng(1).normal(size=SHAPE)),
}


def gradients(step):
    """Student's t of four degrees of freedom, of widely different scales."""
    keys = dict(zip(SCALES, jax.random.split(jax.random.key(step), 3), strict=True))

    def heavy(name):
        n = jax.random.normal(keys[name], (5, *SHAPE))
        t = 2 * n[0] * lax.rsqrt(jnp.sum(n[1:] ** 2, 0))
        return t * jnp.float32(SCALES[name])

    g = {name: heavy(name) for name in SCALES}
    seen = jax.random.uniform(jax.random.key(step + STEPS), (SHAPE[0], 1)) < 0.02
    return {**g, "rare": g["rare"] * seen}


@functools.cache
def compared(codec):
    """By leaf: the relative error of the last updates, the growth of the largest."""
    params = {name: jnp.zeros(SHAPE) for name in SCALES}
    plain = jl.adamw(1.0, eps=1e-16)
    tx = jl.store_state(plain, codec)

    def step(carry, i):
        exact, kept = carry
        g = gradients(i)
        u, exact = plain.update(g, exact, params)
        v, kept = tx.update(g, kept, params)
        square = lambda x: jnp.sum(jnp.square(x))  # noqa: E731
        largest = lambda x: jnp.max(jnp.abs(x))  # noqa: E731
        error = jax.tree.map(lambda x, y: square(x - y), u, v)
        return (exact, kept), (
            error,
            jax.tree.map(square, u),
            jax.tree.map(largest, u),
            jax.tree.map(largest, v),
        )

    begun = plain.init(params), tx.init(params)
    run = jax.jit(lambda carry: lax.scan(step, carry, jnp.arange(STEPS)))
    _, (error, whole, exact, kept) = run(begun)
    relative = {
        k: float(jnp.sqrt(error[k][-LAST:].sum() / whole[k][-LAST:].sum()))
        for k in SCALES
    }
    return relative, {k: float(kept[k].max() / exact[k].max()) for k in SCALES}


@pytest.mark.parametrize(
    ("codec", "error", "growth"),
    [
        ("bfloat16", 0.02, 1.05),
        ("int8", 0.15, 1.1),
        pytest.param("int4", 0.7, 2.0, marks=pytest.mark.full),
    ],
)
def test_updates_stay_close_and_do_not_explode(codec, error, growth):
    relative, larger = compared(codec)
    assert max(relative.values()) <= error
    assert max(larger.values()) <= growth


@pytest.mark.parametrize("codec", ["bfloat16", "int8", "int4"])
def test_nu_decays_when_gradients_stop(codec):
    tx = jl.store_state(jl.scale_by_adam(b2=0.99), codec)
    g = jnp.float32(np.random.default_rng(0).normal(size=SHAPE))
    _, state = tx.update(g, tx.init(g))

    def step(state, _):
        return tx.update(jnp.zeros_like(g), state)[1], None

    def sum_of(state):
        kept = state.nu
        if codec == "bfloat16":
            return jnp.sum(kept.astype(jnp.float32))
        decoded = tx.storage.codec.decode(kept, NON_NEGATIVE, SHAPE)
        return jnp.sum(decoded)

    after, _ = jax.jit(lambda s: lax.scan(step, s, None, 300))(state)
    assert sum_of(after) / sum_of(state) == pytest.approx(0.99**300, rel=0.1)
