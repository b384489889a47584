"""How long a training step takes to trace and lower, and how much text comes out."""

import gc
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

import jax

import jaxopt_lite as jl
from benchmarks import peers, trees
from benchmarks.report import Goal, Report
from benchmarks.timing import in_turns, ratio

TREE, SHRINK, REPEATS = "thousand", 1, 5

ADAMW = "adamw"
BY_PATH = "adamw, by path"


class Lowered(NamedTuple):
    """One pipeline's way from its factory to a lowered module, everything cold."""

    times: list[float]
    lines: int
    functions: int


class Lowering:
    """Builds a transformation, then traces and lowers a fresh step over shapes."""

    def __init__(self, library: ModuleType, build: Callable[[], Any], tree: Any):
        self.library = library
        self.build = build
        self.tree = tree
        self.state = jax.eval_shape(build().init, tree)

    def __call__(self) -> None:
        step = jax.jit(peers.stepper(self.library, self.build()))
        self.lowered = step.lower(self.tree, self.state, self.tree)

    def result(self, times: list[float]) -> Lowered:
        text = self.lowered.as_text()
        return Lowered(times, len(text.splitlines()), text.count("func.func "))


def measure(
    tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> dict[tuple[str, str], Lowered]:
    """By pipeline and library; learning rates by path are ours alone."""
    runs: dict[tuple[str, str], Lowering] = {}
    for library in libraries:
        mask = peers.decay_mask(library, tree)
        build = partial(library.adamw, weight_decay=0.01, mask=mask)
        runs[ADAMW, library.__name__] = Lowering(library, partial(build, 1e-3), tree)
        if library is jl:
            build = partial(build, rates(tree))
            runs[BY_PATH, library.__name__] = Lowering(library, build, tree)
    prepare = partial(cool, [library.__name__ for library in libraries])
    times = in_turns("trace", runs, repeats, prepare)
    return {key: run.result(times[key]) for key, run in runs.items()}


def rates(tree: Any) -> Any:
    """A learning rate for each module that is two levels down, up to a hundred."""
    leaves, _ = jax.tree.flatten_with_path(tree)
    paths = [
        jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves
    ]
    modules = dict.fromkeys(tuple(path.split("/")[:2]) for path in paths)
    patterns = ["/".join(module) for module in modules][:99]
    globs = [pattern if pattern in paths else f"{pattern}/*" for pattern in patterns]
    return jl.by_path({glob: 1e-3 * 0.97**i for i, glob in enumerate([*globs, "*"])})


def cool(names: Sequence[str]) -> None:
    """Empties JAX's caches, those of the named libraries, and that of `re`."""
    jax.clear_caches()
    re.purge()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in names:
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
    gc.collect()


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    found = measure(tree, libraries, repeats)
    peer = found.get((ADAMW, libraries[1].__name__)) if libraries[1:] else None
    ratios = {key: ratio(x.times, peer.times) for key, x in found.items() if peer}
    return Report(
        name=f"trace-{name}",
        title=f"Tracing and lowering: {name}, {trees.describe(tree)}",
        how=(
            "Seconds from the call of the factory to the lowered module of a step "
            "with masked decay, all caches empty, in turns: median of "
            f"{repeats}; their ratio to the peer's plain adamw (quartiles)."
        ),
        libraries=libraries,
        columns=["pipeline", "library", "seconds", "ratio", "lines", "functions"],
        rows=[
            [
                pipeline,
                library,
                f"{median(x.times):.3f}",
                str(ratios.get((pipeline, library), "")),
                f"{x.lines:,}",
                f"{x.functions:,}",
            ]
            for (pipeline, library), x in found.items()
        ],
        goals=goals(found, peer) if peer else [],
        bars={", ".join(key): x for key, x in ratios.items()},
        axis="time until lowered, the peer's plain adamw = 1",
    )


def goals(found: dict[tuple[str, str], Lowered], peer: Lowered) -> list[Goal]:
    plain, by_path = found[ADAMW, "jaxopt_lite"], found[BY_PATH, "jaxopt_lite"]
    return [
        Goal("time against the peer", ratio(plain.times, peer.times).median, 0.333),
        Goal("by path, time", ratio(by_path.times, peer.times).median, 0.4),
        Goal("lines against the peer", plain.lines / peer.lines, 0.2),
    ]
