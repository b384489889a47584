"""One step for the gradients of several."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import TREES, assert_close, at, run, trajectory
from tests.variants.common import falling

NESTED = TREES["nested"]


def growing(step):
    return 1 + step // 2


def lengths(k, steps):
    """How many micro-steps each step takes."""
    found = []
    while sum(found) < steps:
        found.append(k(len(found)) if callable(k) else k)
    return found if sum(found) == steps else found[:-1]


@pytest.mark.parametrize(
    ("k", "mean", "library"),
    [(1, True, jl), (4, False, jl), (growing, True, jl), (4, True, optax)],
)
def test_equals_one_step_on_the_mean(k, mean, library, x64):
    inner = library.chain(library.clip(5.0), library.sgd(falling, momentum=0.9))
    g, p = trajectory(NESTED, 1), trajectory(NESTED, 2)
    found = run(jl.MultiSteps(inner, k, mean), g, p)

    ends = np.cumsum(lengths(k, 50))
    parts = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    gather = np.mean if mean else np.sum
    gathered = jax.tree.map(lambda x: np.stack([gather(x[s], 0) for s in parts]), g)
    expected = run(inner, gathered, at(p, ends - 1))

    assert_close(at(found.updates, ends - 1), expected.updates)
    between = np.setdiff1d(np.arange(50), ends - 1)
    assert not any(x[between].any() for x in jax.tree.leaves(found.updates))
    assert_close(found.state.inner_opt_state, expected.state)
    assert found.state.gradient_step == len(ends)
    assert found.state.mini_step == 50 - ends[-1]


def test_tells_when_it_has_updated():
    tx = jl.MultiSteps(jl.sgd(0.1), 3)
    state = tx.init(jnp.zeros(2))
    seen = [tx.has_updated(state).item()]
    for _ in range(7):
        _, state = tx.update(jnp.ones(2), state)
        seen.append(tx.has_updated(state).item())
    assert seen == [False, False, False, True, False, False, True, False]


def test_is_a_transformation_itself():
    tx = jl.MultiSteps(jl.sgd(0.1), 3)
    assert isinstance(tx, jl.GradientTransformation)
    assert tx.gradient_transformation() is tx
    assert tx.inner_opt == jl.sgd(0.1)
    assert tx == jl.MultiSteps(jl.sgd(0.1), every_k_schedule=3)
    init, update = tx
    assert update(jnp.ones(2), init(jnp.zeros(2)))[1].mini_step == 1


def test_a_batch_of_lengths():
    g = jnp.arange(1.0, 5.0)

    def updates(k):
        tx = jl.MultiSteps(jl.sgd(1.0), k)
        return jax.lax.scan(lambda s, g: tx.update(g, s)[::-1], tx.init(g[0]), g)[1]

    found = jax.vmap(updates)(jnp.array([1, 2, 4]))
    expected = [[-1, -2, -3, -4], [0, -1.5, 0, -3.5], [0, 0, 0, -2.5]]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("skip", "bad"),
    [
        (jl.skip_not_finite, jnp.nan),
        (jl.skip_not_finite, -jnp.inf),
        (functools.partial(jl.skip_large_updates, max_squared_norm=50.0), 10.0),
        (functools.partial(jl.skip_large_updates, max_squared_norm=50.0), jnp.nan),
    ],
)
def test_a_skipped_micro_step_did_not_happen(skip, bad):
    tx = jl.MultiSteps(jl.adam(0.1), 2, should_skip_update_fn=skip)
    params = {"w": jnp.ones(3), "none": None}
    update = jax.jit(tx.update)

    def through(*values):
        state, updates = tx.init(params), []
        for x in values:
            g = {"w": jnp.array([1.0, x, 2.0]), "none": None}
            u, state = update(g, state, params)
            updates.append(u["w"])
        return updates, state

    updates, state = through(1.0, bad, 2.0, bad)
    expected, plain = through(1.0, 2.0)
    np.testing.assert_array_equal(updates, [0 * updates[0], *expected, 0 * updates[0]])
    jax.tree.map(np.testing.assert_array_equal, state[:4], plain[:4])
    assert state.skip_state["should_skip"]
    assert not plain.skip_state["should_skip"]


def test_what_skip_functions_keep():
    g = {"a": jnp.array([jnp.nan, 1, jnp.inf]), "b": jnp.array(-jnp.inf), "c": None}
    assert jl.skip_not_finite(g, 0, None)[1]["num_not_finite"] == 3
    g = {"a": jnp.array([300, 400], jnp.float16), "b": None}
    skip, kept = jl.skip_large_updates(g, 0, None, 3e5)
    assert (skip.item(), kept["norm_squared"].item()) == (False, 25e4)


def test_a_guard_around_it_leaves_a_micro_step_out():
    plain = jl.MultiSteps(jl.adam(0.1), 2)
    guarded = jl.apply_if_finite(plain, 5)
    gradients = [1.0, np.nan, 2.0, np.inf, 3.0, np.nan, 4.0]
    state, expected = guarded.init(jnp.zeros(())), plain.init(jnp.zeros(()))
    for g in gradients:
        u, state = guarded.update(jnp.float32(g), state)
        if np.isfinite(g):
            v, expected = plain.update(jnp.float32(g), expected)
            assert u == v
        else:
            assert u == 0
    jax.tree.map(np.testing.assert_array_equal, state.inner_state, expected)


def test_extra_arguments_reach_the_optimizer():
    class Times(jl.Rule):
        def emit(self, g, slots, p, step, *, value):
            return g * value

    tx = jl.MultiSteps(jl.leafwise(Times()), 2)
    state = tx.init(jnp.zeros(()))
    _, state = tx.update(jnp.float32(1), state, value=5.0)
    u, _ = tx.update(jnp.float32(3), state, value=10.0)
    assert u == 20


def test_works_beside_others_on_some_leaves():
    tx = jl.chain(
        jl.clip(1.0),
        jl.masked(jl.MultiSteps(jl.trace(0.9), 2), jl.by_path({"b": False, "*": True})),
        jl.scale(-1.0),
    )
    params = {"a": jnp.zeros(2), "b": jnp.zeros(2), "c": None}
    g = {"a": jnp.full(2, 0.5), "b": jnp.full(2, 3.0), "c": None}
    state = tx.init(params)
    for expected in (0.0, -0.5, 0.0, -0.95):
        u, state = tx.update(g, state, params)
        np.testing.assert_allclose(u["a"], expected, rtol=1e-6)
        assert u["b"].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"every_k_schedule": 0}, ValueError, r"every_k_schedule is 0"),
        ({"every_k_schedule": 1.5}, ValueError, "expected an integer"),
        ({"every_k_schedule": None}, TypeError, "every_k_schedule is None"),
        ({"opt": 3}, TypeError, "MultiSteps: opt is 3"),
        ({"accumulator_dtype": "int32"}, TypeError, "accumulator_dtype"),
    ],
)
def test_arguments_are_checked(arguments, error, text):
    with pytest.raises(error, match=text):
        jl.MultiSteps(**{"opt": jl.sgd(0.1), "every_k_schedule": 2, **arguments})


def test_a_skip_function_returns_a_flag():
    tx = jl.MultiSteps(jl.sgd(0.1), 2, should_skip_update_fn=lambda g, n, p: (g, ()))
    with pytest.raises(ValueError, match=r"float32\[2\] for a flag"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


@pytest.mark.parametrize("k", [1, 3])
def test_apply_every_adds_up(k, x64):
    g = trajectory(NESTED, 1, 12)
    found = run(jl.apply_every(k), g, g).updates

    def expected(x):
        sums = x.reshape(-1, k, *x.shape[1:]).sum(1)
        u = np.zeros_like(x)
        u[k - 1 :: k] = sums
        return u

    assert_close(found, jax.tree.map(expected, g))
