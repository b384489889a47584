"""Codes of a few bits, against the formula in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from jaxopt_lite.core.types import NON_NEGATIVE, SIGNED
from jaxopt_lite.storage.store import CODECS
from tests.reference.storage import neighbours, scales, spread, values
from tests.test_errors import message

MAPS = {
    ("int8", SIGNED): (127, 4),
    ("int8", NON_NEGATIVE): (255, 8),
    ("int4", SIGNED): (7, 2),
    ("int4", NON_NEGATIVE): (15, 1),
}
SHAPES = [(3, 64), (2, 3, 40), (5, 1), (33,), (4, 7)]
every_map = pytest.mark.parametrize("which", MAPS, ids=lambda x: f"{x[0]} {x[1].name}")


def sample(kind, shape, seed=0):
    """Numbers of many magnitudes, with zeros among them."""
    random = np.random.default_rng(seed)
    x = random.normal(size=shape) * np.exp(3 * random.normal(size=shape))
    x[random.random(shape) < 0.1] = 0
    return np.float32(x if kind == SIGNED else x * x)


def through(codec, kind, x, seed=0):
    """An array as it comes back, and what was kept of it."""
    bits = jax.random.bits(jax.random.key(seed), x.shape)
    found, kept = _through(codec, kind, jnp.asarray(x), bits)
    return np.asarray(found, np.float64), kept


@functools.partial(jax.jit, static_argnums=(0, 1))
def _through(codec, kind, x, bits):
    kept = codec.encode(x, kind, lambda: bits)
    return codec.decode(kept, kind, x.shape), kept


@every_map
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_becomes_one_of_its_neighbours(which, shape):
    (name, kind), (levels, power) = which, MAPS[which]
    codec, x = CODECS[name], sample(kind, shape)
    found, kept = through(codec, kind, x)
    scale = np.asarray(kept.scales, np.float64)
    exact = scales(x, codec.block)
    assert kept.scales.dtype == jnp.bfloat16
    assert np.all((scale >= exact) & (scale <= exact * (1 + 2.0**-7)))
    part = np.abs(x) / np.maximum(spread(scale, codec.block, shape[-1]), 1e-300)
    below, above = (values(levels, power)[c] for c in neighbours(part, levels, power))
    relative = np.abs(found) / np.maximum(spread(scale, codec.block, shape[-1]), 1e-300)
    is_near = np.isclose(relative, below, 2e-6, 0) | np.isclose(relative, above, 2e-6)
    assert np.all(is_near)
    assert np.all((np.sign(found) == np.sign(x)) | (found == 0))
    if kind == NON_NEGATIVE:
        assert np.array_equal(found == 0, x == 0)


@every_map
def test_is_right_in_the_mean(which):
    name, kind = which
    codec, x = CODECS[name], sample(kind, (2, 32), seed=1)
    bits = jax.random.bits(jax.random.key(0), (4000, *x.shape))

    def once(bits):
        kept = codec.encode(jnp.asarray(x), kind, lambda: bits)
        return codec.decode(kept, kind, x.shape)

    runs = np.asarray(jax.jit(jax.vmap(once))(bits), np.float64)
    error = np.abs(runs.mean(0) - x)
    bound = 5 * runs.std(0) / len(runs) ** 0.5 + 1e-6 * np.abs(x)
    # What is less than the least code is raised to it, where nothing may be zero.
    least = values(*MAPS[which])[1] * np.abs(x).max(-1, keepdims=True)
    seldom = np.abs(x) < least / 100
    assert np.all((error <= bound) | seldom | ((kind != SIGNED) & (x < 1.01 * least)))


@every_map
def test_what_is_a_code_stays(which):
    name, kind = which
    x = sample(kind, (4, 40))
    x[:, ::16] = 2.0**20  # the scale of each block
    found, _ = through(CODECS[name], kind, x)
    again, _ = through(CODECS[name], kind, found.astype(np.float32), seed=1)
    assert np.allclose(found, again, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_what_is_not_zero_does_not_become_zero(name):
    x = np.full((1, 16), 1e-37, np.float32)
    x[0, :2] = 1e5, 0
    found, _ = through(CODECS[name], NON_NEGATIVE, x)
    assert np.array_equal(found > 0, x > 0)


def test_codes_have_the_shape_of_the_array_or_half_of_it():
    x = sample(SIGNED, (4, 41))
    _, kept = through(CODECS["int8"], SIGNED, x)
    assert (kept.codes.shape, kept.codes.dtype) == ((4, 41), jnp.int8)
    assert kept.scales.shape == (4, 2)
    _, kept = through(CODECS["int4"], NON_NEGATIVE, np.abs(x))
    assert (kept.codes.shape, kept.codes.dtype) == ((4, 21), jnp.uint8)
    assert kept.scales.shape == (4, 3)


@every_map
def test_zero_stays_zero_whatever_the_chance(which):
    name, kind = which
    x = jnp.zeros((1, 16)).at[0, 0].set(1)
    kept = CODECS[name].encode(x, kind, lambda: jnp.zeros(x.shape, jnp.uint32))
    assert not jnp.any(CODECS[name].decode(kept, kind, x.shape)[0, 1:])


def test_a_block_longer_than_the_array_takes_no_memory():
    codec, x = jl.Blocks(block=2**40), sample(SIGNED, (2, 8))
    found, kept = through(codec, SIGNED, x)
    assert kept.scales.shape == (2, 1)
    assert np.all(np.abs(found - x) <= 0.04 * np.abs(x).max(1, keepdims=True))


def test_two_codes_of_a_byte_do_not_touch():
    x = np.array([[7, -7, -1, 7, 0]], np.float32) ** 2 * [[1, -1, -1, 1, 0]] / 49
    found, kept = through(CODECS["int4"], SIGNED, x.astype(np.float32))
    assert np.allclose(found, x, rtol=1e-6)
    assert kept.codes.tolist() == [[-105, 127, 0]]  # 7 and -7, -1 and 7, 0 and nothing


@every_map
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_what_is_not_finite_stays_so(which, bad):
    name, kind = which
    x = np.ones((1, 64), np.float32)
    x[0, 3] = bad
    found, _ = through(CODECS[name], kind, x)
    assert not np.isfinite(found[0, 3])
    assert np.all(np.isfinite(found[0, 32:]))


@every_map
@pytest.mark.parametrize("size", [2e-37, 3.4e38])
def test_the_smallest_and_the_largest_scales(which, size):
    name, kind = which
    x = np.full((1, 64), size, np.float32)
    x[0, 1] /= 2
    found, _ = through(CODECS[name], kind, x)
    assert np.allclose(found[0, 2:], size, rtol=0.008)
    assert size / 4 < found[0, 1] < size


@every_map
def test_of_nothing_and_of_zeros(which):
    name, kind = which
    assert through(CODECS[name], kind, np.zeros((2, 0), np.float32))[0].shape == (2, 0)
    assert not through(CODECS[name], kind, np.zeros((2, 40), np.float32))[0].any()
    tiny = np.full((1, 8), 1e-40, np.float32)
    assert np.all(np.isfinite(through(CODECS[name], kind, tiny)[0]))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"bits": 5}, "Blocks: bits is 5; expected one of 4, 8."),
        ({"bits": 8.0}, "Blocks: bits is 8.0; expected one of 4, 8."),
        ({"signed_power": 3}, "Blocks: signed_power is 3; expected one of 1, 2, 4, 8."),
        (
            {"non_negative_power": 0},
            "Blocks: non_negative_power is 0; expected one of 1, 2, 4, 8.",
        ),
        (
            {"block": 0},
            "Blocks: block is 0; expected a whole number of 1 or more.",
        ),
    ],
    ids=["bits", "bits as a float", "signed_power", "non_negative_power", "block"],
)
def test_errors(given, text):
    assert message(ValueError, jl.Blocks, **given) == text
