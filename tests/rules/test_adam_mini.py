"""Adam-mini's blocks, beyond what the table of all transformations shows."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, by_name, run, trajectory


class Block(nn.Module):
    """What a transformer has."""

    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(11, 8)(tokens)
        x = x + nn.MultiHeadDotProductAttention(num_heads=2)(x)
        return nn.LayerNorm()(nn.Conv(5, (3,))(x))


def blocks(params, axes=None):
    """The shapes of the second moments, by path."""
    state = jax.eval_shape(jl.scale_by_adam_mini(axes=axes).init, params)
    return {path: x.shape for path, x in by_name(state.nu).items()}


def test_blocks_of_a_transformer_of_flax():
    params = jax.eval_shape(Block().init, jax.random.key(0), jnp.zeros((1, 4), int))
    attention = "params/MultiHeadDotProductAttention_0"
    assert blocks(params) == {
        "params/Embed_0/embedding": (11, 1),
        f"{attention}/query/kernel": (1, 2, 1),
        f"{attention}/key/kernel": (1, 2, 1),
        f"{attention}/value/kernel": (1, 2, 4),
        f"{attention}/out/kernel": (1, 1, 8),
        f"{attention}/query/bias": (1, 1),
        f"{attention}/key/bias": (1, 1),
        f"{attention}/value/bias": (1, 1),
        f"{attention}/out/bias": (1,),
        "params/Conv_0/kernel": (1, 1, 5),
        "params/Conv_0/bias": (1,),
        "params/LayerNorm_0/scale": (1,),
        "params/LayerNorm_0/bias": (1,),
    }


def test_a_query_without_heads_has_a_block_for_each_output_unit():
    assert blocks({"query": {"kernel": np.zeros((6, 8))}}) == {"query/kernel": (1, 8)}


def test_axes_by_path():
    params = {
        "layers": {"kernel": np.zeros((3, 6, 4)), "bias": np.zeros((3, 4))},
        "weight": np.zeros((5, 7)),
        "other": np.zeros((5, 7)),
        "none": None,
    }
    axes = jl.by_path(
        {"layers/kernel": -2, "layers/bias": [1], "weight": (), "*": None}
    )
    assert blocks(params, axes) == {
        "layers/kernel": (3, 1, 4),
        "layers/bias": (3, 1),
        "weight": (5, 7),
        "other": (1, 7),
    }


def test_without_axes_it_is_adam(x64):
    like = {"kernel": np.zeros((3, 4)), "scale": np.zeros(())}
    g = trajectory(like, 1)
    none = jl.by_path({"*": ()})
    adam, mini = (run(tx, g, g) for tx in (jl.adam(0.1), jl.adam_mini(0.1, axes=none)))
    assert_close(mini.updates, adam.updates)
    assert_close(mini.state[0].nu, adam.state[0].nu)


def test_axes_that_do_not_fit_are_named():
    axes = jl.by_path({"a": 2, "b": (0, -1), "*": None})
    params = {"a": np.zeros((3, 4)), "b": np.zeros(2), "c": np.zeros(2)}
    with pytest.raises(ValueError, match="axes that do not fit") as error:
        jl.adam_mini(0.1, axes=axes).init(params)
    assert "'a': float64[3,4] has 2 axes; found (2,)" in str(error.value)
    assert "'b': float64[2] has an axis that is named twice" in str(error.value)
    assert "'c'" not in str(error.value)


def test_a_pattern_without_a_parameter_is_named():
    with pytest.warns(UserWarning, match="'quer'"):
        jl.adam_mini(0.1, axes=jl.by_path({"quer": 0, "*": None})).init(np.zeros(2))


def test_masked_leaves_need_no_axes():
    tx = jl.masked(
        jl.scale_by_adam_mini(axes=jl.by_path({"*": 1})),
        jl.by_path({"kernel": True, "*": False}),
    )
    g = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
    assert tx.init(g).inner_state.nu["kernel"].shape == (2, 1)


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        (0, "axes is 0; expected by_path of axes"),
        ({"*": 0}, "axes is {.*; expected by_path of axes"),
        (jl.by_path({"*": 1.0}), "axes of a pattern are 1.0; expected an integer"),
        (jl.by_path({"*": (0, "x")}), r"axes of a pattern are \(0, 'x'\)"),
    ],
)
def test_what_is_no_axes_is_refused(axes, text):
    with pytest.raises(TypeError, match=text):
        jl.scale_by_adam_mini(axes=axes)
