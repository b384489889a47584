"""Real steps follow the gradient at a point uphill."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close

SCALES = np.array([1.0, 10.0])
PARAMS = {"w": jnp.array([1.0, -0.5]), "none": None}


def loss(params, i=0):
    return jnp.sum(SCALES * params["w"] ** 2 + params["w"] ** 4) * (1 + i)


gradient = jax.grad(loss)


def slope(w):
    return 2 * SCALES * w + 4 * w**3


def by_hand(w, steps, rate=0.01, rho=0.1):
    """Foret et al.: the gradient at the end of a step of length rho uphill."""
    for _ in range(steps):
        uphill = w + rho * slope(w) / np.linalg.norm(slope(w))
        w = w - rate * slope(uphill)
    return w


def make(**options):
    return jl.sam(jl.sgd(0.01), jl.chain(jl.normalize(), jl.sgd(0.1)), **options)


def test_every_second_call_is_a_real_step(x64):
    tx = make()
    params = jax.tree.map(jnp.float64, PARAMS)
    state = tx.init(params)
    for _ in range(10):
        u, state = tx.update(gradient(params), state, params)
        params = jl.apply_updates(params, u)
    assert_close(params["w"], by_hand(np.float64(PARAMS["w"]), 5))


def test_opaque_mode_does_it_in_one_call(x64):
    tx = make(opaque_mode=True)
    params = jax.tree.map(jnp.float64, PARAMS)
    state = tx.init(params)
    for _ in range(5):
        g = gradient(params)
        u, state = tx.update(g, state, params, grad_fn=gradient)
        params = jl.apply_updates(params, u)
    assert_close(params["w"], by_hand(np.float64(PARAMS["w"]), 5))


def test_gradients_of_opaque_mode_know_their_number():
    seen = []

    def grad_fn(params, i):
        seen.append(i)
        return gradient(params)

    tx = make(sync_period=4, opaque_mode=True)
    tx.update(gradient(PARAMS), tx.init(PARAMS), PARAMS, grad_fn=grad_fn)
    assert seen == [0, 1, 2]


def test_a_period_of_one_is_the_optimizer_itself():
    tx, alone = make(sync_period=1), jl.sgd(0.01)
    params, state = PARAMS, tx.init(PARAMS)
    for _ in range(3):
        g = gradient(params)
        u, state = tx.update(g, state, params)
        wanted, _ = alone.update(g, alone.init(params), params)
        assert_close(u, wanted, 1e-6)
        params = jl.apply_updates(params, u)


def test_a_zero_gradient_moves_nothing():
    tx = make()
    zero = jax.tree.map(jnp.zeros_like, PARAMS)
    state = tx.init(PARAMS)
    for _ in range(2):
        u, state = tx.update(zero, state, PARAMS)
        assert not u["w"].any()


def test_state_of_the_way_uphill_is_reset():
    kept = {}
    for reset in (True, False):
        tx = jl.sam(jl.sgd(0.1), jl.sgd(0.1, momentum=0.9), reset_state=reset)
        state = tx.init(PARAMS)
        for _ in range(2):
            _, state = tx.update(gradient(PARAMS), state, PARAMS)
        kept[reset] = state.adv_state[0].trace["w"]
    assert not kept[True].any()
    assert np.array_equal(kept[False], gradient(PARAMS)["w"])


def test_without_commit_nothing_moves():
    tx = make()
    state = tx.init(PARAMS)
    other = jax.tree.map(lambda x: x + 1, PARAMS)
    kept = tx.update(gradient(other), state, other, commit=jnp.array(False))[1]
    assert jax.tree.all(jax.tree.map(np.array_equal, kept, state))


def test_what_is_missing_is_named():
    tx = make(opaque_mode=True)
    with pytest.raises(ValueError, match="sam: update was called without `grad_fn`"):
        tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    with pytest.raises(ValueError, match="sam: update was called without params"):
        make().update(PARAMS, make().init(PARAMS))
    with pytest.raises(ValueError, match="sync_period is 0"):
        make(sync_period=0)
