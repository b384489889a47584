"""Rprop, beside PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_lite as jl
from tests.helpers import assert_close, run, trajectory
from tests.reference import pytorch
from tests.variants.common import falling

LIKE = np.zeros(8, np.float32)


def test_rprop_is_that_of_pytorch(x64):
    """The steps of their formula, which gives the parameters after each."""
    g = trajectory(LIKE, 1).astype(np.float64)
    tx = jl.rprop(1e-3, 0.4, 1.3, min_step_size=1e-2, max_step_size=0.1)
    path = pytorch.rprop(np.zeros(8), g, 1e-3, (0.4, 1.3), (1e-2, 0.1))
    assert_close(np.cumsum(run(tx, g, g).updates, axis=0), np.stack(list(path)))


def test_first_value_of_a_schedule_is_where_rprop_begins():
    g = trajectory(LIKE, 1)
    scheduled, fixed = (run(jl.rprop(x), g, g).updates for x in (falling, 0.5))
    assert_close(scheduled, fixed, tolerance=0)


def test_rprop_sees_a_turn_whose_product_underflows():
    tx, tiny = jl.rprop(1e-2), jnp.float32(2e-38)
    _, state = tx.update(tiny, tx.init(tiny))
    u, state = tx.update(-tiny, state)
    assert u == 0
    sizes = jax.tree.leaves(state)[0]
    assert sizes == jnp.float32(0.5) * jnp.float32(1e-2)
