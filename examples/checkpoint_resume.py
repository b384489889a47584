"""Stop a training in the middle, go on from its checkpoint, then change the optimizer.

Trains a Flax network on scikit-learn's scanned digits with AdamW, whose state has one
byte for each moment of a large matrix, and saves it with Orbax. What was stopped ends
at the numbers of what was not, to the last bit. Then the same checkpoint goes on with a
clip more, a schedule in the place of a number, and an average of the parameters.

    python examples/checkpoint_resume.py
"""

import argparse
import logging
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from tqdm import tqdm

import jaxopt_lite as jl
from jaxopt_lite.interop import restore_state

BATCH = 128
RATE = 2e-3
HERE = jax.sharding.SingleDeviceSharding(jax.devices()[0])


class Digits(nn.Module):
    """8 x 8 pixels to ten logits, through one normalized hidden layer."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(nn.relu(nn.LayerNorm()(nn.Dense(256)(x))))


class Data(NamedTuple):
    """Four fifths of the digits to train with, the rest held out."""

    train: tuple[np.ndarray, np.ndarray]
    held_out: tuple[np.ndarray, np.ndarray]

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """That of a step, whichever steps came before."""
        x, y = self.train
        rows = np.random.default_rng(step).choice(len(x), BATCH, replace=False)
        return x[rows], y[rows]


def load() -> Data:
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    train, held_out = order[:1437], order[1437:]
    return Data((x[train], y[train]), (x[held_out], y[held_out]))


def cross_entropy(params, x, y):
    log_p = jax.nn.log_softmax(Digits().apply(params, x))
    return -log_p[jnp.arange(len(y)), y].mean()


@partial(jax.jit, static_argnames="tx")
def train_step(params, state, x, y, tx):
    grads = jax.grad(cross_entropy)(params, x, y)
    updates, state = tx.update(grads, state, params)
    return jl.apply_updates(params, updates), state


@jax.jit
def evaluate(params, x, y):
    """Loss and accuracy."""
    guess = Digits().apply(params, x).argmax(axis=-1)
    return cross_entropy(params, x, y), jnp.mean(guess == y)


class Run(NamedTuple):
    """What a training has after a step."""

    params: Any
    state: Any


def start(tx: jl.GradientTransformation) -> Run:
    params = Digits().init(jax.random.key(0), jnp.zeros((1, 64)))
    return Run(params, tx.init(params))


def resume(manager: ocp.CheckpointManager, tx: jl.GradientTransformation) -> Run:
    """The last checkpoint, for the optimizer that it is of."""
    like = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=HERE),
        jax.eval_shape(lambda: start(tx)),
    )
    return manager.restore(manager.latest_step(), args=ocp.args.StandardRestore(like))


def resume_with_another(
    manager: ocp.CheckpointManager, tx: jl.GradientTransformation
) -> tuple[Run, list[str]]:
    """The last checkpoint, for any optimizer, and what of it did not fit."""
    # Without a target it comes as dicts and lists.
    saved = manager.restore(manager.latest_step(), args=ocp.args.StandardRestore())
    with warnings.catch_warnings(record=True) as report:
        warnings.simplefilter("always")
        state = restore_state(saved["state"], tx, saved["params"])
    return Run(saved["params"], state), [str(x.message) for x in report]


def train(manager: ocp.CheckpointManager, run: Run, tx, data: Data, steps: range):
    """Takes some steps, and saves those that the manager wants."""
    for step in tqdm(steps, unit="step", mininterval=0.5):
        run = Run(*train_step(*run, *data.batch(step), tx))
        manager.save(step, args=ocp.args.StandardSave(run))
    manager.wait_until_finished()
    return run


def largest_difference(a: Run, b: Run) -> float:
    """Over all numbers of both, codes too."""

    def difference(x, y):
        assert x.dtype == y.dtype
        return np.abs(np.asarray(x, np.float64) - np.asarray(y, np.float64)).max()

    return max(jax.tree.leaves(jax.tree.map(difference, a, b)))


def optimizers(steps: int) -> tuple[jl.GradientTransformation, ...]:
    """That which a training begins with, and another to go on with."""
    falling = jl.cosine_decay_schedule(RATE, steps)
    before, after = (
        jl.store_state(jl.adamw(rate, weight_decay=0.01), "int8")
        for rate in (RATE, falling)
    )
    clip, average = jl.clip_by_global_norm(1.0), jl.param_ema(0.98)
    return before, jl.chain(clip, after, average)


def compare(folder: Path, steps: int) -> None:
    every, stop = steps // 6, steps * 5 // 9
    data, (tx, other) = load(), optimizers(steps)
    table = Table("run", title=f"AdamW with int8 state, saved every {every} steps")
    for heading in ("steps", "held-out loss", "accuracy"):
        table.add_column(heading, justify="right")

    def add(name: str, taken: range, params) -> None:
        loss, accuracy = evaluate(params, *data.held_out)
        span = f"{taken.start} to {taken.stop - 1}"
        table.add_row(name, span, f"{loss:.6f}", f"{accuracy:.2%}")

    def checkpoints(name: str) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(save_interval_steps=every)
        return ocp.CheckpointManager(folder / name, options=options)

    first = jax.device_put(start(tx), HERE)
    with checkpoints("whole") as manager:
        whole = train(manager, first, tx, data, range(steps))
    add("uninterrupted", range(steps), whole.params)
    with checkpoints("stopped") as manager:
        stopped = train(manager, first, tx, data, range(stop))
    add("stopped", range(stop), stopped.params)

    # A process that begins here knows the folder and the optimizer.
    with checkpoints("stopped") as manager:
        rest = range(manager.latest_step() + 1, steps)
        changed, report = resume_with_another(manager, other)
        resumed = train(manager, resume(manager, tx), tx, data, rest)
    add("resumed", rest, resumed.params)
    with checkpoints("changed") as manager:
        changed = train(manager, changed, other, data, rest)
    add("changed", rest, changed.params)
    add("changed, averaged", rest, jl.eval_params(changed.state, changed.params))

    Console().print(table)
    print(f"resumed and uninterrupted differ by {largest_difference(resumed, whole)}")
    print("what the changed optimizer did not find in the checkpoint:")
    print("\n".join(report))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, help="an empty folder for the checkpoints, to keep them"
    )
    parser.add_argument("--smoke", action="store_true", help="60 steps instead of 600")
    args = parser.parse_args()
    if args.smoke:  # most of so short a run goes into compiling
        jax.config.update("jax_disable_most_optimizations", True)
    logging.getLogger("absl").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        compare(folder.resolve(), 60 if args.smoke else 600)


if __name__ == "__main__":
    main()
