"""Measurements stand in the state from the first, and follow commit."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, at, run, trajectory

G = trajectory({"w": np.zeros(3, np.float32), "n": None}, 1)
NORMS = np.linalg.norm(G["w"], axis=1)


def test_the_last_measurement_is_kept():
    tx = jl.chain(jl.scale(2.0), jl.snapshot("norm", jl.global_norm), jl.scale(0.5))
    updates, state = run(tx, G, G)
    assert np.array_equal(updates["w"], G["w"])
    assert state[1].measurement["norm"] == pytest.approx(2 * NORMS[-1], rel=1e-6)


def test_means_of_flags_are_means_over_the_steps():
    flag = jl.measure_with_ema(lambda u: jl.global_norm(u) > 3.0, 0.9, debias=True)
    state = run(jl.monitor({"above": flag, "norm": jl.global_norm}), G, G).state
    weights = 0.9 ** np.arange(len(NORMS))[::-1]
    wanted = np.average(NORMS > 3, weights=weights)
    assert state.measurements["above"] == pytest.approx(wanted, rel=1e-5)
    assert state.measurements["norm"] == pytest.approx(NORMS[-1], rel=1e-6)


def test_monitor_gives_what_optax_gives_outside_a_scan():
    def measures(lib):
        return {"n": jl.global_norm, "m": lib.measure_with_ema(jl.global_norm, 0.5)}

    found = []
    for lib in (jl, optax):
        tx = lib.monitor(measures(lib))
        state = tx.init(at(G, 0))
        for step in range(3):
            _, state = tx.update(at(G, step), state)
        found.append(state.measurements)
    assert_close(*found)


def test_without_commit_measurements_stay():
    tx = jl.monitor({"n": jl.global_norm, "m": jl.measure_with_ema(jl.global_norm, 0)})
    state = tx.init(at(G, 0))
    kept = tx.update(at(G, 0), state, commit=jnp.array(False))[1]
    assert jax.tree.all(jax.tree.map(np.array_equal, kept, state))


def test_what_cannot_measure_is_named():
    with pytest.raises(TypeError, match="monitor: 'norm' is 3, an int"):
        jl.monitor({"norm": 3})
