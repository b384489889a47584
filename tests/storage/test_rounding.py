"""bfloat16 parameters: the updates land where they are meant to, in any stock loop."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

import jaxopt_lite as jl
from jaxopt_lite.storage.schemes import ByChance, Compensated, Remainder, nearest
from tests.test_errors import message

SCHEMES = {
    "stochastic_rounding": jl.stochastic_rounding,
    "kahan": jl.kahan,
    "master_weights": jl.master_weights,
    "int16": lambda tx: jl.master_weights(tx, jnp.int16),
    "int8": lambda tx: jl.master_weights(tx, "int8"),
}
each_scheme = pytest.mark.parametrize("scheme", SCHEMES)


def normal(seed, shape=(64, 48), dtype=jnp.bfloat16):
    x = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(x, jnp.float32).astype(dtype)


def train(tx, params, steps, gradient=lambda i: normal(i + 1)):
    """The parameters and the state after some steps, by a stock loop."""
    state = tx.init(params)
    for i in range(steps):
        u, state = tx.update(gradient(i), state, params)
        params = optax.apply_updates(params, u)
    return params, state


def weights(tx, params, state):
    """What parameters and remainder stand for together."""
    return tx.scheme.weight(params.astype(jnp.float32), state.remainder)


@each_scheme
def test_updates_land_on_bfloat16(scheme):
    tx = SCHEMES[scheme](jl.adam(0.05))
    params = normal(0)
    state = tx.init(params)
    for i in range(5):
        u, state = tx.update(normal(i + 1), state, params)
        assert u.dtype == jnp.float32
        aimed = params.astype(jnp.float32) + u
        assert jnp.array_equal(aimed, nearest(aimed))
        params = optax.apply_updates(params, u)
        assert params.dtype == jnp.bfloat16
        assert jnp.array_equal(params.astype(jnp.float32), aimed)


@pytest.mark.parametrize("scheme", ["master_weights", "int16"])
def test_master_weights_are_those_of_float32(scheme):
    # In full, eager: under jit XLA may fuse a product and a sum into one rounding.
    tx = SCHEMES[scheme](jl.adamw(0.01))
    params, state = train(tx, normal(0), 20)
    expected, _ = train(
        jl.adamw(0.01),
        normal(0).astype(jnp.float32),
        20,
        lambda i: normal(i + 1).astype(jnp.float32),
    )
    assert jnp.array_equal(weights(tx, params, state), expected)
    if scheme == "master_weights":
        assert jnp.array_equal(params, expected.astype(jnp.bfloat16))


@pytest.mark.parametrize(
    ("scheme", "digits"), [("kahan", 2**-17), ("int8", 2**-15), ("int16", 2**-24)]
)
def test_remainders_keep_their_digits(scheme, digits):
    scheme = SCHEMES[scheme](jl.sgd(0.1)).scheme
    w = normal(3, (1000,), jnp.float32)
    bits = jax.random.bits(jax.random.key(0), w.shape)
    p = scheme.land(w, lambda: bits)
    kept = scheme.keep(w, p, lambda: bits)
    assert jnp.array_equal(p, nearest(p))
    error = jnp.abs(scheme.weight(p, kept) - w) / jnp.abs(w)
    assert jnp.max(error) <= digits


def test_sixteen_bits_hold_every_float32():
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, np.uint32)
    ties = (bits & np.uint32(0xFFFF0000)) | np.uint32(0x8000)
    w = np.concatenate([bits, ties]).view(np.float32)
    w = jnp.asarray(w[np.isfinite(w) & (np.abs(w) > 1e-37)])
    scheme = Remainder(jnp.dtype(jnp.int16))
    p = scheme.land(w, None)
    assert jnp.array_equal(scheme.weight(p, scheme.keep(w, p, None)), w)


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.int16])
def test_what_is_nan_stays_nan(dtype):
    scheme = Remainder(jnp.dtype(dtype))
    every = jnp.array([0x7FFFFFFF, 0x7FC00000, 0xFFFFFFFF, 0xFFC00000], jnp.uint32)
    w = jax.lax.bitcast_convert_type(every, jnp.float32)
    landed = scheme.land(w, None)
    assert jnp.all(jnp.isnan(landed))
    for p in (nearest(landed), -nearest(landed)):
        kept = scheme.keep(w, p, lambda: every)
        assert jnp.all(jnp.isnan(scheme.weight(p, kept)))


def test_eight_bits_are_right_in_the_mean():
    scheme = Remainder(jnp.dtype(jnp.int8))
    w = jnp.full(20_000, 1 + 2.0**-20)
    bits = jax.random.bits(jax.random.key(0), w.shape)
    p = scheme.land(w, None)
    found = scheme.weight(p, scheme.keep(w, p, lambda: bits)) - 1
    # A step of 2**-15 is taken once in 32 times.
    assert abs(float(jnp.mean(found)) / 2.0**-20 - 1) < 0.2


@each_scheme
def test_small_steps_are_not_lost(scheme):
    steps, rate = 200, 2.0**-12
    ones = jnp.ones((64, 48), jnp.bfloat16)
    still, _ = train(jl.sgd(rate), ones, 5, lambda i: ones)
    assert jnp.array_equal(still, ones)
    moved, _ = train(SCHEMES[scheme](jl.sgd(rate)), ones, steps, lambda i: ones)
    expected = 1 - steps * rate
    assert abs(float(jnp.mean(moved.astype(jnp.float32))) - expected) < 0.002


def test_chance_is_the_right_one():
    x = jnp.full(100_000, 1 + 2.0**-9)  # a quarter of the way from 1 to the next
    bits = jax.random.bits(jax.random.key(1), x.shape)
    found = ByChance().land(x, lambda: bits)
    assert set(np.unique(found)) == {1.0, 1 + 2.0**-7}
    assert abs(float(jnp.mean(found > 1)) - 0.25) < 0.01


@each_scheme
def test_a_skipped_step_changes_nothing(scheme):
    tx = jl.apply_if_finite(SCHEMES[scheme](jl.adam(0.1)), 5)
    params, state = train(tx, normal(0), 2)
    for bad in (normal(5).at[0, 0].set(jnp.nan), normal(5) * jnp.inf):
        u, skipped = tx.update(bad, state, params)
        assert jnp.array_equal(params + u, params)
        kept = jax.tree.map(jnp.array_equal, skipped.inner_state, state.inner_state)
        assert all(jax.tree.leaves(kept))


def test_other_dtypes_get_the_updates_of_the_inner():
    params = {"wide": normal(0, dtype=jnp.float32), "short": normal(1), "none": None}
    tx = jl.kahan(jl.adam(0.1))
    state = tx.init(params)
    u, _ = tx.update(params, state, params)
    expected, _ = jl.adam(0.1).update(params, jl.adam(0.1).init(params), params)
    assert jnp.array_equal(u["wide"], expected["wide"])
    assert u["none"] is None
    assert state.remainder["short"].dtype == jnp.bfloat16
    assert isinstance(state.remainder["wide"], tuple)
    assert not state.remainder["wide"]


def test_the_limit_is_named_and_the_remainder_is_of_what_is_there():
    # Aimed at a value 2**30 times smaller, the sum is zero; the rest is remembered.
    p, w = jnp.ones(1), jnp.full(1, 2.0**-30)
    scheme = Compensated()
    there = nearest(p + (scheme.land(w, None) - p))
    assert there == 0
    assert scheme.weight(there, scheme.keep(w, there, None)) == w


def test_what_is_kept_is_measured_against_what_the_addition_gives():
    # As above, by an update: the remainder says that 1 stands for 2**-8.
    tx, p = jl.kahan(jl.sgd(1.0)), jnp.ones(1, jnp.bfloat16)
    remainder = jnp.full(1, 2.0**-8 - 1, jnp.bfloat16)
    state = tx.init(p)._replace(remainder=remainder)
    u, state = tx.update(jnp.full(1, 2.0**-8 - 2.0**-30), state, p)
    assert (p + u).astype(p.dtype) == 0
    assert state.remainder == 2.0**-30


def test_another_librarys_optimizer():
    tx = jl.master_weights(optax.adam(0.01))
    params, state = train(tx, normal(0), 5)
    expected, _ = train(
        optax.adam(0.01),
        normal(0).astype(jnp.float32),
        5,
        lambda i: normal(i + 1).astype(jnp.float32),
    )
    assert jnp.array_equal(weights(tx, params, state), expected)


@each_scheme
def test_in_a_train_state(scheme):
    model = nn.Dense(3, param_dtype=jnp.bfloat16)
    x = normal(0, (4, 5))
    params = model.init(jax.random.key(0), x)
    tx = SCHEMES[scheme](jl.adamw(1e-2))
    state = TrainState.create(apply_fn=model.apply, params=params, tx=tx)

    @jax.jit
    def step(state):
        loss = lambda p: jnp.sum(state.apply_fn(p, x) ** 2)  # noqa: E731
        return state.apply_gradients(grads=jax.grad(loss)(state.params))

    first = step(state)  # in which Flax's own count is a Python number
    traces = step._cache_size()
    after = step(step(first))
    assert step._cache_size() == traces + 1
    assert {x.dtype for x in jax.tree.leaves(after.params)} == {jnp.dtype("bfloat16")}
    assert not jnp.array_equal(*(jax.tree.leaves(s.params)[1] for s in (state, after)))


@each_scheme
def test_excess_precision_changes_nothing(scheme):
    tx = SCHEMES[scheme](jl.sgd(0.01, momentum=0.9))
    params = normal(0)

    def two_steps(params):
        state = tx.init(params)
        for i in range(2):
            u, state = tx.update(normal(i + 1), state, params)
            params = (params + u).astype(params.dtype)
        return params, state.remainder

    lowered = jax.jit(two_steps).lower(params)
    programs = [
        lowered.compile(compiler_options={"xla_allow_excess_precision": allowed})
        for allowed in (True, False)
    ]
    kept = "reduce-precision" if scheme != "stochastic_rounding" else "and("
    assert kept in programs[0].as_text()
    for x, y in zip(*(jax.tree.leaves(p(params)) for p in programs), strict=True):
        assert jnp.array_equal(x, y)


def test_equal_leaves_are_rounded_by_chances_of_their_own():
    tx = jl.stochastic_rounding(jl.sgd(2.0**-9))
    params = dict.fromkeys("ab", jnp.ones((64, 48), jnp.bfloat16))
    u, _ = tx.update(params, tx.init(params), params)
    assert not jnp.array_equal(u["a"], u["b"])


def test_the_state_of_another_wrapper():
    """It would be taken for other digits of the weights."""
    params = {"w": normal(0, (4, 3)), "wide": jnp.ones(2)}
    texts = {}
    for name in SCHEMES:
        state = SCHEMES[name](jl.sgd(0.1)).init(params)
        for other in SCHEMES.keys() - {name}:
            tx = SCHEMES[other](jl.sgd(0.1))
            texts[name, other] = message(ValueError, tx.update, params, state, params)
    assert texts["kahan", "master_weights"] == (
        "master_weights: state.remainder of 1 parameter is not kept as it was.\n"
        "  'w': found bfloat16[4,3], expected float32[4,3]\n"
        "Expected what this wrapper keeps for these parameters: pass the state that "
        "its `init` or last `update` returned. Another wrapper keeps other digits."
    )
    assert "found masked, expected int16[4,3]" in texts["stochastic_rounding", "int16"]
    tx = jl.kahan(jl.sgd(0.1))
    state = tx.init({**params, "w": normal(0, (3,))})
    text = message(ValueError, tx.update, params, state, params)
    assert "'w': found bfloat16[3], expected bfloat16[4,3]" in text


def test_the_derivative_is_that_of_what_is_rounded():
    start = normal(0, (8,))

    def loss(rate, scheme):
        wrap = SCHEMES.get(scheme, lambda tx: tx)
        tx, params = wrap(jl.sgd(rate, momentum=0.5)), start
        params = params if scheme in SCHEMES else params.astype(jnp.float32)
        state = tx.init(params)
        for _ in range(2):
            u, state = tx.update(params, state, params)
            params = (params + u).astype(params.dtype)
        return jnp.sum(params.astype(jnp.float32) ** 2)

    derivative = jax.jit(jax.grad(loss), static_argnums=1)
    expected = float(derivative(jnp.float32(0.1), "in float32"))
    for scheme in SCHEMES:
        found = derivative(jnp.float32(0.1), scheme)
        assert found == pytest.approx(expected, rel=0.03), scheme


def test_the_count_stays_where_int32_ends():
    tx, p = jl.stochastic_rounding(jl.sgd(0.1)), normal(0, (3,))
    last = tx.init(p)._replace(count=jnp.int32(2**31 - 1))
    assert tx.update(p, last, p)[1].count == last.count


def test_repr_tells_what_is_kept():
    inner = repr(jl.trace(0.9))
    assert repr(jl.kahan(jl.trace(0.9))) == f"kahan({inner})"
    tx = jl.master_weights(jl.trace(0.9), "int16")
    assert repr(tx) == f"master_weights({inner}, remainder=int16)"


def test_errors():
    text = message(TypeError, jl.kahan, 3.0)
    assert text.startswith("kahan: inner is 3.0, a float; expected a transformation")
    assert message(TypeError, jl.master_weights, jl.sgd(0.1), jnp.int32) == (
        "master_weights: remainder is <class 'jax.numpy.int32'>; expected jnp.int16, "
        "jnp.int8 or None."
    )
    tx = jl.stochastic_rounding(jl.sgd(0.1))
    p = normal(0)
    assert message(ValueError, tx.update, p, tx.init(p)) == (
        "stochastic_rounding: update was called without params; expected the "
        "parameters. Call update(updates, state, params)."
    )
    text = message(TypeError, tx.update, p, jl.sgd(0.1).init(p), p)
    assert text.startswith("stochastic_rounding: the state is a tuple; expected Round")
