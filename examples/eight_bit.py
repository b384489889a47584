"""Train a character transformer with AdamW's state in float32, and in one byte each.

Reads half a million characters of Python's own documentation, from the standard
library. Prints the bytes of the state and the held-out losses, and draws both curves.

    python examples/eight_bit.py
"""

import argparse
import time
from functools import cache, partial
from pathlib import Path
from pydoc_data.topics import topics
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

import jaxopt_lite as jl

BATCH, CONTEXT = 16, 64


class Transformer(nn.Module):
    """The logits of each next character."""

    characters: int
    blocks: int = 2
    width: int = 64

    @nn.compact
    def __call__(self, x):
        mask = nn.make_causal_mask(x)
        place = self.param("place", nn.initializers.normal(0.02), (CONTEXT, self.width))
        x = nn.Embed(self.characters, self.width)(x) + place
        for _ in range(self.blocks):
            attend = nn.MultiHeadDotProductAttention(num_heads=2)
            x = x + attend(nn.LayerNorm()(x), mask=mask)
            hidden = nn.gelu(nn.Dense(4 * self.width)(nn.LayerNorm()(x)))
            x = x + nn.Dense(self.width)(hidden)
        return nn.Dense(self.characters)(nn.LayerNorm()(x))


class Text(NamedTuple):
    """Text as numbers: nine tenths to train with, the rest held out."""

    train: np.ndarray
    held_out: np.ndarray
    characters: int


def numbered(*texts: str) -> list[Text]:
    """Texts as numbers of the characters that they have among them."""
    characters = np.unique(list("".join(texts)))
    every = [np.searchsorted(characters, list(text)) for text in texts]
    ends = [len(numbers) * 9 // 10 for numbers in every]
    return [
        Text(numbers[:end], numbers[end:], len(characters))
        for numbers, end in zip(every, ends, strict=True)
    ]


def documentation() -> str:
    return "\n".join(topics[name] for name in sorted(topics))


@cache
def load() -> Text:
    (text,) = numbered(documentation())
    return text


def batch(rng: np.random.Generator, text: np.ndarray) -> np.ndarray:
    """Passages from anywhere, with the character that comes after each."""
    starts = rng.integers(len(text) - CONTEXT, size=(BATCH, 1))
    return text[starts + np.arange(CONTEXT + 1)]


def cross_entropy(params, model, passages):
    log_p = jax.nn.log_softmax(model.apply(params, passages[:, :-1]))
    return -jnp.mean(jnp.take_along_axis(log_p, passages[:, 1:, None], axis=-1))


@partial(jax.jit, static_argnames=("model", "tx"), donate_argnames=("params", "state"))
def train_step(params, state, passages, held_out, model, tx):
    grads = jax.grad(cross_entropy)(params, model, passages)
    updates, state = tx.update(grads, state, params)
    loss = cross_entropy(params, model, held_out)
    return jl.apply_updates(params, updates), state, loss


def start(model: nn.Module, seed: int):
    """The parameters that a network begins with."""
    return jax.jit(model.init)(jax.random.key(seed), jnp.zeros((1, CONTEXT), int))


def train(model: nn.Module, params, tx, steps: int, seed: int, text: Text):
    """The held-out loss at every step, each of another batch; parameters and state."""
    rng = np.random.default_rng(seed)
    state, losses = tx.init(params), []
    for _ in tqdm(range(steps), unit="step", mininterval=0.5):
        batches = batch(rng, text.train), batch(rng, text.held_out)
        params, state, loss = train_step(params, state, *batches, model, tx)
        losses.append(loss)
    return np.array(losses), params, state


def optimizer(steps: int) -> jl.GradientTransformation:
    rate = jl.warmup_cosine_decay_schedule(0.0, 3e-3, steps // 10, steps)
    return jl.adamw(rate, weight_decay=0.01, mask=jl.weights_only)


def draw(curves: dict[str, np.ndarray], out: Path) -> None:
    """Draws each curve as the mean of twenty steps, since each is of one batch."""
    from matplotlib.figure import Figure  # here, as `finetune.py` does not draw

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for width, (name, losses) in zip((5, 1.5), curves.items(), strict=True):
        means = np.convolve(losses, np.full(20, 1 / 20), mode="valid")
        axes.plot(np.arange(20, len(losses) + 1), means, label=name, linewidth=width)
    axes.set(xlabel="step", ylabel="held-out cross-entropy, mean of 20 steps")
    axes.set_title("A character transformer and what AdamW's state is kept as")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("eight_bit.png"),
        help="where to draw the curves (eight_bit.png)",
    )
    parser.add_argument("--smoke", action="store_true", help="one block, 40 steps")
    args = parser.parse_args()
    steps = 40 if args.smoke else 800
    model = Transformer(load().characters, blocks=1 if args.smoke else 2)
    if args.smoke:  # most of so short a run goes into compiling
        jax.config.update("jax_disable_most_optimizations", True)

    parameters = sum(p.size for p in jax.tree.leaves(start(model, 0)))
    table = Table("state", title=f"{parameters:,} parameters, {steps} steps")
    for heading in ("bytes", "bytes per parameter", "held-out loss", "seconds"):
        table.add_column(heading, justify="right")
    plain, curves = optimizer(steps), {}
    for name, tx in {"float32": plain, "int8": jl.store_state(plain, "int8")}.items():
        begin = time.perf_counter()
        curves[name], _, state = train(model, start(model, 0), tx, steps, 0, load())
        seconds = time.perf_counter() - begin
        nbytes = sum(x.nbytes for x in jax.tree.leaves(state))
        table.add_row(
            name,
            f"{nbytes:,}",
            f"{nbytes / parameters:.2f}",
            f"{curves[name][-100:].mean():.3f}",
            f"{seconds:.0f}",
        )
    Console().print(table)
    draw(curves, args.out)
    print(f"curves: {args.out}")


if __name__ == "__main__":
    main()
