"""A batch of optimizers does what each of them does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from jaxopt_lite import sweep
from tests.sweep.training import message

PARAMS = {"w": jnp.array([1.0, -2.0, 3.0]), "bias": jnp.array([0.5])}


def trained(tx, steps=5):
    """The parameters after some steps on a quartic."""
    params, state = PARAMS, tx.init(PARAMS)
    for _ in range(steps):
        grads = jax.tree.map(lambda p: p**3, params)
        updates, state = tx.update(grads, state, params)
        params = jl.apply_updates(params, updates)
    return params


BATCHES = {
    "adamw": [jl.adamw(r, b1=b, weight_decay=0.1) for r, b in [(0.1, 0.9), (0.2, 0.5)]],
    "whole numbers": [jl.sgd(1), jl.sgd(0.5)],
    "arrays": [jl.sgd(jnp.float32(0.1)), jl.sgd(jnp.float32(0.3))],
    "arrays and numbers": [jl.sgd(jnp.float32(0.1)), jl.sgd(0.3)],
    "schedules": [
        jl.adam(jl.cosine_decay_schedule(peak, steps))
        for peak, steps in [(0.1, 4), (0.2, 8)]
    ],
    "by path": [
        jl.sgd(jl.by_path({"bias": rate, "*": 0.1}), momentum=0.9)
        for rate in (0.2, 0.3)
    ],
    "a chain": [
        jl.chain(
            jl.clip_by_global_norm(norm),
            jl.freeze(jl.by_path({"bias": True, "*": False})),
            jl.adam(0.1),
        )
        for norm in (0.5, 1.0)
    ],
    "one": [jl.adam(0.1)],
}


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_each_lane_is_its_optimizer(batch):
    stacked = sweep.stack(batch)
    if jax.tree.leaves(stacked):
        lanes = jax.vmap(trained)(stacked)
    else:
        lanes = jax.tree.map(lambda x: x[None], trained(stacked))
    for i, tx in enumerate(batch):
        jax.tree.map(
            lambda x, y, i=i: np.testing.assert_allclose(x[i], y, rtol=1e-5),
            lanes,
            trained(tx),
        )


def test_equal_numbers_stay_numbers():
    stacked = sweep.stack([jl.adam(0.1, b2=0.9999), jl.adam(0.2, b2=0.9999)])
    (rates,) = jax.tree.leaves(stacked)
    assert rates.dtype == jnp.float32 and rates.shape == (2,) and not rates.weak_type
    np.testing.assert_array_equal(rates, np.float32([0.1, 0.2]))
    assert "b2=0.9999" in repr(stacked)


def test_equal_optimizers_are_one_optimizer():
    assert sweep.stack([jl.adam(0.1), jl.adam(0.1)]) == jl.adam(0.1)


def test_optimizers_of_another_structure():
    a = jl.chain(jl.scale(jl.by_path({"*": 0.1}, strict=True)), jl.clip(1.0))
    b = jl.chain(jl.scale(jl.by_path({"*": 0.2})), jl.scale(1.0))
    assert message(ValueError, sweep.stack, [a, a, b]) == (
        "stack: optimizers differ in more than numbers.\n"
        "  'transforms/0/rule/step_size/strict': True in optimizer 0, False in "
        "optimizer 2\n"
        "  'transforms/1/rule': Clip(max_delta=1.0) in optimizer 0, "
        "Scale(step_size=1.0) in optimizer 2\n"
        "Expected the same transformations with other numbers: sweep over the rest as "
        "a static axis."
    )


@pytest.mark.parametrize(
    ("batch", "path"),
    [
        ([jl.adam(0.1), jl.sgd(0.1)], "'transforms"),
        ([jl.sgd(lambda n: 0.1), jl.sgd(lambda n: 0.2)], "/function'"),
        (
            [jl.sgd(0.1), jl.sgd(jl.constant_schedule(0.1))],
            "'transforms/1/rule/learning_rate'",
        ),
        ([jl.sgd(jnp.ones(2)), jl.sgd(0.1)], "'transforms/1/rule/learning_rate'"),
        ([optax.sgd(0.1), optax.sgd(0.2)], "'init_fn'"),
        (
            [jl.sgd(jl.by_path({"w": 0.1})), jl.sgd(jl.by_path({"b": 0.1}))],
            "/patterns/0'",
        ),
    ],
)
def test_the_place_of_a_difference_is_named(batch, path):
    assert path in message(ValueError, sweep.stack, batch)


def test_no_optimizers():
    assert message(ValueError, sweep.stack, []) == (
        "stack: found no optimizer; expected at least one."
    )
    assert message(TypeError, sweep.stack, [jl.sgd(0.1), jl.sgd]).startswith(
        "stack: optimizer 1 is <function sgd"
    )
