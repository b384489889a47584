"""In float32 and below: nearer to float64 than Optax, without overflow."""

from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite
from jaxopt_lite.core.numerics import bias_correction
from tests.helpers import at, by_name, relative_error, relative_errors, run, trajectory
from tests.table import Case, cases

pytestmark = pytest.mark.optimized

ULP = 2.0**-23
LAYER = {
    "kernel": np.zeros((16, 32), np.float32),
    "bias": np.zeros(256, np.float32),
    "scale": np.zeros(256, np.float32),
}
"""Leaves large enough for their largest rounding error not to be a matter of luck."""


def is_smooth(case):
    return case.entry.unlike_float32 is None


@pytest.mark.filterwarnings("ignore:.*by_path has patterns that match no parameter")
@pytest.mark.parametrize("case", cases(0, full=(-1,), where=is_smooth))
def test_error_is_small_and_not_above_that_of_optax(case):
    assert_small_errors(case)


@pytest.mark.parametrize("name", ["scale_by_adam", "nadam"])
@pytest.mark.parametrize("b2", [0.9999, 0.999999])
def test_error_is_small_when_b2_is_close_to_one(name, b2):
    rate = {} if name == "scale_by_adam" else {"learning_rate": 0.03}
    assert_small_errors(Case(name, {**rate, "b2": b2}))


def assert_small_errors(case):
    """At the first step and over all, on gradients that are float32 in both.

    Of two errors of some roundings each it is chance which is larger, and the processor
    decides in which order a norm is summed: hence two units in the last place.
    """
    g, p = trajectory(LAYER, 1), trajectory(LAYER, 2)
    exact = case.reference(g, p)
    ours = case.run(g, p).updates
    theirs = case.run_theirs(g, p).updates if case.equals_optax else None
    for steps in (slice(1), slice(None)):
        errors = relative_errors(at(ours, steps), at(exact, steps))
        assert max(errors.values()) <= 2e-6
        if theirs is None:
            continue
        limits = relative_errors(at(theirs, steps), at(exact, steps))
        assert not {k: e for k, e in errors.items() if e > limits[k] + 2 * ULP}


@pytest.mark.parametrize(
    "case", [Case("ema", {"decay": 0.999}), Case("scale_by_adam", {})], ids=str
)
def test_error_stays_small_over_thousands_of_steps(case):
    """In float32 `b` and `1 - b` round apart; what they sum to would show up here."""
    g = np.random.default_rng(1).normal(size=(4000, 64)).astype(np.float32)
    updates = case.run(g, g).updates
    assert relative_error(updates, case.reference(g, g)) <= 2e-6


@pytest.mark.parametrize("b", [0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999])
@pytest.mark.parametrize("t", [1, 2, 10, 10**3, 10**5, 10**7])
def test_bias_correction_is_accurate_to_rounding(b, t):
    """Logarithm, product and exponential are rounded by at most an ulp each."""
    number, array = bias_correction(b, jnp.float32(t)), jnp.float32(b)
    assert relative_error(number, weight(b, t)) <= 3 * ULP
    traced = jax.jit(bias_correction)(array, jnp.float32(t))
    assert relative_error(traced, weight(float(array), t)) <= 3 * ULP


def weight(b, t):
    """`1 - b**t` in sixty digits."""
    with localcontext(prec=60):
        return float(1 - Decimal(b) ** t)


@pytest.mark.parametrize("nesterov", [False, True])
def test_bfloat16_momentum_is_nearer_than_that_of_optax(nesterov):
    """Optax multiplies what it keeps in bfloat16 before it widens it."""
    g, exact = trajectory(LAYER, 1), Case("trace", {"decay": 0.9, "nesterov": nesterov})
    narrow = Case("trace", {**exact.arguments, "accumulator_dtype": "bfloat16"})
    wanted = exact.reference(g, g)
    errors = relative_errors(run(narrow.ours(), g, g).updates, wanted)
    limits = relative_errors(run(narrow.theirs(LAYER), g, g).updates, wanted)
    assert not {k: e for k, e in errors.items() if e > limits[k]}


LOW = [jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.full)]


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("case", cases(0, full=(), where=is_smooth))
def test_low_precision_rounds_only_the_update(case, dtype):
    like = {"kernel": np.zeros((32, 32), dtype), "scale": np.zeros((), dtype)}
    g, p = trajectory(like, 1), trajectory(like, 2)
    updates, state = case.run(g, p)
    assert dtypes(updates) == {jnp.dtype(dtype).name}
    assert dtypes(state) <= {"float32", "int32", "bool"}
    errors = relative_errors(updates, case.reference(g, p))
    assert max(errors.values()) <= jnp.finfo(dtype).eps / 2 + 2e-6


def dtypes(tree):
    return {x.dtype.name for x in jax.tree.leaves(tree)}


def test_gradient_and_parameter_join_their_dtypes():
    params = {"w": jnp.ones(3), "b": jnp.ones(3, jnp.bfloat16)}
    g = {"w": jnp.ones(3, jnp.bfloat16), "b": jnp.ones(3)}
    tx = jaxopt_lite.adamw(1e-3)
    updates, _ = tx.update(g, tx.init(params), params)
    assert dtypes(updates) == {"float32"}
    tx = jaxopt_lite.adam(1e-3)
    updates, _ = tx.update(g, tx.init(params))
    assert jax.tree.map(jnp.result_type, updates) == jax.tree.map(jnp.result_type, g)


GRADIENTS = {
    "float16 of 300": {"a": jnp.full(100, 300, jnp.float16), "b": jnp.float16(-300)},
    "float32 of 1e20": {"a": jnp.full((3, 4), 1e20), "b": -jnp.full((3, 4), 1e20)},
    "float32 of 1e-10": {"a": jnp.full((3, 4), 1e-10), "b": None},
    "bfloat16": {"a": jnp.full(4096, 0.3, jnp.bfloat16), "b": jnp.zeros(3)},
    "mixed": {
        "a": jnp.full(3, 300, jnp.float16),
        "b": [jnp.float32(1e3), None, jnp.zeros((0, 2), jnp.bfloat16)],
    },
}


def norm(tree):
    return np.sqrt(sum(np.sum(np.float64(x) ** 2) for x in jax.tree.leaves(tree)))


@pytest.mark.parametrize("name", GRADIENTS)
def test_global_norm_neither_overflows_nor_loses_digits(name):
    found = jaxopt_lite.global_norm(GRADIENTS[name])
    assert found.dtype == jnp.float32
    assert relative_error(found, norm(GRADIENTS[name])) <= 1e-6


@pytest.mark.parametrize("max_norm", [0.5, 0.0])
@pytest.mark.parametrize("name", GRADIENTS)
def test_clip_by_global_norm_is_right_at_any_magnitude(name, max_norm):
    g = GRADIENTS[name]
    factor = min(1, max_norm / norm(g))
    tx = jaxopt_lite.clip_by_global_norm(max_norm)
    clipped = by_name(tx.update(g, tx.init(g))[0])
    for path, x in by_name(g).items():
        assert clipped[path].dtype == x.dtype
        error = relative_error(clipped[path], factor * np.float64(x))
        assert error <= jnp.finfo(x.dtype).eps + 1e-6


@pytest.mark.parametrize("max_norm", [0.0, 1.0])
def test_zero_gradient_is_clipped_to_zero(max_norm):
    g = {"a": jnp.zeros(3), "b": jnp.zeros((), jnp.float16)}
    tx = jaxopt_lite.clip_by_global_norm(max_norm)
    assert not any(map(jnp.any, jax.tree.leaves(tx.update(g, tx.init(g))[0])))
    assert jaxopt_lite.global_norm(g) == 0


def test_small_gradient_is_not_touched():
    g = trajectory(LAYER, 1, steps=1)
    tx = jaxopt_lite.clip_by_global_norm(1e3)
    clipped, _ = tx.update(g, tx.init(g))
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, clipped, g)))


def test_norm_of_nothing_is_zero():
    assert jaxopt_lite.global_norm({}) == jaxopt_lite.global_norm({"a": None}) == 0


def test_nan_is_not_hidden():
    g = {"a": jnp.array([jnp.nan, 1.0]), "b": jnp.ones(3)}
    tx = jaxopt_lite.clip_by_global_norm(1.0)
    assert jnp.isnan(tx.update(g, tx.init(g))[0]["b"]).all()
    assert jnp.isnan(jaxopt_lite.global_norm(g))
