"""What the lift owns: counts, dtypes, settings, None and masked leaves, keywords."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, random_tree

PARAMS = {"kernel": jnp.ones((2, 3)), "bias": jnp.full(3, 2.0)}
G = jax.tree.map(jnp.asarray, random_tree(PARAMS, 1))
NAN = jax.tree.map(lambda x: x * jnp.nan, PARAMS)
LAST = np.iinfo(np.int32).max


class Total(NamedTuple):
    """One slot."""

    total: jl.Signed


class Add(jl.Rule):
    """Adds up gradients: a rule of both kinds of methods."""

    weight: Any = 1.0
    Slots = Total

    def advance(self, g, slots, p, step):
        return Total(slots.total + self.weight * g)

    def emit(self, g, slots, p, step):
        return slots.total


class AddAtOnce(jl.Rule):
    """The same, in one method."""

    weight: Any = 1.0
    Slots = Total

    def update(self, g, slots, p, step):
        total = slots.total + self.weight * g
        return total, Total(total)


class EmitStep(jl.Rule):
    """Emits the step."""

    reads_step = True

    def emit(self, g, slots, p, step):
        return jnp.zeros_like(g) + step


class Look(jl.Rule):
    """Writes down the dtypes that its arithmetic sees."""

    seen: Any
    Slots = Total
    reads_step = True

    def emit(self, g, slots, p, step):
        arrays = {"g": g, "slot": slots.total, "p": p, "step": step}
        self.seen.update({name: x.dtype.name for name, x in arrays.items()})
        return g


def as_dtype(tree, dtype):
    return jax.tree.map(lambda x: x.astype(dtype), tree)


def avals(tree):
    """Shapes, dtypes and weak types."""
    return jax.tree.map(lambda x: x.aval, tree)


def equal_bits(a, b):
    """Whether two trees are the same, down to dtypes, weak types and bits."""
    same = jax.tree.map(
        lambda x, y: x.aval == y.aval and np.array_equal(x, y, equal_nan=True), a, b
    )
    return jax.tree.structure(a) == jax.tree.structure(b) and all(jax.tree.leaves(same))


# Counts


def test_the_step_counts_from_one_and_the_count_from_zero():
    tx = jl.leafwise(EmitStep())
    state = tx.init(PARAMS)
    assert state == jl.leafwise(EmitStep()).init({})
    for t in (1, 2, 3):
        updates, state = tx.update(G, state)
        assert updates["bias"].tolist() == [t] * 3
        assert (int(state.count), state.count.dtype) == (t, jnp.int32)


def test_the_count_saturates():
    tx = jl.scale_by_adam()
    state = tx.init(PARAMS)._replace(count=jnp.int32(LAST))
    updates, state = tx.update(G, state)
    assert state.count == LAST
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(updates))


# Dtypes


@pytest.mark.parametrize(
    ("g", "p", "u"),
    [
        ("float32", "float32", "float32"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("float16", "float16", "float16"),
        ("bfloat16", "float32", "float32"),
        ("float32", "bfloat16", "float32"),
        ("float16", "bfloat16", "float32"),
        ("float64", "float32", "float64"),
        ("float32", "float64", "float64"),
        ("complex64", "complex64", "complex64"),
        ("bfloat16", None, "bfloat16"),
        ("float32", None, "float32"),
    ],
)
def test_dtypes(g, p, u, x64):
    tx = jl.chain(jl.scale_by_adam(), jl.scale(jnp.float32(0.5)))
    params = as_dtype(PARAMS, p or "float32")
    state = tx.init(params)
    updates, after = tx.update(as_dtype(G, g), state, params if p else None)
    assert {x.dtype.name for x in jax.tree.leaves(updates)} == {u}
    assert avals(after) == avals(state)
    at_least_float32 = jnp.result_type(p or "float32", "float32").name
    assert state[0].mu["bias"].dtype.name == at_least_float32
    assert state[0].nu["bias"].dtype.name == at_least_float32.replace(
        "complex64", "float32"
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_arithmetic_is_in_at_least_float32(dtype, x64):
    tx = jl.leafwise(Look({}))
    params = as_dtype(PARAMS, dtype)
    tx.update(params, tx.init(params), params)
    wide = "float64" if dtype == "float64" else "float32"
    assert tx.rule.seen == dict.fromkeys(("g", "slot", "p", "step"), wide)


def test_bfloat16_gives_what_float32_gives_rounded_once():
    tx = jl.adamw(0.1, weight_decay=0.1)
    p, g = as_dtype(PARAMS, jnp.bfloat16), as_dtype(G, jnp.bfloat16)
    wide_p, wide_g = as_dtype(p, jnp.float32), as_dtype(g, jnp.float32)
    narrow, state = tx.update(g, tx.init(p), p)
    wide, wide_state = tx.update(wide_g, tx.init(wide_p), wide_p)
    assert equal_bits(narrow, as_dtype(wide, jnp.bfloat16))
    assert equal_bits(state, wide_state)


def test_a_small_second_moment_decays_under_bfloat16():
    params = jnp.zeros(2, jnp.bfloat16)
    tx = jl.scale_by_adam(b2=0.999)
    _, state = tx.update(params + 1, tx.init(params), params)
    _, after = tx.update(params, state, params)
    np.testing.assert_allclose(after.nu, 0.999 * state.nu, rtol=1e-6)


def test_array_numbers_do_not_change_the_dtype(x64):
    tx = jl.sgd(jnp.float64(0.1), momentum=jnp.bfloat16(0.5))
    params = as_dtype(PARAMS, "float32")
    updates, _ = tx.update(as_dtype(G, "float32"), tx.init(params), params)
    assert updates["bias"].dtype == jnp.float32


def test_float64_of_numpy_is_what_jax_makes_of_it():
    params = {"w": np.full(3, 2.0)}
    tx = jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(0.1))
    updates, _ = tx.update(params, tx.init(params), params)  # and without a warning
    assert updates["w"].dtype == jnp.float32


def test_slots_may_be_stored_in_another_dtype():
    tx = jl.adam(0.1, mu_dtype=jnp.bfloat16)
    state = tx.init(PARAMS)
    for _ in range(2):
        assert state[0].mu["bias"].dtype == jnp.bfloat16
        assert state[0].nu["bias"].dtype == jnp.float32
        updates, state = tx.update(G, state, PARAMS)
        assert updates["bias"].dtype == jnp.float32


def test_a_complex_slot_stays_complex_whatever_its_dtype():
    tx = jl.trace(0.5, accumulator_dtype=jnp.float32)
    g = jnp.array([3 + 4j])
    _, state = tx.update(g, tx.init(g))
    assert state.trace == g


@pytest.mark.parametrize("g", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("p", ["float32", "bfloat16", "float64"])
def test_a_scan_takes_the_state(p, g, x64):
    tx = jl.chain(
        jl.clip_by_global_norm(1.0), jl.adamw(lambda count: 0.1 / (1 + count), b1=0.5)
    )
    params, gradient = as_dtype(PARAMS, p), as_dtype(G, g)

    def step(carry, _):
        params, state = carry
        updates, state = tx.update(gradient, state, params)
        return (jl.apply_updates(params, updates), state), None

    start = (params, tx.init(params))
    end, _ = jax.lax.scan(step, start, length=3)
    assert avals(end) == avals(start)


# The first state


class Start(jl.Rule):
    """Keeps where the parameter began, twice."""

    class Slots(NamedTuple):
        start: jl.Exact
        again: jl.Exact

    def init(self, p):
        return self.Slots(p, p)


@pytest.mark.parametrize(
    "tx",
    [
        jl.chain(jl.clip_by_global_norm(1.0), jl.rmsprop(0.1, momentum=0.9)),
        jl.leafwise(Start()),
    ],
    ids=["zeros", "copies"],
)
def test_init_runs_on_shapes(tx):
    shapes = jax.eval_shape(lambda: PARAMS)
    expected = jax.tree.map(lambda x: (x.shape, x.dtype), tx.init(PARAMS))
    for state in (jax.eval_shape(tx.init, shapes), tx.init(shapes)):
        assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == expected


NUMBER = jnp.float32(0.5)


@pytest.mark.parametrize(
    ("tx", "params"),
    [
        (jl.leafwise(Start()), PARAMS),
        (jl.leafwise(Start()), as_dtype(PARAMS, jnp.bfloat16)),
        (jl.scale_by_rss(NUMBER), jnp.array(1.0)),
        (jl.scale_by_rms(initial_scale=NUMBER), {"w": jnp.array(1.0)}),
    ],
    ids=["float32", "bfloat16", "a number", "another number"],
)
def test_the_first_state_shares_no_memory(tx, params):
    pointers = [
        x.unsafe_buffer_pointer()
        for x in jax.tree.leaves((params, tx, tx.init(params)))
    ]
    assert len(set(pointers)) == len(pointers)


class Rows(jl.Rule):
    """Keeps one number per row."""

    class Slots(NamedTuple):
        rows: jl.Exact

    def init(self, p):
        return self.Slots(jnp.zeros(p.shape[:1]))

    def advance(self, g, slots, p, step):
        return self.Slots(slots.rows + jnp.sum(g, axis=tuple(range(1, g.ndim))))


def test_an_exact_slot_may_have_a_shape_of_its_own():
    tx = jl.leafwise(Rows())
    _, state = tx.update(PARAMS, tx.init(PARAMS))
    assert state.rows["kernel"].tolist() == [3, 3]
    assert state.rows["bias"].tolist() == [2, 2, 2]


# Settings


def test_numbers_by_path():
    tx = jl.sgd(jl.by_path({"bias": 0.5, "*": lambda count: 1.0 + count}))
    state = tx.init(PARAMS)
    for rate in (1, 2):
        updates, state = tx.update(PARAMS, state)
        assert updates["bias"].tolist() == [-1] * 3
        assert updates["kernel"].tolist() == [[-rate] * 3] * 2


def test_several_numbers_by_path():
    tx = jl.adamw(
        jl.by_path({"bias": 0.5, "*": 1.0}),
        b1=0.0,
        b2=jl.by_path({"kernel": 0.0, "*": 0.5}),
        eps=0.0,
        weight_decay=jl.by_path({"*bias": 0.0, "*": 0.25}),
    )
    updates, state = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    assert updates["bias"] == pytest.approx(np.full(3, -0.5))
    assert updates["kernel"] == pytest.approx(np.full((2, 3), -1.25))
    assert state[0].nu["bias"] == pytest.approx(np.full(3, 2.0))
    assert state[0].nu["kernel"] == pytest.approx(np.ones((2, 3)))


@pytest.mark.parametrize("n", [8, 9])
def test_many_numbers_by_path(n):
    params = {f"w{i}": jnp.ones(2) for i in range(n)}
    rates = {f"w{i}": 0.1 * (i + 1) for i in range(n)}
    b1 = jl.by_path({"w0": 0.5, "*": jnp.float32(0.25)})
    tx = jl.adam(jl.by_path(rates), b1=b1)
    updates, state = tx.update(params, tx.init(params), params)
    expected = {name: jnp.full(2, -rate) for name, rate in rates.items()}
    assert_close(updates, expected, 1e-6)
    assert state[0].mu["w0"].tolist() == [0.5, 0.5]
    assert state[0].mu["w1"].tolist() == [0.75, 0.75]


def test_grad_through_a_number_by_path():
    def moved(rate):
        tx = jl.sgd(jl.by_path({"bias": rate, "*": 0.5}))
        updates, _ = tx.update(PARAMS, tx.init(PARAMS))
        return sum(jnp.sum(x) for x in jax.tree.leaves(updates))

    assert jax.grad(moved)(0.1) == -6


def test_a_rules_own_fields_take_schedules_and_by_path():
    halves = jl.linear_schedule(1.0, 0.0, 2)
    tx = jl.leafwise(Add(jl.by_path({"bias": halves, "*": 3.0})))
    state = tx.init(PARAMS)
    assert isinstance(state, jl.CountedState)
    _, state = tx.update(PARAMS, state)
    updates, _ = tx.update(PARAMS, state)
    assert updates["bias"].tolist() == [2 + 0.5 * 2] * 3
    assert updates["kernel"].tolist() == [[6.0] * 3] * 2


# None, masked and empty


@pytest.mark.parametrize("absent", [None, jl.MaskedNode(), optax.MaskedNode(), ()])
def test_where_no_parameter_stands_there_is_no_state(absent):
    params = {"w": jnp.ones(2), "gap": absent, "deep": [absent, jnp.ones(())]}
    tx = jl.adam(0.1)
    state = tx.init(params)
    assert state[0].mu["gap"] == absent
    for p in (params, None):
        updates, after = tx.update(params, state, p)
        assert updates["gap"] == absent and updates["deep"][0] == absent
        assert updates["deep"][1] == pytest.approx(-0.1)
        assert jax.tree.structure(after) == jax.tree.structure(state)


@pytest.mark.parametrize(
    "params",
    [{}, [], {"a": {}, "b": None}, jnp.ones(()), jnp.ones((0, 3)), 1.0],
    ids=repr,
)
def test_any_tree_will_do(params):
    tx = jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(0.1, mask=jl.weights_only))
    updates, state = tx.update(params, tx.init(params), params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    assert jax.tree.structure(state) == jax.tree.structure(tx.init(params))


# Rules


@pytest.mark.parametrize("commit", [None, True, False])
def test_a_rule_with_update_is_a_rule_with_advance_and_emit(commit):
    extra = {} if commit is None else {"commit": commit}
    results = []
    for rule in (Add(0.5), AddAtOnce(0.5)):
        tx = jl.leafwise(rule)
        first, state = tx.update(G, tx.init(PARAMS), PARAMS)
        second, state = tx.update(PARAMS, state, PARAMS, **extra)
        results.append(state)
    assert equal_bits(*results)
    assert equal_bits(state.total, first) is (commit is False)


GUARDED = {
    "adamw": jl.adamw(lambda count: 0.1, mask=jl.weights_only),
    "rule with update": jl.leafwise(AddAtOnce()),
    "stored bfloat16": jl.adam(0.1, mu_dtype=jnp.bfloat16),
    "masked": jl.masked(jl.adam(0.1), {"kernel": True, "bias": False}),
    "partition": jl.partition(
        {"a": jl.adam(0.1), "b": jl.sgd(0.1, 0.9)}, {"kernel": "a", "bias": "b"}
    ),
    "foreign": jl.chain(optax.adam(0.1), jl.trace(0.9)),
    "clipped": jl.chain(jl.clip_by_global_norm(lambda count: 1.0), jl.adam(0.1)),
}


@pytest.mark.parametrize("tx", GUARDED.values(), ids=GUARDED)
def test_without_commit_nothing_is_kept(tx):
    _, state = tx.update(G, tx.init(PARAMS), PARAMS)
    step = jax.jit(lambda g, commit: tx.update(g, state, PARAMS, commit=commit))
    for commit in (False, jnp.array(False), np.bool_(False)):
        assert equal_bits(tx.update(NAN, state, PARAMS, commit=commit)[1], state)
        assert equal_bits(step(NAN, commit)[1], state)
    updates, after = tx.update(G, state, PARAMS)
    committed, committed_after = tx.update(G, state, PARAMS, commit=True)
    assert_close(committed, updates, 1e-6)
    assert not equal_bits(after, state)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, 1e-6), after, committed_after
    )


def test_without_commit_a_wider_state_keeps_its_bits(x64):
    params = as_dtype(PARAMS, "float64")
    tx = jl.scale_by_adam()
    _, state = tx.update(as_dtype(G, "float64"), tx.init(params), params)
    narrow = as_dtype(NAN, "float32")
    assert equal_bits(tx.update(narrow, state, commit=False)[1], state)


def test_with_commit_another_librarys_state_keeps_its_dtypes():
    tx = jl.chain(optax.trace(0.9))
    state = tx.init(as_dtype(PARAMS, "bfloat16"))
    for commit in (True, False):
        _, after = tx.update(G, state, commit=commit)
        assert avals(after) == avals(state)


class TimesValue(jl.Rule):
    """Reads what the caller passes."""

    def emit(self, g, slots, p, step, *, value, offset):
        return g * value + offset


def test_keywords_that_a_rule_names_reach_it():
    tx = jl.chain(jl.scale(2.0), jl.leafwise(TimesValue()))
    state = tx.init(PARAMS)
    updates, _ = tx.update(PARAMS, state, value=3.0, offset=jnp.ones(()), other=object)
    assert updates["bias"].tolist() == [13.0] * 3


def test_keywords_that_a_rule_names_must_be_given():
    tx = jl.leafwise(TimesValue())
    with pytest.raises(
        TypeError, match="TimesValue: update was called without `offset`"
    ):
        tx.update(PARAMS, tx.init(PARAMS), value=1.0)


class ForgetsToReadStep(jl.Rule):
    """Divides by a step that it has not asked for."""

    def emit(self, g, slots, p, step):
        return g / step


def test_a_rule_that_forgot_reads_step_is_told():
    tx = jl.leafwise(ForgetsToReadStep())
    with pytest.raises(TypeError) as error:
        tx.update(PARAMS, tx.init(PARAMS))
    assert any("reads_step = True" in note for note in error.value.__notes__)


class ForgetsToReadParams(jl.Rule):
    """Multiplies by a parameter that it has not asked for."""

    def emit(self, g, slots, p, step):
        return g * p


def test_a_rule_that_forgot_reads_params_is_told():
    tx = jl.leafwise(ForgetsToReadParams())
    with pytest.raises(TypeError) as error:
        tx.update(PARAMS, tx.init(PARAMS))
    assert any("reads_params = True" in note for note in error.value.__notes__)


def test_gradients_may_be_python_numbers():
    tx = jl.sgd(0.5)
    updates, _ = tx.update({"w": 2.0}, tx.init({"w": 1.0}), {"w": 1.0})
    assert updates["w"] == -1


def test_update_runs_under_strict_promotion():
    tx = jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(lambda count: 0.1, b1=NUMBER))
    with jax.numpy_dtype_promotion("strict"):
        for g, p in [("float32", "float32"), ("bfloat16", "float32")]:
            params = as_dtype(PARAMS, p)
            updates, _ = tx.update(as_dtype(G, g), tx.init(params), params)
            jl.apply_updates(params, updates)
