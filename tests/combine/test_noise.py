"""Noise is Optax's, from keys of any form, and does not move on without commit."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import TREES, assert_close, run, trajectory

KEYS = [7, jax.random.key(7), jax.random.PRNGKey(7)]


@pytest.mark.parametrize("key", KEYS, ids=["integer", "typed", "raw"])
def test_noise_is_that_of_optax(key, x64):
    g, p = trajectory(TREES["nested"], 1), trajectory(TREES["nested"], 2)
    ours = run(jl.noisy_sgd(0.1, 0.3, 0.6, key), g, p)
    theirs = run(optax.noisy_sgd(0.1, 0.3, 0.6, jax.random.key(7)), g, p)
    assert_close(ours.updates, theirs.updates)
    assert ours.state[0].rng_key.dtype == np.uint32


def test_variance_falls_as_said():
    g = np.zeros((50, 4000), np.float32)
    u = run(jl.add_noise(eta=0.25, gamma=0.5, key=1), g, g).updates
    steps = np.arange(1, 51)
    # The deviation of 4,000 draws is within 5 standard errors, 5 / sqrt(8000).
    assert np.allclose(u.std(axis=1), 0.5 / steps**0.25, rtol=5 / np.sqrt(8000))


def test_low_precision_draws_in_float32():
    g = jnp.zeros(3, jnp.bfloat16)
    tx = jl.add_noise(0.1, 0.5, 0)
    wide = tx.update(jnp.zeros(3), tx.init(g))[0]
    assert (tx.update(g, tx.init(g))[0] == wide.astype(jnp.bfloat16)).all()


def test_without_commit_the_key_stays():
    tx = jl.add_noise(0.1, 0.5, 0)
    g = jnp.ones(3)
    state = tx.init(g)
    kept = tx.update(g, state, commit=jnp.array(False))[1]
    assert jax.tree.all(jax.tree.map(np.array_equal, kept, state))


def test_a_key_and_a_seed_are_one_too_many():
    with pytest.raises(ValueError, match="key=1 and seed=2; expected one of them"):
        jl.add_noise(0.1, 0.5, 1, seed=2)


def test_seeds_can_be_swept():
    g = jnp.zeros(3)

    def first(seed):
        tx = jl.add_noise(0.1, 0.5, seed)
        return tx.update(g, tx.init(g))[0]

    swept = jax.vmap(first)(jnp.arange(3))
    assert np.array_equal(swept, np.stack([first(seed) for seed in range(3)]))
