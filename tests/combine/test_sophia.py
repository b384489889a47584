"""Steps over the mean of estimated curvatures, clipped."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close

CURVATURE = {"w": np.array([[0.5, 20.0], [300.0, 4.0]]), "b": np.array([7.0, -3.0])}
START = {"w": jnp.ones((2, 2)), "b": jnp.ones(2), "none": None}


def loss(params):
    return sum(jnp.sum(CURVATURE[k] * params[k] ** 2 / 2) for k in CURVATURE)


def descend(tx, steps, params):
    @jax.jit
    def update(state, params):
        return tx.update(jax.grad(loss)(params), state, params, obj_fn=loss)

    state, updates = tx.init(params), []
    for _ in range(steps):
        u, state = update(state, params)
        params = jl.apply_updates(params, u)
        updates.append(u)
    return updates, state


ARGUMENTS = {"learning_rate": 0.01, "b1": 0.9, "b2": 0.8, "update_interval": 3}


def by_hand(steps, learning_rate, b1, b2, update_interval):
    """In NumPy, with the true diagonal: the Hessian of this loss is one."""
    p = {k: np.ones_like(x) for k, x in CURVATURE.items()}
    mu = {k: 0.0 for k in p}
    nu = {k: 0.0 for k in p}
    for t in range(steps):
        for k, h in CURVATURE.items():
            mu[k] = b1 * mu[k] + (1 - b1) * h * p[k]
            u = mu[k] / (1 - b1 ** (t + 1)) / np.maximum(0.01 * nu[k], 1e-8)
            u = np.clip(u, -1, 1) + 1e-4 * p[k]
            if t % update_interval == 0:
                nu[k] = b2 * nu[k] + (1 - b2) * h
            p[k] = p[k] - learning_rate * u
    return p


def test_equals_the_formula(x64):
    params = jax.tree.map(jnp.float64, START)
    updates, _ = descend(jl.sophia(**ARGUMENTS), 8, params)
    moved = {k: sum(u[k] for u in updates) for k in CURVATURE}
    wanted = by_hand(8, **ARGUMENTS)
    assert_close(moved, {k: x - 1 for k, x in wanted.items()})


def test_equals_optax(x64):
    params = jax.tree.map(jnp.float64, START)
    ours, state = descend(jl.sophia(**ARGUMENTS), 8, params)
    theirs, other = descend(optax.contrib.sophia(**ARGUMENTS), 8, params)
    assert_close(ours, theirs)
    assert_close(state[0][1:3], other[0][1:3])


def test_the_estimate_draws_what_optax_draws():
    def twisted(p):
        return jnp.sum(p["w"]) ** 4 + jnp.prod(p["w"]) * jnp.sum(p["b"])

    ours = jl.hutchinson_estimator_diag_hessian(jax.random.PRNGKey(5))
    theirs = optax.contrib.hutchinson_estimator_diag_hessian(jax.random.PRNGKey(5))
    found, state = ours.update(START, ours.init(START), START, obj_fn=twisted)
    wanted, other = theirs.update(START, theirs.init(START), START, obj_fn=twisted)
    assert_close(found, wanted, 1e-6)
    assert np.array_equal(state.key, other.key)


def test_what_is_missing_is_named():
    tx = jl.sophia(0.1)
    with pytest.raises(ValueError, match="called without `obj_fn`(.|\n)*obj_fn=loss"):
        tx.update(START, tx.init(START), START)
    with pytest.raises(ValueError, match="update_interval is 0"):
        jl.sophia(0.1, update_interval=0)


def test_an_estimator_of_ones_own_gets_the_keywords():
    def diagonal(updates, state, params=None, *, batch):
        return jax.tree.map(lambda p: jnp.full_like(p, batch), params), state

    own = jl.GradientTransformation(lambda params: jl.EmptyState(), diagonal)
    tx = jl.scale_by_sophia(b2=0.5, hessian_diagonal_fn=own)
    _, state = tx.update(START, tx.init(START), START, batch=6.0)
    assert state.nu["b"].tolist() == [3, 3]


def test_without_commit_nothing_moves():
    tx = jl.scale_by_sophia()
    state = tx.init(START)
    g = jax.grad(loss)(START)
    kept = tx.update(g, state, START, obj_fn=loss, commit=jnp.array(False))[1]
    assert jax.tree.all(jax.tree.map(np.array_equal, kept, state))


def test_the_share_of_steps_that_are_not_clipped_is_printed(capfd):
    tx = jl.scale_by_sophia(verbose=True, print_win_rate_every_n_steps=2)
    state = tx.init(START)
    for _ in range(2):
        _, state = tx.update(jax.grad(loss)(START), state, START, obj_fn=loss)
    jax.effects_barrier()
    assert capfd.readouterr().out.count("Sophia: ") == 1
