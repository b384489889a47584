"""Reading and changing the numbers of an optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close
from tests.table import COMBINED

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
        changed = jl.set_hyperparams(tx, {place: 0.375})
        assert jl.get_hyperparams(changed, changed.init(PARAMS))[place] == 0.375
        assert jl.get_hyperparams(tx, tx.init(PARAMS))[place] != 0.375


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
