"""The guard against steps whose loss or gradient is far beyond the last ones."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from benchmarks import peers
from benchmarks.step import Training
from tests.helpers import assert_close

PARAMS = {"kernel": jnp.ones((3, 2)), "bias": jnp.full(2, 0.5), "none": None}


def gradients(norm):
    """A gradient of a norm."""
    return {"kernel": jnp.zeros((3, 2)), "bias": jnp.array([norm, 0.0]), "none": None}


def through(tx, measured, **names):
    """The updates of a scalar's steps, whose gradient or loss is what is measured."""

    def step(state, x):
        if names:
            u, state = tx.update(jnp.ones(()), state, **{k: x for k in names})
        else:
            u, state = tx.update(x, state)
        return state, (u, state.total_skipped, state.filled)

    state = tx.init(jnp.zeros(()))
    return jax.lax.scan(step, state, jnp.asarray(measured, jnp.float32))


def by_hand(measured, length, sigmas, most):
    """Which steps are accepted, how many were skipped, how full the window is."""
    window, in_a_row, skipped = [], 0, 0
    for x in np.asarray(measured, np.float64):
        full = len(window) == length
        far = full and x > np.mean(window) + sigmas * np.std(window)
        is_spike = bool(far or not np.isfinite(x))
        in_a_row = in_a_row + 1 if is_spike else 0
        accepted = not is_spike or (np.isfinite(x) and in_a_row > most)
        if accepted:
            window = ([] if is_spike else window)[-length + 1 :] + [x]
            in_a_row = 0
        else:
            skipped += 1
        yield accepted, skipped, len(window)


@pytest.mark.parametrize(
    ("length", "sigmas", "most"), [(2, 3, 0), (5, 6, 2), (8, 1, 3)]
)
def test_it_skips_what_is_far_beyond_the_window(length, sigmas, most):
    random = np.random.default_rng(0)
    measured = random.uniform(1, 2, 80)
    measured[[3, 20, 33, 50, 51, 52, 70, 71]] *= 40
    measured[[10, 34, 60]] = np.nan, np.inf, np.nan
    measured[60:66] = np.nan
    measured[74:] += 30
    tx = jl.skip_spikes(jl.scale(1.0), length, sigmas, max_consecutive_spikes=most)
    _, (u, *counts) = through(tx, measured)
    accepted, skipped, filled = zip(
        *by_hand(measured, length, sigmas, most), strict=True
    )
    np.testing.assert_array_equal(u, np.where(accepted, np.float32(measured), 0))
    np.testing.assert_array_equal(counts, (skipped, filled))
    assert 8 <= skipped[-1] < 40


def test_of_losses_it_looks_at_the_value_alone():
    losses = [2.0, 1.9, 2.1, 9.0, 2.0, -5.0, np.nan, 2.0]
    tx = jl.skip_spikes(jl.scale(1.0), 3, of="value")
    _, (u, skipped, _) = through(tx, losses, value=True)
    np.testing.assert_array_equal(u, [1, 1, 1, 0, 1, 1, 0, 1])
    assert skipped[-1] == 2


INNER = {
    "clip and adamw": jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(0.1)),
    "schedule": jl.sgd(jl.linear_schedule(1.0, 0.1, 5), momentum=0.9),
    "accumulation": jl.MultiSteps(jl.adam(0.1), 2),
    "average": jl.chain(jl.sgd(0.1), jl.param_ema(0.9)),
    "optax": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
}


@pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
def test_a_skipped_step_changes_nothing_and_another_is_that_of_the_inner(inner):
    tx = jl.skip_spikes(inner, 2)
    update = jax.jit(tx.update)
    state, alone = tx.init(PARAMS), inner.init(PARAMS)
    plain = jax.jit(inner.update)
    for norm in (1.0, 1.1, 0.9):
        u, state = update(gradients(norm), state, PARAMS)
        v, alone = plain(gradients(norm), alone, PARAMS)
        assert_close((u, state.inner_state), (v, alone))
    for norm in (100.0, np.nan, 1e22):
        u, after = update(gradients(norm), state, PARAMS)
        assert not any(x.any() for x in jax.tree.leaves(u))
        same = [(s.window, s.filled, s.inner_state) for s in (after, state)]
        jax.tree.map(np.testing.assert_array_equal, *same)
        assert after.total_skipped == after.spike_count == 1


def test_under_a_step_that_does_not_count_it_counts_nothing():
    tx = jl.conditionally_mask(jl.skip_spikes(jl.sgd(1.0), 2), lambda step: step < 2)
    state = tx.init(jnp.zeros(()))
    for norm in (1.0, 1.1, 50.0):
        _, state = tx.update(jnp.full((), norm), state)
    assert state.inner_state.filled == 2
    assert state.inner_state.total_skipped == state.inner_state.spike_count == 0


def test_how_many_sigmas_can_be_swept_over():
    tx = jl.skip_spikes(jl.scale(1.0), 4, jnp.array([0.5, 6.0]))
    _, (u, _, _) = jax.vmap(lambda tx: through(tx, [1, 2, 1, 2, 2.5, 1]))(tx)
    np.testing.assert_array_equal(u[:, 4], [0, 2.5])


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"window": 1}, ValueError, "window is 1; expected a number in [2, inf)"),
        ({"window": jnp.array(3)}, TypeError, "window is int32[]; expected a Python"),
        ({"sigmas": -1.0}, ValueError, "sigmas is -1; expected a number in [0, inf)"),
        ({"sigmas": lambda step: 6.0}, TypeError, "the same at every step"),
        ({"of": "loss"}, ValueError, "of is 'loss'; expected one of 'norm', 'value'"),
        ({"max_consecutive_spikes": -1}, ValueError, "max_consecutive_spikes is -1"),
        ({"inner": 3}, TypeError, "skip_spikes: inner is 3"),
    ],
)
def test_what_makes_no_guard_is_refused(arguments, error, text):
    with pytest.raises(error) as caught:
        jl.skip_spikes(**{"inner": jl.sgd(0.1), **arguments})
    assert text in str(caught.value)


def test_a_missing_loss_is_asked_for():
    tx = jl.skip_spikes(jl.sgd(0.1), of="value")
    with pytest.raises(
        TypeError, match="skip_spikes: update was called without `value`"
    ):
        tx.update(PARAMS, tx.init(PARAMS))
    with pytest.raises(ValueError, match=r"skip_spikes: value is float32\[2\]"):
        tx.update(PARAMS, tx.init(PARAMS), value=jnp.ones(2))


ADAMW = jl.adamw(1e-3, weight_decay=0.01)
CLIPPED = jl.chain(jl.clip_by_global_norm(1.0), ADAMW)
COSTS = {
    "norm": (jl.skip_spikes(ADAMW), 44.5),
    "norm, of which a clip is made": (jl.skip_spikes(CLIPPED), 44.5),
}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="as counted on a CPU")
@pytest.mark.parametrize(("tx", "accessed"), COSTS.values(), ids=COSTS)
def test_it_costs_what_a_guard_costs(tx, accessed):
    params = {str(i): jnp.ones((128, 256)) for i in range(4)}
    cost = Training(peers.stepper(jl, tx), tx.init, params).cost([])
    assert cost.accessed <= accessed
    assert cost.temporaries <= 0.05
