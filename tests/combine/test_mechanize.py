"""A base optimizer whose learning rate is tuned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from tests.helpers import STEPS, assert_close, run, trajectory

LIKE = {"kernel": np.zeros((2, 3)), "bias": np.zeros(3)}
ONE = {"w": jnp.array([3.0, -4.0])}


def reference(g, p, base, weight_decay=1e-2, eps=1e-8, s_init=1e-6, n=6):
    """From the paper, with the clipping that its authors added later."""
    b = 1 - 0.1 ** np.arange(1, n + 1)
    r, m, v, s = (np.zeros(n) for _ in range(4))
    way, moved = np.zeros_like(p[0]), []
    for g_now, p_now, u in zip(g, p, base, strict=True):
        total = np.sum(s)
        way = (p_now - p[0]) / (total + eps)
        pull = weight_decay * total * norm(g_now) / (norm(p_now) + eps)
        h = -way @ (g_now + pull * p_now)
        r = b * r + np.clip(h, -m, m) * s
        m = np.maximum(b * m, abs(h) + eps)
        v = b**2 * v + h**2
        s = (s_init / n * m + np.maximum(r, 0)) / (np.sqrt(v) + eps)
        moved.append(p[0] + np.sum(s) * (way + u) - p_now)
    return np.stack(moved), s


def norm(x):
    return np.sqrt(x @ x)


def joined(tree):
    return np.concatenate([x.reshape(len(x), -1) for x in tree.values()], axis=1)


@pytest.mark.parametrize("numbers", [{}, {"weight_decay": 0.5, "s_init": 0.1}], ids=str)
def test_equals_reference(numbers, x64):
    g, p = trajectory(LIKE, 1), trajectory(LIKE, 2)
    base = jl.adam(1.0)
    found = run(jl.mechanize(base, **numbers), g, p)
    u = joined(run(base, g, p).updates)
    expected, s = reference(joined(g), joined(p), u, **numbers)
    assert_close(joined(found.updates), expected)
    assert_close(found.state.s, s)
    assert found.state.count == STEPS


def test_starts_where_the_parameters_are_at_the_first_step():
    tx = jl.mechanize(jl.sgd(1.0))
    state = tx.init({"w": jnp.zeros(2)})
    _, state = tx.update(ONE, state, ONE)
    assert_close(state.x0, ONE, tolerance=0)


def test_zero_gradients_leave_everything_in_place():
    tx = jl.mechanize(jl.sgd(1.0), eps=0.0)
    zero, state = {"w": jnp.zeros(2)}, tx.init(ONE)
    for _ in range(3):
        u, state = tx.update(zero, state, ONE)
        assert not u["w"].any()
    assert jnp.isfinite(state.s).all()


def test_learns_a_rate():
    """From a millionth of what is right."""
    tx = jl.mechanize(jl.sgd(1.0))

    def step(carry, _):
        p, state = carry
        u, state = tx.update(p, state, p)
        return (jl.apply_updates(p, u), state), None

    (p, _), _ = jax.lax.scan(step, (ONE, tx.init(ONE)), length=100)
    assert jnp.abs(p["w"]).max() < 0.1


def test_a_step_that_does_not_count_changes_nothing():
    tx = jl.mechanize(jl.sgd(1.0, momentum=0.9))
    _, state = tx.update(ONE, tx.init(ONE), ONE)
    _, after = tx.update(ONE, state, ONE, commit=jnp.array(False))
    assert_close(after._asdict(), state._asdict(), tolerance=0)


@pytest.mark.parametrize("numbers", [{"num_betas": 0}, {"s_init": 0.0}, {"eps": -1.0}])
def test_wrong_numbers_are_refused(numbers):
    with pytest.raises(ValueError, match="expected"):
        jl.mechanize(jl.sgd(1.0), **numbers)
