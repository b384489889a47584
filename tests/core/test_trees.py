"""Trees are taken apart down to the box, and matched by path."""

import collections
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxopt_lite as jl
from jaxopt_lite.core import checks
from jaxopt_lite.core.trees import Flat, MaskedNode, is_end, is_masked, unbox


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Box:
    """A framework's box around one array."""

    value: Any
    name: str = dataclasses.field(metadata={"static": True}, default="")

    def unbox(self) -> Any:
        return self.value


TREE = {
    "encoder": [{"kernel": Box(jnp.ones(2), "k"), "value": jnp.zeros(1)}, None],
    "value": Box(None),
    "masked": MaskedNode(),
}
PATHS = [
    "encoder/0/kernel",
    "encoder/0/value",
    "encoder/1",
    "masked",
    "value",
]


def test_paths_end_at_the_box():
    assert Flat(TREE).paths == PATHS
    assert Flat(jnp.ones(2)).paths == [""]
    assert Flat({}).paths == []


def test_leaves_come_out_of_their_boxes():
    kernel, value, none, masked, empty = Flat(TREE).leaves
    assert (kernel.tolist(), value.tolist()) == ([1, 1], [0])
    assert none is None and empty is None
    assert masked == MaskedNode()


def test_rebuild_boxes_again_and_bare_does_not():
    flat = Flat(TREE)
    new = [10, 11, None, MaskedNode(), None]
    rebuilt, bare = flat.rebuild(new), flat.rebuild_bare(new)
    assert rebuilt["encoder"][0]["kernel"] == Box(10, "k")
    assert bare["encoder"][0]["kernel"] == 10
    assert rebuilt["masked"] == bare["masked"] == MaskedNode()


def test_a_masked_position_has_no_box():
    assert Flat({"a": Box(jnp.ones(1))}).rebuild([MaskedNode()]) == {"a": MaskedNode()}


def test_every_tuple_without_elements_is_masked():
    for x in (MaskedNode(), optax.MaskedNode(), (), jl.EmptyState()):
        assert is_masked(x) and is_end(x)
    for x in (None, [], {}, 0, (None,)):
        assert not is_masked(x)
    assert is_end(None)


def test_unbox_gives_the_one_leaf():
    assert unbox(Box(3)) == 3
    assert unbox(Box(None)) is None


@pytest.mark.parametrize(
    "other",
    [
        collections.OrderedDict(c=3, b=[20, 21], a=1),
        {"c": Box(3), "a": 1, "b": (20, 21)},
    ],
    ids=["another order", "other containers and boxes"],
)
def test_trees_are_aligned_by_path(other):
    reference = Flat({"a": 0, "b": [0, 0], "c": 0})
    flat = checks.align("here", reference, "it", other)
    assert flat.leaves == [1, 20, 21, 3]
    assert flat.paths == reference.paths == ["a", "b/0", "b/1", "c"]
    rebuilt = flat.rebuild(x * 2 for x in flat.leaves)
    assert rebuilt == jax.tree.map(lambda x: x * 2, other)
    assert type(rebuilt) is type(other)
    bare = flat.rebuild_bare(flat.leaves)
    assert not any(isinstance(x, Box) for x in bare.values())


ORDERED = collections.OrderedDict(kernel=jnp.full((1, 1), 3.0), bias=jnp.full(1, 2.0))
SORTED = dict(ORDERED)


@pytest.mark.parametrize(
    "mask",
    [
        None,
        jl.weights_only,
        {"bias": False, "kernel": True},
        lambda params: jax.tree.map(lambda p: p.ndim > 1, params),
    ],
    ids=["no mask", "by path", "tree", "function"],
)
@pytest.mark.parametrize("g, p", [(SORTED, ORDERED), (ORDERED, SORTED)])
def test_gradients_and_parameters_may_stand_in_another_order(g, p, mask):
    tx = jl.adamw(0.5, eps=0.0, weight_decay=1.0, mask=mask)
    state = tx.init(p)
    updates, state = tx.update(g, state, p)
    assert type(updates) is type(g)
    assert type(state[0].mu) is type(p)
    assert updates["kernel"].item() == pytest.approx(-0.5 * (1 + 3))
    decay = 2 if mask is None else 0
    assert updates["bias"].item() == pytest.approx(-0.5 * (1 + decay))
    assert float(state[0].mu["kernel"][0, 0]) == pytest.approx(0.3)


def test_slots_of_the_shape_of_the_parameter_keep_its_box():
    params = {"w": Box(jnp.ones(2), "w"), "b": jnp.ones(1)}
    state = jl.trace(0.9).init(params)
    assert state.trace["w"].name == "w"
    updates, state = jl.trace(0.9).update(params, state)
    assert updates["w"].name == state.trace["w"].name == "w"


def test_boxed_parameters_take_bare_gradients():
    params = {"w": Box(jnp.ones(2), "w")}
    tx = jl.adam(0.1)
    updates, state = tx.update({"w": jnp.ones(2)}, tx.init(params), params)
    assert isinstance(updates["w"], jax.Array)
    assert state[0].mu["w"].name == "w"
    assert jl.apply_updates(params, updates)["w"].name == "w"
