"""What optimizers keep between steps, what a step needs at once, and what it costs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax

import jaxopt_lite as jl
from benchmarks import peers, trees
from benchmarks.pipelines import flat
from benchmarks.report import Goal, Report
from benchmarks.timing import Spread, in_turns, ratio
from benchmarks.training import Training, at_once, compiled, cost

TREE, SHRINK, REPEATS = "gpt2", 2, 5

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda lib: lib.sgd(0.1),
    "sgd(momentum=0.9)": lambda lib: lib.sgd(0.1, momentum=0.9),
    "lion": lambda lib: lib.lion(1e-4),
    "adamw": lambda lib: lib.adamw(1e-3),
    "adamw(mu_dtype=bfloat16)": lambda lib: lib.adamw(1e-3, mu_dtype="bfloat16"),
    "adafactor": lambda lib: lib.adafactor(1e-3),
    "sm3": lambda lib: lib.sm3(1e-3),
    "galore": lambda lib: lib.galore(1e-3, rank=64),
    "muon": lambda lib: lib.muon(0.02),
    "lamb": lambda lib: lib.lamb(1e-3),
    "prodigy": lambda lib: lib.prodigy(),
    "ademamix": lambda lib: lib.ademamix(1e-3),
    "schedule_free_adamw": lambda lib: lib.schedule_free_adamw(),
}
STORED = ("adamw", "lion", "sgd(momentum=0.9)", "ademamix", "muon", "prodigy")
"""Those whose state is kept by each codec, too."""

QUICK = {"xla_backend_optimization_level": 0}
"""For a step that never runs: how much it needs is planned before the machine code."""

FLOAT32 = "float32"
GOALS = {"bfloat16": 4.05, "int8": 2.2, "int4": 1.3}
"""Bytes of AdamW's state for each parameter, by codec."""

CODECS = tuple(GOALS)

OURS = jl.__name__


class Memory(NamedTuple):
    """Bytes per parameter: of the state, of temporaries, and live in a step."""

    state: float
    temporaries: float
    live: float


class Cell(NamedTuple):
    """A row of the table: an optimizer of a library, and what its state is kept as."""

    optimizer: str
    codec: str
    library: str

    def __str__(self) -> str:
        is_plain = self.codec == FLOAT32
        return self.optimizer if is_plain else f"{self.optimizer}, {self.codec}"


def stored(name: str, codec: str) -> Callable[[Any], Any]:
    """An optimizer of ours whose state is kept by a codec."""
    return lambda lib: lib.store_state(OPTIMIZERS[name](lib), codec)


def measure(build: Callable[[Any], Any], library: ModuleType, tree: Any) -> Memory:
    tx = build(flat(library))
    state = jax.eval_shape(tx.init, tree)
    n = trees.size(tree)
    step = compiled(peers.stepper(library, tx), tree, state, tree, options=QUICK)
    found = cost(step, n, [])
    return Memory(trees.nbytes(state) / n, found.temporaries, found.peak)


def cells(libraries: Sequence[ModuleType]) -> dict[Cell, Callable[[Any], Any]]:
    """Every optimizer of every library, and ours with every codec."""
    found = {}
    for name, build in OPTIMIZERS.items():
        for library in libraries:
            found[Cell(name, FLOAT32, library.__name__)] = partial(
                measure, build, library
            )
        for codec in CODECS if name in STORED else ():
            found[Cell(name, codec, OURS)] = partial(measure, stored(name, codec), jl)
    return found


def adamws(tree: Any, libraries: Sequence[ModuleType]) -> dict[Cell, Training]:
    """AdamW's step: of every library, and ours with every codec."""
    builds = {
        Cell("adamw", FLOAT32, library.__name__): (library, OPTIMIZERS["adamw"])
        for library in libraries
    } | {Cell("adamw", c, OURS): (jl, stored("adamw", c)) for c in CODECS}
    grads = trees.ones(tree)
    runs = {}
    for cell, (library, build) in builds.items():
        tx = build(flat(library))
        runs[cell] = Training(peers.stepper(library, tx), tx.init, grads)
    return runs


def ratios(
    times: Mapping[Cell, Sequence[float]], libraries: Sequence[ModuleType]
) -> dict[Cell, Spread]:
    """The time of each, in that of the last library's step in the same round."""
    reference = times[Cell("adamw", FLOAT32, libraries[-1].__name__)]
    return {cell: ratio(x, reference) for cell, x in times.items()}


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    found = at_once({k: partial(run, tree) for k, run in cells(libraries).items()})
    times = in_turns("adamw", adamws(tree, libraries), repeats)
    beside = ratios(times, libraries)
    return Report(
        name=f"memory-{name}",
        title=f"Memory of optimizers: {name}, {trees.describe(tree)}",
        how=(
            "Bytes per parameter of float32: of the state, by `store_state` where a "
            "codec is named; of a step's temporaries (temp); and of all that is live "
            "in a step that donates parameters and state: these, the gradients and the "
            "temporaries. As XLA plans them. Time: of a step, on this machine, beside "
            f"that of {libraries[-1].__name__}'s adamw in the same run, in turns, "
            f"median of {repeats} (quartiles)."
        ),
        libraries=libraries,
        columns=["optimizer", "library", "state", "temp", "live", "time"],
        rows=[
            [
                str(cell),
                cell.library,
                *(f"{x:.2f}" for x in memory),
                str(beside.get(cell, "")),
            ]
            for cell, memory in found.items()
        ],
        goals=goals(found),
        bars={f"{cell}, {cell.library}": x for cell, x in beside.items()},
        axis=f"time of a step, adamw of {libraries[-1].__name__} = 1",
    )


def goals(found: dict[Cell, Memory]) -> list[Goal]:
    live = found[Cell("adamw", FLOAT32, OURS)].live
    return [
        Goal("adamw: live bytes", live, 16.1),
        *(
            Goal(f"adamw, {codec}: state", found["adamw", codec, OURS].state, at_most)
            for codec, at_most in GOALS.items()
        ),
    ]
