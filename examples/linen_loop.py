"""Train a Flax linen network through `TrainState`; only its `tx` comes from here.

Learns which of three noisy rings a point lies on, in jitted steps over minibatches.

    python examples/linen_loop.py
"""

import argparse

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.training.train_state import TrainState

import jaxopt_lite as jl

BATCH = 100


class Rings(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.LayerNorm()(nn.Dense(64)(x))
        return nn.Dense(3)(nn.relu(x))


def rings(rng: np.random.Generator, points: int):
    """Points around circles of radius 1, 2 and 3, with the circle of each."""
    label = rng.integers(3, size=points)
    radius = 1.0 + label + rng.normal(scale=0.15, size=points)
    angle = rng.uniform(0, 2 * np.pi, size=points)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return x.astype(np.float32), label


@jax.jit
def train_step(state: TrainState, x, label):
    def cross_entropy(params):
        log_p = jax.nn.log_softmax(state.apply_fn({"params": params}, x))
        return -log_p[jnp.arange(len(label)), label].mean()

    loss, grads = jax.value_and_grad(cross_entropy)(state.params)
    return state.apply_gradients(grads=grads), loss


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="a quarter of the steps")
    steps = 250 if parser.parse_args().smoke else 1000

    rng = np.random.default_rng(0)
    test_x, test_label = rings(rng, 1000)
    model = Rings()
    schedule = jl.warmup_cosine_decay_schedule(0.0, 0.01, steps // 10, steps)
    state = TrainState.create(
        apply_fn=model.apply,
        params=model.init(jax.random.key(0), test_x)["params"],
        tx=jl.adamw(schedule, weight_decay=0.01, mask=jl.weights_only),
    )

    for step in range(1, steps + 1):
        state, loss = train_step(state, *rings(rng, BATCH))
        if step % (steps // 5) == 0:
            print(f"step {step:4d}  loss {loss:.4f}")
    guess = state.apply_fn({"params": state.params}, test_x).argmax(-1)
    print(f"test accuracy {np.mean(guess == test_label):.2%}")


if __name__ == "__main__":
    main()
