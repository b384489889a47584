"""Train a Flax nnx network on 1,797 scanned digits with AdamW and its six elders.

Prints their test accuracies, times and state sizes, and draws their curves.

    python examples/train_digits.py
    python examples/train_digits.py --optimizer adamw --splits 5
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import jaxopt_lite as jl

BATCH = 128

# Each name: the peak of its learning rate, and how it is built from a schedule.
RECIPES: dict[str, tuple[float, Callable]] = {
    "sgd": (0.5, jl.sgd),
    "momentum": (0.1, partial(jl.sgd, momentum=0.9)),
    "nesterov": (0.1, partial(jl.sgd, momentum=0.9, nesterov=True)),
    "adagrad": (0.03, partial(jl.adagrad, initial_accumulator_value=0.0)),
    "rmsprop": (0.003, jl.rmsprop),
    "adam": (0.01, jl.adam),
    "adamw": (0.01, partial(jl.adamw, weight_decay=0.05, mask=jl.weights_only)),
}


class Digits(nnx.Module):
    """8 x 8 pixels to ten logits, through one normalized hidden layer."""

    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(64, 256, rngs=rngs)
        self.norm = nnx.LayerNorm(256, rngs=rngs)
        self.head = nnx.Linear(256, 10, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.norm(self.hidden(x))))


def build(name: str, steps: int) -> jl.GradientTransformation:
    """The named optimizer; its learning rate warms up, then falls to zero."""
    peak, optimizer = RECIPES[name]
    return optimizer(jl.warmup_cosine_decay_schedule(0.0, peak, steps // 10, steps))


def cross_entropy(model, x, y):
    log_p = jax.nn.log_softmax(model(x))
    return -log_p[np.arange(len(y)), y].mean()


@nnx.jit
def train_step(model, optimizer, x, y):
    loss, grads = nnx.value_and_grad(cross_entropy)(model, x, y)
    optimizer.update(model, grads)
    return loss


@nnx.jit
def accuracy(model, x, y):
    return (model(x).argmax(-1) == y).mean()


class Run(NamedTuple):
    """What one training leaves behind; a curve has a point per `measured` step."""

    measured: list[int]
    losses: list[float]
    accuracies: list[float]
    seconds: float
    state_bytes: int


def train(name: str, steps: int, seed: int, bar: tqdm) -> Run:
    """Trains on four fifths of the digits, drawn by the seed, and tests on the rest."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=seed
    )
    model = Digits(nnx.Rngs(seed))
    optimizer = nnx.Optimizer(model, build(name, steps), wrt=nnx.Param)
    batches = np.random.default_rng(seed)

    measured, losses, accuracies, recent = [], [], [], []
    start = time.perf_counter()
    for step in range(1, steps + 1):
        rows = batches.choice(len(train_x), BATCH, replace=False)
        recent.append(train_step(model, optimizer, train_x[rows], train_y[rows]))
        bar.update()
        if step % max(1, steps // 20) == 0 or step == steps:
            measured.append(step)
            losses.append(float(np.mean(recent)))
            accuracies.append(float(accuracy(model, test_x, test_y)))
            recent.clear()
            bar.set_postfix(accuracy=f"{accuracies[-1]:.1%}", refresh=False)
    seconds = time.perf_counter() - start

    state_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(optimizer.opt_state))
    return Run(measured, losses, accuracies, seconds, state_bytes)


def train_splits(name: str, steps: int, seeds: Sequence[int]) -> list[Run]:
    total = steps * len(seeds)
    with tqdm(total=total, desc=f"{name:>8}", unit="step", mininterval=0.5) as bar:
        return [train(name, steps, seed, bar) for seed in seeds]


def tabulate(results: dict[str, list[Run]]) -> Table:
    """Test accuracy (with its deviation over several splits), time and state."""
    table = Table("optimizer", caption="Seconds include compilation.")
    for heading in ("test accuracy", "seconds", "state bytes"):
        table.add_column(heading, justify="right")
    for name, runs in results.items():
        final = [100 * run.accuracies[-1] for run in runs]
        spread = f" ± {np.std(final):.2f}" if len(runs) > 1 else ""
        seconds = sum(run.seconds for run in runs)
        state_bytes = f"{runs[0].state_bytes:,}"
        table.add_row(
            name, f"{np.mean(final):.2f} %{spread}", f"{seconds:.1f}", state_bytes
        )
    return table


def draw(results: dict[str, list[Run]], out: Path) -> None:
    """Draws training loss and test accuracy over steps, averaged over the splits."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    loss, test = figure.subplots(1, 2)
    for name, runs in results.items():
        style = {"label": name, "linewidth": 1.8}
        measured = runs[0].measured
        loss.semilogy(measured, np.mean([run.losses for run in runs], 0), **style)
        accuracies = np.mean([run.accuracies for run in runs], 0)
        test.plot(measured, 100 * accuracies, **style)
    loss.set(title="Training loss", xlabel="step", ylabel="cross-entropy")
    test.set(title="Test accuracy", xlabel="step", ylabel="%")
    worst = min(run.accuracies[-1] for runs in results.values() for run in runs)
    test.set_ylim(min(90, 95 * worst), 100)
    for axes in (loss, test):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*test.get_legend_handles_labels(), loc="outside right center")
    figure.savefig(out, dpi=150)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {low} to {high}"
            )
        return int(text)

    return parse


def picture(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".png" or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no .png in an existing folder")
    return path


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--optimizer", choices=RECIPES, help="train with this one only")
    parser.add_argument(
        "--steps", type=whole_number(10, 100_000), help="steps per training (400)"
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**31),
        default=0,
        help="of the split, the weights and the batches (0)",
    )
    parser.add_argument(
        "--splits",
        type=whole_number(1, 100),
        default=1,
        help="how many splits to average over, seeded from --seed on (1)",
    )
    parser.add_argument(
        "--out",
        type=picture,
        default=Path("digits.png"),
        help="where to draw the curves (digits.png)",
    )
    parser.add_argument("--smoke", action="store_true", help="60 steps unless told")
    return parser.parse_args(arguments)


def main() -> None:
    args = parse_args()
    steps = args.steps or (60 if args.smoke else 400)
    if args.smoke:  # most of so short a run goes into compiling
        jax.config.update("jax_disable_most_optimizations", True)
    seeds = range(args.seed, args.seed + args.splits)
    names = [args.optimizer] if args.optimizer else list(RECIPES)
    results = {name: train_splits(name, steps, seeds) for name in names}
    Console().print(tabulate(results))
    draw(results, args.out)
    print(f"curves: {args.out}")


if __name__ == "__main__":
    main()
