"""CAME, beyond what the table of all transformations shows."""

import jax.numpy as jnp
import numpy as np

import jaxopt_lite as jl
from tests.helpers import assert_close, at, run, trajectory


def test_axes_before_the_last_two_count_matrices(x64):
    """But for the bound, which is on the array as a whole."""
    tx = jl.scale_by_came(clipping_threshold=np.inf)
    g = trajectory(np.zeros((2, 5, 3, 4)), 1, steps=10)
    together = run(tx, g, g).updates
    for i in np.ndindex(2, 5):
        alone = g[:, *i]
        assert_close(together[:, *i], run(tx, alone, alone).updates)


def test_steps_that_agree_are_longer():
    def lengths(g):
        """Of each element, how much longer a step is than the mean."""
        updates, state = run(jl.scale_by_came(b3=0.9), g, g)
        return at(updates, -1) / state.mu

    steady = jnp.ones((20, 2, 3))
    shaken = 1 + 3 * (-1.0) ** jnp.arange(20)[:, None, None] * steady
    assert (lengths(steady) > 2 * lengths(shaken)).all()


def test_first_steps_are_as_long_as_the_docstring_says():
    g = jnp.full((2, 3), 5.0)
    u, _ = jl.scale_by_came().update(g, jl.scale_by_came().init(g))
    np.testing.assert_allclose(u, 0.1 / 0.9 / 0.0001**0.5, rtol=1e-4)
