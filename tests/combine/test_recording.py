"""Norms that a transformation keeps in its state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from benchmarks import peers
from benchmarks.step import Training
from tests.helpers import at, by_name, trajectory

PARAMS = {
    "embed": np.ones((3, 2), np.float32),
    "head": (np.ones(4, np.float32), None, np.ones(4, np.float32)),
    "scale": np.float32(2),
}
GROUPS = jl.by_path({"head": "top", "*": "rest"})


def norm(tree, prefix=""):
    """The norm of the leaves below a path, in float64."""
    found = [x for path, x in by_name(tree).items() if path.startswith(prefix)]
    return np.sqrt(sum(np.sum(np.abs(np.float64(x)) ** 2) for x in found))


def test_it_keeps_the_norms_of_each_step_and_changes_nothing():
    gradients = trajectory(PARAMS, 0, 4)
    inner = jl.chain(jl.clip_by_global_norm(8.0), jl.adamw(0.1))
    tx, params = jl.record(inner, by=GROUPS), PARAMS
    state, alone, clipped = tx.init(params), inner.init(params), 0
    update = jax.jit(tx.update)
    for step in range(4):
        g = at(gradients, step)
        u, state = update(g, state, params)
        v, alone = jax.jit(inner.update)(g, alone, params)
        jax.tree.map(np.testing.assert_array_equal, (u, state.inner_state), (v, alone))
        params = jl.apply_updates(params, u)
        for name, tree in {"gradient": g, "update": u, "parameter": params}.items():
            found = [state.norms[f"{name}_norm{x}"] for x in ("", "[top]", "[rest]")]
            rest = np.sqrt(norm(tree) ** 2 - norm(tree, "head") ** 2)
            wanted = [norm(tree), norm(tree, "head"), rest]
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
        clipped += norm(g) > 8
        assert (state.count, state.clipped) == (step + 1, clipped)
    assert len(state.norms) == 9 and 0 < clipped < 4


def test_of_a_step_that_does_not_count_nothing_is_kept():
    tx = jl.apply_if_finite(jl.record(jl.sgd(0.1)), 3)
    _, before = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    bad = {**PARAMS, "scale": np.float32(np.nan)}
    _, after = tx.update(bad, before, PARAMS)
    jax.tree.map(np.testing.assert_array_equal, after[-1], before[-1])


def test_around_a_guard_it_tells_what_was_not_taken():
    tx = jl.record(jl.apply_if_finite(jl.sgd(0.1), 3))
    bad = {**PARAMS, "scale": np.float32(np.nan)}
    _, state = tx.update(bad, tx.init(PARAMS), PARAMS)
    assert np.isnan(state.norms["gradient_norm"])
    assert state.norms["update_norm"] == 0
    np.testing.assert_allclose(state.norms["parameter_norm"], norm(PARAMS), rtol=1e-6)


@pytest.mark.parametrize(
    ("inner", "counts"),
    [
        (jl.clip_by_global_norm(1.0), True),
        (jl.chain(jl.chain(jl.clip_by_global_norm(1.0)), jl.sgd(0.1)), True),
        (jl.apply_if_finite(jl.skip_spikes(jl.clip_by_global_norm(1.0)), 3), True),
        (jl.clip_by_global_norm(lambda n: 1.0 + 4.0 * n * (n - 1)), True),
        (jl.chain(jl.scale(0.1), jl.clip_by_global_norm(1.0)), False),
        (jl.masked(jl.clip_by_global_norm(1.0), jl.weights_only), False),
        (jl.MultiSteps(jl.clip_by_global_norm(1.0), 2), False),
        (jl.chain(), False),
    ],
)
def test_steps_are_counted_that_the_first_clip_clips(inner, counts):
    tx = jl.record(inner, "gradient")
    state = tx.init(PARAMS)
    for size in (0.1, 1.0):
        g = jax.tree.map(lambda x, size=size: size * x, PARAMS)
        _, state = tx.update(g, state, PARAMS)
    assert state.clipped == (1 if counts else 0)
    assert ("clipped_fraction" in jl.metrics(tx, state)) == counts


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_norms_are_float32_and_do_not_overflow(dtype):
    tx = jl.record(jl.scale(-1.0))
    g = jnp.array([300.0, 400.0], dtype)
    _, state = tx.update(g, tx.init(g), g)
    assert {x.dtype for x in state.norms.values()} == {jnp.dtype("float32")}
    np.testing.assert_allclose(state.norms["gradient_norm"], 500.0, rtol=1e-6)


@pytest.mark.parametrize(
    "n", [jnp.arange(2), np.zeros(2, jax.dtypes.float0)], ids=["int32", "float0"]
)
def test_integers_have_no_norm(n):
    tx, p = jl.record(jl.identity(), "gradient"), {"n": jnp.arange(2), "w": jnp.ones(4)}
    _, state = tx.update({**p, "n": n}, tx.init(p))
    assert state.norms["gradient_norm"] == 2


def test_nothing_has_no_norm():
    tx = jl.record(jl.sgd(0.1), by=GROUPS)
    _, state = tx.update({}, tx.init({}), {})
    assert {float(x) for x in state.norms.values()} == {0.0}


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: jl.record(jl.sgd(0.1), ["gradients"]),
            ValueError,
            "of holds 'gradients'; expected some of 'gradient', 'update', 'parameter'",
        ),
        (lambda: jl.record(3), TypeError, "record: inner is 3"),
        (lambda: jl.record(jl.sgd(0.1), 3), ValueError, "of holds 3; expected some"),
        (
            lambda: jl.record(jl.sgd(0.1)).update(PARAMS, jl.sgd(0.1).init(PARAMS)),
            TypeError,
            "record: the state is a tuple; expected RecordState(count, norms,",
        ),
        (
            lambda: jl.record(jl.sgd(0.1), by=jl.by_path({"head": 1})).init(PARAMS),
            ValueError,
            "'embed': matches no pattern",
        ),
    ],
)
def test_what_cannot_be_recorded_is_refused(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_missing_parameters_are_asked_for():
    tx = jl.record(jl.sgd(0.1))
    with pytest.raises(ValueError, match="record: update was called without params"):
        tx.update(PARAMS, tx.init(PARAMS))


ADAMW = jl.adamw(1e-3, weight_decay=0.01)
CLIPPED = jl.chain(jl.clip_by_global_norm(1.0), ADAMW)
BOTH = ["gradient", "parameter"]
COSTS = {
    "gradient": (jl.record(ADAMW, "gradient"), 44, 0),
    "gradient, of which a clip is made": (jl.record(CLIPPED, "gradient"), 44, 0),
    "gradient, which a guard looks at": (
        jl.record(jl.apply_if_finite(CLIPPED, 3), "gradient"),
        44,
        0,
    ),
    "parameter": (jl.record(ADAMW, "parameter"), 44, 0),
    "both, of a clip": (jl.record(CLIPPED, BOTH), 48, 0),
    "both, of a guard": (jl.record(jl.skip_spikes(CLIPPED), BOTH), 48, 0),
    "all of sgd": (jl.record(jl.sgd(0.1)), 24, 0),
    "all of adamw": (jl.record(ADAMW), 64, 4),
    "all of a clip, by group": (
        jl.record(CLIPPED, by=jl.by_path({"0": "a", "*": "b"})),
        64,
        4,
    ),
}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="as counted on a CPU")
@pytest.mark.parametrize(("tx", "accessed", "extra"), COSTS.values(), ids=COSTS)
def test_bytes_per_parameter(tx, accessed, extra):
    params = {str(i): jnp.ones((128, 256)) for i in range(4)}
    cost = Training(peers.stepper(jl, tx), tx.init, params).cost([])
    assert cost.accessed <= accessed + 0.1
    assert cost.temporaries <= extra + 0.05
