"""The average is the weighted mean of the base optimizer's parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close

TARGET = np.array([3.0, -2.0, 0.5])
PARAMS = {"w": jnp.zeros(3), "none": None}


def gradient(params):
    return {"w": params["w"] - TARGET, "none": None}


def descend(tx, steps, params=PARAMS):
    """The state and the parameters after some steps, and `z` after each."""
    state, passed = tx.init(params), []
    for _ in range(steps):
        u, state = tx.update(gradient(params), state, params)
        params = jl.apply_updates(params, u)
        passed.append(state.z["w"])
    return state, params, np.array(passed)


def rising(count):
    return 0.1 * (1 + count)


def test_the_average_is_weighted_by_the_largest_rate_so_far(x64):
    tx = jl.schedule_free(jl.sgd(rising), rising, b1=0.7)
    state, params, z = descend(tx, 8, jax.tree.map(jnp.float64, PARAMS))
    weights = rising(np.arange(8)) ** 2
    wanted = np.average(z, axis=0, weights=weights)
    assert_close(jl.eval_params(state, params)["w"], wanted)
    assert_close(params["w"], 0.7 * wanted + 0.3 * z[-1])
    assert_close(state.weight_sum, weights.sum())


def test_no_rate_means_no_weight():
    tx = jl.schedule_free_sgd(0.5, warmup_steps=2)
    state, params, z = descend(tx, 1)
    assert not z.any() and not params["w"].any() and state.weight_sum == 0
    state, params, _ = descend(tx, 3)
    assert jnp.isfinite(jl.eval_params(state, params)["w"]).all()


def test_the_weights_of_bfloat16_parameters_do_not_stop_growing():
    params = {"w": jnp.zeros(3, jnp.bfloat16), "none": None}
    tx = jl.schedule_free_sgd(1.0)
    state = tx.init(params)._replace(weight_sum=jnp.float32(256))
    _, state = tx.update(params, state, params)
    assert state.weight_sum == 257
    theirs = optax.contrib.schedule_free_sgd(1.0)
    stuck = theirs.init(params)._replace(weight_sum=jnp.bfloat16(256))
    assert theirs.update(params, stuck, params)[1].weight_sum == 256


def test_where_to_evaluate_is_found_in_any_state():
    tx = jl.chain(jl.clip_by_global_norm(1.0), jl.schedule_free_sgd(0.5, b1=0.5))
    params = PARAMS
    state = tx.init(params)
    for _ in range(3):
        u, state = tx.update(gradient(params), state, params)
        params = jl.apply_updates(params, u)
    found = jl.eval_params(state, params)["w"]
    assert_close(found, 2 * params["w"] - state[1].z["w"], 1e-6)
    again = jl.schedule_free_eval_params(state, params)["w"]
    assert np.array_equal(found, again)


def test_the_state_of_optax_evaluates_the_same():
    tx = optax.contrib.schedule_free_sgd(0.5)
    state, params, _ = descend(tx, 3)
    wanted = optax.contrib.schedule_free_eval_params(state, params)
    assert_close(jl.schedule_free_eval_params(state, params), wanted, 1e-6)


def test_a_state_of_something_else_is_refused():
    with pytest.raises(ValueError, match="found 0 states of schedule_free in a tuple"):
        jl.schedule_free_eval_params(jl.adam(0.1).init(PARAMS), PARAMS)


def test_b1_stays_the_same_and_is_positive():
    with pytest.raises(TypeError, match="b1 is <function.*stays the same at every"):
        jl.schedule_free(jl.sgd(0.1), 0.1, b1=rising)
    with pytest.raises(ValueError, match=r"b1 is 0; expected a number in \(0, 1\]"):
        jl.schedule_free(jl.sgd(0.1), 0.1, b1=0.0)


def test_without_commit_nothing_moves():
    tx = jl.schedule_free_adamw(0.1)
    state = tx.init(PARAMS)
    g = gradient(PARAMS)
    kept = tx.update(g, state, PARAMS, commit=jnp.array(False))[1]
    assert jax.tree.all(jax.tree.map(np.array_equal, kept, state))
