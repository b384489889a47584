"""What Adam's relatives do beyond their formulas."""

from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from jaxopt_lite.rules.radam import length
from tests.helpers import assert_close, relative_error, run

GRADIENTS = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
ONES = np.ones((12, 5), np.float32)


def rising(count):
    return 0.1 * count


def test_ademamix_reads_its_schedules_at_the_count_of_the_slow_mean(x64):
    """Whoever begins the slow mean anew resets that count, and not the other."""
    ours = jl.scale_by_ademamix(b3=0.5, alpha=rising)
    theirs = optax.contrib.scale_by_ademamix(b3=0.5, alpha=rising)
    for tx in (ours, theirs):
        assert tx.init(ONES[0]).count_m2.dtype == jnp.int32

    g, p = GRADIENTS.astype(np.float64), ONES.astype(np.float64)

    def from_the_middle(tx):
        state = run(tx, g[:6], p[:6]).state
        begun = state._replace(
            count_m2=jnp.zeros_like(state.count), m2=jnp.zeros_like(state.m2)
        )
        return run(tx, g[6:], p[6:], start=begun)

    found, expected = from_the_middle(ours), from_the_middle(theirs)
    assert (found.state.count, found.state.count_m2) == (12, 6)
    assert_close(found.updates, expected.updates)


def test_withheld_commit_keeps_every_count():
    for tx, g in ((jl.scale_by_ademamix(), ONES[0]), (jl.scale_by_adan(), ONES[0])):
        state = tx.update(g, tx.init(g))[1]
        kept = tx.update(2 * g, state, commit=jnp.bool_(False))[1]
        assert_close(kept, state, tolerance=0)


@pytest.mark.parametrize("b", [0.0, 0.3, 0.9, 0.999, 0.999999])
@pytest.mark.parametrize("t", [1, 2, 6, 100, 10**4, 10**7])
def test_length_of_radam_is_accurate_to_rounding(b, t):
    """Against the paper's formula in sixty digits."""
    array = jnp.float32(b)
    assert relative_error(length(b, jnp.float32(t)), exact_length(b, t)) <= 1e-6
    traced = jax.jit(length)(array, jnp.float32(t))
    assert relative_error(traced, exact_length(float(array), t)) <= 1e-6


def test_length_of_radam_is_accurate_in_float64(x64):
    steps = np.arange(1, 61)
    exact = [exact_length(0.9, int(t)) for t in steps]
    assert relative_error(length(0.9, jnp.asarray(steps, "float64")), exact) <= 1e-15


def exact_length(b, t):
    with localcontext(prec=60):
        b, past = Decimal(b), Decimal(b) ** t
        return float(2 / (1 - b) - 1 - 2 * t * past / (1 - past))


@pytest.mark.parametrize("b2", [0.0, 0.6, 0.9])
def test_radam_is_differentiable_on_either_side_of_its_threshold(b2):
    @jax.jit
    def total(b2, threshold):
        tx = jl.scale_by_radam(b2=b2, threshold=threshold)
        return jnp.sum(run(tx, GRADIENTS, ONES).updates)

    for threshold in (0.0, 5.0):
        found = jax.grad(total, argnums=(0, 1))(b2, threshold)
        assert all(map(jnp.isfinite, found))


def test_lion_from_the_new_mean_moves_fewer_bytes():
    """It is chosen where `b2` is known; the old mean would have to be copied."""
    p = jnp.ones((256, 256))

    def accessed(b2):
        def step(p, state, g):
            tx = jl.lion(0.1, b2=b2)
            u, state = tx.update(g, state, p)
            return jl.apply_updates(p, u), state

        jitted = jax.jit(step, donate_argnums=(0, 1))
        compiled = jitted.lower(p, jl.lion(0.1).init(p), p).compile()
        return compiled.cost_analysis()["bytes accessed"] / p.size

    assert accessed(0.99) < 28.1 < 36 < accessed(jnp.float32(0.99))


def test_forms_of_lion_agree():
    tx = jl.scale_by_lion(mode="smooth")
    other = jl.scale_by_lion(b2=jnp.float32(0.99), mode="smooth")
    assert_close(run(tx, GRADIENTS, ONES), run(other, GRADIENTS, ONES))


def test_adopt_clips_complex_numbers_in_magnitude():
    g = np.float32([1, 30, 1, -30]).reshape(4, 1) * np.complex64(0.6 + 0.8j)
    found = run(jl.scale_by_adopt(), g, g).updates
    real = run(jl.scale_by_adopt(), np.real(g / g[0]), np.real(g)).updates
    np.testing.assert_allclose(found, real * g[0], rtol=1e-6)


@pytest.mark.parametrize("eps", [1e-16, 0.0])
def test_maximum_of_nothing_divides_nothing(eps):
    zero = np.zeros((3, 2), np.float32)
    assert not run(jl.scale_by_adamax(eps=eps), zero, zero).updates.any()


def test_unknown_mode_of_lion_is_named():
    with pytest.raises(ValueError, match="mode is 'soft'; expected 'hard'"):
        jl.scale_by_lion(mode="soft")
