"""Lanes: one function for many inputs at once, in chunks, on every device."""

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_lite.core.checks import describe
from jaxopt_lite.core.types import PyTree

SMALL = 16
"""So many lanes make no chunk worth to be cut."""


def trace(function: Callable[[PyTree], PyTree], inputs: PyTree) -> Any:
    """A function of one lane, traced."""
    lane = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), inputs)
    return jax.jit(function).trace(lane)


def run_again(traced: Any) -> Callable[[PyTree], PyTree]:
    """What was traced, as a function that need not be traced again."""
    flat, structure = jaxpr_as_fun(traced.jaxpr), jax.tree.structure(traced.out_info)

    def function(inputs: PyTree) -> PyTree:
        return jax.tree.unflatten(structure, flat(*jax.tree.leaves(inputs)))

    return function


def check_constants(jaxpr: Any) -> None:
    """Refuses arrays that belong to a mesh of the caller: a lane knows none.

    Raises:
        ValueError: naming all that a lane uses.
    """
    types = [x.aval for x in jaxpr.jaxpr.constvars]
    foreign = [describe(x) for x in types if not x.sharding.mesh.empty]
    if foreign:
        raise ValueError(
            f"run: train uses arrays of a mesh: {', '.join(foreign)}; expected arrays "
            f"that are made outside of jax.set_mesh, or of NumPy, such as "
            f"np.asarray(x): each device trains its lanes alone."
        )


def digest(jaxpr: Any) -> str:
    """What a program computes, in 16 letters.

    They are the same in every process that has the same version of JAX.
    """
    found = hashlib.sha256(re.sub(" at 0x[0-9a-f]+", "", str(jaxpr)).encode())
    for x in jaxpr.consts:
        dtype = getattr(x, "dtype", None)
        if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.extended):
            x = jax.random.key_data(x)
        found.update(np.asarray(x).tobytes())
    return found.hexdigest()[:16]


class Program:
    """A function of one lane, traced and then compiled for chunks of lanes.

    Each device works on its share of a chunk, alone.

    Args:
        function: takes one lane of `inputs` and returns a tree of arrays.
        inputs: a tree of NumPy arrays with an axis of lanes in front.
        mesh: the devices; lanes are spread over all its axes.
        batch_size: lanes in a chunk at most; None takes all, or as many as fit into
            memory.
        pieces: in how many chunks at least, for None and if they are not small.
    """

    def __init__(
        self,
        function: Callable[[PyTree], PyTree],
        inputs: PyTree,
        mesh: Mesh,
        batch_size: int | None,
        pieces: int = 1,
    ):
        self.compilations = 0
        self._mesh, self._inputs, self._batch_size = mesh, inputs, batch_size
        split = PartitionSpec(mesh.axis_names)
        self._sharding = NamedSharding(mesh, split)
        traced = trace(function, inputs)
        check_constants(traced.jaxpr)
        self.digest = digest(traced.jaxpr)
        self._function = jax.jit(
            jax.shard_map(
                jax.vmap(run_again(traced)),
                mesh=mesh,
                in_specs=split,
                out_specs=split,
                check_vma=False,
            )
        )
        whole = math.ceil(self._lanes / mesh.size) * mesh.size
        self._trace(batch_size or max(whole // pieces, SMALL))

    @property
    def shapes(self) -> PyTree:
        """What the function returns for one lane, without the numbers."""
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), self._traced.out_info
        )

    def compile(self) -> None:
        """Compiles; once more, for smaller chunks, if memory is too small."""
        self._compile()
        needed = memory_of(self._run)
        if self._batch_size is None and needed > (free := free_memory(self._mesh)):
            self._trace(int(self.size * free / needed))
            self._compile()

    def __call__(self, inputs: PyTree) -> PyTree:
        """What the function returns for up to `size` lanes, in NumPy arrays.

        Missing lanes repeat the last one, and are taken off again.
        """
        lanes = len(jax.tree.leaves(inputs)[0])
        outputs = self._run(jax.tree.map(self._place, inputs))
        return jax.tree.map(lambda x: gathered(x)[:lanes], outputs)

    @property
    def _lanes(self) -> int:
        return len(jax.tree.leaves(self._inputs)[0])

    def _trace(self, at_most: int) -> None:
        self.size = chunk_size(self._lanes, at_most, self._mesh.size)
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                (self.size, *x.shape[1:]), x.dtype, sharding=self._sharding
            ),
            self._inputs,
        )
        self._traced = self._function.trace(shapes)

    def _compile(self) -> None:
        self._run = self._traced.lower().compile()
        self.compilations += 1

    def _place(self, x: np.ndarray) -> jax.Array:
        padding = [(0, self.size - len(x)), *[(0, 0)] * (x.ndim - 1)]
        full = np.pad(x, padding, mode="edge")
        return jax.make_array_from_callback(
            full.shape, self._sharding, full.__getitem__
        )


def chunk_size(lanes: int, at_most: int, devices: int) -> int:
    """The size of equal chunks, a multiple of the devices, that need least padding."""
    chunks = math.ceil(lanes / max(devices, at_most // devices * devices))
    return math.ceil(math.ceil(lanes / chunks) / devices) * devices


def memory_of(compiled: Any) -> float:
    """The bytes that a compiled program needs on each device, as XLA counts them."""
    memory = compiled.memory_analysis()
    if memory is None:
        return 0.0
    return float(
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
    )


def free_memory(mesh: Mesh) -> float:
    """The free bytes of the fullest device, less a tenth; inf where unknown."""
    here = mesh.local_devices
    if here[0].platform == "cpu":  # they share the memory of the host
        free = _free_on_host() / len(here)
    else:
        free = min(_free_on(device) for device in here)
    return float(0.9 * everywhere(np.float32(free), mesh).min())


def _free_on(device: jax.Device) -> float:
    stats = device.memory_stats() or {}
    return stats.get("bytes_limit", math.inf) - stats.get("bytes_in_use", 0)


def _free_on_host() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return math.inf
    kib = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
    return 1024.0 * kib[0] if kib else math.inf


@contextmanager
def no_mesh() -> Iterator[None]:
    """Leaves the mesh that the caller has set: a program has one of its own."""
    if jax.sharding.get_abstract_mesh().empty:
        yield
        return
    if hasattr(jax, "set_mesh"):
        set_mesh = jax.set_mesh
    else:  # JAX 0.7
        set_mesh = jax.sharding.use_mesh  # type: ignore[attr-defined]
    with set_mesh(Mesh(np.empty((), object), ())):
        yield


def spans_processes(mesh: Mesh) -> bool:
    """Whether other processes have devices of the mesh."""
    return len(mesh.local_devices) < mesh.size


def everywhere(x: Any, mesh: Mesh) -> np.ndarray:
    """What each process that the mesh spans has here, along an axis in front."""
    if not spans_processes(mesh):
        return np.asarray(x)[None]
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(x))


def gathered(x: jax.Array) -> np.ndarray:
    """The whole array, in every process."""
    if x.is_fully_addressable:
        return np.asarray(x)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(x, tiled=True))


def chunks(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The indices, `size` at a time."""
    return (indices[i : i + size] for i in range(0, len(indices), size))
