"""How often things are traced, and how much is lowered."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax.training.train_state import TrainState

import jaxopt_lite as jl
from tests.helpers import count_traces

PARAMS = {f"layer{i}": {"w": jnp.ones((4, 3)), "b": jnp.ones(3)} for i in range(6)}
BATCH = jnp.ones((2, 4))


class Log(list):
    """What was traced; it is compared by identity, and stays the list it is."""


class Counted(jl.Rule):
    """Counts how often its arithmetic is traced."""

    log: Any
    weight: Any = 1.0

    def emit(self, g, slots, p, step):
        self.log.append(g.shape)
        return self.weight * g


def counted(weight=1.0):
    log = Log()
    return jl.leafwise(Counted(log, weight)), log


def test_one_trace_per_shape():
    tx, log = counted()
    step = jax.jit(lambda g, state: tx.update(g, state))
    step(PARAMS, tx.init(PARAMS))
    assert sorted(log) == [(3,), (4, 3)]


def test_one_trace_per_dtype():
    tx, log = counted()
    state = tx.init(PARAMS)
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float32):
        tx.update(jax.tree.map(lambda x, d=dtype: x.astype(d), PARAMS), state)
    assert sorted(log) == [(3,), (3,), (4, 3), (4, 3)]


def test_later_steps_and_traces_trace_nothing():
    tx, log = counted()
    state = tx.init(PARAMS)
    for _ in range(3):
        tx.update(PARAMS, state)
    jax.jit(tx.update)(PARAMS, state)
    jax.jit(lambda g, s: tx.update(tx.update(g, s)[0], s))(PARAMS, state)
    assert len(log) == 2


def test_a_run_of_rules_is_traced_as_one():
    (first, log), (second, other) = counted(), counted(2.0)
    tx = jl.chain(first, jl.masked(second, jl.by_path({"b": False, "*": True})))
    tx.update(PARAMS, tx.init(PARAMS))
    assert (len(log), len(other)) == (2, 1)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_few_numbers_by_path_are_traced_apart_and_exact(groups):
    rules = {f"layer{i}/w": 0.5 + i for i in range(groups - 1)}
    tx, log = counted(jl.by_path({**rules, "*": 0.25}))
    tx.update(PARAMS, tx.init(PARAMS))
    assert sorted(log) == [(3,)] + [(4, 3)] * groups


def test_many_numbers_by_path_make_one_trace():
    params = {f"w{i}": jnp.ones(2) for i in range(20)}
    rates = jl.by_path({f"w{i}": 0.5 + i for i in range(20)})
    tx, log = counted(rates)
    updates, _ = tx.update(params, tx.init(params))
    assert log == [(2,)]
    assert [float(updates[f"w{i}"][0]) for i in range(20)] == [
        0.5 + i for i in range(20)
    ]


def test_a_schedule_and_an_array_make_one_trace():
    for weight in (jl.linear_schedule(1.0, 0.0, 9), jnp.array(0.5)):
        tx, log = counted(weight)
        state = tx.init(PARAMS)
        for _ in range(3):
            _, state = tx.update(PARAMS, state)
        assert len(log) == 2


def build():
    return jl.adamw(
        jl.warmup_cosine_decay_schedule(0.0, 0.1, 2, 10),
        weight_decay=jl.by_path({"bias": 0.0, "*": 0.1}),
        mask=jl.weights_only,
    )


@pytest.mark.parametrize(
    "options", [{}, {"static_argnums": 0}], ids=["an argument", "a static argument"]
)
def test_a_rebuilt_optimizer_is_traced_once(options):
    params = {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}

    def step(tx, state):
        return tx.update(params, state, params)[1]

    traced = count_traces(step, **options)
    state = build().init(params)
    for _ in range(3):
        state = traced(build(), state)
    assert traced.traces == 1


def test_another_array_hyperparameter_is_no_other_trace():
    step = count_traces(lambda tx: tx.update(PARAMS, tx.init(PARAMS), PARAMS)[0])
    for rate in (0.1, 0.2, 0.3):
        updates = step(jl.adamw(jnp.array(rate), b1=0.0, b2=0.0, weight_decay=0.0))
        assert updates["layer0"]["b"][0] == pytest.approx(-rate)
    assert step.traces == 1


def test_another_number_is_another_trace():
    step = count_traces(lambda tx: tx.update(PARAMS, tx.init(PARAMS))[0])
    for rate in (0.1, 0.2, 0.1):
        step(jl.sgd(rate))
    assert step.traces == 2


def test_an_optimizer_rebuilt_in_a_train_state_is_traced_once():
    model = nn.Dense(3)
    params = model.init(jax.random.key(0), BATCH)["params"]

    def step(state, batch):
        grads = jax.grad(lambda p: jnp.sum(state.apply_fn({"params": p}, batch)))
        return state.apply_gradients(grads=grads(state.params))

    traced = count_traces(step)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=build())
    for _ in range(3):
        state = traced(state.replace(tx=build()), BATCH)
    assert traced.traces == 1
    assert state.opt_state[0].count == 3


def test_the_state_is_traced_once_over_many_steps():
    tx = jl.chain(jl.clip_by_global_norm(1.0), build())
    params = {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}
    step = count_traces(tx.update, donate_argnums=1)
    state = tx.init(params)
    for _ in range(4):
        _, state = step(params, state, params)
    assert step.traces == 1


def test_a_thousand_leaves_are_lowered_as_calls():
    few = {str(i): jnp.ones(4) for i in range(10)}
    many = {str(i): jnp.ones(4) for i in range(60)}

    def lines(params):
        tx = jl.adamw(0.1)
        lowered = jax.jit(tx.update).lower(params, tx.init(params), params)
        return len(lowered.as_text().splitlines())

    per_leaf = (lines(many) - lines(few)) / 50
    assert per_leaf <= 2
