"""How long it takes until a training step is compiled."""

import time
from collections.abc import Sequence
from functools import partial
from statistics import median
from types import ModuleType
from typing import Any

from benchmarks import peers, trees
from benchmarks.report import Goal, Report
from benchmarks.timing import in_turns, ratio
from benchmarks.trace import Lowering, cool

TREE, SHRINK, REPEATS = "thousand", 1, 2


class Compiling(Lowering):
    """Lowers as `Lowering` does, and compiles; keeps the seconds of the latter."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.compiling: list[float] = []

    def __call__(self) -> None:
        super().__call__()
        start = time.perf_counter()
        self.lowered.compile()
        self.compiling.append(time.perf_counter() - start)


def measure(
    tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> dict[str, tuple[list[float], list[float]]]:
    """By library the seconds until a step is compiled, and those of XLA in them."""

    def compiling(tree: Any) -> dict[str, Compiling]:
        return {
            library.__name__: Compiling(
                library,
                partial(peers.adamw, library, peers.decay_mask(library, tree)),
                tree,
            )
            for library in libraries
        }

    for run in compiling(trees.one(trees.NARROW)).values():
        run()  # for what is slower at first, a small tree is enough
    runs = compiling(tree)
    prepare = partial(cool, list(runs))
    times = in_turns("compile", runs, repeats, prepare, unmeasured=0)
    return {name: (times[name], run.compiling) for name, run in runs.items()}


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    found = measure(tree, libraries, repeats)
    reference = list(found)[-1]
    ratios = {key: ratio(x, found[reference][0]) for key, (x, _) in found.items()}
    return Report(
        name=f"compile-{name}",
        title=f"Until a step is compiled: {name}, {trees.describe(tree)}",
        how=(
            "Seconds from the call of the factory of `adamw` with masked decay to its "
            f"compiled step, all caches empty, in turns: median of {repeats}; those "
            "that XLA takes of them; the ratio of the former to the last row's "
            "(quartiles)."
        ),
        libraries=libraries,
        columns=["library", "seconds", "of XLA", "ratio"],
        rows=[
            [key, f"{median(x):.2f}", f"{median(xla):.2f}", str(ratios[key])]
            for key, (x, xla) in found.items()
        ],
        goals=[Goal("time against the peer", ratios["jaxopt_lite"].median, 1.0)]
        if len(found) > 1
        else [],
        bars=ratios,
        axis=f"time until compiled, {reference} = 1",
    )
