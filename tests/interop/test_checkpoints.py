"""The state of every optimizer comes back from every kind of checkpoint."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
import safetensors.flax
from flax import serialization

import jaxopt_lite as jl
from jaxopt_lite.interop import flatten_state, restore_state
from jaxopt_lite.testing.case import cast, example_params
from jaxopt_lite.testing.compare import same_bits
from tests.storage.test_laws import CODED, EACH, MADE, MATRICES, coded

PARAMS = example_params()


class Saved(NamedTuple):
    """A transformation, and parameters for it."""

    tx: Any
    params: Any = PARAMS


SAVED = {
    **{name: Saved(tx) for name, tx in MADE.items()},
    **{f"coded {x}": Saved(coded(MADE[x], EACH), MATRICES) for x in CODED},
    **{
        f"{name} of bfloat16": Saved(MADE[name], cast(PARAMS, "bfloat16"))
        for name in ("stochastic_rounding", "kahan", "master_weights", "everything")
    },
    "dpsgd": Saved(jl.dpsgd(0.1, 1.0, 0.1, 0)),
    "lbfgs": Saved(jl.lbfgs(memory_size=3)),
    "backtracking": Saved(jl.scale_by_backtracking_linesearch(5)),
    "sophia": Saved(jl.sophia(0.1)),
    "lookahead": Saved(
        jl.lookahead(jl.adam(0.1), 2, 0.5), jl.LookaheadParams.init_synced(PARAMS)
    ),
    "offload_state": Saved(jl.offload_state(jl.adam(0.1), where=lambda p: True)),
}
FEW = [
    "everything",
    "MultiSteps",
    "inject_hyperparams",
    "partition",
    "record",
    "lookahead",
    "sm3(learning_rate=0.03)",
    "coded adamw(learning_rate=0.03)",
    "coded muon(learning_rate=0.03)",
    "kahan of bfloat16",
    "master_weights in 16 bits",
]
"""Of every kind of slot, and nested in combinators."""


def random_bits(tree):
    """A tree of the shapes and dtypes of another, of bits by chance."""
    rng = np.random.default_rng(0)

    def bits(x):
        if x.dtype == bool:
            return jnp.asarray(rng.random(x.shape) < 0.5)
        count = np.prod(x.shape, dtype=int) * x.dtype.itemsize
        drawn = np.frombuffer(rng.bytes(count), np.uint8)
        return jnp.asarray(drawn.view(x.dtype).reshape(x.shape))

    return jax.tree.map(bits, tree)


@functools.cache
def form(*names):
    """The shapes of the states of some transformations, in one tree."""
    states = {}
    for name in names:
        tx, params = SAVED[name]
        states[name] = jax.eval_shape(tx.init, params)
    return {k: x for k, x in states.items() if jax.tree.leaves(x)}


def standard(folder, state, like):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "state", state)
        checkpointer.wait_until_finished()
        return checkpointer.restore(folder / "state", like)


def pytree(folder, state, like):
    restore_args = ocp.checkpoint_utils.construct_restore_args(like)
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder / "state", state)
        return checkpointer.restore(
            folder / "state", item=like, restore_args=restore_args
        )


def manager(folder, state, like):
    with ocp.CheckpointManager(folder) as checkpoints:
        for i, x in ((3, {"other": jnp.zeros(1)}), (4, state)):
            checkpoints.save(i, args=ocp.args.StandardSave(x))
        checkpoints.wait_until_finished()
        last = checkpoints.latest_step()
        assert last == 4
        return checkpoints.restore(last, args=ocp.args.StandardRestore(like))


def msgpack(folder, state, like):
    (folder / "state").write_bytes(serialization.to_bytes(state))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
    return serialization.from_bytes(zeros, (folder / "state").read_bytes())


def by_name(folder, state, like):
    safetensors.flax.save_file(flatten_state(state), folder / "state")
    named = safetensors.flax.load_file(folder / "state")
    return jax.tree.structure(like).unflatten(named[k] for k in flatten_state(like))


KINDS = [standard, pytree, manager, msgpack, by_name]


@pytest.mark.parametrize(
    "names", [FEW, pytest.param([*SAVED], marks=pytest.mark.full)], ids=["few", "all"]
)
@pytest.mark.parametrize("save_and_restore", KINDS)
def test_states_come_back(save_and_restore, names, tmp_path):
    like = form(*names)
    state = random_bits(like)
    found = save_and_restore(tmp_path, state, like)
    assert list(same_bits("", found, state)) == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FEW else pytest.mark.full)
        for name in SAVED
        if not name.startswith("coded")  # for which `test_restore.py` speaks
    ],
)
def test_states_come_back_under_their_names(name):
    tx, params = SAVED[name]
    state = random_bits(jax.eval_shape(tx.init, params))
    if names := flatten_state(state):
        shuffled = dict(sorted(names.items(), reverse=True))
        found = restore_state(shuffled, tx, params)
        assert list(same_bits("", found, state)) == []


GOES_ON = [
    "everything",
    "MultiSteps",
    "coded adamw(learning_rate=0.03)",
    "kahan of bfloat16",
]


@jax.jit
def step(params, states):
    """One step of each, with gradients of their own parameters."""
    for name in GOES_ON:
        tx, p = SAVED[name].tx, params[name]
        g = jax.tree.map(lambda x: jnp.sin(3 * x), p)
        updates, state = tx.update(g, states[name], p)
        params = params | {name: jl.apply_updates(p, updates)}
        states = states | {name: state}
    return params, states


@functools.cache
def half_a_run():
    params = {name: SAVED[name].params for name in GOES_ON}
    states = {name: SAVED[name].tx.init(params[name]) for name in GOES_ON}
    return step(*step(params, states))


@pytest.mark.full
@pytest.mark.parametrize("save_and_restore", KINDS)
def test_a_run_goes_on_as_if_never_interrupted(save_and_restore, tmp_path):
    params, states = half_a_run()
    expected = step(*step(params, states))
    found = save_and_restore(tmp_path, states, form(*GOES_ON))
    assert list(same_bits("", step(*step(params, found)), expected)) == []
