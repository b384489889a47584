"""Fast parameters that explore, slow ones that follow."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from jaxopt_lite.testing import LawViolation, check_transformation
from tests.helpers import TREES, assert_close, random_tree, trajectory

PARAMS = {"w": jnp.array([1.0, -2.0]), "none": None}


def follow(library, tx, params, gradients):
    """The parameters and the state after each step."""
    params = library.LookaheadParams.init_synced(params)

    def step(carry, g):
        params, state = carry
        u, state = tx.update(g, state, params)
        params = library.apply_updates(params, u)
        return (params, state), params

    @jax.jit
    def scan(params, gradients):
        return jax.lax.scan(step, (params, tx.init(params)), gradients)

    (_, state), seen = scan(params, gradients)
    return seen, state


def reference(p, g, period, size, resets, rate=0.1, decay=0.9):
    """The two loops of the paper, around momentum."""
    fast, slow, trace = p.copy(), p.copy(), np.zeros_like(p)
    for n, x in enumerate(g, 1):
        trace = x + decay * trace
        fast = fast - rate * trace
        if n % period == 0:
            slow = slow + size * (fast - slow)
            fast = slow.copy()
            if resets:
                trace = np.zeros_like(p)
        yield np.stack([fast, slow])


@pytest.mark.parametrize(("period", "size"), [(1, 0.5), (5, 0.3), (7, 1.0)])
@pytest.mark.parametrize("resets", [False, True])
def test_equals_the_reference_and_optax(period, size, resets, x64):
    like = {"a": np.zeros((3, 2)), "b": np.zeros(())}
    p, g = random_tree(like, 3), trajectory(like, 1)
    ours = jl.lookahead(jl.sgd(0.1, 0.9), period, size, resets)
    found, state = follow(jl, ours, p, g)
    expected = {
        k: np.stack(list(reference(p[k], g[k], period, size, resets))) for k in p
    }
    for i, pair in enumerate(("fast", "slow")):
        assert_close(getattr(found, pair), {k: x[:, i] for k, x in expected.items()})
    theirs = optax.lookahead(optax.sgd(0.1, 0.9), period, size, resets)
    wanted, their_state = follow(optax, theirs, p, g)
    assert_close(found.slow, wanted.slow)
    assert_close(state.fast_state, their_state.fast_state)
    assert state.steps_since_sync == their_state.steps_since_sync == 50 % period


@pytest.mark.full
def test_the_laws():
    params = jl.LookaheadParams.init_synced({"w": jnp.ones((3, 2)), "b": jnp.ones(2)})
    tx = jl.lookahead(jl.adamw(0.1), 2, 0.5, reset_state=True)
    excluded = {
        "empty_trees": "an empty tree is no pair",
        "none_leaves": "a parameter is None in both of the pair or in neither",
        "wrong_shape_is_named": "gradients of the slow parameters are not looked at",
        "missing_leaf_is_named": "gradients of the slow parameters are not looked at",
    }
    check_transformation(tx, params=params, exclude=excluded)
    for law in excluded:
        with pytest.raises(LawViolation):
            check_transformation(tx, params=params, laws=[law])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_both_meet(dtype):
    like = {"w": np.zeros(100, jnp.dtype(dtype))}
    tx = jl.lookahead(jl.sgd(0.01), 5, 0.3)
    seen, _ = follow(jl, tx, random_tree(like, 1), trajectory(like, 2))
    fast, slow = (np.asarray(x["w"], np.float32) for x in seen)
    way = np.abs(fast[4::5] - fast[3:-1:5]).max()
    close = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(fast[4::5], slow[4::5], rtol=close, atol=way * close)


def test_parameters_can_be_donated():
    tx = jl.lookahead(jl.sgd(0.1), 2, 0.5)
    params = jl.LookaheadParams.init_synced(jax.tree.map(jnp.copy, PARAMS))

    def step(params, state):
        u, state = tx.update(params.fast, state, params)
        return jl.apply_updates(params, u), state

    params, _ = jax.jit(step, donate_argnums=(0, 1))(params, tx.init(params))
    np.testing.assert_allclose(params.fast["w"], [0.9, -1.8])
    assert params.fast["none"] is None


def test_takes_gradients_of_the_pair_and_state_of_either():
    tx = jl.lookahead(jl.trace(0.9), 2, 0.5)
    pair = jl.LookaheadParams.init_synced(PARAMS)
    state = tx.init(PARAMS)
    jax.tree.map(np.testing.assert_array_equal, state, tx.init(pair))
    alone = tx.update(PARAMS, state, pair)
    both = tx.update(jl.LookaheadParams(PARAMS, PARAMS), state, pair)
    jax.tree.map(np.testing.assert_array_equal, alone, both)


def test_goes_on_with_parameters_of_optax():
    tx = jl.lookahead(jl.sgd(0.1), 2, 0.5)
    pair = optax.LookaheadParams.init_synced(PARAMS)
    u, _ = tx.update(PARAMS, tx.init(pair), pair)
    assert type(u) is optax.LookaheadParams
    optax.apply_updates(pair, u)


def test_extra_arguments_reach_the_fast_optimizer():
    class Times(jl.Rule):
        def emit(self, g, slots, p, step, *, value):
            return g * value

    tx = jl.lookahead(jl.leafwise(Times()), 2, 0.5)
    pair = jl.LookaheadParams.init_synced(jnp.zeros(()))
    u, _ = tx.update(jnp.float32(3), tx.init(pair), pair, value=2.0)
    assert u == (6, 0)


def test_a_guard_around_it_leaves_a_step_out():
    tx = jl.apply_if_finite(jl.lookahead(jl.adam(0.1), 2, 0.5, reset_state=True), 3)
    pair = jl.LookaheadParams.init_synced(PARAMS)
    _, before = tx.update(PARAMS, tx.init(pair), pair)
    bad = {"w": jnp.array([jnp.nan, 1.0]), "none": None}
    u, after = tx.update(bad, before, pair)
    assert not any(x.any() for x in jax.tree.leaves(u))
    jax.tree.map(np.testing.assert_array_equal, after[3], before[3])


def test_evaluates_with_the_slow():
    tx = jl.chain(jl.lookahead(jl.sgd(0.1), 2, 0.5))
    pair = jl.LookaheadParams(fast=PARAMS, slow=random_tree(TREES["bare"], 1))
    assert jl.eval_params(tx.init(pair), pair) is pair.slow


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [(None, ValueError, "without params"), (PARAMS, TypeError, "init_synced")],
)
def test_parameters_are_a_pair(params, error, text):
    tx = jl.lookahead(jl.sgd(0.1), 2, 0.5)
    with pytest.raises(error, match=text):
        tx.update(PARAMS, tx.init(PARAMS), params)


@pytest.mark.parametrize(
    ("period", "size", "error"),
    [
        (0, 0.5, ValueError),
        (2.5, 0.5, ValueError),
        (2, 1.5, ValueError),
        (2, lambda count: 0.5, TypeError),
        (lambda count: 2, 0.5, TypeError),
    ],
)
def test_arguments_are_checked(period, size, error):
    with pytest.raises(error, match=r"sync_period|slow_step_size"):
        jl.lookahead(jl.sgd(0.1), period, size)
