"""What networks learn whose optimizer keeps its state in few bytes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import jaxopt_lite as jl
from examples import eight_bit

CODECS = ("float32", "bfloat16", "int8", "int4")
LIMITS = {"bfloat16": 0.003, "int8": 0.01}
"""By which part of float32's held-out loss that of another codec may exceed it."""

LAST = 100  # steps whose held-out losses are averaged
BATCH = 128


class Network(NamedTuple):
    """An optimizer, and its training: held-out losses by seed and step.

    `train` takes a transformation and by how much of themselves the first parameters
    are to be off.
    """

    optimizer: jl.GradientTransformation
    train: Callable[[Any, float], Any]


def text(steps: int, seeds: int = 3) -> Network:
    """The character transformer of the example."""
    model = eight_bit.Transformer(eight_bit.load().characters)

    def train(tx: Any, off: float) -> Any:
        starts = [nudged(eight_bit.start(model, seed), off) for seed in range(seeds)]
        return [
            eight_bit.train(model, params, tx, steps, seed)[0]
            for seed, params in enumerate(starts)
        ]

    return Network(eight_bit.optimizer(steps), train)


def digits(steps: int, seeds: int = 3) -> Network:
    """Two hidden layers on the scanned digits, a fifth of them held out.

    They are smooth: where a millionth turns off a unit, chance is all that one sees.
    """
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = jnp.float32(x / 16)[order], jnp.asarray(y)[order]
    end = len(x) * 4 // 5

    random = np.random.default_rng(1)
    rows = random.integers(0, end, (seeds, steps, BATCH))
    shapes = {"in": (64, 128), "hidden": (128, 128), "out": (128, 10)}
    starts = {
        name: {
            "kernel": np.float32(random.normal(size=(seeds, *shape)) / shape[0] ** 0.5),
            "bias": np.zeros((seeds, shape[1]), np.float32),
        }
        for name, shape in shapes.items()
    }

    def loss(params: Any, rows: Any) -> jax.Array:
        z = x[rows]
        for name in ("in", "hidden", "out"):
            z = z @ params[name]["kernel"] + params[name]["bias"]
            z = z if name == "out" else jax.nn.gelu(z)
        right = jnp.take_along_axis(jax.nn.log_softmax(z), y[rows][:, None], axis=1)
        return -jnp.mean(right)

    @partial(jax.jit, static_argnames="tx")
    @partial(jax.vmap, in_axes=(None, 0, 0))
    def train(tx: Any, params: Any, rows: Any) -> Any:
        def step(carry: Any, rows: Any) -> Any:
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params, rows), state, params)
            held_out = loss(params, jnp.arange(end, len(x)))
            return (jl.apply_updates(params, updates), state), held_out

        return jax.lax.scan(step, (params, tx.init(params)), rows)[1]

    rate = jl.warmup_cosine_decay_schedule(0.0, 2e-3, steps // 10, steps)
    optimizer = jl.adamw(rate, weight_decay=0.01, mask=jl.weights_only)
    return Network(optimizer, lambda tx, off: train(tx, nudged(starts, off), rows))


def nudged(params: Any, off: float) -> Any:
    """Parameters that are off by some part of themselves, by chance."""
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: p * jnp.float32(1 + off * random.normal(size=p.shape)), params
    )


class Found(NamedTuple):
    """Held-out losses by codec, and what a millionth in the beginning changes."""

    losses: dict[str, float]
    chance: float

    def excess(self, codec: str) -> float:
        """By which part of float32's loss that of a codec exceeds it."""
        return self.losses[codec] / self.losses["float32"] - 1

    def allowed(self, codec: str) -> float:
        """What it may be: twice what chance does, if this is more than its limit."""
        return max(LIMITS[codec], 2 * self.chance)


def measure(network: Network, codecs: Sequence[str] = CODECS) -> Found:
    """Trains with each codec from the same starts on the same batches."""

    def last(codec: str, off: float = 0.0) -> Any:
        curves = network.train(jl.store_state(network.optimizer, codec), off)
        return np.mean(np.asarray(curves)[:, -LAST:], axis=1)

    found = {c: last(c) for c in tqdm(codecs, desc="held-out losses", unit="codec")}
    change = last("float32", 1e-6) / found["float32"] - 1
    losses = {codec: float(np.mean(x)) for codec, x in found.items()}
    return Found(losses, float(np.mean(np.abs(change))))
