"""Find a learning rate and a momentum by successive halving, in one compiled program.

81 configurations train for a few steps on noisy rings; the best third goes on for three
times as many, from where it was, and so on, until one is left.

    python examples/halving.py
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import jaxopt_lite as jl
from jaxopt_lite import sweep


def rings(key, points):
    """Points on two noisy rings, and which of them each lies on."""
    of_angle, of_noise = jax.random.split(key)
    label = jnp.arange(points) % 2
    angle = 2 * jnp.pi * jax.random.uniform(of_angle, (points,))
    radius = 1 + label + 0.2 * jax.random.normal(of_noise, (points,))
    x = radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    return x, label


def logits(params, x):
    hidden = jnp.tanh(x @ params["hidden"] + params["bias"])
    return hidden @ params["head"]


def trainer(steps):
    """A function that trains for `steps * 3**rung` steps from where it was."""
    data, weights = jax.random.split(jax.random.key(0))
    x, label = rings(data, 400)
    train, test = (x[:300], label[:300]), (x[300:], label[300:])

    def cross_entropy(params, x, label):
        return jnp.mean(jax.nn.softplus((1 - 2 * label) * logits(params, x)))

    def train_rung(hyperparams, state, key, rung):
        tx = jl.sgd(**hyperparams, nesterov=True)
        if state is None:
            of_hidden, of_head = jax.random.split(weights)
            params = {
                "hidden": jax.random.normal(of_hidden, (2, 32)),
                "bias": jnp.zeros(32),
                "head": jax.random.normal(of_head, (32,)) / 6,
            }
            state = params, tx.init(params)

        def step(carry, key):
            params, state = carry
            rows = jax.random.randint(key, (32,), 0, len(train[0]))
            grads = jax.grad(cross_entropy)(params, train[0][rows], train[1][rows])
            updates, state = tx.update(grads, state, params)
            return (jl.apply_updates(params, updates), state), None

        keys = jax.random.split(key, steps * 3**rung)
        state, _ = jax.lax.scan(step, state, keys)
        return state, cross_entropy(state[0], *test)

    def accuracy(params):
        return jnp.mean((logits(params, test[0]) > 0) == test[1])

    return train_rung, accuracy


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="27 configurations")
    smoke = parser.parse_args().smoke
    if smoke:  # most of so short a run goes into compiling
        jax.config.update("jax_disable_most_optimizations", True)

    steps, rungs = 20, 3 if smoke else 5
    train_rung, accuracy = trainer(steps)
    space = sweep.sobol(
        jax.random.key(1),
        27 if smoke else 81,
        learning_rate=sweep.log_uniform(1e-3, 1.0),
        momentum=sweep.uniform(0.0, 0.99),
    )
    found = sweep.successive_halving(
        train_rung, space, key=jax.random.key(2), eta=3, rungs=rungs
    )
    table = Table("rung", "configurations", "steps each", "least loss", "median loss")
    for i, rung in enumerate(found.rungs):
        table.add_row(
            f"{i}",
            f"{len(rung.losses)}",
            f"{steps * 3**i}",
            f"{np.nanmin(rung.losses):.4f}",
            f"{np.nanmedian(rung.losses):.4f}",
        )
    Console().print(table)
    numbers = ", ".join(f"{name}={x:.3g}" for name, x in found.hyperparams.items())
    spent = sum(len(rung.losses) * steps * 3**i for i, rung in enumerate(found.rungs))
    whole = len(space) * sum(steps * 3**i for i in range(len(found.rungs)))
    print(f"best: {numbers}, test accuracy {accuracy(found.state[0]):.2%}")
    print(f"{spent:,} steps instead of {whole:,}")


if __name__ == "__main__":
    main()
