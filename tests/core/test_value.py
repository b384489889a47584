"""A transformation is a value: leaves, structure, equality, hash, pickle, repr."""

import dataclasses
import functools
import os
import pickle
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from jaxopt_lite.core.value import Value

PARAMS = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}


class Point(Value):
    """A value to test with."""

    x: Any
    y: Any = 0.25


def strangers() -> list[Any]:
    """What JAX and its users put where arrays stood."""
    return [
        3,
        None,
        object(),
        jax.ShapeDtypeStruct((2,), jnp.float32),
        jax.sharding.SingleDeviceSharding(jax.devices()[0]),
    ]


def one_level(value: Value) -> list[Any]:
    children, _ = jax.tree_util.default_registry.flatten_one_level(value)
    return list(children)


def test_arrays_are_leaves_and_all_else_is_structure():
    array = jnp.arange(2)
    for static in (1, 0.5, True, "name", None, len, jnp.dtype("bfloat16")):
        assert jax.tree.leaves(Point(array, static)) == [array]


def test_values_and_tuples_that_hold_arrays_are_leaves():
    array = jnp.arange(2)
    assert jax.tree.leaves(Point(Point(0.5, array))) == [array]
    assert jax.tree.leaves(Point((0.5, (array, 1), "a"))) == [array]
    assert jax.tree.leaves(Point(((0.5, 1), "a"))) == []


def test_paths_name_the_fields():
    ((path, _),), _ = jax.tree.flatten_with_path(Point(Point(0.5, jnp.arange(2))))
    assert jax.tree_util.keystr(path) == ".x.y"


@pytest.mark.parametrize("stranger", strangers(), ids=lambda x: type(x).__name__)
def test_what_is_a_leaf_is_remembered_whatever_stands_there(stranger):
    value = Point(jnp.arange(2), 0.25)
    structure = jax.tree.structure(value)
    changed = structure.unflatten([stranger])
    assert changed.x is stranger
    assert changed.y == 0.25
    assert one_level(changed) == [stranger, None]
    again = jax.tree.map(lambda _: 7, changed, is_leaf=lambda x: x is stranger)
    assert again.x == 7


@pytest.mark.parametrize("stranger", strangers(), ids=lambda x: type(x).__name__)
def test_what_is_a_leaf_is_remembered_inside_tuples(stranger):
    value = Point((0.5, jnp.arange(2)))
    changed = jax.tree.structure(value).unflatten([stranger])
    assert changed.x == (0.5, stranger)


def test_a_stranger_may_stand_for_a_whole_tuple():
    value = Point((0.5, jnp.arange(2)))
    changed = jax.tree.map(lambda _: 0, value, is_leaf=lambda x: isinstance(x, tuple))
    assert changed.x == 0
    assert jax.tree.leaves(changed) == [0]


def test_the_number_of_children_is_constant():
    for value in (Point(1.0), Point(jnp.arange(2)), Point(None, jnp.arange(2))):
        assert len(one_level(value)) == 2


def test_jax_explains_why_two_values_do_not_match():
    with pytest.raises(ValueError, match="(?s)Point.*metadata|custom node data.*Point"):
        jax.tree.map(jnp.add, Point(1.0), Point(jnp.arange(2)))


def test_numpy_scalars_become_python_numbers():
    given = [np.float32(0.5), np.float64(0.5), np.int64(2), np.bool_(True)]
    kept = [Point(x).x for x in given] + list(Point(given).x)
    assert kept == [0.5, 0.5, 2, True] * 2
    assert [type(x) for x in kept] == [float, float, int, bool] * 2


def test_numpy_arrays_become_jax_arrays_and_lists_tuples():
    for x in (Point(np.arange(2)).x, Point([1.0, np.arange(2)]).x[1]):
        assert isinstance(x, jax.Array)
    assert Point([1.0, [2.0]]).x == (1.0, (2.0,))


@pytest.mark.parametrize(
    "nan", [float("nan"), np.float32("nan"), complex("nan"), (1.0, float("nan"))]
)
def test_nan_is_refused(nan):
    with pytest.raises(ValueError, match=r"^x is nan"):
        Point(nan)


def test_a_value_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        jl.sgd(0.1).transforms = ()


@pytest.mark.parametrize(
    "build",
    [
        lambda: jl.adamw(1e-3, mask=jl.weights_only),
        lambda: jl.sgd(np.float64(0.1), momentum=0.9),
        lambda: jl.rmsprop(jl.cosine_decay_schedule(0.1, 10), centered=True),
        lambda: jl.chain(jl.clip_by_global_norm(1.0), jl.adam(jl.by_path({"*": 0.1}))),
        lambda: jl.named_chain(("clip", jl.clip(1.0)), ("zero", jl.set_to_zero())),
        lambda: jl.partition({"a": jl.sgd(0.1)}, {"w": "a", "b": "a"}),
        lambda: jl.masked(jl.identity(), {"w": True}),
        lambda: jl.freeze(jl.by_path({"bias": True, "*": False})),
        lambda: jl.stateless(max),
        lambda: jl.sgd(abs),
        lambda: jl.sgd(functools.partial(pow, 0.5, mod=None)),
    ],
)
def test_equal_parts_make_equal_values(build):
    assert build() == build()
    assert hash(build()) == hash(build())
    assert repr(build()) == repr(build())
    assert jax.tree.structure(build()) == jax.tree.structure(build())


def test_values_of_other_types_and_fields_differ():
    values = [
        *map(Point, (1, 1.0, True, 0.0, -0.0, 1j, (1,), (1.0,), "1", None)),
        jl.sgd(0.1),
        jl.sgd(0.2),
        jl.adam(0.1),
        jl.adam(0.1, mu_dtype=jnp.bfloat16),
        jl.adam(0.1, nesterov=True),
        *(jl.sgd(functools.partial(pow, x)) for x in (0.5, 1, 1.0)),
    ]
    assert len(set(values)) == len(values)
    assert len({jax.tree.structure(x) for x in values}) == len(values)


def test_one_is_no_float_and_no_flag_inside_jit():
    seen = []
    look = jax.jit(lambda value: seen.append(value.x))
    for x in (1, 1.0, True, 1, 1.0, True):
        look(Point(x))
    assert [type(x) for x in seen] == [int, float, bool]


def test_arrays_are_compared_by_identity():
    array = jnp.arange(2)
    assert Point(array) == Point(array)
    assert hash(Point(array)) == hash(Point(array))
    assert Point(array) != Point(array + 0)
    assert jl.adam(array[0]) != jl.adam(array[0])


def test_what_cannot_be_hashed_is_compared_by_identity():
    found = {1}
    assert Point(found) == Point(found)
    assert hash(Point(found)) == hash(Point(found))
    assert Point(found) != Point({1})


def test_dicts_are_compared_by_what_they_hold():
    assert Point({"a": {"b": True, "c": 1}}) == Point({"a": {"c": 1, "b": True}})
    assert Point({"a": 1}) != Point({"a": True})
    assert Point({"a": 1}) != Point({"a": 1, "b": None})


def test_a_value_is_a_static_argument():
    traces = []

    def update(tx):
        traces.append(tx)
        return tx.update(PARAMS, tx.init(PARAMS), PARAMS)[0]

    step = jax.jit(update, static_argnums=0)
    rate = jnp.array(0.1)
    for _ in range(3):
        step(jl.adamw(0.1, mask=jl.weights_only))
    assert len(traces) == 1
    step(jl.adamw(rate))
    step(jl.adamw(rate))
    assert len(traces) == 2


PICKLED = [
    jl.adamw(1e-3, mask=jl.weights_only),
    jl.sgd(jl.warmup_cosine_decay_schedule(0.0, 1.0, 10, 100), momentum=0.9),
    jl.chain(jl.clip_by_global_norm(1.0), jl.freeze({"bias": True, "kernel": False})),
    jl.partition({"a": jl.rmsprop(0.1)}, jl.by_path({"*": "a"})),
    jl.GradientTransformation(sorted, max),
]


@pytest.mark.parametrize("tx", PICKLED, ids=repr)
def test_pickle_gives_an_equal_value(tx):
    assert pickle.loads(pickle.dumps(tx)) == tx


def test_pickle_keeps_arrays():
    tx = pickle.loads(pickle.dumps(jl.adam(jnp.array([0.5, 2.0]), b1=0.8)))
    assert [x.tolist() for x in jax.tree.leaves(tx)] == [[0.5, 2.0]]
    assert "b1=0.8" in repr(tx)


def test_pickle_crosses_processes():
    program = (
        "import pickle, sys, jaxopt_lite as jl\n"
        "tx = pickle.load(sys.stdin.buffer)\n"
        "print({tx: 'found'}[jl.adamw(1e-3, mask=jl.weights_only)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps(PICKLED[0]),
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.getcwd()},
    )
    assert done.stdout.decode().strip() == "found", done.stderr.decode()


def schedule(count):
    return 0.1


def test_repr_is_readable():
    tx = jl.chain(jl.clip(1.0), jl.sgd(jl.by_path({"head/*": 0.5, "*": schedule})))
    assert repr(tx) == (
        "chain(leafwise(Clip(max_delta=1.0)), chain(Identity(), "
        "leafwise(ScaleByLearningRate(learning_rate=by_path("
        "{'head/*': 0.5, '*': FromFunction(function=schedule)})))))"
    )
    assert repr(jl.scale(jnp.ones((2, 3)))) == (
        "leafwise(Scale(step_size=float32[2,3]))"
    )
    assert repr(jl.masked(jl.scale(1.0), jl.weights_only)) == (
        "masked(leafwise(Scale(step_size=1.0)), weights_only)"
    )


def test_repr_tells_storage_apart():
    assert "bfloat16" in repr(jl.adam(0.1, mu_dtype=jnp.bfloat16))


def test_it_unpacks_as_init_and_update():
    tx = jl.sgd(0.5)
    init, update = tx
    updates, state = update(PARAMS, init(PARAMS), PARAMS)
    assert state == tx.init(PARAMS)
    assert updates["bias"].tolist() == [-0.5] * 3


def test_vmap_over_one_batched_field_is_a_loop():
    rates = jnp.logspace(-4, -1, 4)

    def train(tx):
        assert type(tx.transforms[0].rule.b1) is float
        params, state = PARAMS, tx.init(PARAMS)
        for _ in range(3):
            updates, state = tx.update(params, state, params)
            params = jl.apply_updates(params, updates)
        return params

    batched = jax.vmap(train)(jl.adamw(learning_rate=rates, b1=0.8))
    looped = [train(jl.adamw(learning_rate=rate, b1=0.8)) for rate in rates]
    stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *looped)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-6), batched, stacked)
    assert len(np.unique(batched["bias"][:, 0])) == 4


def test_in_axes_may_be_a_tree():
    tx = jl.adamw(jnp.arange(3.0), b1=jnp.array(0.5))
    axes = jax.tree.map(lambda x: 0 if x.ndim else None, tx)

    def update(tx):
        return tx.update(PARAMS, tx.init(PARAMS), PARAMS)[0]

    updates = jax.vmap(update, in_axes=(axes,))(tx)
    assert updates["bias"].shape == (3, 3)


def test_device_put_moves_the_arrays():
    device = jax.devices()[1]
    tx = jl.adamw(jnp.array(0.1), b1=0.8)
    sharding = jax.tree.map(lambda _: jax.sharding.SingleDeviceSharding(device), tx)
    for moved in (jax.device_put(tx, device), jax.device_put(tx, sharding)):
        (rate,) = jax.tree.leaves(moved)
        assert rate.devices() == {device}
        assert jax.tree.structure(moved) == jax.tree.structure(tx)


def test_eval_shape_gives_a_transformation_of_shapes():
    tx = jl.adamw(jnp.ones(3), b1=0.8)
    shapes = jax.eval_shape(lambda tx: tx, tx)
    assert jax.tree.leaves(shapes) == [jax.ShapeDtypeStruct((3,), jnp.float32)]
    assert jax.tree.structure(shapes) == jax.tree.structure(tx)

    def update(tx):
        return jax.vmap(lambda tx: tx.update(PARAMS, tx.init(PARAMS), PARAMS)[0])(tx)

    lowered = jax.jit(update).lower(shapes)
    assert lowered.out_info["bias"].shape == (3, 3)


def test_tree_map_changes_the_numbers_that_are_arrays():
    tx = jax.tree.map(lambda x: 2 * x, jl.sgd(jnp.array(0.25), momentum=0.5))
    updates, _ = tx.update(PARAMS, tx.init(PARAMS))
    assert updates["bias"].tolist() == [-0.5] * 3
    assert "decay=0.5" in repr(tx)


def test_grad_goes_through_a_hyperparameter():
    g = {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full(3, 3.0)}

    def loss(tx):
        updates, _ = tx.update(g, tx.init(PARAMS), PARAMS)
        after = jl.apply_updates(PARAMS, updates)
        return sum(jnp.sum(x) for x in jax.tree.leaves(after))

    assert jax.grad(lambda rate: loss(jl.sgd(rate)))(0.1) == -(6 * 2 + 3 * 3)
    (slope,) = jax.tree.leaves(jax.grad(loss)(jl.sgd(jnp.array(0.1))))
    assert slope == -(6 * 2 + 3 * 3)
    assert (
        jax.grad(lambda x: loss(jl.sgd(jl.by_path({"bias": x, "*": 0.0}))))(1.0) == -9
    )


def test_a_schedules_numbers_are_leaves():
    tx = jl.sgd(jl.linear_schedule(jnp.array(1.0), 0.0, 10))
    assert jax.tree.leaves(tx) == [1.0]
    halved = jax.tree.map(lambda x: x / 2, tx)
    updates, _ = halved.update(PARAMS, halved.init(PARAMS))
    assert updates["bias"].tolist() == [-0.5] * 3
