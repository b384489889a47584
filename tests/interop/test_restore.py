"""A run goes on with another optimizer than it began with."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization

import jaxopt_lite as jl
from jaxopt_lite.interop import flatten_state, restore_state
from jaxopt_lite.testing.compare import same_bits, same_types
from tests.helpers import assert_close, random_tree
from tests.test_errors import message

PARAMS = {"dense": {"kernel": jnp.ones((4, 6)), "bias": jnp.ones(6)}}


def stepped(tx, params=PARAMS, steps=3):
    """The state after some steps."""
    state = tx.init(params)
    like = jax.tree.map(np.asarray, params)
    for i in range(steps):
        _, state = tx.update(random_tree(like, seed=i), state, params)
    return state


def kept(tx, codec):
    return jl.store_state(tx, codec, where=jl.weights_only)


INT8 = kept(jl.adamw(0.1), "int8")
SAVED = stepped(INT8)


def as_dicts(state):
    return jax.tree.map(np.asarray, serialization.to_state_dict(state))


@pytest.mark.parametrize("form", [lambda state: state, as_dicts, flatten_state])
def test_a_clip_and_a_schedule_may_be_new(form):
    """Also of codes, which stay what they were."""
    rate = jl.cosine_decay_schedule(0.1, 12)
    tx = jl.chain(jl.clip_by_global_norm(1.0), kept(jl.adamw(rate), "int8"))
    found = restore_state(form(SAVED), tx, PARAMS)
    assert list(same_bits("", found[1][0], SAVED[0])) == []
    assert [int(x) for _, x in jl.tree.get_all_with_path(found, "count")] == [3, 3]
    assert jax.tree.structure(found) == jax.tree.structure(tx.init(PARAMS))


def test_a_codec_may_be_another():
    plain = restore_state_with_warning(SAVED, jl.adamw(0.1))
    assert plain[0].mu["dense"]["kernel"].dtype == np.float32
    assert_close(plain[0].mu, stepped(jl.adamw(0.1))[0].mu, 0.1)
    whole = restore_state_with_warning(SAVED, kept(jl.adamw(0.1), "float32"))
    assert_close(whole[0].nu, plain[0].nu, 0)
    for codec, error in (("bfloat16", 0.004), ("int4", 0.2)):
        tx = kept(jl.adamw(0.1), codec)
        found = restore_state_with_warning(SAVED, tx)
        assert list(same_types("", found, tx.init(PARAMS))) == []
        back = restore_state_with_warning(found, jl.adamw(0.1))
        assert_close(back[0].nu, plain[0].nu, error)


def restore_state_with_warning(saved, tx):
    with pytest.warns(UserWarning) as caught:
        found = restore_state(saved, tx, PARAMS)
    assert [str(x.message) for x in caught] == [
        "restore_state: \"mu of 'dense/kernel'\", \"nu of 'dense/kernel'\" are "
        "converted."
    ]
    assert caught[0].filename == __file__
    return found


@pytest.mark.full
def test_moments_of_another_dtype():
    narrow = jl.adam(0.1, mu_dtype=jnp.bfloat16)
    with pytest.warns(UserWarning, match="\"mu of 'dense/bias'\", .* are converted.$"):
        found = restore_state(stepped(narrow), jl.adam(0.1), PARAMS)
    assert found[0].mu["dense"]["bias"].dtype == np.float32
    with pytest.warns(UserWarning, match="were saved in a wider dtype.$"):
        restore_state(stepped(jl.adam(0.1)), narrow, PARAMS)


@pytest.mark.full
def test_what_has_several_arrays_for_a_parameter():
    tx, more = jl.sm3(0.1), PARAMS | {"also": jnp.ones((2, 3))}
    state = stepped(tx)
    with pytest.warns(UserWarning, match="\"mu/0 of 'also'\", .* begin anew.$"):
        found = restore_state(as_dicts(state), tx, more)
    assert list(same_bits("", found[0].mu["dense"], state[0].mu["dense"])) == []


@pytest.mark.full
def test_members_of_a_long_chain_keep_their_order():
    members = [jl.ema(x / 20) for x in range(11)]
    state = stepped(jl.chain(*members))
    longer = jl.chain(jl.clip(1.0), *members)
    named = dict(sorted(flatten_state(state).items()))
    found = restore_state(named, longer, PARAMS)
    assert list(same_bits("", found[1:], state)) == []


@pytest.mark.full
def test_names_of_parameters_that_look_like_those_of_a_state():
    params = {
        "codes": {"w": jnp.full((2, 4), 2.0)},
        "mu": {"w": jnp.full((2, 4), 3.0)},
        "count": jnp.ones((2, 4)),
        "w": jnp.ones((2, 4)),
    }
    tx = kept(jl.adam(0.1), "int8")
    state = stepped(tx, params)
    found = restore_state(as_dicts(state), tx, params)
    assert list(same_bits("", found, state)) == []


def test_numbers_of_python_become_arrays():
    tx = jl.inject_hyperparams(jl.sgd)(0.1)
    saved = jax.tree.map(lambda x: x.item(), as_dicts(stepped(tx)))
    found = restore_state(saved | {"hyperparams": {"learning_rate": 1.0}}, tx, PARAMS)
    assert found.count == 3 and found.hyperparams["learning_rate"] == 1
    assert list(same_types("", found, tx.init(PARAMS))) == []


def test_counts_are_told_apart_without_the_fields_that_hold_no_array():
    tx = jl.stochastic_rounding(jl.adamw(0.1))
    state = tx.init(PARAMS)._replace(count=jnp.int32(7))
    found = restore_state(flatten_state(state), jl.chain(jl.clip(1.0), tx), PARAMS)
    assert list(same_bits("", found[1], state)) == []


def test_boxes_are_seen_through():
    box = nn.Partitioned(PARAMS["dense"]["kernel"], names=(None, "model"))
    params = {"dense": PARAMS["dense"] | {"kernel": box}}
    tx = kept(jl.adam(0.1), "int8")
    state = stepped(tx)
    boxed = restore_state(state, tx, params)
    assert list(flatten_state(boxed)) == list(flatten_state(state))
    as_saved = as_dicts(boxed)
    assert as_saved["0"]["mu"]["codes"]["dense"]["kernel"].keys() == {"value"}
    found = restore_state(as_saved, jl.chain(jl.clip(1.0), tx), params)
    assert list(same_bits("", found[1], boxed)) == []


def test_one_bare_parameter_goes_on():
    tx = jl.store_state(jl.adam(0.1), "int8", where=lambda p: True)
    params = jnp.ones((2, 4))
    state = stepped(tx, params)
    found = restore_state(flatten_state(state), jl.chain(jl.clip(1.0), tx), params)
    assert list(same_bits("", found[1], state)) == []


def test_codes_of_a_codec_of_ones_own():
    own = jl.store_state(jl.trace(0.9), jl.Blocks(block=2), where=jl.weights_only)
    state = stepped(own)
    found = restore_state(state, jl.chain(jl.clip(1.0), own), PARAMS)
    assert list(same_bits("", found[1], state)) == []
    assert message(ValueError, restore_state, state, jl.trace(0.9), PARAMS) == (
        "restore_state: the codes of 1 array are those of no codec of the package for "
        "the parameter.\n"
        "  'dense/kernel': trace int8[4,6] with scales bfloat16[4,3]\n"
        "Expected the state of parameters of these shapes: one that a codec of your "
        "own has written goes on with `store_state(tx, codec)`."
    )
    codes = {"trace": jax.tree.map(lambda p: p.astype(jnp.int8), PARAMS)}
    text = message(ValueError, restore_state, codes, jl.trace(0.9), PARAMS)
    assert "'dense/bias': trace int8[6]" in text


def test_a_codec_of_ones_own_codes_at_the_next_update():
    plain = jl.trace(0.9)
    own = jl.store_state(plain, jl.Blocks(block=2), where=jl.weights_only)
    text = "'count' begin anew; \"trace of 'dense/kernel'\" are converted.$"
    with pytest.warns(UserWarning, match=text):
        found = restore_state(stepped(plain), own, PARAMS)
    kept = found.inner_state.trace
    assert list(same_bits("", kept.codes, stepped(plain).trace)) == []
    _, after = own.update(PARAMS, found, PARAMS)
    assert after.inner_state.trace.codes["dense"]["kernel"].dtype == np.int8


def test_codes_may_need_a_count_more():
    tx = kept(jl.sgd(0.1, momentum=0.9), "int8")
    plain = stepped(jl.sgd(0.1, momentum=0.9))
    with pytest.warns(UserWarning, match="'0/count' begin anew; .* are converted.$"):
        found = restore_state(plain, tx, PARAMS)
    assert list(same_types("", found, tx.init(PARAMS))) == []
    with pytest.warns(UserWarning, match="are converted.$"):
        back = restore_state(found, jl.sgd(0.1, momentum=0.9), PARAMS)
    assert_close(back[0].trace, plain[0].trace, 0.02)


def test_what_has_no_name_of_its_own():
    twice = {"a/b": jnp.ones(1), "a": {"b": jnp.ones(1)}}
    assert message(ValueError, flatten_state, twice) == (
        "flatten_state: 1 path stands for several leaves.\n"
        "  'a/b': stands several times\n"
        "Expected a path for each leaf: rename the keys that hold a '/'."
    )
