"""Reading and changing the numbers of an optimizer."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close
from tests.table import CASES, COMBINED

PARAMS = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3), "scale": jnp.ones(3)}
G = jax.tree.map(lambda p: 0.1 * p, PARAMS)


def falling(count):
    return 0.5 / (1 + count)


def after(tx, steps, **extra):
    state = tx.init(PARAMS)
    for _ in range(steps):
        _, state = tx.update(G, state, PARAMS, **extra)
    return state


def test_the_numbers_of_adamw():
    tx = jl.adamw(falling, weight_decay=0.25)
    assert jl.get_hyperparams(tx, after(tx, 3)) == {
        "0/b1": 0.9,
        "0/b2": 0.999,
        "0/eps": 1e-8,
        "0/eps_root": 0.0,
        "1/weight_decay": 0.25,
        "2/learning_rate": 0.125,
    }


WRAPPED = {
    "masked": (lambda tx: jl.masked(tx, jl.by_path({"*": True})), {}),
    "MultiSteps": (lambda tx: jl.MultiSteps(tx, 2), {}),
    "apply_if_finite": (lambda tx: jl.apply_if_finite(tx, 3), {}),
    "lookahead": (lambda tx: jl.lookahead(tx, 2, 0.5), {"slow_step_size": 0.5}),
    "conditionally_mask": (lambda tx: jl.conditionally_mask(tx, lambda n: n < 9), {}),
    "flatten": (jl.flatten, {}),
    "split_real_and_imaginary": (jl.split_real_and_imaginary, {}),
    "named_chain": (lambda tx: jl.named_chain(("opt", tx)), {}),
    "partition": (lambda tx: jl.partition({"all": tx}, jl.by_path({"*": "all"})), {}),
    "mechanize": (jl.mechanize, {"tuner/s_init": 1e-6}),
    "sam": (
        lambda tx: jl.sam(tx, jl.sgd(0.125)),
        {"adv_optimizer/1/learning_rate": 0.125},
    ),
    "schedule_free": (lambda tx: jl.schedule_free(tx, falling), {"average/b1": 0.9}),
    "galore": (
        lambda tx: jl.scale_by_galore(1, 5, 0.5, base_optimizer=tx),
        {"scale": 0.5},
    ),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_the_rate_inside_any_wrapper(wrap):
    make, own = wrap
    tx = make(jl.adam(jl.piecewise_constant_schedule(0.5, {1: 0.5})))
    params = PARAMS
    if "slow_step_size" in own:
        params = jl.LookaheadParams.init_synced(PARAMS)
    state = tx.init(params)
    for _ in range(4):
        _, state = tx.update(G, state, params)
    found = jl.get_hyperparams(tx, state)
    assert own.items() <= found.items()
    rates = [x for k, x in found.items() if k.endswith("1/learning_rate")]
    assert 0.25 in rates


@pytest.mark.parametrize("name", COMBINED)
def test_every_combination_shows_its_numbers_and_takes_others(name):
    tx = COMBINED[name].make(jl)
    shown = jax.eval_shape(lambda p: jl.get_hyperparams(tx, tx.init(p)), PARAMS)
    for place in shown:
        x = 7.0 if place == "every_k_schedule" else 0.375
        changed = jl.set_hyperparams(tx, {place: x})
        assert jl.get_hyperparams(tx, tx.init(PARAMS))[place] != x
        assert jl.get_hyperparams(changed, changed.init(PARAMS)).get(place, x) == x


@pytest.mark.parametrize("name", [*CASES, *COMBINED])
def test_what_is_no_number_stands_nowhere(name):
    tx = CASES[name].ours() if name in CASES else COMBINED[name].make(jl)
    for node in nodes(tx):
        for place in node.hyperparams():
            with pytest.raises(TypeError, match="is 'text', a str"):
                node.with_hyperparams({place: "text"})


@pytest.mark.parametrize(
    ("tx", "numbers"),
    [
        (jl.adamw(0.1), {"b1": 1.0}),
        (jl.adamw(0.1), {"learning_rate": -0.1}),
        (jl.adamw(0.1), {"b2": jnp.float32(1.0)}),
        (jl.sgd(0.1, momentum=0.9), {"decay": -5.0}),
        (jl.rprop(0.1), {"eta_minus": 2.0}),
        (jl.clip(1.0), {"max_delta": -1.0}),
        (jl.differentially_private_aggregate(1.0, 0.1, 0), {"noise_multiplier": -1}),
        (jl.differentially_private_aggregate(1.0, 0.1, 0), {"l2_norm_clip": -1}),
        (jl.inject_hyperparams(jl.adamw)(0.1), {"b1": 1.0}),
    ],
)
def test_an_optimizer_takes_no_number_that_its_factory_refuses(tx, numbers):
    with pytest.raises(ValueError, match=r"^set_hyperparams: .* is .*; expected a num"):
        jl.set_hyperparams(tx, numbers)


@pytest.mark.parametrize(
    ("tx", "numbers", "text"),
    [
        (
            jl.clip_by_global_norm(1.0),
            {"max_norm": jl.by_path({"*": 1.0})},
            "max_norm is one number for the whole tree",
        ),
        (
            jl.lookahead(jl.sgd(0.1), 2, 0.5),
            {"slow_step_size": falling},
            "slow_step_size is .*; expected a number or an array that stays",
        ),
    ],
)
def test_an_optimizer_takes_no_kind_of_number_that_its_factory_refuses(
    tx, numbers, text
):
    with pytest.raises(TypeError, match=text):
        jl.set_hyperparams(tx, numbers)


def nodes(tx):
    """A transformation and all that it is made of."""
    yield tx
    for child in tx.children().values():
        yield from nodes(child)


def nested(x):
    """The transformations in the fields of a value, however deep in tuples."""
    if isinstance(x, tuple):
        return [y for part in x for y in nested(part)]
    return [x] if isinstance(x, jl.GradientTransformation) else []


@pytest.mark.parametrize("name", COMBINED)
def test_every_combinator_names_what_it_is_made_of(name):
    for tx in nodes(COMBINED[name].make(jl)):
        fields = tuple(getattr(tx, x.name) for x in dataclasses.fields(tx))
        assert nested(fields) == list(tx.children().values())
        assert tx.with_children(tx.children()) == tx


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_the_names_that_are_shown_are_those_of_the_state(wrap):
    make, own = wrap
    tx = make(jl.inject_hyperparams(jl.scale_by_learning_rate)(0.75))
    params = PARAMS
    if "slow_step_size" in own:
        params = jl.LookaheadParams.init_synced(PARAMS)
    state = tx.init(params)
    shown = jl.get_hyperparams(tx, state)
    (name,) = (
        k for k in shown if k.split("/")[-1] == "learning_rate" and shown[k] == 0.75
    )
    changed = jl.set_hyperparams(state, {name: 0.25})
    assert jl.get_hyperparams(tx, changed)[name] == 0.25
    assert jax.tree.structure(changed) == jax.tree.structure(state)


def test_either_optimizer_of_a_sam_is_set():
    inject = jl.inject_hyperparams(jl.sgd)
    tx = jl.sam(inject(0.5), inject(0.25))
    state = jl.set_hyperparams(
        tx.init(PARAMS),
        {"optimizer/learning_rate": 1.0, "adv_optimizer/learning_rate": 2.0},
    )
    assert jl.get_hyperparams(tx, state) == {
        "optimizer/learning_rate": 1.0,
        "adv_optimizer/learning_rate": 2.0,
    }


def test_a_number_inside_another_is_set():
    inner = jl.inject_hyperparams(jl.sgd)(0.5)
    tx = jl.inject_hyperparams(lambda factor: jl.chain(inner, jl.scale(factor)))(2.0)
    state = jl.set_hyperparams(tx.init(PARAMS), learning_rate=0.25, factor=4.0)
    assert_close(tx.update(G, state)[0], jax.tree.map(lambda g: -g, G), 1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_number_in_its_own_place_makes_an_equal_optimizer(name):
    for tx in nodes(CASES[name].ours()):
        for place, x in tx.hyperparams().items():
            assert jl.set_hyperparams(tx, {place: x}) == tx


def test_the_rate_of_optax_is_shown_where_it_is_in_the_state():
    injected = optax.inject_hyperparams(optax.sgd)(0.5)
    tx = jl.chain(jl.clip(1.0), injected, optax.scale(2.0))
    state = tx.init(PARAMS)
    assert jl.get_hyperparams(tx, state)["1/learning_rate"] == 0.5
    state = jl.set_hyperparams(state, learning_rate=0.25)
    assert_close(tx.update(G, state)[0], jax.tree.map(lambda g: -0.5 * g, G), 1e-6)


def test_numbers_in_a_state_are_changed_without_a_trace():
    tx = jl.chain(jl.clip(1.0), jl.inject_hyperparams(jl.adamw)(0.5))
    traces = []

    @jax.jit
    def step(state):
        traces.append(1)
        return tx.update(G, state, PARAMS)

    state = tx.init(PARAMS)
    for rate in (0.5, jnp.float32(0.25), np.float64(0.125), 1):
        kept = state
        state = jl.set_hyperparams(state, learning_rate=rate)
        assert jl.get_hyperparams(tx, state)["1/learning_rate"] == rate
        assert state is not kept
        _, state = step(state)
    assert len(traces) == 1
    assert kept[1].hyperparams["learning_rate"] == 0.125


def test_a_path_picks_one_of_several():
    inject = jl.inject_hyperparams(jl.sgd)
    tx = jl.partition(
        {"a": inject(0.5), "b": inject(0.25)}, jl.by_path({"bias": "a", "*": "b"})
    )
    state = jl.set_hyperparams(tx.init(PARAMS), {"b/learning_rate": 0.125})
    assert jl.get_hyperparams(tx, state) == {
        "a/learning_rate": 0.5,
        "b/learning_rate": 0.125,
    }
    with pytest.raises(KeyError, match="stands 2 times: a/learning_rate, b/learning"):
        jl.set_hyperparams(state, learning_rate=0.1)


def test_patterns_have_numbers_of_their_own():
    tx = jl.sgd(jl.by_path({"bias": 0.5, "*": falling}))
    found = jl.get_hyperparams(tx, after(tx, 1))
    assert found == {"1/learning_rate[bias]": 0.5, "1/learning_rate[*]": 0.25}
    changed = jl.set_hyperparams(tx, {"learning_rate[bias]": 0.125})
    assert jl.get_hyperparams(changed, after(changed, 1)) == {
        "1/learning_rate[bias]": 0.125,
        "1/learning_rate[*]": 0.25,
    }
    whole = jl.set_hyperparams(tx, {"1/learning_rate": 0.75})
    assert whole == jl.sgd(0.75)


def test_another_array_is_no_other_trace_and_another_number_is():
    traces = []

    @jax.jit
    def step(tx):
        traces.append(1)
        return tx.update(G, tx.init(PARAMS), PARAMS)

    tx = jl.adamw(jnp.float32(0.5), weight_decay=jnp.float32(0.1))
    for rate in (0.5, 0.25):
        step(jl.set_hyperparams(tx, learning_rate=jnp.float32(rate)))
    assert len(traces) == 1
    step(jl.set_hyperparams(tx, weight_decay=0.5))
    assert len(traces) == 2


def test_the_period_of_accumulation_is_shown_at_its_own_count():
    tx = jl.MultiSteps(jl.sgd(0.5), lambda count: 2 + count)
    assert jl.get_hyperparams(tx, after(tx, 2))["every_k_schedule"] == 3


@pytest.mark.parametrize("flip_sign", [True, False])
def test_a_rate_is_called_one_whichever_way_it_goes(flip_sign):
    tx = jl.scale_by_learning_rate(0.5, flip_sign=flip_sign)
    assert jl.get_hyperparams(tx, tx.init(PARAMS)) == {"learning_rate": 0.5}


def test_all_lanes_of_a_swept_state_are_set():
    tx = jl.inject_hyperparams(jl.sgd)(0.5)
    lanes = jax.vmap(lambda _: tx.init(PARAMS))(jnp.arange(3))
    for rate in (0.25, jnp.array([0.25, 0.5, 1.0])):
        state = jl.set_hyperparams(lanes, learning_rate=rate)
        expected = np.broadcast_to(rate, 3)
        assert state.hyperparams["learning_rate"].tolist() == expected.tolist()
    with pytest.raises(
        ValueError, match=r"float32\[2\]; expected one number, or float"
    ):
        jl.set_hyperparams(lanes, learning_rate=jnp.ones(2))


def test_a_number_on_many_devices_stays_there_and_compiles_nothing():
    everywhere = jax.sharding.NamedSharding(
        jax.make_mesh((8,), ("x",)), jax.sharding.PartitionSpec()
    )
    tx = jl.inject_hyperparams(jl.sgd)(0.5)
    step = jax.jit(lambda state: tx.update(G, state)[1])
    state = step(jax.device_put(tx.init(PARAMS), everywhere))
    state = jl.set_hyperparams(step(state), learning_rate=0.25)
    assert state.hyperparams["learning_rate"].sharding == everywhere
    compiled = step._cache_size()
    step(state)
    assert step._cache_size() == compiled


def test_a_schedule_takes_the_place_of_a_number():
    assert jl.set_hyperparams(jl.adam(0.1), learning_rate=falling) == jl.adam(falling)


def test_numbers_are_read_under_jit():
    tx = jl.chain(jl.clip_by_global_norm(1.0), jl.sgd(falling))
    rate = jax.jit(lambda state: jl.get_hyperparams(tx, state)["1/1/learning_rate"])
    assert rate(after(tx, 3)) == 0.125


INJECTED = jl.inject_hyperparams(jl.adamw)(falling, weight_decay=0.5)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: jl.set_hyperparams(jl.adamw(0.1), weight_deca=0.1),
            KeyError,
            "'weight_deca' stands nowhere; the nearest name is '1/weight_decay'",
        ),
        (
            lambda: jl.set_hyperparams(INJECTED.init(PARAMS), ep=0.1),
            KeyError,
            "'ep' stands nowhere; the nearest name is 'eps'",
        ),
        (
            lambda: jl.set_hyperparams(jl.adam(0.1).init(PARAMS), learning_rate=0.1),
            KeyError,
            "'learning_rate' stands nowhere",
        ),
        (
            lambda: jl.set_hyperparams(INJECTED.init(PARAMS), learning_rate=0.1),
            ValueError,
            "learning_rate follows a schedule",
        ),
        (
            lambda: jl.set_hyperparams(INJECTED.init(PARAMS), weight_decay=falling),
            TypeError,
            "weight_decay is .*; expected a number or an array",
        ),
        (
            lambda: jl.set_hyperparams(jl.sgd(0.1), learning_rate="0.1"),
            TypeError,
            "learning_rate is '0.1', a str; expected a number",
        ),
        (
            lambda: jl.set_hyperparams(jl.adamw(0.1), {"0/b1": 1.5}),
            ValueError,
            r"set_hyperparams: 0/b1 is 1.5; expected a number in \[0, 1\)",
        ),
        (
            lambda: jl.set_hyperparams(INJECTED.init(PARAMS), weight_decay=-1),
            ValueError,
            r"weight_decay is -1; expected a number in \[0, inf\)",
        ),
        (
            lambda: jl.set_hyperparams(jl.adam(0.1).init(PARAMS), learning_rate=0.1),
            KeyError,
            "'learning_rate' stands nowhere: there are no numbers that may be changed. "
            "A state holds those of `inject_hyperparams`; others are changed in the "
            "optimizer",
        ),
        (
            lambda: jl.set_hyperparams(jl.adamw(0.1), b4=0.1, colour=3),
            KeyError,
            "'b4' stands nowhere; the nearest name is '0/b.'; 'colour' stands nowhere "
            "among 0/b1, 0/b2, 0/eps, 0/eps_root, 1/weight_decay, 2/learning_rate",
        ),
        (
            lambda: jl.set_hyperparams(jl.adamw(0.1), {"b1": 0.1, "0/b1": 0.2}),
            KeyError,
            "'b1' and '0/b1' are the same number",
        ),
        (
            lambda: jl.set_hyperparams(jl.adamw(0.1), {"b1": 0.1}, b1=0.2),
            TypeError,
            "b1 stands in the dict and among the keywords",
        ),
        (
            lambda: jl.set_hyperparams(jl.adamw(0.1), 0.1),
            TypeError,
            "the hyperparameters are 0.1, a float; expected a dict",
        ),
        (
            lambda: jl.set_hyperparams(INJECTED.init(PARAMS), weight_decay=1e300),
            ValueError,
            r"set_hyperparams: weight_decay in float32 is inf; expected a number in",
        ),
        (
            lambda: jl.set_hyperparams(INJECTED.init(PARAMS), b2=1 - 1e-9),
            ValueError,
            r"set_hyperparams: b2 in float32 is 1; expected a number in \[0, 1\)",
        ),
        (
            lambda: jl.set_hyperparams(
                jl.sgd(jl.by_path({"bias": 0.5, "*": 0.25})),
                {"learning_rate": 0.1, "learning_rate[bias]": 0.0},
            ),
            KeyError,
            r"'learning_rate' and 'learning_rate.bias.' are the same number",
        ),
        (
            lambda: jl.set_hyperparams(jl.sgd(0.1), {3: 0.1}),
            TypeError,
            "3 is no name; expected strings",
        ),
        (
            lambda: jl.set_hyperparams(jl.sgd(0.1), learning_rate=10**400),
            ValueError,
            "learning_rate is beyond what a float holds",
        ),
        (
            lambda: jl.set_hyperparams(jl.sgd(0.1), learning_rate=float),
            TypeError,
            "learning_rate is <class 'float'>",
        ),
        (
            lambda: jl.get_hyperparams(3, ()),
            TypeError,
            "get_hyperparams: the optimizer is 3",
        ),
        (
            lambda: jl.get_hyperparams(jl.adam(0.1), jl.sgd(0.1).init(PARAMS)),
            TypeError,
            "the state is an EmptyState; expected ScaleByAdamState",
        ),
    ],
)
def test_what_is_wrong_is_said(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_an_integer_assigned_in_place_rounds_nothing_later():
    state = jl.inject_hyperparams(jl.sgd)(0.1).init(jnp.ones(2))
    state.hyperparams["learning_rate"] = 1
    found = jl.set_hyperparams(state, learning_rate=0.2).hyperparams["learning_rate"]
    assert found == jnp.float32(0.2) and found.dtype == jnp.float32


def test_a_state_shares_no_memory_with_its_new_numbers():
    tx, x = jl.inject_hyperparams(jl.adamw)(0.1), jnp.float32(0.5)
    state = jl.set_hyperparams(tx.init(jnp.ones(2)), learning_rate=x, b1=x)
    step = jax.jit(
        lambda s: tx.update(jnp.ones(2), s, jnp.ones(2))[1], donate_argnums=0
    )
    step(state)
    assert float(x) == 0.5


def test_numbers_of_a_batch_of_states_with_a_schedule_are_arrays():
    tx = jl.inject_hyperparams(jl.adamw)(jl.linear_schedule(1.0, 0.0, 10))
    states = jax.vmap(tx.init)(jnp.ones((2, 3)))
    assert jl.get_hyperparams(tx, states)["learning_rate"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("state", [None, jl.adam(0.1).init(jnp.ones(2))])
def test_the_state_of_another_optimizer_is_refused(state):
    with pytest.raises(TypeError, match="get_hyperparams: the state is a"):
        jl.get_hyperparams(jl.inject_hyperparams(jl.adamw)(0.1), state)


def test_a_number_cannot_be_injected_into_what_is_injected():
    inner = jl.inject_hyperparams(jl.sgd)
    tx = jl.inject_hyperparams(lambda momentum: jl.chain(inner(0.5, momentum)))(0.25)
    with pytest.raises(TypeError) as caught:
        tx.init(PARAMS)
    assert str(caught.value) == (
        "inject_hyperparams: inner_factory keeps momentum in the state already; "
        "expected a function that makes a transformation of numbers, such as `adamw` "
        "itself."
    )


def test_injected_beside_what_is_injected():
    inner = jl.inject_hyperparams(jl.sgd)
    tx = jl.inject_hyperparams(lambda size: jl.chain(inner(0.5), jl.scale(size)))(0.25)
    state = jl.set_hyperparams(tx.init(PARAMS), {"inner_state/0/learning_rate": 0.125})
    assert jl.get_hyperparams(tx, state) == {
        "size": 0.25,
        "inner_state/0/learning_rate": 0.125,
    }


def test_numbers_inside_a_factory_that_it_was_not_given():
    tx = jl.inject_hyperparams(jl.scale_by_galore, "update_proj_gap")(
        1, 5, scale=0.5, base_optimizer=jl.sgd(falling, momentum=0.75)
    )
    assert jl.get_hyperparams(tx, after(tx, 3)) == {
        "scale": 0.5,
        "inner_state/0/decay": 0.75,
        "inner_state/1/learning_rate": 0.125,
    }
    tx = jl.inject_hyperparams(jl.scale_by_schedule)(falling)
    assert jl.get_hyperparams(tx, after(tx, 3)) == {"inner_state/step_size": 0.125}
    tx = jl.inject_hyperparams(jl.sgd, static_args="learning_rate")(falling)
    found = jl.get_hyperparams(tx, after(tx, 3))
    assert found == {"inner_state/1/learning_rate": 0.125}


def test_a_name_that_stands_in_a_wrapper_and_in_what_it_wraps():
    tx = jl.scale_by_galore(1, 5, 0.5, base_optimizer=jl.scale_by_galore(1, 5, 0.25))
    tx = jl.set_hyperparams(tx, {"base/scale": 0.125})
    found = jl.get_hyperparams(tx, tx.init(PARAMS))
    assert (found["scale"], found["base/scale"]) == (0.5, 0.125)


def test_a_state_of_shapes_has_no_numbers():
    tx = jl.adam(0.5)
    with pytest.raises(TypeError, match="the state is one of shapes; expected one of"):
        jl.get_hyperparams(tx, jax.eval_shape(tx.init, PARAMS))


@pytest.mark.parametrize(
    ("given", "found"),
    [(3.0, "a float, 3.0"), (jl.adamw, "a function, adamw"), ("adamw", "a str, 'ad")],
)
def test_setting_the_numbers_of_what_has_none(given, found):
    with pytest.raises(TypeError) as caught:
        jl.set_hyperparams(given, learning_rate=0.5)
    text = str(caught.value)
    assert text.startswith(f"set_hyperparams: found {found}")
    assert "expected a transformation of jaxopt_lite" in text
    with pytest.raises(TypeError, match="expected a transformation of jaxopt_lite"):
        jl.set_hyperparams(optax.adam(0.5), learning_rate=0.5)


def test_numbers_injected_within_another_library_are_shown_and_set():
    tx = optax.chain(optax.clip(1.0), optax.inject_hyperparams(optax.sgd)(0.5))
    state = jl.set_hyperparams(tx.init(PARAMS), learning_rate=0.25)
    assert jl.get_hyperparams(tx, state) == {"1/learning_rate": 0.25}


def test_a_number_by_path_is_shown_and_set_where_others_are_injected():
    decay = jl.by_path({"bias": 0.0, "*": falling})
    tx = jl.inject_hyperparams(jl.adamw)(0.5, weight_decay=decay)
    _, state = tx.update(G, tx.init(PARAMS), PARAMS)
    found = jl.get_hyperparams(tx, state)
    assert (found["weight_decay[bias]"], found["weight_decay[*]"]) == (0.0, 0.25)
    plain = jl.set_hyperparams(tx, weight_decay=0.125)
    assert plain.init(PARAMS).hyperparams["weight_decay"] == 0.125
    again = jl.set_hyperparams(plain, weight_decay=decay)
    assert jax.tree.structure(again) == jax.tree.structure(tx)


def test_a_schedule_and_back_makes_an_equal_optimizer():
    tx = jl.inject_hyperparams(jl.adamw)(0.5)
    scheduled = jl.set_hyperparams(tx, learning_rate=falling)
    assert scheduled.init(PARAMS).hyperparams["learning_rate"] == 0.5
    assert jl.set_hyperparams(scheduled, learning_rate=0.5) == tx


def test_a_schedule_with_a_state_goes_where_its_state_is_kept():
    schedule = jl.WrappedSchedule(falling)
    tx = jl.set_hyperparams(jl.inject_hyperparams(jl.sgd)(0.1), learning_rate=schedule)
    assert jl.get_hyperparams(tx, after(tx, 1))["learning_rate"] == 0.25
    with pytest.raises(TypeError, match="learning_rate is .*keeps a state of its own"):
        jl.set_hyperparams(jl.sgd(0.1), learning_rate=schedule)


def test_an_array_takes_the_dtype_of_the_one_before():
    tx = jl.sgd(jnp.float32(0.5))
    weak = jl.set_hyperparams(tx, learning_rate=jnp.asarray(0.25))
    assert jax.tree.map(jnp.shape, weak) == jax.tree.map(jnp.shape, tx)
    (x,) = jax.tree.leaves(weak)
    assert (x.dtype, x.weak_type, float(x)) == (jnp.float32, False, 0.25)
    by_path = jl.sgd(jl.by_path({"bias": jnp.float32(0.5), "*": jnp.float32(0.1)}))
    weak = jl.set_hyperparams(by_path, {"learning_rate[bias]": jnp.asarray(0.25)})
    assert [(x.dtype, x.weak_type) for x in jax.tree.leaves(weak)] == [
        (jnp.float32, False)
    ] * 2


def test_whole_numbers_in_an_array_are_numbers():
    tx = jl.sgd(jnp.array(2))
    assert jl.get_hyperparams(tx, tx.init(PARAMS)) == {"1/learning_rate": 2.0}
    for wrong in (jnp.array(True), jnp.array(1j)):
        with pytest.raises(TypeError, match=r"learning_rate is (bool|complex64)\[\]"):
            jl.sgd(wrong)


def test_steps_in_an_array_are_whole():
    with pytest.raises(ValueError, match=r"sync_period is 2\.5; expected integers"):
        jl.lookahead(jl.sgd(0.1), jnp.float32(2.5), 0.5)


def test_what_a_factory_raises_while_it_is_traced_is_what_is_raised():
    def branching(rate):
        return jl.sgd(rate if rate > 0.5 else 0.5)

    tx = jl.inject_hyperparams(branching)(0.75)
    with pytest.raises(jax.errors.TracerBoolConversionError):
        jax.jit(lambda x: jl.set_hyperparams(tx, rate=x).numbers)(0.25)


def test_none_stands_only_where_it_may():
    class Mine(jl.GradientTransformation):
        rate: float | jl.Schedule

    with pytest.raises(TypeError, match="rate is None"):
        jl.set_hyperparams(Mine(0.5), rate=None)
