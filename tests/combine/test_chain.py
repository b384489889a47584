"""Transformations one after another, ours and Optax's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, random_tree, run, trajectory

PARAMS = {
    "body": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)},
    "head": {"kernel": jnp.full((3, 1), 2.0), "bias": None},
}
G = jax.tree.map(jnp.asarray, random_tree(PARAMS, 1))
BODY = jl.by_path({"body/*": True, "*": False})
TREE = {"body": True, "head": False}


def take(tx, steps=3):
    """The updates of some steps, and the last state."""
    return run(tx, trajectory(PARAMS, 1, steps), trajectory(PARAMS, 2, steps))


def one_by_one(*members):
    """A chain as a loop, in which nothing is fused."""

    def init(params):
        return tuple(tx.init(params) for tx in members)

    def update(updates, state, params=None):
        states = []
        for tx, held in zip(members, state, strict=True):
            updates, new = tx.update(updates, held, params)
            states.append(new)
        return updates, tuple(states)

    return jl.GradientTransformation(init, update)


SEVERAL = {
    "rules": (jl.trace(0.9), jl.scale(2.0), jl.ema(0.5), jl.clip(0.3)),
    "a shared rule between": (
        jl.scale(9.0),
        jl.clip_by_global_norm(1.0),
        jl.trace(0.9),
    ),
    "masks": (
        jl.masked(jl.adam(0.1), jl.weights_only),
        jl.add_decayed_weights(0.1, BODY),
        jl.masked(jl.clip_by_global_norm(0.1), BODY),
    ),
    "nested": (jl.chain(jl.sgd(0.1), jl.identity()), jl.chain(), jl.rmsprop(0.1)),
    "schedules": (jl.scale(lambda count: 1.0 + count), jl.trace(lambda count: 0.5)),
    "no rules": (jl.stateless(lambda u, p: u), jl.trace(0.9), jl.set_to_zero()),
    "partition": (jl.trace(0.9), jl.partition({0: jl.sgd(0.1), 1: jl.adam(0.1)}, BODY)),
}


@pytest.mark.parametrize("members", SEVERAL.values(), ids=SEVERAL)
def test_a_chain_is_its_members_one_after_another(members):
    whole, parts = take(jl.chain(*members)), take(one_by_one(*members))
    assert jax.tree.structure(whole) == jax.tree.structure(parts)
    assert_close(whole, parts, 1e-6)


def test_neighbouring_rules_do_not_round_between_them():
    tx = jl.chain(jl.scale(1 / 3), jl.scale(3.0))
    g = jnp.array([1.0, 5.0, 7.0], jnp.bfloat16)
    assert tx.update(g, tx.init(g))[0].tolist() == [1, 5, 7]


def test_the_states_of_rules_in_one_run_are_their_own():
    tx = jl.chain(jl.trace(0.5), jl.trace(0.25), jl.scale(lambda count: 1.0))
    _, state = tx.update(G, tx.init(PARAMS))
    assert [type(x).__name__ for x in state] == [
        "TraceState",
        "TraceState",
        "ScaleByScheduleState",
    ]
    assert state[2].count == 1


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (jl.adamw(0.1), optax.adamw(0.1)),
        (jl.adamw(lambda c: 0.1, mask=BODY), optax.adamw(lambda c: 0.1, mask=TREE)),
        (jl.sgd(0.1, momentum=0.9), optax.sgd(0.1, momentum=0.9)),
        (jl.rmsprop(0.1, momentum=0.9), optax.rmsprop(0.1, momentum=0.9)),
        (jl.adagrad(0.1), optax.adagrad(0.1)),
        (jl.named_chain(("a", jl.ema(0.9))), optax.named_chain(("a", optax.ema(0.9)))),
        (
            jl.partition({True: jl.adam(0.1), False: jl.set_to_zero()}, TREE),
            optax.partition({True: optax.adam(0.1), False: optax.set_to_zero()}, TREE),
        ),
    ],
    ids=["adamw", "masked", "sgd", "rmsprop", "adagrad", "named", "partition"],
)
def test_the_state_is_laid_out_as_optaxs(ours, theirs):
    def paths(state):
        flat, _ = jax.tree.flatten_with_path(state)
        return [(jax.tree_util.keystr(k), x.shape, x.dtype) for k, x in flat]

    assert paths(ours.init(PARAMS)) == paths(theirs.init(PARAMS))


def test_an_empty_chain_is_the_identity():
    for tx in (jl.chain(), jl.named_chain(), jl.chain(jl.chain()), jl.identity()):
        updates, state = tx.update(G, tx.init(PARAMS))
        assert updates is G
        assert jax.tree.leaves(state) == []


def test_a_named_chain_keeps_its_states_by_name():
    tx = jl.named_chain(
        ("clip", jl.clip_by_global_norm(1.0)), ("sgd", jl.sgd(0.1, 0.9))
    )
    updates, state = tx.update(G, tx.init(PARAMS))
    assert sorted(state) == ["clip", "sgd"]
    same, inner = jl.chain(tx, jl.identity()).update(
        G, (tx.init(PARAMS), jl.EmptyState())
    )
    assert_close(same, updates, 0)
    assert_close(inner, (state, jl.EmptyState()), 0)
    unnamed = jl.chain(*tx.transforms)
    assert_close(unnamed.update(G, unnamed.init(PARAMS))[0], updates, 0)


def test_a_chain_is_a_pytree_of_its_members():
    tx = jl.chain(
        jl.scale(jnp.array(2.0)), jl.named_chain(("a", jl.sgd(jnp.array(3.0))))
    )
    assert [float(x) for x in jax.tree.leaves(tx)] == [2, 3]


def test_keywords_go_to_whoever_takes_them():
    seen = []

    def update(updates, state, params=None, **extra):
        seen.append(sorted(extra))
        return updates, state

    takes_all = jl.GradientTransformation(lambda p: (), update)
    takes_none = jl.GradientTransformation(lambda p: (), lambda u, s, p=None: (u, s))
    tx = jl.chain(takes_none, jl.masked(takes_all, BODY), optax.scale(1.0), takes_all)
    tx.update(G, tx.init(PARAMS), PARAMS, value=1.0, other=object())
    assert seen == [["other", "value"]] * 2


def test_a_keyword_that_an_update_names_reaches_it():
    def update(updates, state, params=None, *, value):
        return jax.tree.map(lambda g: value * g, updates), state

    tx = jl.chain(jl.GradientTransformation(lambda p: (), update))
    updates, _ = tx.update(G, tx.init(PARAMS), PARAMS, value=2.0, other=3.0)
    assert_close(updates, jax.tree.map(lambda g: 2 * g, G), 0)


def test_two_functions_make_a_transformation():
    def init(params):
        return jnp.zeros((), jnp.int32)

    def update(updates, state, params=None):
        return jax.tree.map(lambda g: g * state, updates), state + 1

    for tx in (
        jl.GradientTransformation(init, update),
        jl.GradientTransformation(init=init, update=update),
    ):
        assert isinstance(tx, jl.GradientTransformation)
        assert tx == jl.GradientTransformation(init, update)
        chained = jl.chain(jl.scale(2.0), tx)
        _, state = chained.update(G, chained.init(PARAMS))
        updates, state = chained.update(G, state)
        assert_close(updates, jax.tree.map(lambda g: 2 * g, G), 0)
        assert state == (jl.EmptyState(), 2)


# Optax inside ours, ours inside Optax


@pytest.mark.parametrize(
    ("mixed", "pure"),
    [
        (
            jl.chain(
                optax.clip_by_global_norm(1.0), jl.scale_by_adam(), optax.scale(-0.1)
            ),
            optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
        ),
        (jl.masked(optax.adam(0.1), BODY), optax.masked(optax.adam(0.1), TREE)),
        (
            jl.partition({True: optax.adam(0.1), False: jl.sgd(0.1)}, BODY),
            optax.partition({True: optax.adam(0.1), False: optax.sgd(0.1)}, BODY),
        ),
        (
            optax.chain(jl.clip_by_global_norm(1.0), jl.adamw(0.1, mask=BODY)),
            optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.1, mask=TREE)),
        ),
        (optax.masked(jl.adam(0.1), TREE), optax.masked(optax.adam(0.1), TREE)),
        (
            optax.partition({True: jl.adamw(0.1), False: jl.set_to_zero()}, BODY),
            optax.partition({True: optax.adamw(0.1), False: optax.set_to_zero()}, BODY),
        ),
        (
            jl.chain(optax.MultiSteps(jl.adamw(0.1), 2), jl.scale(1.0)),
            optax.MultiSteps(optax.adamw(0.1), 2),
        ),
        (
            optax.apply_if_finite(jl.adam(0.1), 3),
            optax.apply_if_finite(optax.adam(0.1), 3),
        ),
    ],
    ids=[
        "optax in chain",
        "optax in masked",
        "optax in partition",
        "in optax.chain",
        "in optax.masked",
        "in optax.partition",
        "in MultiSteps in chain",
        "in apply_if_finite",
    ],
)
def test_ours_and_optaxs_nest_in_each_other(mixed, pure):
    assert_close(take(mixed, 4).updates, take(pure, 4).updates, 3e-5)


# Frozen parameters


@pytest.mark.parametrize("place", [0, 1, 2])
def test_frozen_parameters_take_no_part(place):
    members = [jl.clip_by_global_norm(1.0), jl.adamw(0.1, weight_decay=0.5)]
    alone = jl.chain(*members)
    members.insert(place, jl.freeze(BODY))
    updates, state = take(jl.chain(*members))
    assert not any(np.any(u) for u in jax.tree.leaves(updates["body"]))
    g, p = trajectory(PARAMS, 1, 3), trajectory(PARAMS, 2, 3)
    expected = run(alone, {"head": g["head"]}, {"head": p["head"]}).updates
    assert_close({"head": updates["head"]}, expected, 1e-6)
    assert sum(x.size for x in jax.tree.leaves(state)) == 1 + 2 * 3


def test_frozen_parameters_are_hidden_from_optaxs_members_too():
    tx = jl.chain(optax.adam(0.1), optax.clip_by_global_norm(1.0), jl.freeze(BODY))
    updates, state = tx.update(G, tx.init(PARAMS), PARAMS)
    assert jax.tree.leaves(state[0][0].mu["body"]) == []
    assert not np.any(updates["body"]["kernel"])
    assert np.all(updates["head"]["kernel"])


def test_a_freeze_in_an_inner_chain_counts_for_the_outer():
    tx = jl.chain(jl.adam(0.1), jl.chain(jl.freeze(BODY), jl.identity()))
    state = tx.init(PARAMS)
    assert jax.tree.leaves(state[0][0].mu["body"]) == []
    updates, _ = tx.update(G, state, PARAMS)
    assert not np.any(updates["body"]["kernel"])


def test_two_freezes_add_up():
    biases = jl.by_path({"bias": True, "*": False})
    kernels = jl.by_path({"head/kernel": True, "*": False})
    tx = jl.chain(jl.freeze(biases), jl.adam(0.1), jl.freeze(kernels))
    updates, state = tx.update(G, tx.init(PARAMS), PARAMS)
    assert jax.tree.map(lambda u: bool(np.any(u)), updates) == {
        "body": {"kernel": True, "bias": False},
        "head": {"kernel": False, "bias": None},
    }
    assert len(jax.tree.leaves(state[1][0].mu)) == 1


@pytest.mark.parametrize(
    "g", [jnp.arange(2), np.zeros(2, jax.dtypes.float0)], ids=["int32", "float0"]
)
def test_frozen_integers_are_allowed(g):
    params = {"table": jnp.arange(2), "w": jnp.ones(2)}
    mask = {"table": True, "w": False}
    tx = jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(0.1), jl.freeze(mask))
    state = tx.init(params)
    updates, state = tx.update({"table": g, "w": jnp.ones(2)}, state, params)
    assert updates["table"].dtype == jnp.int32
    assert jl.apply_updates(params, updates)["table"].tolist() == [0, 1]


def test_frozen_parameters_may_have_no_pattern():
    tx = jl.chain(jl.sgd(jl.by_path({"head/*": 0.1})), jl.freeze(BODY))
    updates, _ = tx.update(G, tx.init(PARAMS), PARAMS)
    assert not np.any(updates["body"]["bias"])
