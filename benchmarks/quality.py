"""What networks learn whose optimizer, or parameters, are kept in few bytes."""

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import jaxopt_lite as jl
from benchmarks import trees
from benchmarks.report import Goal, Report
from examples import eight_bit

TREE, SHRINK, REPEATS = "digits", 1, 1

CODECS = ("float32", "bfloat16", "int8", "int4")
LIMITS = {"bfloat16": 0.003, "int8": 0.01}
"""By which part of float32's held-out loss that of another codec may exceed it."""

WAYS: dict[str, Callable[[Any], Any]] = {
    "as they are": lambda tx: tx,
    "stochastic_rounding": jl.stochastic_rounding,
    "kahan": jl.kahan,
    "master_weights": jl.master_weights,
}
"""What moves parameters of bfloat16; as they are they stand still at small steps."""

OF_PARAMETERS = 0.01
"""By which part of float32's held-out loss that of the ways may exceed it."""

LAST = 100  # steps whose held-out losses are averaged
BATCH = 128


class Network(NamedTuple):
    """An optimizer, and its training: held-out losses by seed and step.

    `train` takes a transformation and what becomes of the parameters before.
    """

    optimizer: jl.GradientTransformation
    train: Callable[[Any, Callable[[Any], Any]], Any]


def text(steps: int, seeds: int = 3) -> Network:
    """The character transformer of the example."""
    passages = eight_bit.load()
    model = eight_bit.Transformer(passages.characters)

    def train(tx: Any, change: Callable[[Any], Any]) -> Any:
        starts = [change(eight_bit.start(model, seed)) for seed in range(seeds)]
        return [
            eight_bit.train(model, params, tx, steps, seed, passages)[0]
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
    return Network(optimizer, lambda tx, change: train(tx, change(starts), rows))


def in_float32(params: Any) -> Any:
    return jax.tree.map(jnp.float32, params)


def in_bfloat16(params: Any) -> Any:
    return jax.tree.map(jnp.bfloat16, params)


def nudged(params: Any) -> Any:
    """Parameters that are off by a millionth of themselves, by chance."""
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: p * jnp.float32(1 + 1e-6 * random.normal(size=p.shape)), params
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

    def last(codec: str, change: Callable[[Any], Any] = in_float32) -> Any:
        return last_losses(network, jl.store_state(network.optimizer, codec), change)

    found = {c: last(c) for c in tqdm(codecs, desc="held-out losses", unit="codec")}
    change = last("float32", nudged) / found["float32"] - 1
    losses = {codec: float(np.mean(x)) for codec, x in found.items()}
    return Found(losses, float(np.mean(np.abs(change))))


def measure_parameters(network: Network) -> dict[str, float]:
    """The losses of float32 parameters and, by way, of bfloat16 from the same start."""
    rounded = last_losses(
        network, network.optimizer, lambda params: in_float32(in_bfloat16(params))
    )
    return {"float32": float(np.mean(rounded))} | {
        way: float(np.mean(last_losses(network, wrap(network.optimizer), in_bfloat16)))
        for way, wrap in tqdm(WAYS.items(), desc="bfloat16 parameters", unit="way")
    }


def last_losses(network: Network, tx: Any, change: Callable[[Any], Any]) -> Any:
    """By seed."""
    return np.mean(np.asarray(network.train(tx, change))[:, -LAST:], axis=1)


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    """Of 300 steps, or few where the tree is narrowed to see it run."""
    steps = 300 if tree == trees.digits() else 3
    networks = {"digits": digits(steps), "text": text(steps)}
    found = {key: measure(network) for key, network in networks.items()}
    ways = measure_parameters(networks["digits"])
    chance = ", ".join(f"{100 * x.chance:.2g} % ({k})" for k, x in found.items())

    def beside(losses: dict[str, float], key: str) -> str:
        excess = losses[key] / losses["float32"] - 1
        return f"{losses[key]:.4f} ({100 * excess:+.2f} %)"

    return Report(
        name=f"quality-{name}",
        title=f"AdamW with few bytes: held-out losses of two networks, {steps} steps",
        how=(
            "Of a network on scanned digits and of a character transformer on text: "
            f"the mean of the last {LAST} steps and 3 seeds, and how far it is above "
            f"float32's. A millionth off in the first parameters makes {chance}."
        ),
        libraries=libraries,
        columns=["state", "parameters", *found],
        rows=[
            *(
                [codec, "float32", *(beside(x.losses, codec) for x in found.values())]
                for codec in CODECS
            ),
            *(["float32", f"bfloat16, {way}", beside(ways, way), ""] for way in WAYS),
        ],
        goals=[*goals(found), *goals_of_parameters(ways)],
    )


def goals(found: dict[str, Found]) -> list[Goal]:
    return [
        Goal(f"{key}, {codec}: loss above float32's", x.excess(codec), x.allowed(codec))
        for key, x in found.items()
        for codec in LIMITS
    ]


def goals_of_parameters(losses: dict[str, float]) -> list[Goal]:
    plain, *kept = WAYS
    return [
        Goal(
            f"bfloat16 parameters, {way}: loss above float32's",
            losses[way] / losses["float32"] - 1,
            OF_PARAMETERS,
        )
        for way in kept
    ]
