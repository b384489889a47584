"""Lanes: one function for many inputs at once, in chunks, on every device."""

import dataclasses
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_lite.core.types import PyTree


@dataclasses.dataclass(frozen=True)
class Program:
    """A function compiled for chunks of one size."""

    run: Callable[[PyTree], PyTree]
    size: int
    sharding: NamedSharding
    compilations: int

    def __call__(self, inputs: PyTree) -> PyTree:
        """What the function gives for up to `size` lanes, as NumPy arrays.

        The lanes that are missing repeat the last one, and are taken off again.
        """
        lanes = len(jax.tree.leaves(inputs)[0])
        padding = self.size - lanes
        padded = jax.tree.map(
            lambda x: np.concatenate([x, np.repeat(x[-1:], padding, axis=0)]), inputs
        )
        outputs = self.run(jax.tree.map(self._place, padded))
        return jax.tree.map(lambda x: gathered(x)[:lanes], outputs)

    def _place(self, x: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(x.shape, self.sharding, x.__getitem__)


def shapes_of(function: Callable[[PyTree], PyTree], inputs: PyTree) -> PyTree:
    """The shapes of what a function gives for one lane; nothing is computed."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), inputs)
    return jax.eval_shape(function, one)


def compile_lanes(
    function: Callable[[PyTree], PyTree],
    inputs: PyTree,
    mesh: Mesh,
    batch_size: int | None,
) -> Program:
    """Compiles a function for chunks of lanes, each device working on its share alone.

    Args:
        function: takes one lane of `inputs`.
        inputs: a tree of NumPy arrays with an axis of lanes in front.
        mesh: the devices; the lanes are spread over all its axes.
        batch_size: lanes in a chunk; None takes all, or as many as fit into memory.
    """
    lanes = len(jax.tree.leaves(inputs)[0])
    devices = mesh.size
    split = PartitionSpec(mesh.axis_names)
    sharding = NamedSharding(mesh, split)
    spread = jax.jit(
        jax.shard_map(
            jax.vmap(function),
            mesh=mesh,
            in_specs=split,
            out_specs=split,
            check_vma=False,
        )
    )

    def compiled(size: int) -> Any:
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                (size, *x.shape[1:]), x.dtype, sharding=sharding
            ),
            inputs,
        )
        return spread.lower(shapes).compile()

    size = chunk_size(lanes, batch_size or lanes + devices, devices)
    run = compiled(size)
    needed = memory_of(run)
    if batch_size is not None or needed <= (free := free_memory(mesh)):
        return Program(run, size, sharding, compilations=1)
    size = chunk_size(lanes, int(size * free / needed), devices)
    return Program(compiled(size), size, sharding, compilations=2)


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
    """The free bytes of the fullest local device, less a tenth; inf where unknown."""
    free = min(_free_bytes(device) for device in mesh.local_devices)
    if mesh.local_devices[0].platform == "cpu":  # they share the memory of the host
        free /= len(mesh.local_devices)
    return 0.9 * free


def _free_bytes(device: jax.Device) -> float:
    stats = device.memory_stats()
    if stats:
        return float(stats["bytes_limit"] - stats["bytes_in_use"])
    if device.platform == "cpu" and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return math.inf


def gathered(x: jax.Array) -> np.ndarray:
    """The whole array, in every process."""
    if x.is_fully_addressable:
        return np.asarray(x)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(x, tiled=True))


def chunks(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The indices, `size` at a time."""
    return (indices[i : i + size] for i in range(0, len(indices), size))
