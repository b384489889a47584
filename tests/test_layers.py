"""Numbers that fall from layer to layer."""

import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxopt_lite as jl

PARAMS = {
    "embed": jnp.ones(2),
    **{f"block_{i}": {"kernel": jnp.ones(2), "bias": jnp.ones(1)} for i in range(12)},
    "head": {"kernel": jnp.ones(2)},
}


def expected(rate, top=1.0):
    """The multiplier of every parameter, from the depth of its layer."""
    depths = {"embed": 13, "head": 0} | {f"block_{i}": 12 - i for i in range(12)}
    return {
        name: jax.tree.map(lambda _, d=depths[name]: top * rate**d, tree)
        for name, tree in PARAMS.items()
    }


@pytest.mark.parametrize("layers", [12, PARAMS, jax.eval_shape(lambda: PARAMS)])
@pytest.mark.parametrize(
    "pattern", ["block_{}", "block_{}/*", "re:^block_{}/", "B*_{}*"]
)
def test_each_layer_gets_a_share_of_the_one_above(pattern, layers):
    rates = jl.layerwise_decay(pattern, 0.75, layers, below="embed", top=0.5)
    assert rates(PARAMS) == expected(0.75, 0.5)


def test_as_a_learning_rate_and_as_a_multiplier_it_is_one_thing():
    schedule = jl.linear_schedule(0.4, 0.0, 8)
    inside = jl.sgd(
        jl.layerwise_decay("block_{}", 0.75, 12, below="embed", top=schedule)
    )
    behind = jl.chain(
        jl.sgd(schedule),
        jl.scale(jl.layerwise_decay("block_{}", 0.75, 12, below=["embed", "wte"])),
    )
    with pytest.warns(UserWarning, match="'wte'"):
        states = [inside.init(PARAMS), behind.init(PARAMS)]
    for count in range(3):
        (u, first), (v, second) = (
            tx.update(PARAMS, state, PARAMS)
            for tx, state in zip((inside, behind), states, strict=True)
        )
        states = [first, second]
        wanted = expected(0.75, -0.4 * (1 - count / 8))
        for found in (u, v):
            jax.tree.map(
                lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), found, wanted
            )


def test_a_rate_can_be_swept_over_and_learnt():
    def moved(rate):
        tx = jl.sgd(jl.layerwise_decay("block_{}", rate, 12, below="embed"))
        return tx.update(PARAMS, tx.init(PARAMS))[0]["block_9"]["kernel"][0]

    rates = jnp.array([0.5, 0.9])
    np.testing.assert_allclose(jax.vmap(moved)(rates), -(rates**3), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(moved)(0.5), -3 * 0.25, rtol=1e-6)


def test_layers_are_found_however_they_are_numbered():
    params = {f"layer_{i:02}": jnp.ones(1) for i in range(1, 4)} | {
        "wte_8": jnp.ones(1)
    }
    rates = jl.layerwise_decay("layer_{}", 0.5, params)
    assert rates(params) == {
        "layer_01": 0.125,
        "layer_02": 0.25,
        "layer_03": 0.5,
        "wte_8": 1.0,
    }


def test_all_that_is_no_layer_may_lie_below():
    rates = jl.layerwise_decay("block_{}", 0.5, 2, below=["embed", "*"])
    assert rates({"block_1": 0, "embed": 0, "head": 0}) == {
        "block_1": 0.5,
        "embed": 0.125,
        "head": 0.125,
    }


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        for i in range(2):
            x = nn.Dense(1, name=f"layers_{i}")(x)
        return x


class Nnx(nnx.Module):
    def __init__(self):
        layers = [nnx.Linear(1, 1, rngs=nnx.Rngs(0)) for _ in range(2)]
        self.layers = nnx.List(layers)


def of_haiku(x):
    for i in range(2):
        x = hk.Linear(1, name=f"layers_{i}")(x)
    return x


def test_in_every_framework():
    x = jnp.ones((1, 1))
    of_linen = Linen().init(jax.random.key(0), x)
    of_nnx = nnx.state(Nnx(), nnx.Param)
    haiku = hk.transform(of_haiku).init(jax.random.key(0), x)
    for params, pattern in (
        (of_linen, "layers_{}"),
        (haiku, "layers_{}"),
        (of_nnx, "layers/{}/*"),
    ):
        found = jl.layerwise_decay(pattern, 0.5, params)(params)
        assert jax.tree.leaves(found) == [0.25, 0.25, 0.5, 0.5]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (
            ("block", 0.5, 2),
            ValueError,
            "the pattern is 'block'; expected one with '{}'",
        ),
        ((3, 0.5, 2), ValueError, "the pattern is 3; expected one"),
        (("b{}", -0.5, 2), ValueError, "rate is -0.5; expected a number in"),
        (("b{}", jl.by_path({"*": 1.0}), 2), TypeError, "rate is one number"),
        (("b{}", lambda count: 0.5, 2), TypeError, "the same at every step"),
        (("b{}", 0.5, 2.5), ValueError, "layers is 2.5; expected an integer"),
        (("b{}", 0.5, 0), ValueError, "layers is 0; expected a number in [1, inf)"),
        (
            ("layer_{}", 0.5, {"block_0": 1.0, "head": 1.0}),
            ValueError,
            "no parameter matches 'layer_{}'; expected numbers in the place of '{}' in "
            "some of 'block_0', 'head'",
        ),
    ],
)
def test_what_makes_no_layers_is_refused(arguments, error, text):
    with pytest.raises(error) as caught:
        jl.layerwise_decay(*arguments)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("top", "error", "text"),
    [
        (-1.0, ValueError, "top is -1; expected a number in"),
        (jl.by_path({"*": 1.0}), TypeError, "top is by_path; expected one number"),
    ],
)
def test_a_top_that_is_no_learning_rate_is_refused(top, error, text):
    with pytest.raises(error, match=text):
        jl.layerwise_decay("b{}", 0.5, 2, top=top)
