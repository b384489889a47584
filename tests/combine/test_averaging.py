"""Averages of the parameters, and what to evaluate with."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import TREES, assert_close, random_tree, trajectory
from tests.variants.common import falling

NESTED = TREES["nested"]


def follow(tx, params, gradients):
    """The parameters and what to evaluate with after each step, and the last state."""

    def step(carry, g):
        params, state = carry
        u, state = tx.update(g, state, params)
        params = jl.apply_updates(params, u)
        return (params, state), (params, jl.eval_params(state, params))

    @jax.jit
    def scan(params, gradients):
        return jax.lax.scan(step, (params, tx.init(params)), gradients)

    (_, state), seen = scan(params, gradients)
    return seen, state


def weighted(seen, decay):
    """The mean of the values so far, each weighted by `decay**age`."""
    for n in range(1, len(seen) + 1):
        weights = decay ** np.arange(n - 1.0, -1.0, -1.0)
        yield np.tensordot(weights, seen[:n], 1) / weights.sum()


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.9999])
def test_equals_the_weighted_mean(decay, x64):
    tx = jl.chain(jl.sgd(0.1, momentum=0.9), jl.param_ema(decay))
    seen, found = follow(tx, random_tree(NESTED, 2), trajectory(NESTED, 1))[0]
    expected = jax.tree.map(
        lambda x: np.stack(list(weighted(np.asarray(x), decay))), seen
    )
    assert_close(found, expected)


@pytest.mark.parametrize("decay", [0.9, falling])
def test_without_debias_begins_with_the_parameters(decay, x64):
    tx = jl.chain(jl.sgd(0.1), jl.param_ema(decay, debias=False))
    first = random_tree(NESTED, 2)
    seen, found = follow(tx, first, trajectory(NESTED, 1))[0]

    def expected(p, seen):
        mean, means = p, []
        for n, x in enumerate(np.asarray(seen)):
            d = decay(n) if callable(decay) else decay
            mean = d * mean + (1 - d) * x
            means.append(mean)
        return np.stack(means)

    assert_close(found, jax.tree.map(expected, first, seen))


def test_decays_by_path_and_by_schedule_are_means():
    decays = jl.by_path({"*bias*": 0.0, "scale": lambda n: 0.99, "*": 0.5})
    like = jax.tree.map(lambda x: np.ones(x.shape, np.float32), NESTED)
    still = jax.tree.map(lambda x: np.zeros((5, *x.shape), np.float32), NESTED)
    seen, found = follow(jl.param_ema(decays), like, still)[0]
    assert_close(found, seen)


def test_keeps_the_dtype_of_the_parameters():
    params = jnp.ones(3, jnp.bfloat16)
    tx = jl.param_ema(0.999)
    state = tx.init(params)
    assert jl.eval_params(state, params).dtype == jnp.bfloat16
    for _ in range(3):
        u, state = tx.update(jnp.full(3, 2.0**-10, jnp.bfloat16), state, params)
    # In bfloat16 the average would not move.
    np.testing.assert_allclose(state.ema, 1 + 2.0**-10, rtol=1e-7)
    assert u.dtype == jnp.bfloat16


def test_before_the_first_step_evaluates_with_the_parameters():
    params = {"w": jnp.arange(3.0), "none": None}
    for debias in (True, False):
        state = jl.param_ema(0.9, debias).init(params)
        found = jl.eval_params(state, params)
        jax.tree.map(np.testing.assert_array_equal, found, params)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tx: jl.apply_if_finite(tx, 3),
        lambda tx: jl.MultiSteps(tx, 1),
        lambda tx: jl.masked(tx, jl.by_path({"b": False, "*": True})),
        lambda tx: jl.partition(
            {"a": tx, "b": jl.set_to_zero()}, jl.by_path({"b": "b", "*": "a"})
        ),
        lambda tx: jl.named_chain(("inner", tx), ("rest", jl.scale(1.0))),
        lambda tx: optax.chain(tx),
        lambda tx: jl.conditionally_mask(tx, lambda step: step >= 0),
    ],
)
def test_is_found_wherever_it_stands(wrap):
    tx = wrap(jl.chain(jl.sgd(1.0), jl.param_ema(0.5)))
    params = {"a": jnp.zeros(()), "b": jnp.zeros(())}
    state = tx.init(params)
    g = {"a": jnp.float32(-1), "b": jnp.float32(0)}
    for _ in range(2):
        u, state = tx.update(g, state, params)
        params = jl.apply_updates(params, u)
    found = jl.eval_params(state, params)
    np.testing.assert_allclose(found["a"], 5 / 3, rtol=1e-6)
    assert found["b"] == 0


def test_averages_of_groups_are_put_together():
    params = {"a": jnp.zeros(()), "b": jnp.zeros(())}
    tx = jl.partition(
        {
            name: jl.chain(jl.sgd(1.0), jl.param_ema(decay, debias=False))
            for name, decay in (("a", 0.5), ("b", 0.75))
        },
        jl.by_path({"a": "a", "b": "b"}),
    )
    g = {"a": jnp.float32(-1), "b": jnp.float32(-1)}
    _, state = tx.update(g, tx.init(params), params)
    found = jl.eval_params(state, params)
    assert (found["a"], found["b"]) == (0.5, 0.25)


def test_the_average_of_slow_parameters():
    tx = jl.chain(jl.lookahead(jl.sgd(1.0), 1, 0.5), jl.param_ema(0.5, debias=False))
    params = jl.LookaheadParams.init_synced(jnp.zeros(()))
    _, state = tx.update(jnp.float32(-1), tx.init(params), params)
    assert jl.eval_params(state, params) == 0.25


def test_any_state_can_say_what_to_evaluate_with():
    class Half(NamedTuple):
        nothing: Any

        def eval_params(self, params):
            return params / 2

    assert jl.eval_params({"x": [(Half(None),)]}, 3.0) == 1.5


def test_parameters_are_evaluated_where_nothing_else_is_said():
    params = {"w": jnp.zeros(3)}
    assert jl.eval_params(jl.adamw(0.1).init(params), params) is params
    assert jl.eval_params(None, params) is params


def test_a_state_in_the_place_of_the_parameters_is_refused():
    params = jnp.ones(2)
    state = jl.chain(jl.sgd(0.1), jl.param_ema(0.5)).init(params)
    with pytest.raises(TypeError) as caught:
        jl.eval_params(params, state)
    assert str(caught.value) == (
        "eval_params: found a ParamEmaState among the parameters; expected arrays "
        "alone. Call eval_params(state, params)."
    )


def test_other_parameters_are_refused():
    state = jl.param_ema(0.9).init({"w": jnp.zeros(3)})
    with pytest.raises(ValueError, match="'v': missing in state.ema"):
        jl.eval_params(state, {"v": jnp.zeros(3)})
    with pytest.raises(ValueError, match="'w'"):
        jl.eval_params(state, {"w": jnp.zeros(4)})
