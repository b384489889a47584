"""The guard against gradients that are not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from benchmarks import peers
from benchmarks.step import Training
from jaxopt_lite.combine.guard import all_finite
from jaxopt_lite.combine.norms import norm_of_tree

PARAMS = {"kernel": jnp.ones((3, 2)), "bias": jnp.full(2, 0.5), "none": None}
GOOD = jax.tree.map(lambda p: 0.1 + p, PARAMS)

INNER = {
    "clip and adamw": jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(0.1)),
    "nesterov": jl.sgd(0.1, momentum=0.9, nesterov=True),
    "schedule": jl.sgd(jl.linear_schedule(1.0, 0.1, 5)),
    "groups": jl.partition(
        {"a": jl.rmsprop(0.1), "b": jl.apply_every(2)},
        jl.by_path({"bias": "b", "*": "a"}),
    ),
    "accumulation": jl.MultiSteps(jl.adam(0.1), 2),
    "condition": jl.conditionally_transform(jl.adam(0.1), lambda step: step > 0),
    "guard": jl.apply_if_finite(jl.adam(0.1), 0),
    "average": jl.chain(jl.sgd(0.1), jl.param_ema(0.9)),
    "lookahead": jl.masked(jl.trace(0.9), jl.by_path({"bias": True, "*": False})),
    "optax": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
}


def with_element(tree, x):
    return {**tree, "kernel": tree["kernel"].at[1, 0].set(x)}


@pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
def test_a_skipped_step_changes_nothing(inner):
    tx = jl.apply_if_finite(inner, 10)
    update = jax.jit(tx.update)
    _, before = update(GOOD, tx.init(PARAMS), PARAMS)
    for bad in (np.nan, np.inf, -np.inf):
        u, after = update(with_element(GOOD, bad), before, PARAMS)
        assert all(not x.any() for x in jax.tree.leaves(u))
        jax.tree.map(
            np.testing.assert_array_equal, after.inner_state, before.inner_state
        )


@pytest.mark.parametrize("inner", [INNER["clip and adamw"], INNER["optax"]])
def test_a_finite_step_is_that_of_the_inner(inner):
    tx = jl.apply_if_finite(inner, 0)
    for g in (GOOD, with_element(GOOD, 1e15)):
        guarded = tx.update(g, tx.init(PARAMS), PARAMS)
        plain = inner.update(g, inner.init(PARAMS), PARAMS)
        jax.tree.map(
            np.testing.assert_array_equal, (guarded[0], guarded[1].inner_state), plain
        )


@pytest.mark.parametrize("most", [0, 1, 3])
def test_counts(most):
    tx = jl.apply_if_finite(jl.scale(1.0), most)
    finite = np.array([1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0], bool)
    gradients = jnp.where(finite, 1.0, jnp.nan)

    def step(state, g):
        u, state = tx.update(g, state)
        return state, (u, state[:3])

    _, (u, found) = jax.lax.scan(step, tx.init(jnp.zeros(())), gradients)
    in_a_row = total = 0
    expected, accepted = [], []
    for is_finite in finite:
        total += not is_finite
        in_a_row = 0 if is_finite else in_a_row + 1
        accepted.append(is_finite or in_a_row > most)
        in_a_row = 0 if accepted[-1] else in_a_row
        expected.append((in_a_row, is_finite, total))
    np.testing.assert_array_equal(np.transpose(found), expected)
    np.testing.assert_array_equal(u, np.where(accepted, gradients, 0))


def has_finite_norm(updates):
    return jnp.isfinite(norm_of_tree(updates, {}))


@pytest.mark.parametrize("is_finite", [all_finite, has_finite_norm])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "complex64"])
def test_finds_what_is_not_finite_wherever_it_stands(dtype, is_finite):
    # Long enough for vector instructions, of which some overlook a nan in a maximum.
    x = np.full(4096, -1, jnp.dtype(dtype))
    find = jax.jit(is_finite)
    assert find(x)
    for bad in (np.nan, -np.nan, np.inf, -np.inf):
        for place in (0, 2049, 4095):
            wrong = x.copy()
            wrong[place] = 1j * bad if dtype == "complex64" else bad
            assert not find(wrong), (bad, place)


def test_large_gradients_are_finite():
    largest = np.finfo(np.float32).max
    assert all_finite({"a": jnp.full(3, -largest), "b": jnp.zeros(3)})
    assert has_finite_norm(jnp.full(3, 1e22))
    assert not has_finite_norm(jnp.full(3, 1e30))


def test_what_holds_nothing_is_finite():
    assert all_finite({"none": None, "masked": jl.MaskedNode()})
    assert all_finite({"empty": jnp.zeros((0, 3)), "int": np.array(3)})


def test_numbers_of_errors_are_checked():
    with pytest.raises(ValueError, match="max_consecutive_errors is -1"):
        jl.apply_if_finite(jl.sgd(0.1), -1)
    with pytest.raises(ValueError, match=r"max_consecutive_errors is 1\.5"):
        jl.apply_if_finite(jl.sgd(0.1), 1.5)
    with pytest.raises(TypeError, match="no count"):
        jl.apply_if_finite(jl.sgd(0.1), lambda count: 3)
    with pytest.raises(TypeError, match="apply_if_finite: inner is 3"):
        jl.apply_if_finite(3, 1)


ADAMW = jl.adamw(1e-3, weight_decay=0.01)
CLIPPED = jl.chain(jl.clip_by_global_norm(1.0), ADAMW)
COSTS = {
    "guarded": (jl.apply_if_finite(ADAMW, 3), 44.5),
    "guarded clip": (jl.apply_if_finite(CLIPPED, 3), 44.5),
    "accumulated": (jl.MultiSteps(ADAMW, 4), 52.5),
    "guarded accumulation": (jl.apply_if_finite(jl.MultiSteps(ADAMW, 4), 3), 56.5),
}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="as counted on a CPU")
@pytest.mark.parametrize(("tx", "accessed"), COSTS.values(), ids=COSTS)
def test_bytes_per_parameter(tx, accessed):
    params = {str(i): jnp.ones((128, 256)) for i in range(4)}
    cost = Training(peers.stepper(jl, tx), tx.init, params).cost([])
    assert cost.accessed <= accessed
    assert cost.temporaries <= 0.05
