"""`interop.flax.TrainState` beside Flax's own."""

import functools
import pickle
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import serialization, struct
from flax.linen.fp8_ops import OVERWRITE_WITH_GRADIENT
from flax.training import train_state

import jaxopt_lite as jl
from jaxopt_lite.interop import flax
from jaxopt_lite.interop.flax import TrainState
from tests.helpers import assert_close, at, by_name, count_traces

PARAMS = {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(3)}
GRADS = jax.tree.map(lambda p: p - 2, PARAMS)


def create(tx, cls=TrainState, params=PARAMS, **fields):
    return cls.create(apply_fn=None, params=params, tx=tx, **fields)


def after(state, steps=3):
    for _ in range(steps):
        state = state.apply_gradients(grads=GRADS)
    return state


def assert_same(actual, expected):
    """That two states hold the same, whatever class they are of."""
    assert actual.step == expected.step
    assert_close(actual.params, expected.params, 0)
    assert_close(actual.opt_state, expected.opt_state, 0)


# A step


@pytest.mark.parametrize(
    "tx",
    [jl.adamw(0.1, weight_decay=0.1), jl.sgd(0.1), optax.adam(0.1)],
    ids=["adamw", "sgd", "optax"],
)
def test_a_step_is_that_of_flax(tx):
    ours, theirs = after(create(tx)), after(create(tx, train_state.TrainState))
    assert_same(ours, theirs)
    assert ours.tx is tx and isinstance(ours, train_state.TrainState)


def test_what_is_overwritten_with_its_gradient_is_so_as_in_flax():
    params = {"params": PARAMS, OVERWRITE_WITH_GRADIENT: {"scale": jnp.ones(1)}}
    grads = {"params": GRADS, OVERWRITE_WITH_GRADIENT: {"scale": jnp.zeros(1)}}
    ours, theirs = (
        create(jl.adam(0.1), cls, params).apply_gradients(grads=grads)
        for cls in (TrainState, train_state.TrainState)
    )
    assert_close(ours.params, theirs.params, 0)
    assert jax.tree.structure(ours.opt_state) == jax.tree.structure(theirs.opt_state)


def test_keywords_reach_update():
    tx = jl.polyak_sgd()
    stepped = create(tx).apply_gradients(grads=GRADS, value=2.0)
    u, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS, value=2.0)
    assert_close(stepped.params, jl.apply_updates(PARAMS, u), 0)
    with pytest.raises(TypeError, match="update was called without `value`"):
        create(tx).apply_gradients(grads=GRADS)
    with pytest.raises(TypeError, match="unexpected keyword argument 'value'"):
        flaxs = create(jl.sgd(0.1), train_state.TrainState)
        flaxs.apply_gradients(grads=GRADS, value=2.0)


def test_a_line_search_sees_the_loss():
    def loss(params):
        return sum(jnp.sum(p**2) for p in jax.tree.leaves(params))

    search = jl.scale_by_backtracking_linesearch(3)

    @jax.jit
    def step(state):
        value, grad = jax.value_and_grad(loss)(state.params)
        return state.apply_gradients(grads=grad, value=value, grad=grad, value_fn=loss)

    assert loss(step(create(jl.chain(jl.sgd(1.0), search))).params) < loss(PARAMS)


def test_what_optax_does_not_take_is_not_passed():
    def update(updates, state, params=None):
        return jax.tree.map(lambda g: -0.1 * g, updates), state

    tx = optax.GradientTransformation(optax.sgd(0.1).init, update)
    ours = create(tx).apply_gradients(grads=GRADS, value=2.0)
    assert_close(ours.params, after(create(jl.sgd(0.1)), 1).params, 1e-6)


def test_a_tx_that_is_no_transformation():
    state = create(jl.sgd(0.1)).replace(tx=0.1)
    for call in (lambda: state.apply_gradients(grads=GRADS), lambda: create(0.1)):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value) == (
            "TrainState: tx is 0.1, a float; expected a transformation with `init` and "
            "`update`, such as `scale(0.1)`."
        )


class WithStatistics(TrainState):
    """A user's own."""

    batch_stats: dict
    name: str = struct.field(pytree_node=False, default="train")


def test_a_keyword_that_names_a_field_replaces_it():
    state = create(jl.polyak_sgd(), WithStatistics, batch_stats={"mean": jnp.zeros(2)})
    statistics = {"mean": jnp.ones(2)}
    stepped = jax.jit(
        lambda s: s.apply_gradients(grads=GRADS, value=1.0, batch_stats=statistics)
    )(state)
    assert_close(stepped.batch_stats, statistics, 0)
    assert stepped.name == "train" and type(stepped) is WithStatistics
    assert struct.dataclass(WithStatistics) is WithStatistics
    changed = state.apply_gradients(grads=GRADS, value=1.0, tx=jl.sgd(0.5))
    assert changed.tx == jl.sgd(0.5)


# `tx` as a value


@pytest.mark.parametrize(
    "rate", [0.1, jnp.float32], ids=["a number", "another array each time"]
)
def test_a_jitted_step_is_traced_once(rate):
    step = count_traces(lambda state: state.apply_gradients(grads=GRADS))
    state = create(jl.adamw(0.1))
    for i in range(3):
        state = step(state.replace(tx=jl.adamw(rate(i) if callable(rate) else rate)))
    assert step.traces == 1
    assert jl.get_hyperparams(state.tx, state.opt_state) == state.hyperparams
    assert state.hyperparams["2/learning_rate"] == (2.0 if callable(rate) else rate)


def test_an_array_takes_effect():
    step = jax.jit(lambda state: state.apply_gradients(grads=GRADS))
    state = create(jl.sgd(jnp.array(0.1)))
    slow, fast = step(state), step(state.replace(tx=jl.sgd(jnp.array(0.2))))
    moved = jax.tree.map(lambda x, y: (x - y) / 2, fast.params, PARAMS)
    assert_close(moved, jax.tree.map(jnp.subtract, slow.params, PARAMS), 1e-6)


def test_many_states_are_trained_at_once():
    rates = jnp.array([0.1, 0.2])
    states = jax.vmap(create)(jl.adamw(rates))
    trained = jax.vmap(after)(states)
    for i, rate in enumerate(rates):
        one = after(create(jl.adamw(rate)))
        assert_close(at(trained.params, i), one.params, 1e-6)


def test_the_loss_after_training_has_a_slope_by_the_learning_rate():
    def loss(state):
        return jnp.sum(after(state, 1).params["kernel"])

    slopes = jax.grad(loss, allow_int=True)(create(jl.sgd(jnp.array(0.1))))
    (slope,) = jax.tree.leaves(slopes.tx)
    assert slope == -jnp.sum(GRADS["kernel"])


@pytest.mark.parametrize("tx", [jl.adamw(0.1), jl.adamw(jnp.array(0.1)), optax.sgd(1)])
def test_the_state_is_a_tree_like_any_other(tx):
    state = create(tx)
    leaves, structure = jax.tree.flatten(state)
    assert jax.tree.structure(jax.tree.map(lambda x: x, state)) == structure
    paths, keyed = jax.tree_util.tree_flatten_with_path(state)
    assert keyed == structure and [x for _, x in paths] == leaves
    stepped, _ = jax.lax.scan(
        lambda s, _: (after(s, 1), None), after(state, 1), None, 2
    )
    assert_close(stepped.params, after(state, 3).params, 1e-6)


def test_a_state_is_pickled():
    state = after(create(jl.adamw(jnp.array(0.1))))
    again = pickle.loads(pickle.dumps(state))
    assert_same(again, state)
    assert type(again) is TrainState
    assert_close(after(again).params, after(state).params, 0)


# What it offers


def test_parameters_to_evaluate_with():
    state = after(create(jl.chain(jl.sgd(0.1), jl.param_ema(0.5))))
    expected = jl.eval_params(state.opt_state, state.params)
    assert_close(state.eval_params, expected, 0)
    assert np.any(state.eval_params["bias"] != state.params["bias"])
    free = after(create(jl.schedule_free_sgd(0.1)))
    assert_close(free.eval_params, jl.eval_params(free.opt_state, free.params), 0)


def test_what_there_is_to_log():
    state = after(create(jl.record(jl.sgd(0.1), ["gradient"])))
    assert state.metrics == jl.metrics(state.tx, state.opt_state)
    norm = np.sqrt(sum(np.sum(g**2) for g in GRADS.values()))
    assert state.metrics["gradient_norm"] == pytest.approx(norm, rel=1e-6)
    assert state.hyperparams.items() <= state.metrics.items()
    assert state.metrics["1/learning_rate"] == 0.1


# Checkpoints


def paths(tree):
    return list(by_name(tree))


@pytest.mark.parametrize("tx", [jl.adamw(0.1), jl.adamw(jnp.array(0.1))])
def test_msgpack_goes_over_to_flax_and_back(tx):
    ours, theirs = after(create(tx)), create(tx, train_state.TrainState)
    moved = serialization.from_bytes(theirs, serialization.to_bytes(ours))
    assert_close(moved.opt_state, ours.opt_state, 0)
    back = serialization.from_bytes(create(tx), serialization.to_bytes(moved))
    assert_close(after(back).params, after(create(tx), 6).params, 1e-6)
    assert back.tx == tx


def test_orbax_goes_over_to_flax_and_back(tmp_path):
    ours, theirs = (
        create(jl.adamw(0.1), cls) for cls in (TrainState, train_state.TrainState)
    )
    assert paths(ours) == paths(theirs)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "ours", after(ours))
        checkpointer.wait_until_finished()
        moved = checkpointer.restore(tmp_path / "ours", theirs)
        checkpointer.save(tmp_path / "theirs", moved)
        checkpointer.wait_until_finished()
        back = checkpointer.restore(tmp_path / "theirs", ours)
    assert_same(back, after(ours))


def test_a_tree_of_paths_has_the_arrays_of_tx_last():
    held = paths(create(jl.sgd(jnp.array(0.1))))
    assert held[-1].startswith("tx/") and held[-1].endswith("learning_rate")
    assert held[:-1] == paths(create(jl.sgd(0.1)))


def test_a_checkpoint_of_other_fields():
    saved = serialization.to_bytes(create(jl.sgd(0.1)))
    other = create(jl.sgd(0.1), WithStatistics, batch_stats={})
    with pytest.raises(ValueError) as caught:
        serialization.from_bytes(other, saved)
    assert str(caught.value) == (
        "WithStatistics: what was saved has the fields opt_state, params, step; "
        "expected batch_stats, opt_state, params, step. Restore into a state of the "
        "class that was saved."
    )


# Names


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Optimizer'"):
        flax.Optimizer  # noqa: B018


def test_without_flax_an_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(
        flax, "_train_state", functools.cache(flax._train_state.__wrapped__)
    )
    monkeypatch.setitem(sys.modules, "flax.training", None)
    with pytest.raises(ImportError) as caught:
        flax.TrainState  # noqa: B018
    assert str(caught.value) == (
        "interop.flax.TrainState: Flax is not installed. Run `pip install flax`."
    )
