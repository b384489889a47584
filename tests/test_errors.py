"""Bad input: every error names what it found, what it expected, and where."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl

PARAMS = {"dense": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}}
TX = jl.adamw(0.1)
STATE = TX.init(PARAMS)


def dense(kernel=PARAMS["dense"]["kernel"], bias=PARAMS["dense"]["bias"]):
    return {"dense": {"kernel": kernel, "bias": bias}}


def message(error, function, *args, **kwargs):
    """The text of the one error that a call raises."""
    with pytest.raises(error) as caught:
        function(*args, **kwargs)
    assert type(caught.value) is error
    return str(caught.value)


# Gradients, state and parameters that do not agree


def test_gradient_of_another_shape():
    g = dense(kernel=jnp.ones((2, 3)))
    assert message(ValueError, TX.update, g, STATE, PARAMS) == (
        "ScaleByAdam: 1 gradient does not have the shape of the parameter.\n"
        "  'dense/kernel': gradient float32[2,3], parameter float32[3,2]\n"
        "Expected equal shapes: pass each gradient at the path of its parameter."
    )
    g = dense(jnp.ones((2, 3)), jnp.ones(()))
    assert message(ValueError, TX.update, g, STATE, PARAMS) == (
        "ScaleByAdam: 2 gradients do not have the shape of the parameter.\n"
        "  'dense/bias': gradient float32[], parameter float32[2]\n"
        "  'dense/kernel': gradient float32[2,3], parameter float32[3,2]\n"
        "Expected equal shapes: pass each gradient at the path of its parameter."
    )


def test_gradient_of_another_shape_than_the_state():
    tx = jl.trace(0.9)
    g = dense(kernel=jnp.ones((2, 3)))
    text = message(ValueError, tx.update, g, tx.init(PARAMS))
    assert "'dense/kernel': state.trace float32[3,2], gradient float32[2,3]" in text


def test_missing_gradient():
    g = {"dense": {"kernel": jnp.ones((3, 2))}}
    text = message(ValueError, TX.update, g, STATE, PARAMS)
    assert text.startswith("ScaleByAdam: ")
    assert "\n  'dense/bias': " in text
    assert "kernel" not in text


def test_empty_gradients():
    text = message(ValueError, TX.update, {}, STATE, PARAMS)
    assert "'dense/bias'" in text and "'dense/kernel'" in text


def test_gradients_of_another_structure():
    g = {"layer": PARAMS["dense"]}
    text = message(ValueError, TX.update, g, STATE, PARAMS)
    for path in ("dense/bias", "dense/kernel", "layer/bias", "layer/kernel"):
        assert f"  '{path}': " in text


def test_a_surplus_gradient_without_parameters():
    tx = jl.trace(0.9)
    g = {**PARAMS, "extra": jnp.ones(1)}
    assert message(ValueError, tx.update, g, tx.init(PARAMS)) == (
        "Trace: the trees of state.trace and of the gradients do not match: they have "
        "2 leaves and 3.\n"
        "  'extra': missing in state.trace\n"
        "Expected the same paths: pass gradients, state and parameters of one model."
    )


def test_a_gradient_that_is_none():
    g = dense(bias=None)
    text = message(ValueError, TX.update, g, STATE, PARAMS)
    assert "  'dense/bias': gradient None, parameter float32[2]\n" in text


def test_a_gradient_that_is_masked_where_the_parameter_is_not():
    g = dense(bias=jl.MaskedNode())
    text = message(ValueError, TX.update, g, STATE, PARAMS)
    assert "  'dense/bias': gradient masked, parameter float32[2]\n" in text


@pytest.mark.parametrize("absent", [None, jl.MaskedNode()], ids=["None", "masked"])
def test_a_gradient_for_which_there_is_no_state(absent):
    tx = jl.trace(0.9)
    state = tx.init(dense(bias=absent))
    for params in (None, PARAMS):
        text = message(ValueError, tx.update, PARAMS, state, params)
        assert "  'dense/bias': " in text


@pytest.mark.parametrize(
    "tx", [jl.sgd(0.1), TX, jl.sm3(0.1)], ids=["sgd", "adam", "sm3"]
)
def test_what_has_neither_gradient_nor_state_takes_no_part(tx):
    g = dense(bias=None)
    filtered = tx.init(g)
    updates, state = tx.update(g, filtered, PARAMS)
    assert updates["dense"]["bias"] is None
    assert jax.tree.structure(state) == jax.tree.structure(filtered)
    assert updates["dense"]["kernel"].shape == PARAMS["dense"]["kernel"].shape


def test_a_state_of_another_optimizer_is_refused_where_none_is_kept():
    for tx in (jl.sgd(0.1), jl.scale(1.0), jl.chain(jl.identity(), jl.identity())):
        with pytest.raises(TypeError, match=r"the state is a.*; expected"):
            tx.update(PARAMS, jl.adam(0.1).init(PARAMS), PARAMS)


def test_a_tuple_is_no_state_with_a_count():
    tx = jl.scale_by_schedule(lambda count: 0.1)
    for state in ((), jl.EmptyState()):
        with pytest.raises(TypeError, match=r"expected ScaleByScheduleState\(count\)"):
            tx.update(PARAMS, state, PARAMS)


def test_arguments_in_the_wrong_order():
    assert message(TypeError, TX.update, PARAMS, PARAMS, STATE).startswith(
        "chain: the state is a dict; expected a tuple of 3, one for each member. "
        "Call update(updates, state, params) with the state"
    )


@pytest.mark.parametrize("value", [jnp.ones(2), None, "a", True], ids=str)
@pytest.mark.parametrize("tx", [jl.polyak_sgd(), jl.momo(), jl.reduce_on_plateau()])
def test_a_loss_that_is_no_number(tx, value):
    with pytest.raises(ValueError, match=r"value is .*; expected the loss, one number"):
        tx.update(PARAMS, tx.init(PARAMS), PARAMS, value=value)


@pytest.mark.parametrize(
    "build",
    [
        lambda mask: jl.masked(jl.sgd(0.1), mask),
        jl.freeze,
        lambda labels: jl.partition({True: jl.sgd(0.1), False: jl.sgd(0.2)}, labels),
    ],
    ids=["masked", "freeze", "partition"],
)
def test_a_value_for_no_parameter(build):
    tree = {"dense": True, "dnse": {"bias": False}, "x": True}
    text = message(ValueError, build(tree).init, PARAMS)
    assert "has 2 values too many.\n  'dnse/bias': no parameter\n  'x': no" in text
    assert "found parameters at 'dense/bias', 'dense/kernel'" in text


def test_an_error_inside_a_rule_names_the_parameter():
    tx = jl.adafactor(0.1)
    state = tx.init({"dense": {**PARAMS["dense"], "bias": jnp.ones(5)}})
    with pytest.raises(TypeError) as caught:
        tx.update(PARAMS, state, PARAMS)
    assert "This was at 'dense/bias'." in caught.value.__notes__


def test_a_bare_array_has_no_path():
    tx = jl.adam(0.1)
    p = jnp.ones(2)
    text = message(ValueError, tx.update, jnp.ones(3), tx.init(p), p)
    assert "  the parameter: gradient float32[3], parameter float32[2]\n" in text


def test_the_state_of_another_transformation():
    assert message(TypeError, jl.trace(0.9).update, PARAMS, jl.EmptyState()) == (
        "Trace: the state is an EmptyState; expected TraceState(trace). Pass the state "
        "that `init` or the last `update` of this transformation returned."
    )
    assert message(TypeError, TX.update, PARAMS, STATE[:2], PARAMS) == (
        "chain: the state is a tuple of 2; expected a tuple of 3, one for each member. "
        "Call update(updates, state, params) with the state that `init` or the last "
        "`update` of this chain returned."
    )
    named = jl.named_chain(("clip", jl.clip(1.0)))
    assert message(TypeError, named.update, PARAMS, {"klip": ()}) == (
        "named_chain: the state is ['klip']; expected a dict of ['clip']. Pass the "
        "state that `init` or the last `update` of this chain returned."
    )


BARE = jl.trace(0.9).init(PARAMS)


@pytest.mark.parametrize(
    ("tx", "state"),
    [
        (jl.masked(jl.trace(0.9), True), BARE),
        (jl.masked(optax.trace(0.9), True), BARE),
        (jl.chain(jl.masked(jl.trace(0.9), True)), (BARE,)),
        (jl.partition({"a": jl.trace(0.9)}, {"dense": "a"}), BARE),
        (jl.partition({"a": jl.trace(0.9)}, {"dense": "a"}), jl.PartitionState({})),
    ],
    ids=[
        "masked",
        "masked optax",
        "masked in a chain",
        "partition",
        "another partition",
    ],
)
def test_another_state_where_a_wrapped_one_belongs(tx, state):
    text = message(TypeError, tx.update, PARAMS, state, PARAMS)
    assert "expected" in text and "Pass the state that `init`" in text


# Leaves of the wrong kind


def test_integer_parameters():
    params = dense(bias=jnp.arange(2))
    assert message(TypeError, TX.init, params) == (
        "ScaleByAdam: 1 parameter is not floating-point.\n"
        "  'dense/bias': parameter int32[2]\n"
        "Expected floating-point or complex arrays: cast what is to be trained, "
        "filter other leaves out "
        "(`eqx.filter(model, eqx.is_inexact_array)`, `nnx.state(model, nnx.Param)`, "
        "Haiku's parameters without its state), or freeze them with `partition` and "
        "`set_to_zero`."
    )


def test_integer_gradients():
    text = message(TypeError, TX.update, dense(bias=jnp.arange(2)), STATE, PARAMS)
    assert "  'dense/bias': gradient int32[2]\n" in text


@pytest.mark.parametrize("leaf", ["relu", len, object, 3, True, np.arange(2)])
def test_leaves_that_are_no_arrays(leaf):
    text = message(TypeError, TX.init, dense(bias=leaf))
    assert text.startswith("ScaleByAdam: 1 parameter is not floating-point.\n")
    assert "\n  'dense/bias': parameter " in text


# Missing parameters


@pytest.mark.parametrize(
    "tx",
    [TX, jl.chain(jl.scale(1.0), TX), jl.add_decayed_weights(0.1, jl.weights_only)],
    ids=["adamw", "chain", "masked"],
)
def test_parameters_missing_where_they_are_needed(tx):
    assert message(ValueError, tx.update, PARAMS, tx.init(PARAMS)) == (
        "AddDecayedWeights: update was called without params; expected the parameters. "
        "Call update(updates, state, params)."
    )


def test_a_keyword_missing_where_it_is_needed():
    class Polyak(jl.Rule):
        def emit(self, g, slots, p, step, *, value):
            return value * g

    tx = jl.leafwise(Polyak())
    assert message(TypeError, tx.update, PARAMS, tx.init(PARAMS)) == (
        "Polyak: update was called without `value`; expected it as a keyword. "
        "Call update(updates, state, params, value=...)."
    )


# Numbers


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: jl.adam(0.1, b1=1.5), "b1 is 1.5; expected a number in [0, 1)."),
        (lambda: jl.adam(0.1, b2=1), "b2 is 1; expected a number in [0, 1)."),
        (
            lambda: jl.adam(-0.1),
            "learning_rate is -0.1; expected a number in [0, inf).",
        ),
        (
            lambda: jl.adamw(0.1, weight_decay=-0.01),
            "weight_decay is -0.01; expected a number in [0, inf).",
        ),
        (
            lambda: jl.sgd(jnp.array([0.1, -0.5])),
            "learning_rate is -0.5; expected a number in [0, inf).",
        ),
        (
            lambda: jl.reduce_on_plateau(rtol=0, atol=0),
            "rtol and atol are both 0; expected at least one above 0, by which a loss "
            "must fall to count as better.",
        ),
        (
            lambda: jl.sgd(float("nan")),
            "learning_rate is nan. A nan is unequal to itself and would be traced anew "
            "at every call; expected a number.",
        ),
        (
            lambda: jl.sgd(jl.by_path({"bias": -1.0, "*": 0.1})),
            "learning_rate['bias'] is -1; expected a number in [0, inf).",
        ),
        (lambda: jl.clip(-1.0), "max_delta is -1; expected a number in [0, inf]."),
    ],
)
def test_a_number_out_of_range(build, text):
    assert message(ValueError, build) == text


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: jl.adam("0.1"),
            "learning_rate is '0.1', a str; expected a number, an array, a schedule or "
            "by_path of these.",
        ),
        (
            lambda: jl.sgd(0.1, momentum=True),
            "momentum is True, a bool; expected a number, an array, a schedule or "
            "by_path of these.",
        ),
        (
            lambda: jl.clip_by_global_norm(jl.by_path({"*": 1.0})),
            "max_norm is one number for the whole tree, found by_path. Use `partition` "
            "to give groups of parameters transformations of their own.",
        ),
        (
            lambda: jl.scale_by_schedule(0.1),
            "step_size_fn is 0.1, a float; expected a schedule or a function of the "
            "count. Use `scale` for a number.",
        ),
        (
            lambda: jl.scale(None),
            "step_size is None; expected a number, an array, a "
            "schedule or by_path of these.",
        ),
    ],
)
def test_what_is_no_number(build, text):
    assert message(TypeError, build) == text


def test_nan_in_a_rule_of_ones_own():
    class Mine(jl.Rule):
        b1: float = 0.9

    assert message(ValueError, Mine, float("nan")) == (
        "b1 is nan. A nan is unequal to itself and would be traced anew at every "
        "call; expected a number."
    )


# Paths, masks and labels


def test_a_parameter_that_by_path_does_not_cover():
    tx = jl.adamw(jl.by_path({"kernel": 0.1, "*/kernel": 1.0}))
    params = {**PARAMS, "scale": jnp.ones(1)}
    assert message(ValueError, tx.init, params) == (
        "ScaleByLearningRate: by_path does not cover 2 of 3 parameters.\n"
        "  'dense/bias': matches no pattern\n"
        "  'scale': matches no pattern\n"
        "Expected one of 'kernel', '*/kernel' to match: add a pattern, or '*' as the "
        "last one."
    )


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        (
            {"dense/kernle": 0.1, "*": 1.0},
            "patterns that match no parameter.\n"
            "  'dense/kernle'; the nearest path is 'dense/kernel'\n"
            "Expected each to match a path: correct it or take it out.",
        ),
        (
            {"*": 1.0, "kernel": 0.1},
            "patterns behind '*', which matches every parameter before them.\n"
            "  'kernel' is never in force\n"
            "Expected it after them, as the first match wins: put '*' last.",
        ),
    ],
    ids=["matches nothing", "hidden"],
)
def test_a_pattern_that_is_never_in_force(rates, text):
    text = f"ScaleByLearningRate: by_path has {text}"
    with pytest.warns(UserWarning) as warned:
        jl.sgd(jl.by_path(rates)).init(PARAMS)
    assert [str(w.message) for w in warned] == [text]
    strict = jl.sgd(jl.by_path(rates, strict=True))
    assert message(ValueError, strict.init, PARAMS) == text


def test_by_path_called_as_a_schedule():
    assert message(TypeError, jl.by_path({"*": 0.1}), 0) == (
        "by_path was called with a number, as a schedule is; expected a tree: its "
        "values depend on the path of a parameter, not on the step."
    )


@pytest.mark.parametrize(
    ("error", "rules", "text"),
    [
        (
            TypeError,
            ["*"],
            "by_path: found a list; expected a dict from pattern to value, such as "
            "{'*bias': 0.0, '*': 0.01}.",
        ),
        (
            ValueError,
            {},
            "by_path: found no pattern; expected at least one, such as '*'.",
        ),
        (
            ValueError,
            {"re:(": 1.0},
            "by_path: the pattern 're:(' is no regular expression: missing ), "
            "unterminated subpattern at position 0.",
        ),
    ],
)
def test_by_path_of_bad_patterns(error, rules, text):
    assert message(error, jl.by_path, rules) == text


def test_a_pattern_that_is_no_string():
    assert "by_path" in message(TypeError, jl.by_path, {0: 1.0})


@pytest.mark.parametrize(
    ("tx", "where"),
    [
        (jl.masked(jl.scale(1.0), {"dense": {"kernel": True}}), "masked"),
        (jl.freeze({"dense": {"kernel": True}}), "freeze"),
        (jl.partition({True: jl.sgd(0.1)}, {"dense": {"kernel": True}}), "partition"),
    ],
    ids=["masked", "freeze", "partition"],
)
def test_a_tree_that_does_not_cover(tx, where):
    state = tx.init({"dense": {"kernel": jnp.ones((3, 2))}})
    for call in (
        lambda: tx.init(PARAMS),
        lambda: tx.update(PARAMS, state, PARAMS),
    ):
        assert message(ValueError, call) == (
            f"{where}: a mask or tree of labels does not cover 1 of 2 parameters.\n"
            "  'dense/bias': not covered\n"
            "Expected a value at each of them or above; found values at "
            "'dense/kernel'."
        )


def test_a_mask_that_does_not_cover_in_a_recipe():
    tx = jl.adamw(0.1, mask={"dense": {"kernel": True}})
    assert "'dense/bias': not covered" in message(ValueError, tx.init, PARAMS)


def test_a_label_without_a_transformation():
    tx = jl.partition({"a": jl.sgd(0.1)}, jl.by_path({"bias": "b", "*": "a"}))
    assert message(ValueError, tx.init, PARAMS) == (
        "partition: labels without a transformation.\n"
        "  'dense/bias': label 'b'\n"
        "Expected one of 'a': correct the label or add a transformation."
    )


# Members that are no transformations


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: jl.chain(jl.clip(1.0), 0.1),
            "chain: member 1 is 0.1, a float; expected a transformation with `init` "
            "and `update`, such as `scale(0.1)`.",
        ),
        (
            lambda: jl.chain(None),
            "chain: member 0 is None; expected a transformation with "
            "`init` and `update`, such as `scale(0.1)`.",
        ),
        (
            lambda: jl.named_chain(("lr", 0.1)),
            "named_chain: 'lr' is 0.1, a float; expected a transformation with `init` "
            "and `update`, such as `scale(0.1)`.",
        ),
        (
            lambda: jl.named_chain(0.1),
            "named_chain: member 0 is 0.1; expected a pair of a name and a "
            "transformation, such as ('clip', clip(1.0)).",
        ),
        (
            lambda: jl.masked(None, True),
            "masked: inner is None; expected a transformation with `init` "
            "and `update`, such as `scale(0.1)`.",
        ),
        (
            lambda: jl.partition({"a": "sgd"}, jl.by_path({"*": "a"})),
            "partition: 'a' is 'sgd', a str; expected a transformation with `init` "
            "and `update`, such as `scale(0.1)`.",
        ),
        (
            lambda: jl.leafwise(jl.sgd(0.1)),
            "leafwise: found chain(Identity(), leafwise(ScaleByLearningRate("
            "learning_rate=0.1))), a Chain; expected an instance of a subclass of "
            "`Rule`.",
        ),
    ],
)
def test_a_member_that_is_no_transformation(build, text):
    assert message(TypeError, build) == text


def test_a_factory_that_was_not_called():
    text = message(TypeError, jl.chain, jl.identity)
    assert "chain: member 0 is <function identity" in text
    assert text.endswith("such as `scale(0.1)`. If it makes one, call it.")


def test_a_schedule_among_members():
    text = message(TypeError, jl.chain, jl.constant_schedule(0.1))
    assert text.endswith(
        "such as `scale(0.1)`. A schedule is given as a learning rate, or to "
        "`scale_by_schedule`."
    )


def test_a_list_of_members():
    text = message(TypeError, jl.chain, [jl.clip(1.0), jl.sgd(0.1)])
    assert text.startswith("chain: member 0 is ") and text.endswith(
        "such as `scale(0.1)`. Of several make one: `chain(*members)`."
    )


def test_numbers_in_a_list_or_a_dict():
    expected = "expected a number, an array, a schedule or by_path of these."
    assert message(TypeError, jl.adam, [0.1, 0.2]) == (
        f"learning_rate is (0.1, 0.2), a tuple; {expected} To sweep over many, give an "
        f"array to jax.vmap over the optimizer."
    )
    assert message(TypeError, jl.adam, {"bias": 0.1}) == (
        f"learning_rate is {{'bias': 0.1}}, a dict; {expected} To give groups of "
        f"parameters their own, make a by_path of it."
    )
    assert message(TypeError, jl.adam, [jnp.ones(99)] * 9).startswith(
        "learning_rate is a tuple; "
    )


def test_a_schedule_that_returns_no_number():
    tx = jl.adam(jl.constant_schedule)
    assert message(TypeError, tx.init, PARAMS) == (
        "the schedule constant_schedule returned Constant(value=float32[]), a "
        "Constant; expected one number for a step count. If it makes a schedule, "
        "call it."
    )
    text = message(TypeError, jl.adam(lambda count: None).init, PARAMS)
    assert "returned None; expected one number" in text


def test_a_name_that_stands_twice():
    pair = ("clip", jl.clip(1.0))
    assert message(ValueError, jl.named_chain, pair, pair) == (
        "named_chain: 'clip' names several members; expected each name once."
    )


# Updates applied to the wrong parameters


def test_an_update_of_another_shape():
    u = dense(bias=jnp.ones(3))
    assert message(ValueError, jl.apply_updates, PARAMS, u) == (
        "apply_updates: 1 update does not have the shape of the parameter.\n"
        "  'dense/bias': update float32[3], parameter float32[2]\n"
        "Expected equal shapes: pass each update at the path of its parameter."
    )


def test_an_update_without_a_parameter():
    u = {**PARAMS, "extra": jnp.ones(1)}
    text = message(ValueError, jl.apply_updates, PARAMS, u)
    assert "  'extra': only in the updates\n" in text


# Rules of one's own


class Mean(NamedTuple):
    """A slot."""

    mu: jl.Signed


def test_an_update_that_has_not_the_shape_of_the_gradient():
    class Sum(jl.Rule):
        def emit(self, g, slots, p, step):
            return jnp.sum(g)

    tx = jl.leafwise(Sum())
    text = message(ValueError, tx.update, PARAMS, tx.init(PARAMS))
    assert "Sum" in text and "float32[2]" in text


def test_a_slot_that_changes_its_shape():
    class Grow(jl.Rule):
        Slots = Mean

        def advance(self, g, slots, p, step):
            return Mean(jnp.sum(g))

    tx = jl.leafwise(Grow())
    text = message(ValueError, tx.update, PARAMS, tx.init(PARAMS))
    assert "Grow" in text and "mu" in text
