"""Over which axes the blocks of a parameter extend that have one number each."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.matrices import Axes
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.selectors import PerLeaf
from jaxopt_lite.core.trees import Flat

_BIAS = re.compile(r"(?i)(^|/)bias$")
_TABLE = re.compile(r"(?i)embeddings?$")
_HEADS = re.compile(r"(?i)(^|/)(query|key)/kernel$")
_VALUES = re.compile(r"(?i)(^|/)value/kernel$")


def usual_axes(path: str, ndim: int) -> tuple[int, ...]:
    """Over which axes a block of a parameter extends, if nobody says.

    By path, as the same three axes are (in, heads, head_dim), or a convolution's.
    """
    every = tuple(range(ndim))
    if ndim < 2 or _BIAS.search(path):
        return every
    if _TABLE.search(path):
        return every[-1:]
    if ndim == 3 and _HEADS.search(path):
        return (0, 2)
    if ndim == 3 and _VALUES.search(path):
        return (0,)
    return every[:-1]


class BlockAxes(PerLeaf):
    """The axes over which a block of each parameter extends.

    `given` is `by_path` of tuples; None, and None in it, stand for `usual_axes`.
    """

    given: ByPath | None

    def judge(self, where: str, flat: Flat) -> None:
        if self.given is not None:
            self.given.judge(where, flat)

    def resolve(self, where: str, flat: Flat, seen: Sequence[bool]) -> list[Any]:
        """The axes of every leaf that is seen, counted from the front.

        Raises:
            ValueError: if a leaf has not the axes that it is given; all are named.
        """
        found: list[tuple[int, ...]] = []
        problems = []
        for path, leaf, axes, is_seen in zip(
            flat.paths, flat.leaves, self._given(where, flat, seen), seen, strict=True
        ):
            if not is_seen:
                found.append(())
                continue
            ndim = np.ndim(leaf)
            axes = usual_axes(path, ndim) if axes is None else axes
            try:
                found.append(Axes(axes, ()).of_rank(ndim).rows)
            except ValueError as error:
                text = f"{checks.describe(leaf)} {error}; found {axes}"
                problems.append((path, text))
        if problems:
            checks.fail(
                f"{where}: axes that do not fit.",
                problems,
                "Expected axes of the parameter, each at most once, or None for the "
                "usual ones.",
                ValueError,
            )
        return found

    def _given(self, where: str, flat: Flat, seen: Sequence[bool]) -> list[Any]:
        """What was said of every leaf."""
        if self.given is None:
            return [None for _ in seen]
        chosen = self.given.choose(where, flat, seen)
        return [self.given.values[i] if i >= 0 else None for i in chosen]


def block_axes(given: Any) -> BlockAxes:
    """The axes that a user gives by path.

    Raises:
        TypeError: if they are no `by_path`, or a value is no axis, axes or None.
    """
    if given is None:
        return BlockAxes(None)
    if not isinstance(given, ByPath):
        raise TypeError(
            f"axes is {given!r}; expected by_path of axes, such as "
            f"by_path({{'lm_head/*': 0, '*': None}}), or None for the usual ones."
        )
    return BlockAxes(dataclasses.replace(given, values=tuple(map(_axes, given.values))))


def _axes(given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    axes = tuple(given) if isinstance(given, tuple | list) else (given,)
    if not all(type(i) is int for i in axes):
        raise TypeError(
            f"axes of a pattern are {given!r}; expected an integer, a tuple of "
            f"integers, or None for the usual ones."
        )
    return axes
