"""What an accelerator makes of a step: its share of the bandwidth, and peers beside it.

    python -m benchmarks.accelerator --save

One call runs all of it on the first device, in some minutes on one GPU, and needs 60
GB of its memory for the largest tree. With --smoke the trees are tiny, on any device.
"""

import argparse
import gc
import time
from collections.abc import Iterator, Sequence
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from rich.console import Console

import jaxopt_lite as jl
from benchmarks import muon, peers, pipelines, stored, trees
from benchmarks.report import Goal, Report
from benchmarks.step import TORCH, torch_device
from benchmarks.timing import AT_ONCE, Spread, in_turns, ratio, several
from benchmarks.training import Training

OPTIONS = {
    "gpu": {
        "no command buffers": {"xla_gpu_enable_command_buffer": ""},
        "command buffers from 1": {"xla_gpu_graph_min_graph_size": 1},
        "no horizontal fusion": {
            "xla_disable_hlo_passes": "gpu_horizontal_loop_fusion"
        },
    },
}
"""What of XLA may decide how many launches a step of many small leaves takes."""


class Task(NamedTuple):
    """A pipeline on a tree."""

    tree: str
    pipeline: str
    shapes: Any


class Row(NamedTuple):
    """A run, its seconds a step, the bytes that it cannot avoid, and ours beside it."""

    task: str
    run: str
    times: list[float]
    floor: int
    beside: Spread


def tasks(smoke: bool) -> Iterator[Task]:
    """What is measured: the large first, while memory is whole."""
    gpt2, small = trees.gpt2(), trees.small()
    if smoke:
        gpt2 = one_block()
        small = {"layers": small["layers"][:2]}
    for pipeline in GUARDED:
        yield Task("billion", pipeline, billion(smoke))
    for pipeline in GUARDED[:1] if smoke else GUARDED:
        yield Task("gpt2", pipeline, gpt2)
    yield Task("gpt2 in bfloat16", "adamw", in_bfloat16(gpt2))
    yield Task("small", "adamw", small)


GUARDED = [
    "adamw",
    "clip + adamw",
    "apply_if_finite(adamw)",
    "apply_if_finite(clip + adamw)",
    "MultiSteps(adamw, 4)",
    "lion",
]


def billion(smoke: bool) -> Any:
    """A matrix of a billion parameters."""
    return {"kernel": trees.array(64, 64) if smoke else trees.array(2**15, 2**15)}


def one_block() -> Any:
    """A narrow block of GPT-2."""
    return {"blocks": trees.gpt2(trees.NARROW)["blocks"][:1]}


def in_bfloat16(tree: Any) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, jnp.bfloat16), tree)


def bandwidth(smoke: bool) -> float:
    """The bytes that a copy within the device reads and writes in a second."""
    x = jnp.zeros(2**10 if smoke else 2**29, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    jax.block_until_ready(copy(x))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(AT_ONCE):
            y = copy(x)
        jax.block_until_ready(y)
        best = min(best, (time.perf_counter() - start) / AT_ONCE)
    return 2 * x.nbytes / best


def measure(task: Task, libraries: Sequence[ModuleType], repeats: int) -> list[Row]:
    """Ours first, then the peers that have it, then ours with other options."""
    pipeline = pipelines.PIPELINES[task.pipeline]
    grads = trees.ones(task.shapes)
    runs: dict[str, Any] = {}
    for library in peers.of_jax(libraries):
        mask = peers.decay_mask(library, task.shapes)
        tx = pipeline.build(pipelines.flat(library), mask)
        options = OPTIONS.get(jax.default_backend(), {}) if library is jl else {}
        given = {"": None, **(options if task.tree == "small" else {})}
        for name, option in given.items():
            step = peers.stepper(library, tx)
            key = ", ".join(filter(None, (library.__name__, name)))
            runs[key] = Training(step, tx.init, grads, option)
    floor = runs["jaxopt_lite"].floor(pipeline.passes)
    torch = [library for library in libraries if library.__name__ == "torch"]
    if torch and task.pipeline == "adamw":
        runs[TORCH] = peers.TorchAdamW(torch[0], task.shapes, torch_device())
    often = {name: several(run) for name, run in runs.items()}
    label = f"{task.tree}, {task.pipeline}"
    times = {
        name: [x / AT_ONCE for x in found]
        for name, found in in_turns(label, often, repeats).items()
    }
    ours = times["jaxopt_lite"]
    return [Row(label, run, x, floor, ratio(x, ours)) for run, x in times.items()]


def report(libraries: Sequence[ModuleType], smoke: bool, repeats: int) -> Report:
    copied = bandwidth(smoke)
    rows = []
    for task in tasks(smoke):
        rows += measure(task, libraries, repeats)
        gc.collect()
    shares = {row[:2]: row.floor / median(row.times) / copied for row in rows}
    return Report(
        name="accelerator-smoke" if smoke else "accelerator",
        title="Steps behind the gradients on an accelerator",
        how=(
            f"A copy within the device moves {copied / 1e9:,.0f} GB/s. Parameters and "
            "state donated. Floor: the bytes that a step cannot avoid; share: at which "
            "part of the copy's speed it would have moved these. Milliseconds a step, "
            f"{AT_ONCE} at a time, in turns: median of {repeats}; their ratio to "
            "jaxopt_lite's (quartiles)."
        ),
        libraries=libraries,
        columns=["task", "library", "floor MB", "ms", "share", "ratio"],
        rows=[
            [
                row.task,
                row.run,
                f"{row.floor / 1e6:,.1f}",
                f"{1e3 * median(row.times):.3f}",
                f"{shares[row[:2]]:.2f}",
                str(row.beside),
            ]
            for row in rows
        ],
        goals=[] if smoke else goals(shares),
        bars={f"{row.task}, {row.run}": row.beside for row in rows},
        axis="time of a step, jaxopt_lite = 1",
    )


def goals(shares: dict[tuple[str, str], float]) -> list[Goal]:
    """In times of the floor at the speed of a copy: 1 / 0.85, and 1.1 of AdamW's."""
    plain = 1 / shares["billion, adamw", "jaxopt_lite"]
    found = [Goal("billion, adamw: time over that of a copy", plain, 1 / 0.85)]
    for pipeline in GUARDED[1:]:
        label = f"billion, {pipeline}"
        over = 1 / shares[label, "jaxopt_lite"] / plain
        found.append(Goal(f"{label}: time over adamw's, per byte", over, 1.1))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--smoke", action="store_true", help="tiny trees, one round")
    parser.add_argument(
        "--save", action="store_true", help="write Markdown to benchmarks/results"
    )
    args = parser.parse_args(arguments)
    console = Console()
    libraries, missing = peers.installed(peers.KNOWN)
    for name in missing:
        console.print(f"{name} is not installed and left out.")
    repeats = 1 if args.smoke else 7
    jax_libraries = peers.of_jax(libraries)
    # First, since it asks for the most that the device has held so far.
    name = "smoke" if args.smoke else "billion"
    of_stored = stored.report(name, billion(args.smoke), jax_libraries, repeats)
    of_muon = (
        muon.report("gpt2-smoke", one_block(), jax_libraries, repeats)
        if args.smoke
        else muon.report("gpt2", trees.gpt2(), jax_libraries, repeats)
    )
    for made in (of_stored, report(libraries, args.smoke, repeats), of_muon):
        made.show(console)
        if args.save:
            console.print(f"saved: {made.save()}", highlight=False)


if __name__ == "__main__":
    main()
