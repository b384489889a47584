"""Dimension numbers say which axes of a parameter are a matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, random_tree

TWO = jl.MuonDimensionNumbers(-2, -1)
LIKE = {
    "layers": ({"kernel": np.zeros((3, 2, 4)), "bias": np.zeros((3, 4))}, None),
    "out": {"kernel": np.zeros((4, 2)), "bias": np.zeros(2)},
}
GIVEN = {
    "by path": jl.by_path({"*kernel": TWO, "*": None}),
    "a tree": {
        "layers": [{"kernel": TWO, "bias": None}, None],
        "out": {"kernel": TWO, "bias": None},
    },
    "a prefix": {"layers": [{"kernel": TWO, "bias": None}], "out": {"kernel": TWO}},
    "of Optax": jl.by_path(
        {"*kernel": optax.contrib.MuonDimensionNumbers((-2,), (-1,)), "*": None}
    ),
    "a function": lambda params: jax.tree_util.tree_map_with_path(
        lambda path, x: TWO if path[-1].key == "kernel" else None, params
    ),
}


def groups(dimension_numbers):
    tx = jl.muon(0.1, muon_weight_dimension_numbers=dimension_numbers)
    inner = tx.init(LIKE).inner_states["muon"].inner_state[0].mu
    return {x.shape for x in jax.tree.leaves(inner)}


@pytest.mark.parametrize("given", ["by path", "a tree", "of Optax", "a function"])
def test_forms_of_dimension_numbers_agree(given):
    assert groups(GIVEN[given]) == {(3, 2, 4), (4, 2)}


def test_defaults():
    assert groups(None) == {(3, 4), (4, 2)}
    assert groups(TWO) == {(3, 2, 4), (3, 4), (4, 2)}
    with pytest.raises(ValueError, match="'out/bias'"):
        groups(GIVEN["a prefix"])
    assert groups({"layers": None, "out": {"kernel": TWO, "bias": None}}) == {(4, 2)}


def test_given_dimension_numbers_equal_by_value():
    given = [jl.muon(0.1, muon_weight_dimension_numbers=GIVEN["a tree"])] * 2
    assert given[0] == given[1]


@pytest.mark.parametrize(
    "rows, columns", [(1, 2), ((0, 2), 1), (-1, (0,)), (2, (1, 0))]
)
def test_matrices_of_an_array_are_orthogonalized_apart(rows, columns, x64):
    x = random_tree(np.zeros((2, 3, 4)), 1)
    numbers = jl.MuonDimensionNumbers(rows, columns)
    orthogonal = jax.jit(jl.orthogonalize_via_newton_schulz)
    found = jax.jit(
        lambda x: jl.orthogonalize_via_newton_schulz(x, dimension_numbers=numbers)
    )(x)
    named = [i % 3 for i in (*np.ravel(rows), *np.ravel(columns))]
    order = [*(i for i in range(3) if i not in named), *named]
    m = int(np.prod([x.shape[i] for i in np.ravel(rows)]))
    moved = x.transpose(order)
    n = moved.size // m if len(named) == 3 else moved[0].size // m
    each = [orthogonal(y) for y in moved.reshape(-1, m, n)]
    expected = np.stack(each).reshape(moved.shape).transpose(np.argsort(order))
    assert_close(found, expected)


@pytest.mark.parametrize(
    "numbers, text",
    [
        (jl.MuonDimensionNumbers(0, 2), "has 2 axes; found reduction_axis"),
        (jl.MuonDimensionNumbers(0, -2), "named twice"),
    ],
)
def test_axes_that_do_not_fit_are_named(numbers, text):
    tx = jl.muon(0.1, muon_weight_dimension_numbers={"layers": None, "out": numbers})
    params = {"layers": LIKE["layers"], "out": {"kernel": np.zeros((4, 2))}}
    with pytest.raises(ValueError, match=text) as error:
        tx.init(params)
    assert "'out/kernel': float64[4,2]" in str(error.value)


def test_what_is_no_matrix_is_named():
    with pytest.raises(ValueError, match="without a matrix") as error:
        jl.scale_by_muon().init({"a": np.zeros((2, 2)), "b": np.zeros(2)})
    assert "'b': float64[2]" in str(error.value)
    assert "'a'" not in str(error.value)


def test_what_is_no_dimension_numbers_is_refused():
    with pytest.raises(TypeError, match="dimension numbers are 0"):
        jl.muon(0.1, muon_weight_dimension_numbers={"w": 0})


def test_masked_leaves_need_no_matrix():
    tx = jl.masked(jl.scale_by_muon(), jl.by_path({"*bias": False, "*": True}))
    g = {"kernel": jnp.eye(2), "bias": jnp.ones(3)}
    u, _ = tx.update(g, tx.init(g))
    assert jnp.array_equal(u["bias"], g["bias"])


def test_axes_differ_beside_many_numbers():
    """Beyond a few settings numbers are traced, and axes are not."""
    like = {f"w{i}": np.zeros((i + 1, 2), np.float32) for i in range(9)}
    rates = {f"w{i}": 0.1 * i for i in range(9)}
    axes = {k: jl.MuonDimensionNumbers(i % 2, 1 - i % 2) for i, k in enumerate(like)}
    g = random_tree(like, 1)
    tx = jl.scale_by_shape(jl.by_path(axes), consistent_rms=jl.by_path(rates))
    expected = {k: x * np.float32(rates[k] * max(x.shape) ** 0.5) for k, x in g.items()}
    assert_close(tx.update(g, tx.init(g))[0], expected)
