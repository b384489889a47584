"""Train an Equinox model; its optimizer is an argument of the jitted step.

Learns whether a noisy wave becomes faster or slower, with a GRU. The learning rate is
an array in the optimizer: halved where the loss has stopped falling, without a trace.

    python examples/equinox_loop.py
"""

import argparse

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_lite as jl

BATCH, TIMES, WIDTH = 100, 40, 24


class Gru(eqx.Module):
    """A recurrent network."""

    cell: eqx.nn.GRUCell
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear

    def __init__(self, key):
        of_cell, of_head = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(1, WIDTH, key=of_cell)
        self.norm = eqx.nn.LayerNorm(WIDTH)
        self.head = eqx.nn.Linear(WIDTH, 1, key=of_head)

    def __call__(self, wave):
        def step(hidden, x):
            return self.cell(x[None], hidden), None

        hidden, _ = jax.lax.scan(step, jnp.zeros(WIDTH), wave)
        return self.head(self.norm(hidden))[0]


def waves(rng: np.random.Generator, count: int):
    """Waves whose frequency rises or falls by a half, and whether it rises."""
    label = rng.integers(2, size=(count, 1))
    start, phase = rng.uniform(2, 4, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
    t = np.linspace(0, 1, TIMES)
    angle = 2 * np.pi * start * (t + (label - 0.5) * t**2 / 2) + phase
    noise = rng.normal(scale=0.3, size=angle.shape)
    return (np.sin(angle) + noise).astype(np.float32), label[:, 0]


def cross_entropy(model, wave, label):
    return jnp.mean(jax.nn.softplus((1 - 2 * label) * jax.vmap(model)(wave)))


@eqx.filter_jit
@eqx.debug.assert_max_traces(max_traces=1)
def train_step(model, state, tx, wave, label):
    loss, grads = eqx.filter_value_and_grad(cross_entropy)(model, wave, label)
    params = eqx.filter(model, eqx.is_inexact_array)
    updates, state = tx.update(grads, state, params)
    return eqx.apply_updates(model, updates), state, loss


def optimizer(rate: float) -> jl.GradientTransformation:
    return jl.chain(
        jl.clip_by_global_norm(1.0),
        jl.adamw(jnp.array(rate), weight_decay=0.01, mask=jl.weights_only),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="a quarter of the steps")
    steps = 200 if parser.parse_args().smoke else 800

    rng = np.random.default_rng(0)
    test_wave, test_label = waves(rng, 1000)
    model, rate = Gru(jax.random.key(0)), 0.02
    state = optimizer(rate).init(eqx.filter(model, eqx.is_inexact_array))
    best, losses = np.inf, []
    for step in range(1, steps + 1):
        batch = waves(rng, BATCH)
        model, state, loss = train_step(model, state, optimizer(rate), *batch)
        losses.append(loss)
        if step % (steps // 10) == 0:
            mean = np.mean(losses[-steps // 10 :])
            print(f"step {step:4d}  rate {rate:.4f}  loss {mean:.4f}")
            rate = rate if mean < 0.8 * best else rate / 2
            best = min(best, mean)
    guess = eqx.filter_jit(eqx.filter_vmap(model))(test_wave) > 0
    print(f"test accuracy {np.mean(guess == test_label):.2%}, compiled once")


if __name__ == "__main__":
    main()
