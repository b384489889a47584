"""What `update` costs where it is not jitted: the dispatch of its operations."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from types import ModuleType
from typing import Any

from benchmarks import peers, trees
from benchmarks.report import Goal, Report
from benchmarks.timing import in_turns, ratio

TREE, SHRINK, REPEATS = "gpt2", trees.NARROW, 21


def measure(
    tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> dict[str, list[float]]:
    """The seconds of one update, by library."""
    runs = {library.__name__: updating(library, tree) for library in libraries}
    return in_turns("eager", runs, repeats)


def updating(library: ModuleType, tree: Any) -> Callable[[], Any]:
    tx = peers.adamw(library, peers.decay_mask(library, tree))
    params, grads = trees.ones(tree), trees.ones(tree)
    return partial(tx.update, grads, tx.init(params), params)


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    times = measure(tree, libraries, repeats)
    peer = times[libraries[1].__name__] if libraries[1:] else None
    ratios = {library: ratio(x, peer) for library, x in times.items() if peer}
    return Report(
        name=f"eager-{name}",
        title=f"Update without jit: {name}, {trees.describe(tree)}",
        how=(
            "Milliseconds of one `adamw` update with masked decay on leaves too small "
            f"for arithmetic to count, in turns: median of {repeats}; "
            "their ratio to the peer's (quartiles)."
        ),
        libraries=libraries,
        columns=["library", "ms", "ratio"],
        rows=[
            [
                library,
                f"{1e3 * median(x):.1f}",
                str(ratios.get(library, "")),
            ]
            for library, x in times.items()
        ],
        goals=[Goal("time against the peer", ratios["jaxopt_lite"].median, 0.2)]
        if peer
        else [],
        bars=ratios,
        axis="time of an update, the peer's = 1",
    )
