"""Transformations that remember nothing, and `apply_updates`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl

PARAMS = {"w": jnp.array([2.0, -3.0]), "b": None, "m": jl.MaskedNode()}


def signs(updates, params):
    return jax.tree.map(jnp.sign, updates)


def test_stateless_applies_a_function():
    tx = jl.stateless(signs)
    updates, state = tx.update(PARAMS, tx.init(PARAMS))
    assert updates["w"].tolist() == [1, -1]
    assert state == jl.EmptyState()


def test_stateless_is_given_the_parameters():
    tx = jl.stateless(lambda updates, params: params)
    assert tx.update(1.0, tx.init(None)) == (None, jl.EmptyState())
    assert tx.update(1.0, tx.init(None), 2.0, value=3.0)[0] == 2.0


def test_stateless_is_equal_by_its_function():
    assert jl.stateless(signs) == jl.stateless(signs)
    assert jl.stateless(signs) != jl.stateless(max)


@pytest.mark.parametrize(
    ("g", "p", "u"),
    [
        ("float32", "float32", "float32"),
        ("bfloat16", "float32", "float32"),
        ("bfloat16", None, "bfloat16"),
        ("int32", "int32", "int32"),
        ("float0", "int32", "int32"),
        ("complex64", "complex64", "complex64"),
    ],
)
def test_set_to_zero(g, p, u):
    dtype = jax.dtypes.float0 if g == "float0" else g
    gradient = {**PARAMS, "w": np.ones(2, dtype)}
    params = p and {**PARAMS, "w": jnp.ones(2, p)}
    tx = jl.set_to_zero()
    updates, state = tx.update(gradient, tx.init(params), params)
    assert updates["w"].dtype.name == u
    assert updates["w"].tolist() == [0, 0]
    assert (updates["b"], updates["m"], state) == (None, (), jl.EmptyState())


def test_the_identity_returns_what_it_is_given():
    for updates in (PARAMS, 1, None, "anything"):
        assert jl.identity().update(updates, jl.EmptyState())[0] is updates


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "int32"])
def test_apply_updates_keeps_the_parameters_dtype(dtype):
    params = {"w": jnp.ones(2, dtype)}
    after = jl.apply_updates(params, {"w": jnp.full(2, 0.75, jnp.float32)})
    assert after["w"].dtype == dtype
    assert after["w"].tolist() == [1.75 if dtype != "int32" else 1] * 2


def test_apply_updates_adds_before_it_rounds():
    # 1 + 2**-8 is no bfloat16; 2**-9 + 2**-9 would be lost if rounded one by one.
    p, u = jnp.ones(1, jnp.bfloat16), jnp.full(1, 2.0**-7 - 2.0**-20, jnp.float32)
    assert jl.apply_updates(p, u).item() == 1 + 2.0**-7


@pytest.mark.parametrize("nothing", [None, jl.MaskedNode(), ()])
def test_apply_updates_leaves_a_parameter_without_update(nothing):
    params = {"w": jnp.ones(2), "n": None}
    after = jl.apply_updates(params, {"w": nothing, "n": nothing})
    assert after["w"] is params["w"]
    assert after["n"] is None


def test_apply_updates_goes_by_path():
    after = jl.apply_updates({"a": [1.0, 2.0]}, {"a": (10.0, 20.0)})
    assert after == {"a": [11.0, 22.0]}
