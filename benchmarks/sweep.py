"""A sweep: one compiled program for all configurations, beside one for each."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import jaxopt_lite as jl
from benchmarks import trees
from benchmarks.report import Goal, Report
from benchmarks.timing import in_turns, ratio
from benchmarks.trace import cool
from jaxopt_lite.sweep import grid
from jaxopt_lite.sweep import run as run_sweep

TREE, SHRINK, REPEATS = "digits", 1, 1
BATCH = 16

RUN, VMAP, INJECTED, LOOP = "sweep.run", "vmap", "vmap, injected", "a loop"


class Extent(NamedTuple):
    """How many learning rates, as many weight decays, and steps.

    And how many times as often the quick ways are run as the loop, which takes one
    configuration in so many.
    """

    values: int
    steps: int
    often: int
    stride: int


def extent(tree: Any) -> Extent:
    """64 configurations and 200 steps; few for a network narrowed for a test."""
    return Extent(8, 200, 5, 4) if tree == trees.digits() else Extent(2, 3, 1, 2)


class Task:
    """A network on the digits, trained with an optimizer from where all start."""

    def __init__(self, tree: Any, steps: int):
        x, y = load_digits(return_X_y=True)
        random = np.random.default_rng(0)
        self.x, self.y = np.float32(x / 16), y
        self.rows = random.integers(0, len(x), (steps, BATCH))
        self.params = jax.tree.map(
            lambda leaf: np.float32(random.normal(size=leaf.shape) / 8), tree
        )
        self.traced = 0

    def loss(self, params: Any, rows: Any) -> jax.Array:
        *hidden, head = params["layers"]
        x = jnp.asarray(self.x)[rows]
        for layer in hidden:
            x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
        log_p = jax.nn.log_softmax(x @ head["kernel"] + head["bias"])
        right = jnp.take_along_axis(log_p, jnp.asarray(self.y)[rows][:, None], axis=1)
        return -jnp.mean(right)

    def train(self, tx: Any) -> jax.Array:
        """The loss at every step."""
        self.traced += 1

        def step(carry: Any, rows: Any) -> Any:
            params, state = carry
            loss, grads = jax.value_and_grad(self.loss)(params, rows)
            updates, state = tx.update(grads, state, params)
            return (jax.tree.map(jnp.add, params, updates), state), loss

        params = jax.tree.map(jnp.asarray, self.params)
        return jax.lax.scan(step, (params, tx.init(params)), self.rows)[1]


def sweeps(
    task: Task,
    configurations: list[dict[str, float]],
    stride: int,
    libraries: Sequence[ModuleType],
) -> dict[tuple[str, str], Callable[[], Any]]:
    """Each way to train with every configuration, with compilation."""
    columns = {
        name: jnp.array([c[name] for c in configurations]) for name in configurations[0]
    }

    key = jax.random.key(0)

    def by_run() -> Any:
        found = run_sweep(
            lambda hyperparams, key: {"loss": task.train(jl.adamw(**hyperparams))},
            grid(**{name: sorted({*x.tolist()}) for name, x in columns.items()}),
            key=key,
            progress=False,
        )
        return found.metrics["loss"][:, 0]

    def batched(build: Callable[..., Any]) -> Any:
        return jax.jit(jax.vmap(lambda numbers: task.train(build(**numbers))))(columns)

    def by_loop(build: Callable[..., Any]) -> Any:
        return jnp.stack(
            [
                jax.jit(partial(task.train, build(**c)))()
                for c in configurations[::stride]
            ]
        )

    runs: dict[tuple[str, str], Callable[[], Any]] = {(RUN, jl.__name__): by_run}
    for library in libraries:
        build = library.adamw
        if library is not jl:
            injected = library.inject_hyperparams(build)
            runs[INJECTED, library.__name__] = partial(batched, injected)
            runs[LOOP, library.__name__] = partial(by_loop, build)
        else:
            runs[VMAP, library.__name__] = partial(batched, build)
    return runs


def compilations_of_changing_rates(tree: Any, steps: int) -> int:
    """How often a jitted step compiles to which every call brings another rate."""
    task = Task(tree, steps)
    traced = []

    @jax.jit
    def step(tx: Any, params: Any, state: Any, rows: Any) -> Any:
        traced.append(1)
        grads = jax.grad(task.loss)(params, rows)
        updates, state = tx.update(grads, state, params)
        return jl.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, task.params)
    state = jl.adamw(1e-3).init(params)
    for i, rows in enumerate(task.rows):
        tx = jl.adamw(jnp.asarray(1e-3 / (i + 1)))
        params, state = step(tx, params, state, rows)
    return len(traced)


class Found(NamedTuple):
    """The seconds of each round, those of our vmap in it, and the programs of one."""

    times: list[float]
    beside: list[float]
    compilations: int
    losses: Any


def measure(
    tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> dict[tuple[str, str], Found]:
    """By way and library."""
    size = extent(tree)
    rates = np.logspace(-4, -1.5, size.values).tolist()
    decays = np.logspace(-4, -1, size.values).tolist()
    configurations = [
        {"learning_rate": rate, "weight_decay": decay}
        for rate in rates
        for decay in decays
    ]
    task = Task(tree, size.steps)
    compilations, losses = {}, {}

    def counted(key: tuple[str, str], run: Callable[[], Any]) -> Any:
        before = task.traced
        losses[key] = jax.block_until_ready(run())
        compilations[key] = task.traced - before

    runs = {
        key: partial(counted, key, run)
        for key, run in sweeps(task, configurations, size.stride, libraries).items()
    }
    prepare = partial(cool, [library.__name__ for library in libraries])
    ours = (VMAP, jl.__name__)
    quick = {key: run for key, run in runs.items() if key[0] != LOOP}
    times = in_turns("sweep", quick, size.often * repeats, prepare)
    beside = dict.fromkeys(times, times[ours])
    for key in runs.keys() - quick.keys():
        pair = {ours: runs[ours], key: runs[key]}
        taken = in_turns(LOOP, pair, max(repeats, 1), prepare, unmeasured=0)
        times[key] = [size.stride * seconds for seconds in taken[key]]
        beside[key] = taken[ours]
    return {
        key: Found(times[key], beside[key], compilations[key], losses[key])
        for key in runs
    }


def report(
    name: str, tree: Any, libraries: Sequence[ModuleType], repeats: int
) -> Report:
    found = measure(tree, libraries, repeats)
    size = extent(tree)
    changing = compilations_of_changing_rates(tree, min(size.steps, 20))
    ratios = {key: ratio(x.times, x.beside) for key, x in found.items()}
    return Report(
        name=f"sweep-{name}",
        title=(
            f"{size.values**2} AdamWs of {size.steps} steps on the digits: {name}, "
            f"{trees.describe(tree)}"
        ),
        how=(
            "Seconds from the first call of a factory to the last loss, all caches "
            f"empty, in turns: median of {size.often * repeats}, of the loop "
            f"{repeats}; their ratio to our vmap (quartiles). The loop builds and "
            "compiles a training for each; it takes one configuration in "
            f"{size.stride}, and its time is multiplied by as much."
        ),
        libraries=libraries,
        columns=["way", "library", "compilations", "seconds", "ratio"],
        rows=[
            [
                way,
                library,
                f"{x.compilations}",
                f"{median(x.times):.2f}",
                str(ratios[way, library]),
            ]
            for (way, library), x in found.items()
        ],
        goals=[
            *goals(found),
            Goal("compilations while the rate changes every step", changing, 1),
        ],
        bars={", ".join(key): x for key, x in ratios.items()},
        axis="time of the sweep, our vmap = 1",
    )


def goals(found: dict[tuple[str, str], Found]) -> list[Goal]:
    """How long our vmap may take beside the ways of a peer."""
    limits = {INJECTED: ("vmapped", 1.0), LOOP: ("a loop over", 0.0333)}
    return [
        Goal(
            f"time against {limits[way][0]} {library}",
            ratio(x.beside, x.times).median,
            limits[way][1],
        )
        for (way, library), x in found.items()
        if way in limits
    ]
