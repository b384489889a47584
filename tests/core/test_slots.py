"""Slots of several arrays, and keywords that are trees like the parameters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from jaxopt_lite.testing import check_transformation


def equal_trees(a, b):
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


PARAMS = {"w": jnp.ones((2, 3)), "none": None, "s": jnp.ones(())}
G = {"w": jnp.array([[1.0, -2, 3], [4, 5, -9]]), "none": None, "s": jnp.array(2.0)}


class Largest(NamedTuple):
    """The largest gradients along each axis."""

    mu: jl.PerAxis


class LargestByAxis(jl.Rule):
    """Returns the smallest of the largest gradients along each axis of an element."""

    Slots = Largest

    def init(self, p):
        shapes = [(n,) for n in p.shape] or [()]
        return Largest(tuple(jnp.zeros(shape, p.real.dtype) for shape in shapes))

    def advance(self, g, slots, p, step):
        axes = range(g.ndim)
        others = [tuple(j for j in axes if j != i) for i in axes] or [()]
        largest = (jnp.max(jnp.abs(g), axis, initial=0.0) for axis in others)
        return Largest(tuple(map(jnp.maximum, slots.mu, largest)))

    def emit(self, g, slots, p, step):
        grids = jnp.meshgrid(*map(jnp.ravel, slots.mu), indexing="ij")
        return jnp.stack(grids).min(0).reshape(g.shape)


MATRIX = {"w": PARAMS["w"], "none": None}


def test_a_slot_may_be_an_array_for_each_axis():
    tx = jl.leafwise(LargestByAxis())
    state = tx.init(MATRIX)
    assert [x.shape for x in state.mu["w"]] == [(2,), (3,)]
    g = {"w": G["w"], "none": None}
    u, new = tx.update(g, state, MATRIX)
    assert u["w"].tolist() == [[3, 3, 3], [4, 5, 9]]
    assert [x.tolist() for x in new.mu["w"]] == [[3, 9], [4, 5, 9]]
    assert jax.tree.structure(new) == jax.tree.structure(state)
    kept = tx.update(g, state, MATRIX, commit=jnp.array(False))[1]
    assert equal_trees(kept, state)


def test_arrays_by_axis_keep_the_laws():
    check_transformation(jl.leafwise(LargestByAxis()))


def test_arrays_by_axis_that_stand_nowhere_are_named():
    tx = jl.leafwise(LargestByAxis())
    other = tx.init({"v": PARAMS["w"]})
    with pytest.raises(ValueError, match="2 arrays that stand at no leaf(.|\n)*'v/0'"):
        tx.update({"w": G["w"]}, other)
    with pytest.raises(ValueError, match="a gradient and no state(.|\n)*'w'"):
        tx.update({"w": G["w"]}, Largest({"w": jl.MaskedNode()}))


class AddOther(jl.Rule):
    """Adds a second tree, and a number."""

    trees = ("other",)

    def emit(self, g, slots, p, step, *, other, shift=0.0):
        return g + other + shift


def test_a_keyword_may_be_a_tree_of_which_each_leaf_sees_its_own():
    tx = jl.chain(jl.scale(2.0), jl.leafwise(AddOther()))
    other = jax.tree.map(lambda x: 10 * x, G)
    u, _ = jax.jit(tx.update)(G, tx.init(G), other=other, shift=1.0)
    assert equal_trees(u, jax.tree.map(lambda x: 12 * x + 1, G))


def test_a_keyword_tree_is_as_wide_as_the_arithmetic():
    class Average(AddOther):
        def emit(self, g, slots, p, step, *, other):
            return jnp.full_like(g, jnp.finfo(other.dtype).bits)

    g = jnp.ones(2, jnp.bfloat16)
    u, _ = jl.leafwise(Average()).update(g, jl.EmptyState(), other=g)
    assert u.tolist() == [32, 32]


def test_a_keyword_tree_is_matched_and_checked_by_path():
    tx = jl.leafwise(AddOther())
    with pytest.raises(
        ValueError, match="trees of other and of the gradients do not match(.|\n)*'w'"
    ):
        tx.update(G, tx.init(G), other={"s": G["s"], "none": None})
    wrong = {**G, "w": jnp.ones(3)}
    with pytest.raises(ValueError, match="'w': other float32\\[3\\], gradient"):
        tx.update(G, tx.init(G), other=wrong)
    with pytest.raises(TypeError, match="without `other`"):
        tx.update(G, tx.init(G))
