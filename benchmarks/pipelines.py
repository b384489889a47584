"""What composed steps move, allocate and take, beside those written by hand."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks import handwritten, peers, trees
from benchmarks.report import Goal, Report
from benchmarks.step import BY_HAND, decay
from benchmarks.timing import in_turns, ratio
from benchmarks.training import Cost, Training, at_once

TREE, SHRINK, REPEATS = "gpt2", 2, 5


class Pipeline(NamedTuple):
    """A transformation from a library and a mask, and what it may cost on a CPU.

    `bytes` are those accessed per parameter; `passes` how often something as large as
    the gradient must be read before the pass that forms the update.
    """

    build: Callable[[Any, Any], Any]
    bytes: float
    passes: int
    by_hand: Callable[..., Any] | None = None
    init: Callable[[Any], Any] = handwritten.init
    temporaries: float = 0.05


def _clip(library: Any, tx: Any) -> Any:
    return library.chain(library.clip_by_global_norm(1.0), tx)


def _guard(library: Any, tx: Any) -> Any:
    return library.apply_if_finite(tx, 3)


def _accumulate(library: Any, tx: Any) -> Any:
    return library.MultiSteps(tx, 4).gradient_transformation()


PIPELINES = {
    "adamw": Pipeline(peers.adamw, 40.1, 0, handwritten.adamw),
    "clip + adamw": Pipeline(
        lambda lib, mask: _clip(lib, peers.adamw(lib, mask)),
        44.5,
        1,
        handwritten.clip_adamw,
    ),
    "apply_if_finite(adamw)": Pipeline(
        lambda lib, mask: _guard(lib, peers.adamw(lib, mask)),
        44.5,
        1,
        handwritten.guarded_adamw,
    ),
    "apply_if_finite(clip + adamw)": Pipeline(
        lambda lib, mask: _guard(lib, _clip(lib, peers.adamw(lib, mask))),
        44.5,
        1,
        handwritten.guarded_clip_adamw,
    ),
    "MultiSteps(adamw, 4)": Pipeline(
        lambda lib, mask: _accumulate(lib, peers.adamw(lib, mask)),
        52.5,
        0,
        handwritten.accumulated_adamw,
        handwritten.init_accumulated,
    ),
    "adamw(mu_dtype=bfloat16)": Pipeline(
        lambda lib, mask: lib.adamw(1e-3, mask=mask, mu_dtype="bfloat16"),
        42.1,
        0,
        temporaries=2.05,
    ),
    "lion": Pipeline(lambda lib, mask: lib.lion(1e-4, mask=mask), 28.1, 0),
    "lamb": Pipeline(lambda lib, mask: lib.lamb(1e-3), 56.5, 3, temporaries=4.05),
    "schedule_free_adamw": Pipeline(
        lambda lib, mask: lib.schedule_free_adamw(1e-3), 52.1, 0, temporaries=4.05
    ),
    "apply_if_finite(momentum)": Pipeline(
        lambda lib, mask: _guard(lib, lib.sgd(0.1, momentum=0.9)), 28.5, 1
    ),
    "apply_if_finite(rmsprop)": Pipeline(
        lambda lib, mask: _guard(lib, lib.rmsprop(1e-3)), 32.5, 1
    ),
    "apply_if_finite(adagrad)": Pipeline(
        lambda lib, mask: _guard(lib, lib.adagrad(1e-2)), 32.5, 1
    ),
    "apply_if_finite(lion)": Pipeline(
        lambda lib, mask: _guard(lib, lib.lion(1e-4, mask=mask)), 32.5, 1
    ),
}


def measure(
    pipeline: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> dict[str, Cost]:
    """By library, and by hand where there is one."""
    build, _, _, by_hand, init, _ = PIPELINES[pipeline]
    grads = trees.ones(tree)
    makers: dict[str, Callable[[], Training]] = {}
    for library in libraries:
        tx = build(flat(library), peers.decay_mask(library, tree))
        stepper = peers.stepper(library, tx)
        makers[library.__name__] = partial(Training, stepper, tx.init, grads)
    if by_hand is not None:
        step = partial(by_hand, decay=decay(tree))
        makers[BY_HAND] = partial(Training, step, init, grads)
    runs = at_once(makers)
    times = in_turns(pipeline, runs, repeats)
    return {key: run.cost(times[key]) for key, run in runs.items()}


def flat(library: ModuleType) -> Any:
    """A library with the names of its `contrib` beside the others, as ours has them."""

    class Flat:
        def __getattr__(self, name: str) -> Any:
            contrib = getattr(library, "contrib", None)
            return getattr(contrib, name, None) or getattr(library, name)

    return Flat()


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    found = {
        pipeline: measure(pipeline, tree, libraries, repeats) for pipeline in PIPELINES
    }
    ratios = {
        (pipeline, run): ratio(cost.times, costs["jaxopt_lite"].times)
        for pipeline, costs in found.items()
        for run, cost in costs.items()
    }
    return Report(
        name=f"pipelines-{name}",
        title=f"Composed steps behind the gradients: {name}, {trees.describe(tree)}",
        how=(
            "float32, parameters and state donated. Bytes accessed and of temporaries "
            "(temp) are per parameter, as XLA counts them. Milliseconds in turns: "
            f"median of {repeats}; their ratio to jaxopt_lite's (quartiles)."
        ),
        libraries=libraries,
        columns=["pipeline", "library", "bytes", "temp", "ms", "ratio"],
        rows=[
            [
                pipeline,
                run,
                f"{cost.accessed:.2f}",
                f"{cost.temporaries:.2f}",
                f"{1e3 * median(cost.times):.1f}",
                str(ratios[pipeline, run]),
            ]
            for pipeline, costs in found.items()
            for run, cost in costs.items()
        ],
        goals=[
            goal
            for pipeline, costs in found.items()
            for goal in goals(pipeline, costs["jaxopt_lite"])
        ],
        bars={
            f"{pipeline}, {run}": x
            for (pipeline, run), x in ratios.items()
            if run != "jaxopt_lite"
        },
        axis="time of a step, jaxopt_lite = 1",
    )


def goals(pipeline: str, ours: Cost) -> list[Goal]:
    allowed = PIPELINES[pipeline]
    return [
        Goal(f"{pipeline}: bytes per parameter", ours.accessed, allowed.bytes),
        Goal(
            f"{pipeline}: temporaries per parameter",
            ours.temporaries,
            allowed.temporaries,
        ),
    ]
