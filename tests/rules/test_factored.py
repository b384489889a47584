"""Adafactor's factors, beyond what the table of all transformations shows."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, at, random_tree, relative_error, run, trajectory

LIKE = {
    "kernel": np.zeros((2, 3, 5, 4)),
    "square": np.zeros((3, 3)),
    "narrow": np.zeros((7, 1)),
    "bias": np.zeros(4),
}


def in_float64(i, exponent):
    """Optax's own are float32."""
    return 1 - (i + 1.0) ** -exponent


def scaled(lib):
    return lib.scale_by_factored_rms(min_dim_size_to_factor=2, decay_rate_fn=in_float64)


def test_equals_optax_whatever_the_shape(x64):
    g = trajectory(LIKE, 1)
    ours, theirs = run(scaled(jl), g, g), run(scaled(optax), g, g)
    assert_close(ours.updates, theirs.updates)
    for found, expected in zip(ours.state, theirs.state, strict=True):
        assert_close(found, expected)


def test_goes_on_from_a_state_of_optax(x64):
    g = trajectory(LIKE, 1)
    midway = run(scaled(optax), at(g, slice(49)), at(g, slice(49))).state
    u, _ = scaled(jl).update(at(g, 49), midway)
    assert_close(u, at(run(scaled(optax), g, g).updates, 49))


@pytest.mark.parametrize("offset", [0, 10**6 - 3])
def test_weights_keep_their_digits_after_a_million_steps(offset):
    """`1 - t**-0.8` and 1 differ by 1.6e-5, of which float32 has but eight bits."""
    tx = jl.scale_by_factored_rms(step_offset=offset)
    g = random_tree(np.zeros(64, np.float32), 1)
    state = tx.init(g)._replace(count=jnp.int32(10**6 - 1), v=jnp.ones(64))
    v = np.ones(64)
    for t in range(10**6 - offset, 10**6 - offset + 3):
        _, state = tx.update(g, state)
        v += t**-0.8 * (np.float64(g) ** 2 - v)
    assert relative_error(state.v - 1, v - 1) < 1e-4


def test_an_offset_that_the_count_has_passed_starts_the_weights_anew(x64):
    g = trajectory(LIKE, 1, steps=8)
    fresh, later = jl.scale_by_factored_rms(), jl.scale_by_factored_rms(step_offset=5)
    start = later.init(at(g, 0))._replace(count=jnp.int32(5))
    assert_close(run(later, g, g, start=start).updates, run(fresh, g, g).updates)


def test_factors_of_boxed_parameters_stand_outside_the_box():
    """A box says how two axes are sharded, and a factor has one."""
    params = {"w": nn.Partitioned(jnp.ones((4, 6)), ("rows", "columns"))}
    tx = jl.adafactor(0.1, min_dim_size_to_factor=2)
    state = tx.init(params)
    assert state[0].v_row["w"].shape == (4,)
    u, state = jax.jit(tx.update)(params, state, params)
    assert isinstance(u["w"], nn.Partitioned)
    assert state[0].v_col["w"].shape == (6,)


def test_least_size_is_checked():
    with pytest.raises(ValueError, match="min_dim_size_to_factor is -1"):
        jl.adafactor(0.1, min_dim_size_to_factor=-1)
