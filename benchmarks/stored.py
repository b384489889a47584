"""AdamW's step with its state in few bytes, beside Optax's: on an accelerator."""

from collections.abc import Sequence
from statistics import median
from types import ModuleType
from typing import Any

import jax

import jaxopt_lite as jl
from benchmarks import peers, trees
from benchmarks.memory import FLOAT32, OURS, Cell, adamws, ratios, stored
from benchmarks.report import Goal, Report
from benchmarks.timing import AT_ONCE, in_turns, several
from benchmarks.training import compiled

INT8 = Cell("adamw", "int8", OURS)
TIME = 0.7  # of the peer's step in float32
PEAK = 10.71  # parameters, gradients and state: 4 + 4 + 2.2, and a twentieth


def peak(tree: Any) -> float:
    """Bytes per parameter that the device held at most while int8 took its steps.

    What it held before counts too. Nan where it does not tell.
    """
    tx = stored("adamw", "int8")(jl)
    params = trees.ones(tree)
    state = tx.init(params)
    grads = trees.ones(tree)
    step = compiled(peers.stepper(jl, tx), params, state, grads)
    for _ in range(3):
        params, state = step(params, state, grads)
    jax.block_until_ready(params)
    stats = jax.devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use", float("nan")) / trees.size(tree)


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    held = peak(tree)
    runs = adamws(tree, libraries)
    costs = {cell: run.cost([]) for cell, run in runs.items()}
    states = {cell: trees.nbytes(run.state) for cell, run in runs.items()}
    often = {cell: several(run) for cell, run in runs.items()}
    times = in_turns("stored", often, repeats)
    beside = ratios(times, libraries)
    return Report(
        name=f"stored-{name}",
        title=f"AdamW's state in few bytes: {name}, {trees.describe(tree)}",
        how=(
            "Bytes per parameter: of the state, and live in a step that donates "
            "parameters and state, as XLA plans it; peak: the most that the device has "
            f"held, of int8 alone. Milliseconds a step, {AT_ONCE} at a time, in turns: "
            f"median of {repeats}; their ratio to {libraries[-1].__name__}'s in "
            f"{FLOAT32} (quartiles)."
        ),
        libraries=libraries,
        columns=["optimizer", "library", "state", "live", "peak", "ms", "ratio"],
        rows=[
            [
                str(cell),
                cell.library,
                f"{states[cell] / trees.size(tree):.2f}",
                f"{costs[cell].peak:.2f}",
                f"{held:.2f}" if cell == INT8 else "",
                f"{1e3 * median(x) / AT_ONCE:.3f}",
                str(beside[cell]),
            ]
            for cell, x in times.items()
        ],
        goals=[]
        if name == "smoke"
        else [
            Goal("int8: time of the peer's step in float32", beside[INT8].median, TIME),
            Goal("int8: peak bytes", held, PEAK),
        ],
        bars={f"{cell}, {cell.library}": x for cell, x in beside.items()},
        axis=f"time of a step, {libraries[-1].__name__} = 1",
    )
