"""Successive halving does what a loop over survivors does."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lite import sweep
from tests.sweep.training import message

KEY = jax.random.key(7)
SPACE = sweep.grid(
    learning_rate=[0.01, 0.3, 2.0, 0.05, 0.2, 0.9, 0.4, 0.1, 0.6, 0.02], kind=["x"]
)
halve = partial(sweep.successive_halving, key=KEY, eta=2, rungs=3)


def train_rung(hyperparams, state, key, rung):
    assert hyperparams["kind"] == "x"
    noise = jax.random.normal(key, (2,))
    x = 1 + noise if state is None else state["x"]
    for _ in range(2**rung):
        x = x - hyperparams["learning_rate"] * (x + 0.1 * noise)
    return {"x": x}, jnp.sum(x**2)


def test_it_is_the_loop():
    found = halve(train_rung, SPACE)
    at, states = range(10), [None] * 10
    for rung, size in enumerate([10, 5, 2]):
        ran = []
        for i in at:
            key = jax.random.fold_in(jax.random.fold_in(KEY, rung), i)
            ran.append((i, *train_rung(SPACE[i], states[i], key, rung)))
        np.testing.assert_array_equal(found.rungs[rung].configurations, at)
        np.testing.assert_allclose(
            found.rungs[rung].losses, [loss for *_, loss in ran], rtol=1e-4
        )
        ran.sort(key=lambda each: each[2])
        assert len(ran) == size
        states = {i: state for i, state, _ in ran}
        at = [i for i, *_ in ran[: size // 2]]
    best, state, loss = ran[0]
    assert found.number == best and found.hyperparams == SPACE[best]
    np.testing.assert_allclose(found.loss, loss, rtol=1e-4)
    np.testing.assert_allclose(found.state["x"], state["x"], rtol=1e-4)


def test_it_follows_from_the_key():
    assert_equal = partial(jax.tree.map, np.testing.assert_array_equal)
    first, again = (halve(train_rung, SPACE) for _ in range(2))
    assert_equal(first[1:], again[1:])
    other = halve(train_rung, SPACE, key=jax.random.key(8))
    assert (other.rungs[0].losses != first.rungs[0].losses).all()


def test_a_rung_is_traced_once():
    traced = []

    def train(hyperparams, state, key, rung):
        traced.append(rung)
        return train_rung(hyperparams, state, key, rung)

    halve(train, SPACE)
    assert traced == [0, 1, 2]


def test_what_diverges_is_given_up():
    def train(hyperparams, state, key, rung):
        rate = hyperparams["learning_rate"]
        return (), jnp.where(rate > 0.5, -jnp.inf, jnp.where(rate < 0.1, jnp.nan, rate))

    found = halve(train, SPACE)
    assert found.hyperparams["learning_rate"] == 0.1
    assert [*found.rungs[1].configurations] == [7, 4, 1, 6, 0]
    assert np.isfinite(found.rungs[2].losses).all()


def test_all_diverged():
    train = lambda h, state, key, rung: ((), h["learning_rate"] * jnp.nan)  # noqa: E731
    found = halve(train, SPACE)
    assert np.isnan(found.loss)
    assert [len(rung.losses) for rung in found.rungs] == [10, 5, 2]


@pytest.mark.parametrize(
    ("error", "change", "text"),
    [
        (
            ValueError,
            {"rungs": 5},
            "10 configurations for 5 rungs with eta=2; expected at least "
            "eta**(rungs - 1) = 16, so that one reaches the last rung.",
        ),
        (ValueError, {"eta": 1}, "eta is 1; expected a whole number from 2."),
        (ValueError, {"rungs": 0}, "rungs is 0; expected a whole number from 1."),
        (
            ValueError,
            {"space": sweep.grid(a=[0.1, 0.2], kind=["x", "y"])},
            "'kind' has several static values; expected numbers, which one program can "
            "hold. Call it for each value.",
        ),
        (
            TypeError,
            {"train_rung": lambda h, state, key, rung: {"loss": h["learning_rate"]}},
            "train_rung returned {'loss': float32[]}; expected a pair of a state and "
            "a loss, a real number.",
        ),
        (
            TypeError,
            {"train_rung": 3},
            "train_rung is 3; expected a function of (hyperparams, state, key, rung).",
        ),
        (
            TypeError,
            {"train_rung": lambda h, state, key, rung: ((), jnp.ones(2))},
            "train_rung returned the loss float32[2]; expected",
        ),
    ],
)
def test_bad_input(error, change, text):
    arguments = {"train_rung": train_rung, "space": SPACE, **change}
    assert message(error, halve, **arguments).startswith(f"successive_halving: {text}")
