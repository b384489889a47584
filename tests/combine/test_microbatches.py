"""The gradient of a batch from those of its parts."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxopt_lite as jl
from tests.helpers import assert_close, count_traces

RANDOM = np.random.default_rng(0)
WIDTH = 64


def draw(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


PARAMS = {"a": draw(4, WIDTH), "b": draw(WIDTH), "none": None}
X, Y = draw(12, 4), draw(12)
COUNTS = np.array([3, 0, 1, 0, 2, 5, 0, 0, 1, 0, 1, 2])
"""How many tokens of each example count: of some parts more, of some none."""


def errors(params, x, y):
    return (jnp.tanh(x @ params["a"]) @ params["b"] - y) ** 2


def mean(params, x, y):
    return jnp.mean(errors(params, x, y))


def mean_over_tokens(params, x, y, counts):
    return jnp.sum(errors(params, x, y) * counts) / jnp.sum(counts)


def tokens(x, y, counts):
    return jnp.sum(counts)


@pytest.mark.parametrize("steps", [1, 12])
def test_it_is_the_gradient_of_the_whole_batch(steps, x64):
    params, x, y = jax.tree.map(np.float64, (PARAMS, X, Y))
    whole = jax.value_and_grad(mean)
    for function in (jl.accumulate(whole, steps), jax.jit(jl.accumulate(whole, steps))):
        assert_close(function(params, x, y), whole(params, x, y))


@pytest.mark.parametrize("steps", [2, 6])
def test_weighted_it_is_a_mean_over_what_counts(steps, x64):
    params, x, y = jax.tree.map(np.float64, (PARAMS, X, Y))
    whole = jax.value_and_grad(mean_over_tokens)
    found = jl.accumulate(whole, steps, weight=tokens)(params, x, y, COUNTS)
    assert_close(found, whole(params, x, y, COUNTS))
    if steps > 2:
        unweighted = jl.accumulate(whole, steps)(params, x, y, COUNTS + 1)
        expected = whole(params, x, y, COUNTS + 1)
        assert abs(unweighted[0] - expected[0]) > 1e-3


def test_where_nothing_counts_there_is_no_gradient():
    whole = jax.value_and_grad(mean_over_tokens)
    function = jl.accumulate(whole, 2, weight=tokens)
    assert np.isnan(whole(PARAMS, X, Y, 0 * COUNTS)[0])
    value, grads = function(PARAMS, X, Y, 0 * COUNTS)
    assert value == 0 and not any(g.any() for g in jax.tree.leaves(grads))


def test_what_else_the_loss_returns_comes_stacked():
    def loss(params, batch, *, shift):
        found = errors(params, batch["x"], batch["y"] + shift)
        return jnp.mean(found), {"each": found, "largest": jnp.max(found)}

    whole = jax.value_and_grad(loss, has_aux=True)
    batch = {"x": X, "y": Y, "none": None}
    (value, aux), grads = jl.accumulate(whole, 3, has_aux=True)(PARAMS, batch, shift=2)
    (expected, aux_of_all), grads_of_all = whole(PARAMS, batch, shift=2)
    assert_close((value, grads), (expected, grads_of_all))
    # Part i is every third example from i on.
    assert aux["each"].shape == (3, 4)
    assert_close(aux["each"].T.reshape(-1), aux_of_all["each"])
    assert_close(jnp.max(aux["largest"]), aux_of_all["largest"])


def test_keys_are_split_as_the_examples_are():
    def loss(w, keys):
        noise = jax.vmap(lambda key: jax.random.normal(key))(keys)
        return jnp.mean(w * noise)

    whole = jax.value_and_grad(loss)
    for keys in (
        jax.random.split(jax.random.key(0), 6),
        jax.random.split(jax.random.PRNGKey(0), 6),
    ):
        found = jl.accumulate(whole, 3)(jnp.float32(2), keys)
        assert_close(found, whole(jnp.float32(2), keys))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "complex64"])
def test_gradients_keep_their_dtype_and_are_summed_in_float32(dtype):
    w = jnp.ones((), dtype)
    x = jnp.where(jnp.arange(1024) == 0, 1024.0, 0.25).astype(jnp.float32)

    def loss(w, x):
        return jnp.mean(x) * w.real.astype(jnp.float32)

    _, g = jl.accumulate(jax.value_and_grad(loss), 1024)(w, x)
    assert g.dtype == w.dtype
    np.testing.assert_allclose(g.real, 1 + 0.25 * 1023 / 1024, rtol=4e-3)


def test_a_rebuilt_function_is_traced_once():
    whole = jax.value_and_grad(mean)
    step = count_traces(lambda f, p, x, y: f(p, x, y), static_argnums=0)
    for _ in range(2):
        step(jl.accumulate(whole, 3), PARAMS, X, Y)
    assert step.traces == 1


def test_models_of_equinox_and_nnx():
    model = eqx.nn.MLP(4, 1, 8, 1, key=jax.random.key(0))
    whole = eqx.filter_value_and_grad(lambda m, x: jnp.mean(jax.vmap(m)(x) ** 2))
    assert_close(eqx.filter_jit(jl.accumulate(whole, 3))(model, X), whole(model, X))

    graph, state = nnx.split(nnx.Linear(4, 1, rngs=nnx.Rngs(0)))
    whole = jax.value_and_grad(lambda s, x: jnp.mean(nnx.merge(graph, s)(x) ** 2))
    found = jax.jit(jl.accumulate(whole, 3))(state, X)
    assert_close(nnx.to_pure_dict(found[1]), nnx.to_pure_dict(whole(state, X)[1]))


def deep(params, x):
    for w in params:
        x = jnp.tanh(x @ w)
    return jnp.mean(x)


def temporaries(function, params, examples):
    x = jax.ShapeDtypeStruct((examples, 128), jnp.float32)
    memory = jax.jit(function).lower(params, x).compile().memory_analysis()
    return memory.temp_size_in_bytes


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="as counted on a CPU")
def test_it_needs_the_memory_of_one_part_and_one_gradient():
    params = [jax.ShapeDtypeStruct((128, 128), jnp.float32) for _ in range(6)]
    gradient = 6 * 128 * 128 * 4
    whole = jax.value_and_grad(deep)
    part = temporaries(whole, params, 64)
    found = [temporaries(jl.accumulate(whole, k), params, 64 * k) for k in (4, 64)]
    assert max(found) <= part + 1.02 * gradient
    assert abs(found[1] - found[0]) <= 1024
    assert temporaries(whole, params, 64 * 64) > 10 * max(found)


@pytest.mark.optimized
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_a_batch_that_is_spread_over_devices_stays_so(kind):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(kind,))
    x = draw(32, 128)
    params = [draw(128, 128), draw(128, 128)]
    placed = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    whole = jax.value_and_grad(deep)
    with jax.set_mesh(mesh) if hasattr(jax, "set_mesh") else mesh:
        everywhere = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
        step = jax.jit(jl.accumulate(whole, 4)).lower(everywhere, placed).compile()
        found = step(everywhere, placed)
    assert_close(found, whole(params, x))
    # Gradients are summed over the devices, and no example goes to another.
    text = step.as_text()
    assert "all-reduce" in text
    assert not re.search(r"all-gather|all-to-all|collective-permute", text)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((jax.value_and_grad(mean), 0), ValueError, "steps is 0; expected a number in"),
        ((jax.value_and_grad(mean), 1.5), ValueError, "steps is 1.5; expected an"),
        (
            (jax.value_and_grad(mean), jnp.array(2)),
            TypeError,
            "steps is int32[]; expec",
        ),
        ((mean(PARAMS, X, Y), 2), TypeError, "expected a function, such as"),
        (
            (jax.value_and_grad(mean), 2, 3),
            TypeError,
            "weight is 3, an int; expected a function of a part of the batch",
        ),
    ],
)
def test_what_makes_no_parts_is_refused(arguments, error, text):
    names = ("value_and_grad", "steps", "weight")
    with pytest.raises(error) as caught:
        jl.accumulate(**dict(zip(names, arguments, strict=False)))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("function", "has_aux", "text"),
    [
        (
            mean,
            False,
            "value_and_grad returned float32[]; expected a pair of v",
        ),
        (
            jax.grad(mean),
            False,
            "value_and_grad returned a dict; expected a pair of v",
        ),
        (
            jax.value_and_grad(lambda *x: (mean(*x), x), has_aux=True),
            False,
            "the value is a tuple; expected one number. Where the loss returns a p",
        ),
        (
            jax.value_and_grad(mean),
            True,
            "the loss returned float32[]; expected a",
        ),
    ],
)
def test_what_is_no_value_and_gradient_is_refused(function, has_aux, text):
    with pytest.raises(TypeError) as caught:
        jl.accumulate(function, 2, has_aux=has_aux)(PARAMS, X, Y)
    assert f"accumulate: {text}" in str(caught.value)


def test_a_weight_that_is_nan_is_seen():
    function = jl.accumulate(jax.value_and_grad(mean), 2, weight=lambda x, y: jnp.nan)
    value, grads = function(PARAMS, X, Y)
    assert all(np.isnan(x).all() for x in jax.tree.leaves((value, grads)))


def test_a_batch_that_does_not_split_is_named():
    function = jl.accumulate(jax.value_and_grad(mean), 5)
    with pytest.raises(ValueError) as caught:
        function(PARAMS, {"x": X, "y": draw(5)}, 3.0)
    assert str(caught.value) == (
        "accumulate: 2 arrays of the batch cannot be split into 5 parts.\n"
        "  '0/x': float32[12,4]\n"
        "  '1': 3.0, a float\n"
        "Expected first axes that 5 divides: change the batch size, or pass what is no "
        "part of the batch as a keyword."
    )


def test_a_weight_is_one_number():
    whole = jax.value_and_grad(mean)
    function = jl.accumulate(whole, 3, weight=lambda x, y: y)
    with pytest.raises(ValueError, match=r"weight returned float32\[4\]; expected one"):
        function(PARAMS, X, Y)
