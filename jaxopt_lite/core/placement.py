"""Where arrays lie: in whose memory between steps, and whether split in a step."""

from typing import Any

import jax

from jaxopt_lite.core.types import Tensor
from jaxopt_lite.core.value import Value


def to_host(tree: Any) -> Any:
    """Arrays in the host's memory, from which a device reads without a detour."""
    return jax.device_put(tree, jax.memory.Space.Host)


def to_device(tree: Any, after: Any) -> Any:
    """Arrays in the device's memory again, fetched when others are there, not before.

    Without that order all of them could be fetched at the beginning of a step.
    """
    tree, _ = jax.lax.optimization_barrier((tree, after))
    return jax.device_put(tree, jax.memory.Space.Device)


def fetched(tree: Any) -> Any:
    """The same tree, of which no array lies in the host's memory."""
    if not hasattr(jax, "memory"):
        return tree

    def fetch(x: Any) -> Any:
        is_there = jax.typeof(x).memory_space == jax.memory.Space.Host
        return jax.device_put(x, jax.memory.Space.Device) if is_there else x

    return jax.tree.map(fetch, tree)


class Whole(Value):
    """Brings together on every device what is split between devices."""

    sharding: Any

    def __call__(self, x: Tensor) -> Tensor:
        return jax.lax.with_sharding_constraint(x, self.sharding)


def as_it_lies(x: Tensor) -> Tensor:
    """What takes the place of `Whole` where nothing is split."""
    return x


def refuse_without_host_memory() -> None:
    """Refuses a backend, or a JAX, that cannot keep arrays in the host's memory.

    Raises:
        RuntimeError: saying what there is.
    """
    if not hasattr(jax, "memory"):
        raise RuntimeError(
            f"offload_state: JAX {jax.__version__} has no `jax.memory`; expected a "
            f"later one."
        )
    device = jax.devices()[0]
    kinds = [memory.kind for memory in device.addressable_memories()]
    if "pinned_host" not in kinds:
        raise RuntimeError(
            f"offload_state: {device.platform} has the memories {', '.join(kinds)}; "
            f"expected pinned_host among them. Keep the state on the device there, in "
            f"few bytes by `store_state`."
        )
