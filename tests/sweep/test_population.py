"""The worst of a population copy the best and move on."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lite import sweep
from tests.sweep.training import message

KEY = jax.random.key(7)
SPACE = sweep.sample(
    KEY,
    8,
    rate=sweep.log_uniform(1e-3, 1),
    shift=sweep.uniform(-1, 1),
    k=sweep.integers(0, 10),
)
ROUNDS = 6
train_population = partial(
    sweep.population_based_training, key=KEY, rounds=ROUNDS, exploit=0.25, explore=0.5
)


def train_round(hyperparams, state, key):
    """Remembers the rates that it was trained with, and draws something."""
    if state is None:
        state = {"x": jnp.ones(()), "count": 0, "rates": jnp.zeros(ROUNDS)}
    rate, n = hyperparams["rate"], state["count"]
    x = state["x"] * (1 - rate) + 0.01 * jax.random.normal(key)
    rates = state["rates"].at[n].set(rate)
    loss = x**2 + 0.1 * hyperparams["shift"] ** 2
    return {"x": x, "count": n + jnp.int32(1), "rates": rates}, loss


@pytest.fixture(scope="module")
def found():
    return train_population(train_round, SPACE)


def test_the_worst_quarter_copies_of_the_best(found):
    members = np.arange(8)
    np.testing.assert_array_equal(found.parents[0], members)
    for losses, parents in zip(found.losses, found.parents[1:], strict=False):
        order = np.argsort(losses, stable=True)
        copies = members[parents != members]
        assert {*copies} == {*order[-2:]}
        assert {*parents[copies]} <= {*order[:2]}


def test_copies_move_and_the_others_stay(found):
    numbers = found.hyperparams
    for i, parents in enumerate(found.parents[1:]):
        stays = parents == np.arange(8)
        before = {name: x[i][parents] for name, x in numbers.items()}
        after = {name: x[i + 1] for name, x in numbers.items()}
        for name in numbers:
            np.testing.assert_array_equal(after[name][stays], before[name][stays])
        ratio = after["rate"][~stays] / before["rate"][~stays]
        bounds = [
            *map(np.float32, (min(SPACE.column("rate")), max(SPACE.column("rate"))))
        ]
        at_bound = np.isin(after["rate"][~stays], bounds)
        assert (np.isclose(ratio, 1.5) | np.isclose(ratio, 1 / 1.5) | at_bound).all()
        reach = max(SPACE.column("shift")) - min(SPACE.column("shift"))
        moved = np.abs(after["shift"] - before["shift"])[~stays]
        assert (moved <= 0.5 * reach + 1e-6).all() and (moved > 0).any()


def test_numbers_stay_in_their_range_and_of_their_kind(found):
    for name, x in found.hyperparams.items():
        column = np.asarray(SPACE.column(name)).astype(x.dtype)
        assert column.min() <= x.min() and x.max() <= column.max()
        np.testing.assert_array_equal(x[0], column)
    assert found.hyperparams["k"].dtype == np.int32


def test_the_schedule_is_what_the_best_state_was_trained_with():
    def towards_a_half(hyperparams, state, key):
        state, _ = train_round({**hyperparams, "shift": 0.0}, state, key)
        return state, jnp.abs(jnp.log(2 * hyperparams["rate"]))

    space = sweep.grid(rate=[0.01, 0.1, 1.0, 10.0])
    found = train_population(towards_a_half, space)
    np.testing.assert_array_equal(found.schedule()["rate"], found.state["rates"])
    assert found.state["count"] == ROUNDS
    assert found.loss == found.losses[-1].min() == found.losses[-1, found.number]
    assert len({*found.schedule()["rate"].tolist()}) > 1


def test_the_first_round_is_that_of_each_member_alone(found):
    key = jax.random.fold_in(KEY, 0)
    alone = [
        train_round(h, None, jax.random.fold_in(key, i))[1] for i, h in enumerate(SPACE)
    ]
    np.testing.assert_allclose(found.losses[0], alone, rtol=1e-4)


@pytest.mark.optimized  # as what it is compared with
def test_it_follows_from_the_key(found):
    again = train_population(train_round, SPACE)
    jax.tree.map(np.testing.assert_array_equal, found, again)
    other = train_population(train_round, SPACE, key=jax.random.key(8))
    assert (other.losses != found.losses).any()


def test_a_population_beats_its_members_alone():
    def train(hyperparams, state, key):
        x = jnp.ones(()) if state is None else state
        x = x - hyperparams["rate"] * x
        return x, x**2

    space = sweep.grid(rate=[0.01, 0.02, 0.04, 0.08])
    found = train_population(train, space, rounds=20)
    assert found.loss < 0.5 * (1 - 0.08) ** 40 or found.loss == pytest.approx(
        (1 - 0.08) ** 40, rel=1e-4
    )


def test_members_that_diverge_are_replaced():
    def train(hyperparams, state, key):
        x = jnp.ones(()) if state is None else state
        x = x * hyperparams["rate"] * 1e30
        return x, x

    space = sweep.grid(rate=[1e-30, 1e-29, 1e29, 1e-28])
    found = train_population(train, space, rounds=3)
    assert not np.isfinite(found.losses[0]).all()
    assert np.isfinite(found.losses[-1]).all()


@pytest.mark.parametrize(
    ("error", "change", "text"),
    [
        (ValueError, {"rounds": 0}, "rounds is 0; expected a whole number from 1."),
        (ValueError, {"exploit": 0.6}, "exploit is 0.6; expected 0 < x <= 0.5."),
        (ValueError, {"explore": 0}, "explore is 0; expected 0 < x < inf."),
        (TypeError, {"exploit": "a"}, "exploit is 'a'; expected a number."),
        (
            TypeError,
            {"train_round": None},
            "train_round is None; expected a function of (hyperparams, state, key).",
        ),
        (TypeError, {"key": 0}, "key is 0; expected a key, such as"),
        (
            ValueError,
            {"space": sweep.grid(a=[0.1])},
            "the space has 1 configuration; expected at least 2, so that one can copy "
            "another.",
        ),
        (
            ValueError,
            {"space": sweep.grid(kind=["x", "y"])},
            "'kind' has several static values",
        ),
        (
            TypeError,
            {"train_round": lambda h, state, key: None},
            "train_round returned None; expected a pair of a state and a loss, a real "
            "number.",
        ),
    ],
)
def test_bad_input(error, change, text):
    arguments = {"train_round": train_round, "space": SPACE, **change}
    text = f"population_based_training: {text}"
    assert message(error, train_population, **arguments).startswith(text)


def test_no_member_that_diverged_is_copied():
    def train(hyperparams, state, key):
        x = hyperparams["rate"] if state is None else state
        return x, jnp.where(x > 0.11, jnp.nan, 1.0)

    space = sweep.grid(rate=jnp.linspace(0.1, 1, 20))
    found = train_population(train, space, rounds=3)
    assert np.isfinite(found.losses).sum(1).tolist() == [1, 6, 11]


def test_where_all_diverge_the_best_has_no_loss():
    train = lambda h, state, key: ((), h["rate"] * jnp.nan)  # noqa: E731
    found = train_population(train, SPACE, rounds=2)
    assert np.isnan(found.loss) and found.losses.shape[0] == 2


def test_small_whole_numbers_are_explored():
    train = lambda h, state, key: ((), -1.0 * h["n"])  # noqa: E731
    space = sweep.zipped(n=jnp.array([1, 1, 1, 9]))
    found = train_population(train, space, rounds=30)
    assert len(set(found.hyperparams["n"].ravel().tolist())) > 2


def first_then(first, later):
    """A training whose state changes its kind after the first round."""
    made = itertools.chain([first], itertools.repeat(later))
    return lambda h, state, key: (next(made)(), h["rate"])


@pytest.mark.parametrize(
    ("first", "later", "differences"),
    [
        (
            lambda: {"a": [jnp.zeros(2), jnp.int32(0)], "b": 1.0},
            lambda: {"a": [jnp.zeros(3), jnp.float32(0)], "b": 2.0},
            "  'state/a/0': float32[3]; it was float32[2] before\n"
            "  'state/a/1': float32[]; it was int32[] before\n",
        ),
        (
            lambda: {"a": jnp.zeros(2)},
            lambda: {"b": jnp.zeros(2)},
            "  'state/a': missing; it was float32[2] before\n"
            "  'state/b': float32[2]; it was missing before\n",
        ),
        (
            lambda: jnp.zeros(2),
            lambda: (jnp.zeros(2),),
            "  'state': missing; it was float32[2] before\n"
            "  'state/0': float32[2]; it was missing before\n",
        ),
        (
            lambda: [jnp.zeros(2)],
            lambda: (jnp.zeros(2),),
            "  'state': PyTreeDef((*,)); it was PyTreeDef([*]) before\n",
        ),
        (
            lambda: jnp.float32(1),
            lambda: 2,
            "  'state': 2, an int; it was float32[] before\n",
        ),
        (
            lambda: None,
            lambda: jnp.zeros(2),
            "  'state': float32[2]; it was missing before\n",
        ),
    ],
    ids=["leaves", "names", "depth", "nodes", "Python", "none"],
)
def test_a_state_that_changes_its_kind(first, later, differences):
    train = first_then(first, later)
    text = message(TypeError, train_population, train, SPACE)
    assert text == (
        "population_based_training: train_round returned another kind of state than "
        f"it was given.\n{differences}"
        "Expected the same paths, shapes and dtypes from the first round on, such as "
        "by jnp.zeros(shape, dtype) there or x.astype(dtype) later."
    )


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (lambda: 0, lambda: jnp.int32(2)),
        (lambda: 0, lambda: jnp.float32(2.0)),
        (lambda: 0, lambda: 2.0),
        (lambda: jnp.float32(0), lambda: 2.0),
        (lambda: ((), None, jax.random.key(0)), lambda: ((), None, jax.random.key(2))),
    ],
    ids=["int32", "float32", "float", "weak", "key"],
)
def test_a_state_of_python_numbers_or_keys(first, later):
    found = train_population(first_then(first, later), SPACE)
    jax.tree.map(lambda x, y: np.testing.assert_(x == y), found.state, later())


def test_a_loss_may_be_a_whole_number_at_times():
    train = lambda h, state, key: (  # noqa: E731
        jnp.zeros(()),
        jnp.int32(3) if state is None else h["rate"],
    )
    found = train_population(train, SPACE)
    assert found.losses.dtype == np.float32 and (found.losses[0] == 3).all()
