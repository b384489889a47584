"""Where arrays lie: in whose memory between steps, and whether split in a step."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, auto_axes

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


def in_any_mesh(
    function: Callable[..., Any], x: Any, place: Callable[[Any], Any]
) -> Callable[..., Any]:
    """A function that may mix elements, also where types say how arrays are split.

    There it must be said how its results are: `place` tells by the sharding of `x`.
    """
    sharding = jax.typeof(x).sharding
    if AxisType.Explicit not in sharding.mesh.axis_types:
        return function
    return auto_axes(function, out_sharding=place(sharding))


def unseen_update(
    update: Callable[..., Any], places: Any, *args: Any, **extra: Any
) -> Any:
    """What an update returns, without types that say how arrays are split in it.

    A product of two matrices would have to say itself how it is split. `places` tells
    how the updates and the state are.
    """
    arrays = {k: x for k, x in extra.items() if _is_traced(x)}
    others = {k: x for k, x in extra.items() if k not in arrays}

    def called(arrays: dict[str, Any], *args: Any) -> Any:
        return update(*args, **arrays, **others)

    return auto_axes(called, out_sharding=places)(arrays, *args)


def _is_traced(x: Any) -> bool:
    return all(isinstance(y, jax.Array) for y in jax.tree.leaves(x))


def types_of_split(tree: Any, like: Any) -> Any:
    """How types say that the arrays of a tree are split; else in the mesh of another.

    None where they do not.
    """
    arrays = [x for x in jax.tree.leaves(like) if isinstance(x, jax.Array)]
    seen = [jax.typeof(x).sharding for x in arrays]
    split = [x for x in seen if AxisType.Explicit in x.mesh.axis_types]
    if not split:
        return None

    def sharding(x: Any) -> Any:
        own = jax.typeof(x).sharding
        return own if own.mesh == split[0].mesh else everywhere(split[0])

    return jax.tree.map(sharding, tree)


def everywhere(sharding: Any) -> Any:
    """The sharding of what every device of a mesh has."""
    return sharding.update(spec=jax.P())


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
