"""What Muon's products of matrices take, and how far bfloat16 is from float32."""

from collections.abc import Sequence
from statistics import median
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

import jaxopt_lite as jl
from benchmarks import peers, trees
from benchmarks.report import Goal, Report
from benchmarks.timing import in_turns, ratio
from benchmarks.training import Training

TREE, SHRINK, REPEATS = "gpt2", 3, 5
OURS, BFLOAT16 = "jaxopt_lite", "jaxopt_lite, ns_dtype=bfloat16"


def matrices(tree: Any) -> Any:
    """The matrices of a tree, without its embeddings."""
    named = jax.tree_util.tree_flatten_with_path(tree)[0]
    paths = {jax.tree_util.keystr(path): x for path, x in named}
    return {k: x for k, x in paths.items() if x.ndim == 2 and "['w" not in k}


def measure(
    tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> tuple[dict[str, Training], dict[str, list[float]], float]:
    """The steps, their seconds, and by how much the first one in bfloat16 is off."""
    keys = iter(jax.random.split(jax.random.key(0), len(jax.tree.leaves(tree))))
    grads = jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape), tree)
    made = {
        OURS: (jl, jl.muon(0.02)),
        BFLOAT16: (jl, jl.muon(0.02, ns_dtype="bfloat16")),
    }
    for library in libraries[1:]:
        made[library.__name__] = (library, library.contrib.muon(0.02))
    runs = {
        name: Training(peers.stepper(library, tx), tx.init, grads)
        for name, (library, tx) in made.items()
    }
    first = {name: runs[name]()[0] for name in (OURS, BFLOAT16)}
    moved = {name: jax.tree.map(jnp.subtract, p, grads) for name, p in first.items()}
    off = jl.global_norm(jax.tree.map(jnp.subtract, moved[BFLOAT16], moved[OURS]))
    times = in_turns("muon", runs, repeats)
    return runs, times, float(off / jl.global_norm(moved[OURS]))


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    tree = matrices(tree)
    runs, times, off = measure(tree, libraries, repeats)
    ratios = {key: ratio(x, times[OURS]) for key, x in times.items()}
    costs = {key: run.cost(times[key]) for key, run in runs.items()}
    goals = [Goal("update in bfloat16, relative error", off, 0.1)]
    if "optax" in times and jax.default_backend() != "cpu":
        third = ratio(times[BFLOAT16], times["optax"]).median
        goals.append(Goal("bfloat16 against optax, time", third, 1 / 3))
    return Report(
        name=f"muon-{name}",
        title=f"A step of Muon on matrices: {name}, {trees.describe(tree)}",
        how=(
            "float32, parameters and state donated. Bytes of temporaries (temp) are "
            "per parameter, as XLA counts them. Milliseconds in turns: median of "
            f"{repeats}; their ratio to the first row's (quartiles)."
        ),
        libraries=libraries,
        columns=["library", "temp", "ms", "ratio"],
        rows=[
            [
                key,
                f"{costs[key].temporaries:.2f}",
                f"{1e3 * median(x):.1f}",
                str(ratios[key]),
            ]
            for key, x in times.items()
        ],
        goals=goals,
        bars=ratios,
        axis="time of a step, ours in float32 = 1",
    )
