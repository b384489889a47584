"""The configuration that a training sees."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_lite.core.value import Value, short_repr
from jaxopt_lite.sweep.space import Space, known


class Hyperparameters(Value, Mapping[str, Any]):
    """A mapping from the names of the axes to the values of one configuration.

    A number of a sweep is an array and so a leaf, anything else is structure: many
    configurations are one with an axis of lanes in its leaves.
    """

    names: tuple[str, ...]
    entries: tuple[Any, ...]

    def __getitem__(self, name: str) -> Any:
        return self.entries[self.names.index(known("hyperparameter", name, self.names))]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        pairs = zip(self.names, self.entries, strict=True)
        return f"{{{', '.join(f'{name!r}: {short_repr(x)}' for name, x in pairs)}}}"


def numbers(space: Space) -> dict[str, np.ndarray]:
    """The axes that are traced: the value of each configuration, in JAX's dtypes."""
    axes = [axis.name for axis in space.axes if axis.is_number]
    columns = {name: np.asarray(space.column(name)) for name in axes}
    return {
        name: x.astype(jax.dtypes.canonicalize_dtype(x.dtype))
        for name, x in columns.items()
    }


def with_numbers(
    configuration: dict[str, Any], numbers: Mapping[str, Any]
) -> Hyperparameters:
    """A configuration with arrays in the place of its numbers."""
    entries = {**configuration, **numbers}
    return Hyperparameters(tuple(entries), tuple(entries.values()))
