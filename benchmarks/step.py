"""What a jitted step moves, allocates and takes, beside one written by hand."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

import jax

import jaxopt_lite as jl
from benchmarks import handwritten, peers, trees
from benchmarks.report import Goal, Report
from benchmarks.timing import in_turns, ratio

BY_HAND = "by hand"
# Built from a library and a mask; and as one function.
PIPELINES = {
    "adamw": (peers.adamw, handwritten.adamw),
    "clip + adamw": (peers.clip_adamw, handwritten.clip_adamw),
}
TREE, SHRINK, REPEATS = "gpt2", 1, 11

# Bytes accessed and bytes of temporaries per parameter, on a CPU.
GOALS = {"adamw": (40.1, 0.05), "clip + adamw": (44.5, 0.05)}


class Cost(NamedTuple):
    """A compiled step: bytes per parameter, and seconds."""

    accessed: float
    temporaries: float
    aliased: float
    times: list[float]


class Training:
    """A compiled step and the parameters and state that it takes along, donated."""

    def __init__(self, step: Callable[..., Any], init: Callable[..., Any], grads: Any):
        self.params = jax.tree.map(lambda g: g.copy(), grads)
        self.state = init(self.params)
        self.grads = grads
        jitted = jax.jit(step, donate_argnums=(0, 1))
        self.compiled = jitted.lower(self.params, self.state, grads).compile()

    def __call__(self) -> Any:
        self.params, self.state = self.compiled(self.params, self.state, self.grads)
        return self.params, self.state

    def cost(self, times: list[float]) -> Cost:
        n = trees.size(self.grads)
        memory = self.compiled.memory_analysis()
        return Cost(
            self.compiled.cost_analysis()["bytes accessed"] / n,
            memory.temp_size_in_bytes / n,
            memory.alias_size_in_bytes / n,
            times,
        )


def measure(
    pipeline: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> dict[str, Cost]:
    """By library, and by hand."""
    build, by_hand = PIPELINES[pipeline]
    grads = trees.ones(tree)
    runs: dict[str, Training] = {}
    for library in libraries:
        tx = build(library, peers.decay_mask(library, tree))
        runs[library.__name__] = Training(peers.stepper(library, tx), tx.init, grads)
    runs[BY_HAND] = Training(
        partial(by_hand, decay=decay(tree)), handwritten.init, grads
    )
    times = in_turns(f"step, {pipeline}", runs, repeats)
    return {key: run.cost(times[key]) for key, run in runs.items()}


def decay(tree: Any) -> Any:
    return jax.tree.map(lambda decays: 0.01 if decays else 0.0, jl.weights_only(tree))


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    found = {
        pipeline: measure(pipeline, tree, libraries, repeats) for pipeline in PIPELINES
    }
    return Report(
        name=f"step-{name}",
        title=f"A training step behind the gradients: {name}, {trees.describe(tree)}",
        how=(
            "float32, parameters and state donated. Bytes accessed, of temporaries "
            "(temp) and of aliased buffers are per parameter, as XLA counts them. "
            f"Milliseconds in turns: median of {repeats}; their ratio to the step by "
            "hand (quartiles)."
        ),
        libraries=libraries,
        columns=[
            "pipeline",
            "library",
            "bytes",
            "temp",
            "alias",
            "ms",
            "ratio",
        ],
        rows=[
            [
                pipeline,
                library,
                f"{cost.accessed:.2f}",
                f"{cost.temporaries:.2f}",
                f"{cost.aliased:.2f}",
                f"{1e3 * median(cost.times):.1f}",
                str(ratio(cost.times, costs[BY_HAND].times)),
            ]
            for pipeline, costs in found.items()
            for library, cost in costs.items()
        ],
        goals=[
            goal
            for pipeline, costs in found.items()
            for goal in goals(pipeline, costs["jaxopt_lite"])
        ],
    )


def goals(pipeline: str, ours: Cost) -> list[Goal]:
    accessed, temporaries = GOALS[pipeline]
    return [
        Goal(f"{pipeline}: bytes per parameter", ours.accessed, accessed),
        Goal(f"{pipeline}: temporaries per parameter", ours.temporaries, temporaries),
    ]
