"""Rounding to bfloat16 by chance."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_lite as jl
from jaxopt_lite.core.codec import random_bits, salt, seed
from jaxopt_lite.core.slots import encode
from jaxopt_lite.core.types import SIGNED
from jaxopt_lite.storage.floats import stochastically_rounded


def bits(shape, i=0):
    return jax.random.bits(jax.random.key(i), shape)


def test_becomes_one_of_its_neighbours():
    x = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    found = stochastically_rounded(jnp.asarray(x), bits(x.shape))
    assert found.dtype == jnp.bfloat16
    towards_zero = (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    step = np.ldexp(1.0, np.frexp(x)[1] - 8)
    away = towards_zero + np.sign(x) * step
    found = np.asarray(found, np.float32)
    assert np.all((found == towards_zero) | (found == away))
    assert np.any(found == towards_zero)
    assert np.any(found == away)


def test_is_right_in_the_mean():
    x = jnp.full(100_000, 1 + 3 * 2.0**-10)
    found = stochastically_rounded(x, bits(x.shape)).astype(jnp.float32)
    assert abs(float(jnp.mean(found)) - float(x[0])) < 5 * 2.0**-7 / 100_000**0.5


def test_what_is_exact_or_not_finite_stays():
    x = jnp.array([0.0, -0.0, 1.5, -2.0, jnp.inf, -jnp.inf, jnp.nan, -jnp.nan])
    found = stochastically_rounded(x, jnp.full(8, 0xFFFFFFFF, jnp.uint32))
    assert jnp.array_equal(found, x.astype(jnp.bfloat16), equal_nan=True)
    # Of all ones is the nan that GPUs give.
    nan = jax.lax.bitcast_convert_type(jnp.uint32(0x7FFFFFFF), jnp.float32)
    assert jnp.isnan(stochastically_rounded(nan, jnp.uint32(0xFFFFFFFF)))


def test_float32_keeps_what_is_computed_in_float64(x64):
    tx = jl.store_state(jl.trace(0.9), "float32", where=lambda p: True)
    state = tx.init(jnp.zeros((2, 2)))
    assert state.trace.dtype == jnp.float32
    u, state = tx.update(jnp.ones((2, 2)), state)
    assert (u.dtype, state.trace.dtype) == (jnp.float64, jnp.float32)


def test_slots_of_one_leaf_are_rounded_by_chances_of_their_own():
    x = jnp.full((64, 48), np.pi, jnp.float32)
    mu, nu = (
        encode(jl.Bfloat16(), SIGNED, slot, seed(1, salt("w")), x).codes
        for slot in ("mu", "nu")
    )
    assert not jnp.array_equal(mu, nu)


def test_random_bits_are_even_and_depend_on_all():
    drawn = np.asarray(random_bits(seed(3, salt("a")), (128, 64)))
    ones = np.unpackbits(drawn.view(np.uint8)).mean()
    assert abs(ones - 0.5) < 0.005
    assert len(np.unique(drawn)) > 8180
    others = [
        random_bits(seed(4, salt("a")), (128, 64)),
        random_bits(seed(3, salt("b")), (128, 64)),
    ]
    for other in (*map(np.asarray, others), np.roll(drawn, 1), np.roll(drawn, 64)):
        alike = 1 - np.unpackbits((drawn ^ other).view(np.uint8)).mean()
        assert abs(alike - 0.5) < 0.005
