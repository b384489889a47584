"""Fine-tune a transformer, its lower layers less than its higher ones.

Trains a character transformer on Python's documentation, then goes on with the source
of the standard library in two ways: all parameters alike, and as one does it with a
large network: a learning rate that falls from block to block, the embedding frozen, no
decay of biases and norms. Prints what each has learnt, and what it has forgotten.

    python examples/finetune.py
"""

import argparse
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from eight_bit import (
    CONTEXT,
    Text,
    batch,
    cross_entropy,
    documentation,
    numbered,
    start,
)
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

import jaxopt_lite as jl

MODULES = ("argparse", "ast", "datetime", "difflib", "doctest", "inspect", "mailbox")
MODULES += ("pickle", "statistics", "subprocess", "tarfile", "turtle", "typing")


class Block(nn.Module):
    """Attention to what came before, and a layer of its own for each character."""

    @nn.compact
    def __call__(self, x, mask):
        width = x.shape[-1]
        attend = nn.MultiHeadDotProductAttention(2, use_bias=False, name="attend")
        x = x + attend(nn.RMSNorm(name="norm_0")(x), mask=mask)
        hidden = nn.Dense(4 * width, name="up")(nn.RMSNorm(name="norm_1")(x))
        return x + nn.Dense(width, name="down")(nn.gelu(hidden))


class Transformer(nn.Module):
    """The logits of each next character, its blocks under names that say which."""

    characters: int
    blocks: int
    width: int = 64

    @nn.compact
    def __call__(self, x):
        mask = nn.make_causal_mask(x)
        place = self.param("place", nn.initializers.normal(0.02), (CONTEXT, self.width))
        x = nn.Embed(self.characters, self.width, name="embed")(x) + place
        for i in range(self.blocks):
            x = Block(name=f"block_{i}")(x, mask)
        return nn.Dense(self.characters, name="head")(nn.RMSNorm(name="norm")(x))


def sources() -> str:
    """The source of some modules of the standard library."""
    return "\n".join(Path(find_spec(name).origin).read_text() for name in MODULES)


def schedule(peak: float, steps: int) -> jl.Schedule:
    """Of arrays, so that training with another one compiles nothing."""
    numbers = map(jnp.array, (peak, steps // 10, steps))
    return jl.warmup_cosine_decay_schedule(0.0, *numbers)


def alike(rate: jl.Schedule) -> jl.GradientTransformation:
    """All parameters at one rate."""
    return jl.adamw(rate, weight_decay=0.01)


def by_layer(rate: jl.Schedule, params) -> jl.GradientTransformation:
    """The lower a block the slower, and what the characters are stays as it is."""
    rates = jl.layerwise_decay("block_{}", 0.5, params, below="place", top=rate)
    return jl.chain(
        jl.freeze(jl.by_path({"embed": True, "*": False})),
        jl.adamw(rates, weight_decay=0.01, mask=jl.weights_only),
    )


def guarded(tx: jl.GradientTransformation) -> jl.GradientTransformation:
    """With a bound on the gradients, spikes left out, and their norm to look at."""
    tx = jl.chain(jl.clip_by_global_norm(1.0), tx)
    return jl.record(jl.skip_spikes(tx), of="gradient")


@partial(jax.jit, static_argnames="model", donate_argnames=("params", "state"))
def train_step(params, state, passages, model, tx):
    grads = jax.grad(cross_entropy)(params, model, passages)
    updates, state = tx.update(grads, state, params)
    return jl.apply_updates(params, updates), state


def train(model: nn.Module, params, tx, steps: int, text: Text):
    """Parameters and state after some steps, each of another batch."""
    rng, state = np.random.default_rng(0), jax.jit(tx.init)(params)
    for _ in tqdm(range(steps), unit="step", mininterval=0.5):
        params, state = train_step(params, state, batch(rng, text.train), model, tx)
    return params, state


def held_out_loss(model: Transformer, params, text: Text, batches: int = 10) -> float:
    """The mean over the same passages whenever it is asked for."""
    rng = np.random.default_rng(0)
    loss = jax.jit(cross_entropy, static_argnames="model")
    passages = [batch(rng, text.held_out) for _ in range(batches)]
    return float(np.mean([loss(params, model, x) for x in passages]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="two blocks, 55 steps")
    smoke = parser.parse_args().smoke
    first, further, rate = (40, 15, 3e-3) if smoke else (600, 200, 1e-3)
    if smoke:  # most of so short a run goes into compiling
        jax.config.update("jax_disable_most_optimizations", True)

    known, new = numbered(documentation(), sources())
    model = Transformer(known.characters, blocks=2 if smoke else 4)
    tx = guarded(alike(schedule(3e-3, first)))
    pretrained, _ = train(model, start(model, 0), tx, first, known)

    rates = schedule(rate, further)
    ways = {"alike": alike(rates), "by layer": by_layer(rates, pretrained)}
    peak = further // 10
    print(jl.explain(ways["by layer"], pretrained, "params/block_0/up/bias", step=peak))

    table = Table("fine-tuned", title="held-out cross-entropy")
    for heading in ("source code", "documentation", "bytes of state", "clipped"):
        table.add_column(heading, justify="right")

    def losses(params) -> list[str]:
        return [f"{held_out_loss(model, params, text):.3f}" for text in (new, known)]

    table.add_row("not yet", *losses(pretrained), "", "")
    for name, way in ways.items():
        begin = jax.tree.map(np.array, pretrained)  # a step donates its parameters
        params, state = train(model, begin, guarded(way), further, new)
        nbytes = sum(x.nbytes for x in jax.tree.leaves(state))
        log = jl.metrics(guarded(way), state)
        clipped = f"{float(log['clipped_fraction']):.0%} of steps"
        table.add_row(name, *losses(params), f"{nbytes:,}", clipped)
    Console().print(table)


if __name__ == "__main__":
    main()
