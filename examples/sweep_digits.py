"""Try 256 AdamWs with 4 seeds each on scanned digits, in one compiled program.

Learning rate, weight decay and b1 of 1,024 trainings of a Flax network are arrays, so
that XLA compiles once and runs all of them side by side, a share on every core.
Prints the ten best and draws test accuracy over learning rate and weight decay.

    python examples/sweep_digits.py
    python examples/sweep_digits.py --path sweep.npz    # stop it, and start it again
"""

import argparse
import os
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from rich.console import Console
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import jaxopt_lite as jl
from jaxopt_lite import sweep

BATCH = 64


def load():
    """Images and labels: four fifths to train with, the rest to test."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    parts = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    return map(jnp.asarray, parts)


def trainer(steps: int):
    """A function that trains a network with one configuration."""
    train_x, test_x, train_y, test_y = load()
    model = nn.Sequential([nn.Dense(64), nn.relu, nn.Dense(10)])

    def cross_entropy(params, x, y):
        log_p = jax.nn.log_softmax(model.apply(params, x))
        return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))

    def train(hyperparams, key):
        tx = jl.adamw(**hyperparams, mask=jl.weights_only)
        of_weights, of_batches = jax.random.split(key)
        params = model.init(of_weights, train_x[:1])

        def step(carry, key):
            params, state = carry
            rows = jax.random.randint(key, (BATCH,), 0, len(train_x))
            loss, grads = jax.value_and_grad(cross_entropy)(
                params, train_x[rows], train_y[rows]
            )
            updates, state = tx.update(grads, state, params)
            return (jl.apply_updates(params, updates), state), loss

        keys = jax.random.split(of_batches, steps)
        (params, _), losses = jax.lax.scan(step, (params, tx.init(params)), keys)
        right = model.apply(params, test_x).argmax(-1) == test_y
        return {
            "accuracy": jnp.mean(right),
            "test_loss": cross_entropy(params, test_x, test_y),
            "losses": losses,
        }

    return train


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", type=Path, help="where to keep what is done")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("sweep.png"),
        help="where to draw the accuracies (sweep.png)",
    )
    parser.add_argument("--smoke", action="store_true", help="32 trainings of 60 steps")
    args = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    if args.smoke:  # most of so short a run goes into compiling
        jax.config.update("jax_disable_most_optimizations", True)

    n, steps, seeds = (4, 60, 2) if args.smoke else (8, 300, 4)
    space = sweep.grid(
        learning_rate=jnp.logspace(-3.5, -0.5, n),
        weight_decay=jnp.logspace(-4, 0, n),
        b1=[0.9] if args.smoke else [0.8, 0.9, 0.95, 0.99],
    )
    start = time.perf_counter()
    result = sweep.run(
        trainer(steps), space, key=jax.random.key(0), seeds=seeds, path=args.path
    )
    Console().print(result.table("accuracy", maximize=True))
    seconds = time.perf_counter() - start
    print(f"{result} in {seconds:.0f} seconds")
    result.plot(
        args.out, "accuracy", over=("learning_rate", "weight_decay"), maximize=True
    )
    print(f"accuracies: {args.out}")


if __name__ == "__main__":
    main()
