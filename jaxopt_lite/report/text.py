"""How reports show numbers and tables."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.value import is_array, short_repr
from jaxopt_lite.schedules.layers import Multiple


def shown(x: Any) -> str:
    """A hyperparameter in few characters."""
    if is_array(x) and x.shape == () and not isinstance(x, jax.core.Tracer):
        return f"{np.asarray(x):g}"
    if isinstance(x, Multiple):
        return f"{shown(x.factor)} * {shown(x.schedule)}"
    if isinstance(x, Schedule):
        return type(x).__name__
    return f"{x:g}" if isinstance(x, float) else short_repr(x)


def columns(lines: Iterable[Sequence[str]]) -> str:
    """Lines of cells, each column as wide as its widest cell."""
    lines = list(lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def snake(name: str) -> str:
    """`ScaleByAdam` as the function is called: `scale_by_adam`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
