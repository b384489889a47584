"""Write a new optimizer in ten lines: Lion, the arithmetic of one array.

`leafwise` lifts it to trees, `chain` adds decay and a learning rate, the conformance
battery proves it a lawful transformation, and a small network fits a sine with it.

    python examples/new_rule.py
"""

import argparse
from typing import NamedTuple

import jax
import jax.numpy as jnp

import jaxopt_lite as jl
from jaxopt_lite.testing import check_transformation


class LionState(NamedTuple):
    mu: jl.Signed


class Lion(jl.Rule):
    """The sign of b1 mu + (1 - b1) g, where mu averages g by b2 (arXiv 2302.06675)."""

    b1: float = 0.9
    b2: float = 0.99
    Slots = LionState

    def advance(self, g, slots, p, step):
        return LionState(self.b2 * slots.mu + (1 - self.b2) * g)

    def emit(self, g, slots, p, step):
        # Of the new mu, b1 mu + (b2 - b1) g is b2 times the paper's old-mu average.
        return jnp.sign(self.b1 * slots.mu + (self.b2 - self.b1) * g)


def lion(learning_rate, b1=0.9, b2=0.99, weight_decay=0.001, mask=None):
    return jl.chain(
        jl.leafwise(Lion(b1, b2)),
        jl.add_decayed_weights(weight_decay, mask),
        jl.scale_by_learning_rate(learning_rate),
    )


def sine_network(key):
    """A network of one hidden layer: its parameters and its error on sin(3x)."""
    first, second = jax.random.split(key)
    w1, w2 = jax.random.normal(first, (1, 32)), jax.random.normal(second, (32, 1)) / 6
    params = {
        "hidden": {"kernel": w1, "bias": jnp.zeros(32)},
        "head": {"kernel": w2, "bias": jnp.zeros(1)},
    }
    x = jnp.linspace(-2, 2, 200)[:, None]

    def error(params):
        hidden, head = params["hidden"], params["head"]
        y = jnp.tanh(x @ hidden["kernel"] + hidden["bias"])
        return jnp.mean((y @ head["kernel"] + head["bias"] - jnp.sin(3 * x)) ** 2)

    return params, error


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="a quarter of the steps")
    steps = 500 if parser.parse_args().smoke else 2000

    check_transformation(lion(0.01))
    print(f"every law holds for {lion(0.01)}")

    params, error = sine_network(jax.random.key(0))
    tx = lion(jl.cosine_decay_schedule(0.03, steps), mask=jl.weights_only)

    @jax.jit
    def step(params, state):
        loss, grads = jax.value_and_grad(error)(params)
        updates, state = tx.update(grads, state, params)
        return jl.apply_updates(params, updates), state, loss

    before, state = error(params), tx.init(params)
    for _ in range(steps):
        params, state, loss = step(params, state)
    print(f"mean squared error {before:.3f} -> {loss:.6f} in {steps} steps")


if __name__ == "__main__":
    main()
