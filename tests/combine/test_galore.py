"""GaLore, beyond what the table of all transformations shows."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, at, random_tree, run, trajectory

LIKE = {
    "tall": np.zeros((5, 3), np.float32),
    "wide": np.zeros((2, 4), np.float32),
    "bias": np.zeros(3, np.float32),
}


def test_equals_optax_until_the_directions_change():
    """And goes on from Optax's state, with its array without elements for a bias."""
    g = trajectory(LIKE, 1)
    ours, theirs = jl.galore(0.1, rank=2), optax.contrib.galore(0.1, rank=2)
    expected = run(theirs, g, g).updates
    assert_close(run(ours, g, g).updates, expected, 1e-4)
    midway = run(theirs, at(g, slice(49)), at(g, slice(49))).state
    u, state = ours.update(at(g, 49), midway, at(g, 49))
    assert_close(u, at(expected, 49), 1e-4)
    assert state[0].projector["bias"].shape == (0, 0)


def test_stacked_matrices_have_directions_of_their_own(x64):
    g = trajectory({"w": np.zeros((3, 4, 2))}, 1)
    numbers = jl.GaLoreDimensionNumbers(-2, -1)
    many = jl.galore(0.1, 1, 7, weight_dimension_numbers=numbers)
    each = [run(jl.galore(0.1, 1, 7), x, x).updates for x in np.moveaxis(g["w"], 1, 0)]
    assert_close(run(many, g, g).updates["w"], np.stack(each, 1))


@pytest.mark.parametrize("shape", [(5, 3), (2, 4)])
def test_of_a_complex_matrix_the_largest_directions_are_left(shape):
    tx = jl.scale_by_galore(2, 1, base_optimizer=jl.identity())
    g = random_tree({"re": np.zeros(shape), "im": np.zeros(shape)}, 1)
    g = jnp.asarray(g["re"] + 1j * g["im"], jnp.complex64)
    left, sizes, right = np.linalg.svd(g, full_matrices=False)
    u, state = tx.update(g, tx.init(g))
    best = (left[:, :2] * sizes[:2]) @ right[:2]
    np.testing.assert_allclose(u, best, atol=1e-5)
    _, again = tx.update(g, state)
    np.testing.assert_allclose(again.projector, state.projector, atol=1e-5)


def test_nothing_moves_where_a_step_does_not_count():
    tx, g = jl.scale_by_galore(1), random_tree(LIKE, 1)
    state = tx.init(g)
    _, kept = tx.update(g, state, commit=jnp.array(False))
    assert all(jax.tree.leaves(jax.tree.map(jnp.array_equal, kept, state)))
    _, moved = tx.update(g, state, commit=jnp.array(True))
    assert moved.count == 1 and jnp.any(moved.projector["tall"])


def test_the_base_gets_float32_and_no_parameters():
    g = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), random_tree(LIKE, 1))
    tx = jl.scale_by_galore(1)
    u, state = tx.update(g, tx.init(g), random_tree(LIKE, 2))
    assert {x.dtype.name for x in jax.tree.leaves(u)} == {"float32"}
    assert state.base_optimizer_state.mu["tall"].dtype == jnp.float32
    tx = jl.scale_by_galore(1, base_optimizer=jl.adamw(0.1))
    with pytest.raises(ValueError, match="without params"):
        tx.update(g, tx.init(g), g)


def test_directions_of_another_rank_are_refused():
    g = random_tree(LIKE, 1)
    with pytest.raises(ValueError, match="does not fit the gradients") as error:
        jl.scale_by_galore(2).update(g, jl.scale_by_galore(1).init(g))
    assert "'tall': gradient float32[5,3], projector float32[5,1]" in str(error.value)


def test_rank_is_an_integer():
    with pytest.raises(ValueError, match="rank"):
        jl.galore(0.1, rank=0)
    with pytest.raises(TypeError, match="shapes follow from it"):
        jl.galore(0.1, rank=jnp.array(2))
