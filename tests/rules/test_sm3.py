"""SM3, beyond what the table of all transformations shows."""

import jax
import numpy as np
import optax

import jaxopt_lite as jl
from tests.helpers import assert_close, at, run, trajectory

LIKE = {
    "kernel": np.zeros((2, 3, 4)),
    "layers": [{"w": np.zeros((3, 1)), "b": np.zeros(4)}, None],
}


def test_updates_and_state_equal_optax(x64):
    g = trajectory(LIKE, 1)
    ours, theirs = run(jl.sm3(0.1), g, g), run(optax.sm3(0.1), g, g)
    assert_close(ours, theirs)
    assert jax.tree.structure(ours.state[0].mu) == jax.tree.structure(
        theirs.state[0].mu
    )


def test_goes_on_from_a_state_of_optax(x64):
    g = trajectory(LIKE, 1)
    midway = run(optax.sm3(0.1), at(g, slice(49)), at(g, slice(49))).state
    u, _ = jl.sm3(0.1).update(at(g, 49), midway)
    assert_close(u, at(run(optax.sm3(0.1), g, g).updates, 49))
