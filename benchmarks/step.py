"""How long a jitted step of AdamW takes, beside one by hand and PyTorch's fused one."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from types import ModuleType
from typing import Any

import jax

import jaxopt_lite as jl
from benchmarks import handwritten, peers, trees
from benchmarks.report import Goal, Report
from benchmarks.timing import in_turns, ratio
from benchmarks.training import Cost, Training

BY_HAND, TORCH = "by hand", "torch, fused"
TREE, SHRINK, REPEATS = "gpt2", 1, 7

# Bytes accessed, of temporaries, and live at once, per parameter, on a CPU.
GOALS = {"bytes": 40.1, "temporaries": 0.05, "live bytes": 16.1}


def measure(
    tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> tuple[dict[str, Cost], dict[str, list[float]]]:
    """The costs of the steps of JAX, and the seconds of all."""
    grads = trees.ones(tree)
    runs: dict[str, Callable[[], Any]] = {}
    for library in libraries:
        if library.__name__ == "torch":
            runs[TORCH] = peers.TorchAdamW(library, tree, torch_device())
            continue
        tx = peers.adamw(library, peers.decay_mask(library, tree))
        runs[library.__name__] = Training(peers.stepper(library, tx), tx.init, grads)
    runs[BY_HAND] = Training(
        partial(handwritten.adamw, decay=decay(tree)), handwritten.init, grads
    )
    times = in_turns("step", runs, repeats)
    costs = {
        name: run.cost(times[name])
        for name, run in runs.items()
        if isinstance(run, Training)
    }
    return costs, times


def torch_device() -> str:
    return "cpu" if jax.default_backend() == "cpu" else "cuda"


def decay(tree: Any) -> Any:
    return jax.tree.map(lambda decays: 0.01 if decays else 0.0, jl.weights_only(tree))


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    costs, times = measure(tree, libraries, repeats)
    ratios = {run: ratio(x, times[BY_HAND]) for run, x in times.items()}
    ours = costs["jaxopt_lite"]
    found = zip(GOALS, (ours.accessed, ours.temporaries, ours.peak), strict=True)
    return Report(
        name=f"step-{name}",
        title=f"A step of AdamW behind the gradients: {name}, {trees.describe(tree)}",
        how=(
            "float32 unless named otherwise, parameters and state donated. Bytes "
            "accessed, of temporaries (temp), of aliased buffers (alias) and live at "
            "once are per parameter, as XLA counts them. Times in turns: median of "
            f"{repeats}, per step and per parameter; their ratio to the step by hand "
            "(quartiles)."
        ),
        libraries=libraries,
        columns=["library", "bytes", "temp", "alias", "live", "ms", "ns", "ratio"],
        rows=[
            [
                run,
                *(_bytes(costs[run]) if run in costs else [""] * 4),
                f"{1e3 * median(x):.1f}",
                f"{1e9 * median(x) / trees.size(tree):.2f}",
                str(ratios[run]),
            ]
            for run, x in times.items()
        ],
        goals=[Goal(f"{what} per parameter", x, GOALS[what]) for what, x in found],
        bars=ratios,
        axis="time of a step, that by hand = 1",
    )


def _bytes(cost: Cost) -> list[str]:
    return [f"{x:.2f}" for x in cost[:4]]
