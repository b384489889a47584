"""Masks and groups: how they are given, and what lies outside them."""

import collections

import equinox as eqx
import flax.core
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close

PARAMS = {
    "body": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)},
    "head": [jnp.ones((3, 1)), None],
}
CHOSEN = {
    "body": {"kernel": True, "bias": False},
    "head": [True, None],
}


def matrices(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)


def ones(params):
    return jax.tree.map(lambda p: 1.0, params)


MASKS = {
    "a tree": CHOSEN,
    "a tree of numpy bools": jax.tree.map(np.bool_, CHOSEN),
    "a tree of arrays": jax.tree.map(jnp.array, CHOSEN),
    "a frozen dict": flax.core.freeze(CHOSEN),
    "another order": collections.OrderedDict(reversed(CHOSEN.items())),
    "tuples for lists": {**CHOSEN, "head": (True, None)},
    "a prefix": {"body": {"kernel": True, "bias": False}, "head": True},
    "by path": jl.by_path({"bias": False, "*": True}),
    "a function": matrices,
    "a function to by_path": lambda params: jl.by_path({"bias": False, "*": True}),
    "a function to a prefix": lambda params: {**matrices(params), "head": True},
    "weights_only": jl.weights_only,
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("wrap", [lambda tx: tx, jl.chain], ids=["alone", "in a chain"])
def test_a_mask_may_be(mask, wrap):
    tx = wrap(jl.masked(jl.sgd(0.5), mask))
    for given in (PARAMS, None):
        updates, _ = tx.update(PARAMS, tx.init(PARAMS), given)
        assert updates["body"]["kernel"].tolist() == [[-0.5] * 3] * 2
        assert updates["body"]["bias"].tolist() == [1] * 3
        assert updates["head"][0].tolist() == [[-0.5]] * 3
        assert updates["head"][1] is None


@pytest.mark.parametrize("everything", [True, False])
def test_a_mask_may_be_one_flag(everything):
    tx = jl.masked(jl.scale(2.0), everything)
    updates, _ = tx.update(PARAMS, tx.init(PARAMS))
    assert updates["body"]["bias"].tolist() == [2.0 if everything else 1.0] * 3


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_masks_do_not_mind_the_container(mask):
    frozen = flax.core.freeze(PARAMS)
    for tx in (
        jl.masked(jl.adam(0.1), mask),
        jl.adamw(0.1, mask=mask),
        jl.chain(jl.adam(0.1), jl.freeze(mask)),
        jl.partition({True: jl.adam(0.1), False: jl.set_to_zero()}, mask),
    ):
        expected, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
        for g, p in [(frozen, PARAMS), (PARAMS, frozen), (frozen, frozen)]:
            updates, _ = tx.update(g, tx.init(p), p)
            assert type(updates) is type(g)
            assert_close(flax.core.unfreeze(updates), expected, 0)


def test_a_module_that_can_be_called_is_a_tree():
    model = eqx.filter(eqx.nn.Linear(2, 3, key=jax.random.key(0)), eqx.is_array)
    mask = eqx.tree_at(lambda m: (m.weight, m.bias), model, (True, False))
    assert callable(mask)
    for tx in (
        jl.masked(jl.scale(2.0), mask),
        jl.chain(jl.masked(jl.scale(2.0), mask)),
    ):
        updates, _ = tx.update(model, tx.init(model))
        np.testing.assert_array_equal(updates.weight, 2 * model.weight)
        np.testing.assert_array_equal(updates.bias, model.bias)


def test_outside_the_mask_there_is_no_state():
    state = jl.masked(jl.trace(0.9), CHOSEN).init(PARAMS)
    assert isinstance(state, jl.MaskedState)
    assert state.inner_state.trace["body"]["bias"] == jl.MaskedNode()
    assert state.inner_state.trace["head"][1] is None
    assert state.inner_state.trace["body"]["kernel"].shape == (2, 3)


def test_masks_within_masks():
    inner = jl.masked(jl.scale(2.0), jl.by_path({"head/*": False, "*": True}))
    tx = jl.masked(inner, CHOSEN)
    state = tx.init(PARAMS)
    assert state == jl.MaskedState(jl.MaskedState(jl.EmptyState()))
    alone, _ = tx.update(PARAMS, state)
    chained, (after,) = jl.chain(tx).update(PARAMS, (state,))
    assert after == state
    for updates in (alone, chained):
        assert updates["body"]["kernel"][0, 0] == 2
        assert updates["body"]["bias"][0] == updates["head"][0][0, 0] == 1


# What lies outside the mask is not looked at, alone and in a chain.


@pytest.mark.parametrize("wrap", [lambda tx: tx, jl.chain], ids=["alone", "in a chain"])
def test_integers_may_lie_outside_the_mask(wrap):
    params = {"w": jnp.ones(2), "n": jnp.arange(2)}
    tx = wrap(jl.masked(jl.adam(0.1), {"w": True, "n": False}))
    updates, _ = tx.update(params, tx.init(params), params)
    assert updates["n"].tolist() == [0, 1]


@pytest.mark.parametrize("wrap", [lambda tx: tx, jl.chain], ids=["alone", "in a chain"])
def test_no_gradient_is_needed_outside_the_mask(wrap):
    params = {"w": jnp.ones(2), "n": jnp.ones(2)}
    tx = wrap(jl.masked(jl.adam(0.1), {"w": True, "n": False}))
    updates, _ = tx.update({"w": jnp.ones(2), "n": None}, tx.init(params), params)
    assert updates["n"] is None


@pytest.mark.parametrize("wrap", [lambda tx: tx, jl.chain], ids=["alone", "in a chain"])
def test_no_pattern_is_needed_outside_the_mask(wrap):
    rates = jl.by_path({"kernel": 0.1, "head/*": 0.5})
    tx = wrap(jl.masked(jl.sgd(rates), CHOSEN))
    updates, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    assert updates["head"][0][0, 0] == -0.5
    assert updates["body"]["bias"][0] == 1


def test_masked_passes_the_gradient_in_its_own_dtype():
    g = {"w": jnp.ones(2, jnp.bfloat16), "n": jnp.ones(2, jnp.bfloat16)}
    params = jax.tree.map(lambda x: x.astype(jnp.float32), g)
    tx = jl.chain(jl.masked(jl.scale(2.0), {"w": True, "n": False}))
    updates, _ = tx.update(g, tx.init(params), params)
    assert updates["w"].dtype == jnp.float32
    assert updates["n"].dtype == jnp.bfloat16


def test_extra_arguments_like_the_parameters_may_be_masked():
    seen = []

    def update(updates, state, params=None, **extra):
        seen.append(extra)
        return updates, state

    inner = jl.GradientTransformation(lambda p: (), update)
    extra = {"other": PARAMS, "value": 1.0}
    for tx in (
        jl.masked(inner, CHOSEN, mask_compatible_extra_args=True),
        jl.partition({True: inner, False: jl.set_to_zero()}, CHOSEN,
                     mask_compatible_extra_args=True),
        jl.masked(inner, CHOSEN),
    ):  # fmt: skip
        tx.update(PARAMS, tx.init(PARAMS), PARAMS, **extra)
    assert [x["value"] for x in seen] == [1.0] * 3
    assert [x["other"]["body"]["bias"] for x in seen[:2]] == [jl.MaskedNode()] * 2
    assert seen[2]["other"] is PARAMS


# Groups

LABELS = {
    "a tree": {"body": {"kernel": "a", "bias": "b"}, "head": ["a", None]},
    "a prefix": {"body": {"kernel": "a", "bias": "b"}, "head": "a"},
    "by path": jl.by_path({"bias": "b", "*": "a"}),
    "a function": lambda params: jax.tree.map(lambda p: "ba"[p.ndim - 1], params),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_may_be(labels):
    tx = jl.partition({"a": jl.sgd(0.5, momentum=0.9), "b": optax.sgd(2.0)}, labels)
    updates, state = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    assert updates["body"]["kernel"].tolist() == [[-0.5] * 3] * 2
    assert updates["body"]["bias"].tolist() == [-2] * 3
    assert updates["head"][0].tolist() == [[-0.5]] * 3
    assert updates["head"][1] is None
    assert sorted(state.inner_states) == ["a", "b"]
    trace = state.inner_states["a"].inner_state[0].trace
    assert trace["body"]["bias"] == jl.MaskedNode()


def test_labels_may_be_flags_and_numbers():
    tx = jl.partition({True: jl.sgd(0.5), False: jl.set_to_zero()}, matrices)
    updates, _ = tx.update(PARAMS, tx.init(PARAMS))
    assert updates["body"]["kernel"][0, 0] == -0.5
    assert updates["body"]["bias"].tolist() == [0, 0, 0]


def test_a_group_measures_itself_only():
    tx = jl.partition(
        {"a": jl.clip_by_global_norm(1.0), "b": jl.clip_by_global_norm(2.0)},
        {"body": "a", "head": "b"},
    )
    g = jax.tree.map(lambda x: 100 * x, PARAMS)
    updates, _ = tx.update(g, tx.init(PARAMS))
    assert jl.global_norm(updates["body"]) == pytest.approx(1.0)
    assert jl.global_norm(updates["head"]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "g", [jnp.arange(2), np.zeros(2, jax.dtypes.float0)], ids=["int32", "float0"]
)
def test_integers_may_be_frozen_in_a_group(g):
    params = {"table": jnp.arange(2), "w": jnp.ones(2)}
    labels = {"table": "still", "w": "moving"}
    tx = jl.partition({"moving": jl.adamw(0.1), "still": jl.set_to_zero()}, labels)
    state = tx.init(params)
    updates, after = tx.update({"table": g, "w": jnp.ones(2)}, state, params)
    assert updates["table"].dtype == jnp.int32
    assert jl.apply_updates(params, updates)["table"].tolist() == [0, 1]
    assert jax.tree.leaves(after.inner_states["still"]) == []
    assert jax.tree.structure(after) == jax.tree.structure(state)


def test_a_partition_in_a_chain_follows_what_came_before():
    tx = jl.chain(
        jl.scale(2.0),
        jl.partition({True: jl.sgd(0.5), False: jl.identity()}, CHOSEN),
        jl.scale(3.0),
    )
    updates, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    assert updates["body"]["kernel"][0, 0] == -3
    assert updates["body"]["bias"][0] == 6


# Freezing alone


def test_a_freeze_alone_makes_zeros_and_leaves_the_rest():
    tx = jl.freeze(jl.by_path({"body/*": True, "*": False}))
    state = tx.init(PARAMS)
    assert state == optax.freeze({"body": True, "head": False}).init(PARAMS)
    for params in (PARAMS, None):
        updates, _ = tx.update(PARAMS, state, params)
        assert not np.any(updates["body"]["kernel"])
        assert updates["head"][0] is PARAMS["head"][0]


def test_a_mask_in_a_jitted_transformation_is_no_tracer():
    tx = jl.masked(jl.scale(jnp.array(2.0)), jax.tree.map(jnp.array, CHOSEN))
    updates, _ = jax.jit(lambda tx: tx.update(PARAMS, tx.init(PARAMS)))(tx)
    assert updates["body"]["kernel"][0, 0] == 2
    assert updates["body"]["bias"][0] == 1


@pytest.mark.parametrize("mask", ["bias", 1, {"dense": {"kernel": "yes", "bias": 0.0}}])
@pytest.mark.parametrize("use", [jl.freeze, lambda mask: jl.adamw(0.1, mask=mask)])
def test_a_mask_of_anything_but_flags_is_refused(mask, use):
    params = {"dense": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}
    with pytest.raises(ValueError, match=r"(?s)'dense/bias'.*Expected True or False"):
        use(mask).init(params)


def test_a_path_that_stands_for_two_leaves_is_refused():
    params = {"a": {"b": jnp.ones(2)}, "a/b": jnp.ones(2)}
    mask = {"a": {"b": True}, "a/b": False}
    with pytest.raises(ValueError, match="'a/b': stands several times"):
        jl.masked(jl.scale(3.0), mask)
    with pytest.raises(ValueError, match="'a/b': stands several times"):
        jl.scale(3.0).update(params, jl.EmptyState(), {**params, "c": None})


def test_transformations_of_a_partition_stand_in_a_dict():
    with pytest.raises(TypeError, match="found a list of transformations"):
        jl.partition([jl.sgd(0.1)], jl.by_path({"*": 0}))


@pytest.mark.parametrize("name", ["masked", "partition"])
def test_a_state_that_optax_made_with_a_prefix_goes_on(name):
    params = {"a": {"x": jnp.ones(2), "y": jnp.ones(1)}, "b": {"z": jnp.ones(3)}}

    def build(lib):
        if name == "masked":
            return lib.masked(lib.adam(0.1), {"a": True, "b": False})
        parts = {"adam": lib.adam(0.1), "sgd": lib.sgd(0.1, momentum=0.9)}
        return lib.partition(parts, {"a": "adam", "b": "sgd"})

    ours, theirs = build(jl), build(optax)
    state = held = theirs.init(params)
    step = jax.jit(ours.update)
    for _ in range(3):
        u, state = step(params, state, params)
        v, held = theirs.update(params, held, params)
        assert_close(u, v, 1e-5)
    # Optax's classes become ours once.
    assert step._cache_size() == 2
