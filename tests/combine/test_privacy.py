"""Gradients of single examples are clipped each by its norm, summed and blurred."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close

EXAMPLES = 5


def gradients(dtype=np.float32):
    rng = np.random.default_rng(0)
    shapes = {"w": (EXAMPLES, 3, 2), "b": [None, (EXAMPLES, 4)]}
    drawn = jax.tree.map(
        lambda s: rng.normal(size=s).astype(dtype),
        shapes,
        is_leaf=lambda x: isinstance(x, tuple),
    )
    drawn["w"][2], drawn["b"][1][2] = 0, 0
    return drawn


def clipped(x, norms, bound):
    """The sum over examples, each no longer than the bound."""
    factors = [1 if n <= bound else bound / n for n in norms]
    return sum(f * np.float64(e) for f, e in zip(factors, x, strict=True))


def norms(*arrays):
    joined = np.concatenate([np.reshape(x, (EXAMPLES, -1)) for x in arrays], axis=1)
    return np.linalg.norm(np.float64(joined), axis=1)


@pytest.mark.parametrize("bound", [0.0, 2.5, 1e3, np.inf])
def test_sum_is_that_of_clipped_examples(bound):
    g = gradients()
    sums, count = jl.per_example_global_norm_clip(g, bound)
    each = norms(g["w"], g["b"][1])
    wanted = jax.tree.map(lambda x: clipped(x, each, bound), g)
    assert_close(sums, wanted, 1e-6)
    assert count == np.sum(each > bound) and count.dtype == jnp.int32


@pytest.mark.parametrize("uniform", [True, False])
def test_layers_share_the_bound(uniform):
    g = gradients()
    sums, counts = jl.per_example_layer_norm_clip(g, 2.0, uniform)
    for found, count, x, size in (
        (sums["w"], counts["w"], g["w"], 6),
        (sums["b"][1], counts["b"][1], g["b"][1], 4),
    ):
        bound = 2 * np.sqrt(0.5 if uniform else size / 10)
        assert_close(found, clipped(x, norms(x), bound), 1e-6)
        assert count == np.sum(norms(x) > bound)


def test_gradients_beyond_the_square_root_of_float32_are_clipped():
    g = jnp.full((1, 4), 1e25)
    sums, _ = jl.per_example_global_norm_clip(g, 2.0)
    assert np.allclose(sums, 1.0)


def test_dpsgd_is_that_of_optax(x64):
    g = gradients(np.float64)
    arguments = {"momentum": 0.9, "nesterov": True}
    ours = jl.dpsgd(0.1, 1.5, 0.7, 3, **arguments)
    with pytest.deprecated_call():
        theirs = optax.contrib.dpsgd(0.1, 1.5, 0.7, 3, **arguments)
    params = jax.tree.map(lambda x: x[0], g)
    states = [ours.init(params), theirs.init(params)]
    for _ in range(3):
        found, states[0] = ours.update(g, states[0], params)
        wanted, states[1] = theirs.update(g, states[1], params)
        assert_close(found, wanted)


def test_without_commit_the_key_stays():
    tx = jl.differentially_private_aggregate(1.0, 1.0, 0)
    g = gradients()
    state = tx.init(g)
    kept = tx.update(g, state, commit=jnp.array(False))[1]
    assert np.array_equal(kept.rng_key, state.rng_key)


def test_dtypes_and_nothing_stay():
    tx = jl.differentially_private_aggregate(1.0, 1.0, 0)
    assert tx.update({}, tx.init({}))[0] == {}
    u, _ = jax.jit(tx.update)(gradients(jnp.bfloat16), tx.init(None))
    assert {x.dtype.name for x in jax.tree.leaves(u)} == {"bfloat16"}


def test_leaves_without_examples_are_named():
    g = {**gradients(), "scalar": jnp.ones(()), "other": jnp.ones((3, 2))}
    text = (
        "2 gradients have not one slice for each of 5 examples(.|\n)*'other': "
        "gradient float32\\[3,2\\]\n  'scalar': gradient float32\\[\\](.|\n)*axis 0"
    )
    with pytest.raises(ValueError, match=text):
        jl.per_example_global_norm_clip(dict(reversed(g.items())), 1.0)


def test_privacy_takes_no_schedule():
    with pytest.raises(TypeError, match="l2_norm_clip is .*; expected a number"):
        jl.dpsgd(0.1, lambda count: 1.0, 0.0, 0)


def test_privacy_takes_a_key():
    with pytest.raises(TypeError, match="found neither key nor seed.*nobody can guess"):
        jl.differentially_private_aggregate(1.0, 1.0)
    with pytest.raises(TypeError, match="found neither key nor seed"):
        jl.dpsgd(0.1, 1.0, 1.0)
