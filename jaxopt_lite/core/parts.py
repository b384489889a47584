"""What is summed over whole trees, where devices have parts of the arrays."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from jaxopt_lite.core import kernel
from jaxopt_lite.core.value import Value

Split: TypeAlias = tuple[tuple[int, tuple[str, ...]], ...]
"""The size of each axis of an array, and the axes of the mesh over which it lies."""


class Undivided(Value):
    """Measures each array as it is."""

    def measure(self, contribution: Callable[[Any], Any], path: str, x: Any) -> Any:
        """What one array contributes."""
        return contribution(x)

    def total(self, measured: Sequence[Any]) -> Any:
        """The sum of what several contribute."""
        return kernel.total(measured)


UNDIVIDED = Undivided()


class Parts(Undivided):
    """Has each device measure its part of an array.

    It adds up what it measured of all of them before it sends anything. XLA may reduce
    the contribution of each array on its own. What lies whole it may measure whole:
    where the contributions lie is not said, or such an array would be split for them.
    """

    sizes: dict[str, int]
    splits: dict[str, Split]

    def measure(self, contribution: Callable[[Any], Any], path: str, x: Any) -> Any:
        """Over which axes an array lies; what each device contributes, side by side."""
        split = self.splits.get(path, ())
        if jnp.shape(x) != tuple(n for n, _ in split):
            return (), jax.tree.map(lambda y: y[None], contribution(x))
        order = tuple(sorted(name for _, names in split for name in names))
        return order, jax.vmap(contribution)(self._side_by_side(x, split, order))

    def _side_by_side(self, x: Any, split: Split, order: Sequence[str]) -> Any:
        """The parts of an array along a new first axis, by devices in some order."""
        cut: list[int] = []
        rest: list[int] = []
        at: dict[str, int] = {}
        for n, names in split:
            for name in names:
                at[name] = len(cut)
                cut.append(self.sizes[name])
            rest.append(n // math.prod(self.sizes[name] for name in names))
            cut.append(rest[-1])
        front = [at[name] for name in order]
        parts = jnp.moveaxis(jnp.reshape(x, cut), front, range(len(front)))
        return parts.reshape(math.prod(parts.shape[: len(front)]), *rest)

    def total(self, measured: Sequence[Any]) -> Any:
        """Their sum: first over arrays, then over devices."""
        alike: dict[tuple[str, ...], list[Any]] = {}
        for axes, x in measured:
            alike.setdefault(axes, []).append(x)
        sums = [jax.tree.map(_over_devices, kernel.total(x)) for x in alike.values()]
        return kernel.total(sums)


def _over_devices(x: Any) -> Any:
    return jnp.sum(x, 0)
