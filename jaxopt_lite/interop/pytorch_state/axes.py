"""The order of axes: PyTorch has the outputs of a layer first, Flax last."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.paths import ByPath, by_path
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.interop.pytorch_state.fields import Buffers

WHERE = "load_state_dict"

Transpose: TypeAlias = Mapping[str, Any] | ByPath | Callable[..., Any] | None
"""By path for each axis of ours which of PyTorch's it is; or a function."""

_USUAL = [(1, 0), (2, 1, 0), (2, 3, 1, 0), (2, 3, 4, 1, 0)]
"""The axes of kernels: dense, and convolutions over one, two and three axes."""


def turn(
    saved: Mapping[str, Buffers], transpose: Transpose, flat: Flat
) -> dict[str, Buffers]:
    """The buffers by path, with their axes in our order.

    Raises:
        TypeError: if `transpose` tells no axes.
        ValueError: if axes are not those of an array; all such parameters are named.
    """
    axes = _by_leaf(transpose, flat)
    problems = [
        (path, f"axes {axes[path]!r}, {name} {checks.describe(x)}")
        for path, buffers in saved.items()
        for name, x in buffers.items()
        if not _fit(axes[path], x)
    ]
    if problems:
        checks.fail(
            f"{WHERE}: the axes in `transpose` are not those of "
            f"{checks.plural(len(problems), 'array', 'arrays')}.",
            problems,
            "Expected for each axis of ours which of PyTorch's it is, such as (1, 0); "
            "or a function of the array; or None.",
            ValueError,
        )
    return {
        path: {name: _turned(axes[path], x) for name, x in buffers.items()}
        for path, buffers in saved.items()
    }


def _by_leaf(transpose: Transpose, flat: Flat) -> dict[str, Any]:
    """The axes, or a function of the array, or None, by path."""
    if transpose is None:
        return dict.fromkeys(flat.paths)
    if isinstance(transpose, Mapping):
        transpose = by_path({**transpose, "*": transpose.get("*")})
    if isinstance(transpose, ByPath):
        transpose.judge(f"{WHERE}: transpose", flat)
        return dict(zip(flat.paths, transpose.resolve(WHERE, flat), strict=True))
    if not callable(transpose):
        raise TypeError(
            f"{WHERE}: transpose is {transpose!r}; expected a dict from patterns to "
            f"axes, such as {{'*kernel': (1, 0)}}, or a function of path and array."
        )
    function = transpose
    return {path: lambda x, path=path: function(path, x) for path in flat.paths}


def _fit(axes: Any, x: np.ndarray) -> bool:
    if axes is None or callable(axes) or not x.ndim:
        return True
    return isinstance(axes, tuple) and sorted(axes) == list(range(x.ndim))


def _turned(axes: Any, x: np.ndarray) -> np.ndarray:
    if axes is None or not x.ndim:
        return x
    return np.asarray(axes(x) if callable(axes) else np.transpose(x, axes))


def fitting(found: tuple[int, ...], expected: tuple[int, ...]) -> tuple[int, ...]:
    """The axes in which an array of one shape has another; none if there are no such.

    The usual ones come before the others.
    """
    axes = [x for x in _USUAL if len(x) == len(found) == len(expected)]
    if len(found) == len(expected) <= 5:
        axes += itertools.permutations(range(len(found)))
    fits = (x for x in axes if tuple(found[i] for i in x) == expected)
    return next(fits, ())
