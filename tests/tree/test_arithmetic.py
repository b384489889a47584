"""Arithmetic of trees equals that of Optax where Optax is right."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from jaxopt_lite import tree
from jaxopt_lite.core.trees import MaskedNode

X = {"w": jnp.array([3.0, -4.0]), "n": None, "b": (jnp.array(0.5),)}
Y = {"w": jnp.array([1.0, 2.0]), "n": None, "b": (jnp.array(-2.0),)}
Z = {"z": jnp.array([3 + 4j, 0])}
MIXED = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2, jnp.float32)}

CALLS = {
    "add": [(X, Y), (X, Y, X)],
    "sub": [(X, Y)],
    "mul": [(X, Y)],
    "div": [(X, Y)],
    "scale": [(0.5, X)],
    "add_scale": [(X, 0.5, Y), (X, jnp.float32(2), Y)],
    "vdot": [(X, Y), (Z, jax.tree.map(lambda z: 1j * z + 1, Z))],
    "sum": [(X,), (X, True)],
    "max": [(X,), ({"empty": jnp.zeros((0, 3))},)],
    "min": [(X,), ({"empty": jnp.zeros((0, 3))},)],
    "size": [(X,)],
    "conj": [(Z,)],
    "real": [(Z,), (X,)],
    "norm": [
        (t, order, squared)
        for t in (X, Z)
        for order in (None, 1, 2, jnp.inf, "inf")
        for squared in (False, True)
    ],
    "batch_shape": [(X, (2, 3)), (X,)],
    "zeros_like": [(X,), (X, jnp.bfloat16)],
    "ones_like": [(X,), (X, jnp.int32)],
    "full_like": [(X, 0.25), (X, 2, jnp.int32)],
    "clip": [(X, -1.0, 1.0), (X, None, 0.0)],
    "where": [(True, X, Y), (jnp.array(False), X, Y)],
    "allclose": [(X, X), (X, Y), (X, Y, 10.0)],
    "cast": [(X, jnp.float16), (X, None)],
    "cast_like": [({"a": jnp.ones(2), "b": jnp.ones(2)}, MIXED)],
    "dtype": [(X,), ({},), *((MIXED, h) for h in ("promote", "highest", "lowest"))],
    "update_moment": [(X, Y, 0.875, 2)],
    "update_moment_per_elem_norm": [
        (X, Y, 0.875, 3),
        (Z, {"z": jnp.ones(2)}, 0.875, 2),
    ],
    "update_infinity_moment": [(X, Y, 0.875, 1e-3)],
    "bias_correction": [(X, 0.75, jnp.int32(3))],
    "split_key_like": [(jax.random.key(0), X)],
    "random_like": [
        (jax.random.key(0), X),
        (jax.random.key(0), X, jax.random.uniform, jnp.float16),
        (jax.random.key(0), X, lambda key, shape, dtype: jnp.ones(shape, dtype)),
    ],
    "unwrap_random_key_data": [({"k": jax.random.key(3), "x": 1.0},)],
}
"""What each function of `tree` is called with, here and in Optax."""

STATES = {"get", "get_all_with_path", "set", "map_params"}


def test_every_function_is_compared_with_optax():
    functions = {n for n, x in vars(tree).items() if inspect.isfunction(x)}
    assert functions == set(CALLS) | STATES


@pytest.mark.parametrize("name", CALLS)
def test_it_equals_optax(name):
    for arguments in CALLS[name]:
        ours = getattr(tree, name)(*arguments)
        theirs = getattr(optax.tree, name)(*arguments)
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            if not isinstance(a, jax.Array):
                assert a == b
                continue
            assert a.dtype == getattr(b, "dtype", a.dtype)
            a, b = tree.unwrap_random_key_data((a, b))
            np.testing.assert_allclose(
                np.asarray(a, np.complex128), np.asarray(b, np.complex128), 1e-6
            )


@pytest.mark.parametrize("name", CALLS)
def test_its_arguments_have_the_names_of_optax(name):
    def names(function):
        return list(inspect.signature(function).parameters)

    assert names(getattr(tree, name)) == names(getattr(optax.tree, name))


def test_masked_positions_stay():
    x = {"w": jnp.ones(2), "m": MaskedNode()}
    result = tree.add_scale(x, 2.0, {"w": jnp.ones(2), "m": jnp.ones(5)})
    assert result["m"] == MaskedNode()
    np.testing.assert_array_equal(result["w"], [3, 3])
    assert tree.size(x) == 2


def test_containers_may_differ_where_paths_do_not():
    assert tree.add([1.0, 2.0], (3.0, 4.0)) == [4.0, 6.0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tree.add({"w": 1.0}, {"v": 1.0}), "'w': missing in tree_y"),
        (lambda: tree.mul({"w": 1.0}, {"w": None}), "'w': None in tree_y"),
        (lambda: tree.vdot({"w": jnp.ones(2)}, {"w": jnp.ones(3)}), "'w': tree_y"),
        (lambda: tree.dtype(MIXED), "'a': bfloat16"),
        (lambda: tree.dtype({"i": jnp.int8(1), "u": jnp.uint8(1)}, "highest"), "'u'"),
        (lambda: tree.dtype(MIXED, "widest"), "expected None, 'promote'"),
        (lambda: tree.norm(X, ord=3), "expected None, 1, 2 or inf"),
        (lambda: jl.periodic_update(X, Y, 1, 0), "expected at least 1"),
    ],
)
def test_errors_name_the_path(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_norms_neither_overflow_nor_lose_their_derivative():
    for big in (jnp.array([3e20, 4e20]), jnp.array([3e-30, 4e-30])):
        np.testing.assert_allclose(tree.norm(big), 5 * abs(big[0]) / 3, rtol=1e-6)
    half = jnp.array([300, 400], jnp.float16)
    assert tree.norm(half) == 500
    np.testing.assert_array_equal(jax.grad(tree.norm)(jnp.zeros(3)), 0)
    gradient = jax.grad(lambda x: tree.norm([x, x]))(jnp.array([3.0, -4.0]))
    np.testing.assert_allclose(gradient, np.sqrt(2) * np.array([0.6, -0.8]), rtol=1e-6)
    assert jnp.isnan(tree.norm(jnp.array([1.0, jnp.nan])))


def test_sums_of_bfloat16_are_float32():
    ones = {str(i): jnp.ones(1, jnp.bfloat16) for i in range(300)}
    assert tree.sum(ones) == tree.vdot(ones, ones) == 300


def test_a_mean_of_nothing_is_not_corrected():
    assert tree.bias_correction(jnp.zeros(()), 0.9, jnp.int32(0)) == 0


def test_safe_norm_equals_optax():
    x = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    for arguments in [(1e-3,), (1e-3, None, 1), (1.0, jnp.inf, 0, True), (10.0,)]:
        np.testing.assert_array_equal(
            jl.safe_norm(x, *arguments), optax.safe_norm(x, *arguments)
        )
    gradient = jax.grad(lambda x: jl.safe_norm(x, 1e-3, axis=1).sum())(x)
    np.testing.assert_allclose(gradient, [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert jl.safe_norm(jnp.array([300, 400], jnp.float16), 0).dtype == jnp.float16
    assert jl.safe_norm(jnp.array([300, 400], jnp.float16), 0) == 500


def test_safe_root_mean_squares_equals_optax():
    for x in (jnp.array([3.0, 4.0]), jnp.zeros(2), jnp.array([3 + 4j])):
        assert jl.safe_root_mean_squares(x, 0.1) == optax.safe_root_mean_squares(x, 0.1)
    assert jl.safe_root_mean_squares(jnp.zeros(0), 0.1) == jnp.float32(0.1)
    gradient = jax.grad(jl.safe_root_mean_squares)(jnp.zeros(2), 1e-3)
    np.testing.assert_array_equal(gradient, 0)


def test_increments_stop_where_the_dtype_ends():
    for dtype in (jnp.int8, jnp.uint16, jnp.int32, jnp.float32):
        last = jnp.array((jnp.finfo if dtype is jnp.float32 else jnp.iinfo)(dtype).max)
        counts = jnp.array([3, last], dtype)
        result = jl.safe_increment(counts)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, jnp.array([4, last], dtype))
    with pytest.raises(TypeError, match="bool"):
        jl.safe_increment(jnp.array(True))


def test_slow_copies_follow():
    new = {"w": jnp.full(2, 2.0, jnp.bfloat16), "n": None, "i": jnp.int32(7)}
    slow = {"w": jnp.full(2, 1.0), "n": None, "i": jnp.int32(3)}
    moved = jl.incremental_update(new, slow, 0.001)
    assert moved["w"].dtype == jnp.float32 and moved["n"] is None and moved["i"] == 7
    np.testing.assert_allclose(moved["w"], 1.001, rtol=1e-7)
    update = jax.jit(lambda step: jl.periodic_update(new, slow, step, 3))
    assert [float(update(step)["w"][0]) for step in (2, 3)] == [1.0, 2.0]
