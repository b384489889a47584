"""The configuration that a training sees."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_lite.core.value import short_repr, structural_key
from jaxopt_lite.sweep.space import Space, known


class Static:
    """Values that are structure, as they are."""

    def __init__(self, values: Mapping[str, Any]):
        self.values = dict(values)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Static) and self._key == other._key

    def __hash__(self) -> int:
        return hash(tuple(self.values))

    @property
    def _key(self) -> list[Any]:
        return [(name, structural_key(x)) for name, x in self.values.items()]


@jax.tree_util.register_pytree_node_class
class Hyperparameters(Mapping[str, Any]):
    """A mapping from the names of the axes to the values of one configuration.

    A number of a sweep is an array and so a leaf, anything else is structure: many
    configurations are one with an axis of lanes in its leaves.
    """

    def __init__(self, static: Static, numbers: Mapping[str, Any]):
        self._static, self._numbers = static, dict(numbers)
        # In the order of the axes, which `static` has with a gap for each number.
        self._entries = {**static.values, **self._numbers}

    def tree_flatten(self) -> tuple[tuple[Any, ...], Any]:
        return tuple(self._numbers.values()), (self._static, tuple(self._numbers))

    @classmethod
    def tree_unflatten(cls, aux: Any, leaves: Any) -> "Hyperparameters":
        static, names = aux
        return cls(static, dict(zip(names, leaves, strict=True)))

    def __getitem__(self, name: str) -> Any:
        return self._entries[known("hyperparameter", name, tuple(self._entries))]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        pairs = (f"{name!r}: {short_repr(x)}" for name, x in self._entries.items())
        return f"{{{', '.join(pairs)}}}"


def numbers(space: Space) -> dict[str, np.ndarray]:
    """The axes that are traced: the value of each configuration, in JAX's dtypes."""
    axes = [axis.name for axis in space.axes if axis.is_number]
    return {name: _in_jax(name, np.asarray(space.column(name))) for name in axes}


def _in_jax(name: str, x: np.ndarray) -> np.ndarray:
    """Numbers in the dtype that JAX gives them.

    Raises:
        ValueError: if it does not hold them, or XLA takes them for 0.
    """
    with np.errstate(over="ignore", under="ignore"):
        kept = x.astype(jax.dtypes.canonicalize_dtype(x.dtype))
    if np.issubdtype(x.dtype, np.integer):
        lost = kept != x
    else:
        least = np.finfo(kept.dtype).tiny  # XLA flushes what is subnormal
        lost = (np.isfinite(x) & ~np.isfinite(kept)) | ((x != 0) & (abs(kept) < least))
    if lost.any():
        first = x[lost][0]
        why = "does not hold" if abs(first) > 1 else "takes for 0"
        x64 = "" if kept.dtype.itemsize == 8 else ", or jax_enable_x64"
        raise ValueError(
            f"sweep: {name!r} has {first!s}, which {kept.dtype} {why}; expected other "
            f"units{x64}."
        )
    return kept


def with_numbers(
    configuration: dict[str, Any], numbers: Mapping[str, Any]
) -> Hyperparameters:
    """A configuration with arrays in the place of its numbers."""
    static = {k: None if k in numbers else x for k, x in configuration.items()}
    return Hyperparameters(Static(static), numbers)
