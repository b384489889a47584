"""Groups of parameters that begin one after another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from tests.helpers import at, trajectory

PARAMS = {"embed": jnp.ones(3), "body": jnp.ones((2, 2)), "head": jnp.ones(2)}
STARTS = jl.by_path({"head": 0, "body": 2, "*": 5})
STEPS = 8


def test_each_group_is_trained_alone_from_its_first_step():
    gradients = trajectory(jax.tree.map(np.asarray, PARAMS), 0, STEPS)
    inner = jl.adamw(jl.linear_schedule(0.1, 0.0, 10), weight_decay=0.1)
    tx = jl.unfreeze(inner, STARTS)
    state, found = tx.init(PARAMS), []
    update = jax.jit(tx.update)
    for step in range(STEPS):
        updates, state = update(at(gradients, step), state, PARAMS)
        found.append(updates)
    for name, start in {"head": 0, "body": 2, "embed": 5}.items():
        alone = inner.init(PARAMS[name])
        for step, updates in enumerate(found):
            if step < start:
                assert not np.any(updates[name])
                continue
            g = gradients[name][step]
            expected, alone = inner.update(g, alone, PARAMS[name])
            np.testing.assert_allclose(updates[name], expected, rtol=1e-6)


def test_what_stands_still_gathers_no_moments():
    tx = jl.unfreeze(jl.adam(0.1), STARTS)
    state = before = tx.init(PARAMS)
    for _ in range(5):
        _, state = tx.update(PARAMS, state, PARAMS)
    of_embed = [s.inner_states["5"].inner_state.inner_state for s in (before, state)]
    jax.tree.map(np.testing.assert_array_equal, *of_embed)
    assert state.inner_states["2"].inner_state.inner_state[0].count == 3


@pytest.mark.parametrize(
    ("starts", "error", "text"),
    [
        ({"*": 0}, TypeError, "starts is {'*': 0}, a dict; expected by_path"),
        (jl.by_path({"*": 1.5}), ValueError, "starts['*'] is 1.5; expected an integer"),
        (jl.by_path({"*": -1}), ValueError, "starts['*'] is -1; expected a number"),
        (
            jl.by_path({"*": jnp.array(1)}),
            TypeError,
            "starts['*'] is int32[]; expected a Python integer",
        ),
        (jl.by_path({"*": lambda step: 1}), TypeError, "no count is kept"),
    ],
)
def test_what_says_no_step_is_refused(starts, error, text):
    with pytest.raises(error) as caught:
        jl.unfreeze(jl.sgd(0.1), starts)
    assert text in str(caught.value)


def test_a_parameter_without_a_start_is_named():
    tx = jl.unfreeze(jl.sgd(0.1), jl.by_path({"head": 0, "body": 1}))
    with pytest.raises(ValueError, match="'embed': matches no pattern"):
        tx.init(PARAMS)
