"""Numbers, arrays, schedules and `by_path`, and the numerics that read them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from jaxopt_lite.core.hyperparameters import FromFunction
from jaxopt_lite.core.numbers import DECAY, FINITE, number
from jaxopt_lite.core.numerics import bias_correction, saturating_increment
from tests.helpers import assert_close, random_tree

PARAMS = {"kernel": jnp.zeros(4), "bias": jnp.zeros(4), "none": None}
G = random_tree(jax.tree.map(np.asarray, PARAMS), 1)
P = random_tree(jax.tree.map(np.asarray, PARAMS), 2)


def test_python_and_numpy_numbers_become_floats():
    for x in (1, 1.0, np.float32(1), np.int64(1), np.float64(1)):
        assert type(number("x", x)) is float


def test_arrays_stay_arrays():
    for x in (jnp.array(0.5), jnp.ones(3)):
        assert number("x", x) is x
    (leaf,) = jax.tree.leaves(jl.scale(np.ones(3)))
    assert isinstance(leaf, jax.Array)


def test_functions_become_schedules_also_by_path():
    assert isinstance(number("x", abs), FromFunction)
    assert number("x", abs) == number("x", abs)
    assert number("x", jl.by_path({"*": abs})).values == (FromFunction(abs),)
    schedule = jl.constant_schedule(0.1)
    assert number("x", schedule) is schedule


@pytest.mark.parametrize(
    ("value", "interval"),
    [(0.0, DECAY), (0.999, DECAY), (-5.0, FINITE), (jnp.array([0.0, 0.5]), DECAY)],
)
def test_a_number_in_range_passes(value, interval):
    number("b1", value, interval)


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (1.0, DECAY),
        (1.5, DECAY),
        (-0.1, DECAY),
        (np.float32(1.5), DECAY),
        (jnp.array([0.5, 1.5]), DECAY),
        (np.array([0.5, 1.5]), DECAY),
        (float("nan"), FINITE),
        (float("inf"), FINITE),
        (jl.by_path({"*": 1.5}), DECAY),
    ],
)
def test_a_number_out_of_range_is_refused(value, interval):
    with pytest.raises(ValueError, match=r"b1.* expected a number in"):
        number("b1", value, interval)


@pytest.mark.parametrize("value", [None, "0.1", True, np.bool_(True), [0.1], {}, 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="x is .* expected a number, an array"):
        number("x", value)


def test_tracers_pass_unchecked():
    jax.jit(lambda b1: number("b1", b1, DECAY))(1.5)


NUMBERS = {
    "scale": {"step_size": -0.3},
    "scale_by_learning_rate": {"learning_rate": 0.3},
    "clip": {"max_delta": 0.5},
    "trace": {"decay": 0.9},
    "ema": {"decay": 0.9},
    "add_decayed_weights": {"weight_decay": 0.1},
    "scale_by_rss": {"initial_accumulator_value": 0.5, "eps": 0.1},
    "scale_by_rms": {"decay": 0.9, "eps": 0.1, "initial_scale": 0.5},
    "scale_by_stddev": {"decay": 0.9, "eps": 0.1, "initial_scale": 0.5},
    "scale_by_adam": {"b1": 0.8, "b2": 0.9, "eps": 0.1, "eps_root": 0.1},
    "clip_by_global_norm": {"max_norm": 0.5},
}
KINDS = [
    (kind, name, key)
    for name, given in NUMBERS.items()
    for key in given
    for kind in ("array", "traced", "schedule", "by_path")
    if (kind, key) != ("by_path", "max_norm")
]


def two_steps(name, given):
    """The updates of two steps."""
    tx = getattr(jl, name)(**given)
    state = tx.init(P)
    first, state = tx.update(G, state, P)
    second, state = tx.update(P, state, P)
    return first, second


@pytest.mark.parametrize(("kind", "name", "key"), KINDS)
def test_every_number_may_be(kind, name, key):
    given = NUMBERS[name]
    value = given[key]
    expected = two_steps(name, given)
    if kind == "traced":
        actual = jax.jit(lambda x: two_steps(name, {**given, key: x}))(value)
    else:
        other = {
            "array": jnp.float32(value),
            "schedule": lambda count: value,
            "by_path": jl.by_path({"bias": value, "*": jnp.float32(value)}),
        }[kind]
        actual = two_steps(name, {**given, key: other})
    # With b as a float32 array, the weight 1 - b has lost four bits.
    assert_close(actual, expected, 2e-6)


def test_a_scheduled_b1_and_b2_count_with_their_present_value():
    b1, b2 = [0.5, 0.8, 0.2], [0.9, 0.5, 0.99]
    tx = jl.scale_by_adam(
        b1=lambda count: jnp.array(b1)[count], b2=lambda count: jnp.array(b2)[count]
    )
    g = np.array([1.0, -3.0, 0.5])
    state, mu, nu = tx.init(jnp.zeros(())), 0.0, 0.0
    for t in range(3):
        u, state = tx.update(jnp.float32(g[t]), state)
        mu = b1[t] * mu + (1 - b1[t]) * g[t]
        nu = b2[t] * nu + (1 - b2[t]) * g[t] ** 2
        debiased = nu / (1 - b2[t] ** (t + 1))
        expected = mu / (1 - b1[t] ** (t + 1)) / (np.sqrt(debiased) + 1e-8)
        assert u == pytest.approx(expected, rel=1e-6)


def test_a_schedule_counts_from_zero():
    tx = jl.sgd(lambda count: count + 1.0)
    state = tx.init(PARAMS)
    for expected in (1, 2, 3):
        updates, state = tx.update(G, state)
        assert updates["bias"] == pytest.approx(-expected * G["bias"])


STEPS = np.unique(np.logspace(0, 7, 200).astype(np.int64))


@pytest.mark.parametrize("b", [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999])
def test_bias_correction_is_accurate_to_rounding(b):
    exact = -np.expm1(STEPS * np.log(b)) if b else np.ones(len(STEPS))
    steps = jnp.asarray(STEPS, jnp.float32)
    for correct in (bias_correction, jax.jit(bias_correction, static_argnums=0)):
        np.testing.assert_allclose(correct(b, steps), exact, rtol=4e-7)


@pytest.mark.parametrize("b", [0.0, 0.5, 0.9, 0.999])
def test_bias_correction_of_an_array_is_that_of_its_float32(b):
    exact = 1 - np.float64(np.float32(b)) ** STEPS
    traced = jax.jit(bias_correction)(jnp.float32(b), jnp.asarray(STEPS, jnp.float32))
    np.testing.assert_allclose(traced, exact, rtol=1e-6)


def test_a_count_saturates():
    last = np.iinfo(np.int32).max
    for count, after in [(0, 1), (last - 1, last), (last, last)]:
        assert saturating_increment(jnp.int32(count)) == after
        assert saturating_increment(jnp.int32(count)).dtype == jnp.int32


@pytest.mark.parametrize("name", ["b1", "b2"])
def test_the_derivative_at_a_beta_of_zero_is_that_just_above(name, x64):
    def after_three_steps(b):
        tx, p = jl.adam(0.1, **{name: b}), jnp.array([1.0, -2.0])
        state = tx.init(p)
        for _ in range(3):
            u, state = tx.update(2 * p, state, p)
            p = p + u
        return jnp.sum(p**2)

    slope = jax.grad(after_three_steps)
    assert abs(slope(jnp.float64(0.0)) - slope(jnp.float64(1e-7))) < 1e-5


@pytest.mark.parametrize(
    "rate", [jnp.ones(3), jl.by_path({"*": jnp.ones(3)}), lambda count: jnp.ones(3)]
)
def test_an_array_of_numbers_is_no_number(rate):
    params = {"w": jnp.ones((2, 3))}
    with pytest.raises(ValueError, match=r"learning_rate is float32\[3\].*jax.vmap"):
        jl.sgd(rate).init(params)


@pytest.mark.parametrize("dtype", [jnp.int32, "bf", {"bad": 1}])
def test_a_slot_is_kept_in_a_floating_dtype(dtype):
    with pytest.raises(TypeError, match="the dtype of mu is .*expected a floating"):
        jl.adam(0.1, mu_dtype=dtype)


def test_momentum_is_refused_by_its_name():
    for build in (jl.sgd, jl.rmsprop):
        with pytest.raises(TypeError, match="momentum is 'x'"):
            build(0.1, momentum="x")


def test_by_path_in_by_path_is_refused():
    with pytest.raises(TypeError, match="learning_rate is by_path"):
        jl.sgd(jl.by_path({"*": jl.by_path({"*": 0.1})}))


def test_the_maker_of_a_schedule_is_no_schedule():
    with pytest.raises(
        TypeError, match=r"function of \(init_value, decay_steps\).*call"
    ):
        jl.sgd(jl.cosine_decay_schedule)
    jl.sgd(lambda count, scale=2.0: scale)
    jl.sgd(jnp.sqrt)


@pytest.mark.parametrize("momentum", [-0.1, 1.5])
def test_momentum_neither_turns_nor_diverges(momentum):
    with pytest.raises(ValueError, match=r"momentum is .*; expected .* in \[0, 1\]"):
        jl.sgd(0.1, momentum=momentum)


def test_a_number_of_ones_own_rule_may_be_a_function():
    class Multiply(jl.Rule):
        rate: float = 0.5

        def emit(self, g, slots, p, step):
            return self.rate * g

    tx = jl.leafwise(Multiply(lambda count: 1.0 + count))
    g, state = jnp.ones(1), tx.init(jnp.ones(1))
    for expected in (1.0, 2.0):
        u, state = tx.update(g, state)
        assert float(u[0]) == expected
    with pytest.raises(TypeError, match="rate is 'x', a str"):
        jl.leafwise(Multiply("x"))
