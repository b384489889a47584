"""What optimizers keep between steps, and what a step needs at once."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
from tqdm import tqdm

from benchmarks import peers, trees
from benchmarks.pipelines import flat
from benchmarks.report import Goal, Report
from benchmarks.training import compiled, cost

TREE, SHRINK, REPEATS = "gpt2", 2, 1

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


class Memory(NamedTuple):
    """Bytes per parameter: of the state, of temporaries, and live in a step."""

    state: float
    temporaries: float
    live: float


def measure(build: Callable[[Any], Any], library: ModuleType, tree: Any) -> Memory:
    tx = build(flat(library))
    state = jax.eval_shape(tx.init, tree)
    n = trees.size(tree)
    found = cost(compiled(peers.stepper(library, tx), tree, state, tree), n, [])
    return Memory(trees.nbytes(state) / n, found.temporaries, found.peak)


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    cells = [(optimizer, library) for optimizer in OPTIMIZERS for library in libraries]
    found = {
        (optimizer, library.__name__): measure(OPTIMIZERS[optimizer], library, tree)
        for optimizer, library in tqdm(cells, desc="memory", unit="program")
    }
    return Report(
        name=f"memory-{name}",
        title=f"Memory of optimizers: {name}, {trees.describe(tree)}",
        how=(
            "Bytes per parameter of float32: of the state; of a step's temporaries; "
            "and of all that is live in a step that donates parameters and state: "
            "these, the gradients and the temporaries. As XLA plans them."
        ),
        libraries=libraries,
        columns=["optimizer", "library", "state", "temporaries", "live"],
        rows=[
            [optimizer, library, *(f"{x:.2f}" for x in memory)]
            for (optimizer, library), memory in found.items()
        ],
        goals=[Goal("adamw: live bytes", found["adamw", "jaxopt_lite"].live, 16.1)],
    )
