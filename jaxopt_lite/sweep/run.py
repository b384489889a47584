"""`run`: trains every configuration of a space, side by side."""

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxopt_lite.sweep import metrics
from jaxopt_lite.sweep.arguments import check, check_mesh, whole
from jaxopt_lite.sweep.hyperparameters import numbers, with_numbers
from jaxopt_lite.sweep.lanes import (
    Program,
    chunks,
    everywhere,
    no_mesh,
    spans_processes,
)
from jaxopt_lite.sweep.record import Record, checked
from jaxopt_lite.sweep.result import Result
from jaxopt_lite.sweep.space import Space

_PIECES = 16
"""In how many chunks at least what a file keeps is trained."""

Train = Callable[[Any, jax.Array], dict[str, Any]]
"""From hyperparameters and a key to metrics."""

_Programs = list[tuple[np.ndarray, Program]]
"""Each program, behind its lanes."""


@no_mesh()
def run(
    train: Train,
    space: Space,
    *,
    key: jax.Array,
    seeds: int = 1,
    path: str | Path | None = None,
    mesh: Mesh | None = None,
    batch_size: int | None = None,
    progress: bool = True,
) -> Result:
    """Trains every configuration of a space with every seed, as lanes side by side.

    A lane is one call of `train`. All lanes of equal static values share one compiled
    program, however many numbers differ; it runs chunk by chunk, each device on its
    share of a chunk, without talking to the others. In a program that
    `jax.distributed` has started on several hosts, every process calls `run` and gets
    the whole result.

    Args:
        train: a function of `(hyperparams, key)` that JAX can trace. `hyperparams` is a
            mapping with the name of every axis: a scalar array for a number (float32 or
            int32; float64 or int64 under `jax_enable_x64`), the value itself for what
            is static. It returns a dict of scalars and of curves, arrays with one
            number for each step.
        space: the configurations, from `grid`, `zipped`, `sample` or `sobol`.
        key: a threefry key of `jax.random`, its default; the j-th seed of every
            configuration is `jax.random.fold_in(key, j)`.
        seeds: how often each configuration is trained, from 1.
        path: a file to write after every chunk, at once or not at all; an error or
            Ctrl-C loses no chunk that has ended. Where it exists, the lanes in it are
            not trained again; if it is of another space, key, number of seeds or
            `train`, or perhaps of another version of JAX, it is refused and stays as it
            is. From 256 lanes on, a program is then cut into 16 chunks at least.
            Processes must share it.
        mesh: the devices, over all axes of it; None takes all that JAX sees, and none
            is taken from `jax.set_mesh`.
        batch_size: how many lanes run at once; None takes as many as fit into the
            memory that is free, as XLA estimates it; at least one on each device. The
            last chunk is padded, so that it needs no program of its own.
        progress: whether to show a bar (with tqdm, if it is installed), and to say how
            much of `path` was done before.

    Returns:
        A `Result`.

    Raises:
        KeyError: if `train` reads a hyperparameter that is no axis.
        TypeError: if an argument is of another type, or `train` returns no numbers.
        ValueError: if `path` holds something else (nothing is overwritten), what
            `train` returns depends on static values, it uses arrays of a mesh, or a
            number is none in JAX's dtype.

    Example:
        >>> import jax
        >>> import jaxopt_lite as jl
        >>> from jaxopt_lite import sweep
        >>> def train(hyperparams, key):
        ...     tx = jl.sgd(hyperparams["learning_rate"])
        ...     def step(carry, _):
        ...         p, state = carry
        ...         loss, g = jax.value_and_grad(lambda p: (p - 1) ** 2)(p)
        ...         updates, state = tx.update(g, state, p)
        ...         return (p + updates, state), loss
        ...     p = jax.random.normal(key)
        ...     _, losses = jax.lax.scan(step, (p, tx.init(p)), length=20)
        ...     return {"loss": losses}
        >>> space = sweep.grid(learning_rate=[0.01, 0.4, 2.0])
        >>> result = sweep.run(
        ...     train, space, key=jax.random.key(0), seeds=3, progress=False
        ... )
        >>> result.best().hyperparams, result.compilations
        ({'learning_rate': 0.4}, 1)
    """
    check("run", "train(hyperparams, key)", train, space, key)
    seeds = whole("run", "seeds", seeds, 1)
    if batch_size is not None:
        batch_size = whole("run", "batch_size", batch_size, 1)
    if path is not None:
        path = checked(path)
    mesh = _devices(mesh)
    sweep = _Sweep(train, space, key, seeds)
    programs = sweep.programs(mesh, batch_size, _PIECES if path else 1)
    record = sweep.record(programs)
    if path:
        record.resume(path)
        _agree_on(record.done, mesh)
    resumed = int(record.done.sum())
    leads = not spans_processes(mesh) or jax.process_index() == 0
    if resumed and progress and leads:
        print(
            f"{path}: {resumed} of {record.done.size} lanes are done.", file=sys.stderr
        )
    with (
        _bar(record.done.size, resumed, progress and leads) as advance,
        _kept(record, path if leads else None) as keep,
    ):
        for lanes, program in programs:
            todo = lanes[~record.done[tuple(lanes.T)]]
            if len(todo):
                program.compile()
            for chunk in chunks(todo, program.size):
                record.add(chunk, program(sweep.inputs(chunk)))
                keep()
                advance(len(chunk))
    compilations = sum(program.compilations for _, program in programs)
    return Result(record, compilations, resumed)


def _devices(mesh: Mesh | None) -> Mesh:
    """A mesh of the devices to train on, all by default, whose axes no array names."""
    if mesh is None:
        mesh = Mesh(np.array(jax.devices()), ("lanes",))
    check_mesh("run", mesh)
    return Mesh(mesh.devices, mesh.axis_names)


class _Sweep:
    """The lanes of a sweep: pairs of a configuration and a seed, by their numbers."""

    def __init__(self, train: Train, space: Space, key: jax.Array, seeds: int):
        self.train, self.space, self.seeds = train, space, seeds
        self.is_typed = jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key)
        self.impl = jax.random.key_impl(key) if self.is_typed else None
        self.key = np.asarray(jax.random.key_data(key))
        self.columns = numbers(space)

    def programs(self, mesh: Mesh, batch_size: int | None, pieces: int) -> _Programs:
        """A program for the lanes of equal static values, arrays of (lanes, 2)."""
        lanes = [
            np.array([*itertools.product(members, range(self.seeds))])
            for members in self.space.programs()
        ]
        return [
            (x, Program(self.function(x), self.inputs(x), mesh, batch_size, pieces))
            for x in lanes
        ]

    def inputs(self, lanes: np.ndarray) -> Any:
        """The numbers and the seed of each lane."""
        configurations, seeds = lanes.T
        columns = {name: x[configurations] for name, x in self.columns.items()}
        return columns, seeds.astype(np.int32)

    def function(self, lanes: np.ndarray) -> Callable[[Any], dict[str, jax.Array]]:
        """`train` for the static values that the lanes share."""
        configuration = self.space[lanes[0, 0]]

        def one(inputs: Any) -> dict[str, jax.Array]:
            columns, seed = inputs
            hyperparams = with_numbers(configuration, columns)
            return metrics.read(self.train(hyperparams, self.key_of(seed)))

        return one

    def key_of(self, seed: jax.Array) -> jax.Array:
        """The key that `train` gets; it is made within the program."""
        key: Any = self.key
        if self.is_typed:
            key = jax.random.wrap_key_data(key, impl=self.impl)
        return jax.random.fold_in(key, seed)

    def record(self, programs: _Programs) -> Record:
        """Room for what the lanes will return."""
        shapes = metrics.agree(
            [program.shapes for _, program in programs],
            [self.space[lanes[0, 0]] for lanes, _ in programs],
        )
        train = [program.digest for _, program in programs]
        size = (len(self.space), self.seeds)
        empty = {
            name: np.zeros((*size, *x.shape), x.dtype) for name, x in shapes.items()
        }
        done = np.zeros(size, bool)
        return Record(self.space, self.key.tolist(), train, empty, done)


def _agree_on(done: np.ndarray, mesh: Mesh) -> None:
    """Waits until all processes have read the file.

    Raises:
        ValueError: if they have read different ones.
    """
    if not (everywhere(done, mesh) == done).all():
        raise ValueError(
            "run: the processes find different results at path; expected a file that "
            "they share."
        )


@contextmanager
def _kept(record: Record, path: Path | None) -> Iterator[Callable[[], None]]:
    """Gives what writes the file, and writes again what came in its way."""
    written = record.done.sum()

    def keep() -> None:
        nonlocal written
        done = record.done.sum()
        if path and done > written:
            record.write(path)
            written = done

    try:
        yield keep
    finally:
        keep()


@contextmanager
def _bar(total: int, done: int, visible: bool) -> Iterator[Callable[[int], Any]]:
    """A progress bar over lanes, where tqdm is installed; gives what moves it on."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda lanes: None
        return
    with tqdm(
        total=total, initial=done, desc="sweep", unit="lane", disable=not visible
    ) as bar:
        yield bar.update
