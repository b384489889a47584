"""Norms of units and of whole arrays, where they are zero, and of complex numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, random_tree

AXES = {
    (): None,
    (5,): None,
    (1, 5): None,
    (3, 5): 0,
    (1, 3, 5): 0,
    (2, 3, 4): 0,
    (2, 3, 4, 5): (0, 1, 2),
    (2, 1, 3, 4, 5): (0, 1, 2, 3),
}


@pytest.mark.parametrize("shape", AXES)
def test_unitwise_norm_is_that_of_what_leads_into_a_unit(shape):
    x = random_tree(np.zeros(shape, np.float32), 1)
    norm = np.sqrt(np.sum(x**2, axis=AXES[shape], keepdims=True))
    assert_close(jl.unitwise_norm(x), np.broadcast_to(norm, shape))


def test_unitwise_norm_is_over_the_axes_that_are_given():
    x = random_tree(np.zeros((2, 1, 2, 1, 3, 1), np.float32), 1)
    norm = np.sqrt(np.sum(x**2, axis=(0, 4), keepdims=True))
    assert_close(jl.unitwise_norm(x, (0, 4)), np.broadcast_to(norm, x.shape))
    with pytest.raises(ValueError, match=r"float32\[2,1,2,1,3,1\]; expected at most"):
        jl.unitwise_norm(x)


def test_unitwise_norm_of_complex_numbers_is_real():
    norm = jl.unitwise_norm(jnp.array([3j, 4 + 0j]))
    assert norm.dtype == jnp.float32
    assert norm.tolist() == [5, 5]


def test_unitwise_clip_wants_one_shape():
    with pytest.raises(ValueError, match=r"found shapes \[\(1,\), \(2,\), \(2,\)\]"):
        jl.unitwise_clip(jnp.ones(1), jnp.ones(2), jnp.ones(2))


PULLED = {
    "scale_by_trust_ratio": jl.scale_by_trust_ratio(),
    "scale_by_param_block_norm": jl.scale_by_param_block_norm(0.0),
    "scale_by_param_block_rms": jl.scale_by_param_block_rms(0.0),
    "clip_by_block_rms": jl.clip_by_block_rms(1.0),
    "adaptive_grad_clip": jl.adaptive_grad_clip(0.1, eps=0.0),
    "normalize_by_update_norm": jl.normalize_by_update_norm(eps=0.0),
    "scale_by_novograd": jl.scale_by_novograd(eps=0.0),
    "scale_by_distance_over_gradients": jl.scale_by_distance_over_gradients(eps=0.0),
    "lars": jl.lars(0.1),
    "fromage": jl.fromage(0.1, min_norm=0.0),
}


@pytest.mark.parametrize("name", PULLED)
def test_zero_has_a_finite_update_and_a_finite_slope(name):
    tx, zero = PULLED[name], jnp.zeros(3)

    @jax.grad
    def slope(at):
        g, p = at
        return jnp.sum(tx.update(g, tx.init(p), p)[0])

    assert jnp.isfinite(tx.update(zero, tx.init(zero), zero)[0]).all()
    assert all(jnp.isfinite(x).all() for x in slope((zero, zero)))


def test_trust_ratio_is_one_where_a_norm_is_zero():
    tx, g, zero = (
        jl.scale_by_trust_ratio(trust_coefficient=0.1),
        jnp.ones(2),
        jnp.zeros(2),
    )
    assert tx.update(g, tx.init(zero), zero)[0].tolist() == [1, 1]
    assert tx.update(zero, tx.init(g), g)[0].tolist() == [0, 0]


def test_masks_of_lars_may_be_by_path():
    p = {"kernel": jnp.full(4, 2.0), "bias": jnp.full(4, 2.0)}
    tx = jl.lars(
        1.0,
        weight_decay=0.5,
        weight_decay_mask=jl.weights_only,
        trust_ratio_mask=jl.by_path({"bias": False, "*": True}),
        trust_coefficient=0.1,
    )
    u, _ = tx.update(jax.tree.map(jnp.ones_like, p), tx.init(p), p)
    assert_close(u, {"kernel": np.full(4, -0.2), "bias": np.full(4, -1.0)}, 1e-6)
