"""Distributions: what value a hyperparameter has at a point of the unit interval."""

import dataclasses
import math
import operator
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from jaxopt_lite.core.value import short_repr
from jaxopt_lite.sweep.axis import Axis, read_axes


class Distribution:
    """How an axis is drawn; `sample` and `sobol` read it at points of [0, 1)."""

    is_logarithmic: ClassVar[bool] = False

    def draw(self, name: str, u: np.ndarray) -> tuple[Axis, list[int]]:
        """The axis of that name, and which of its values each point takes."""
        values = tuple(self.at(u).tolist())
        return Axis(name, values, True, self.is_logarithmic), list(range(len(values)))

    def at(self, u: np.ndarray) -> np.ndarray:
        """The quantiles at `u`."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Uniform(Distribution):
    """Numbers of an interval, all equally likely."""

    low: float
    high: float

    def at(self, u: np.ndarray) -> np.ndarray:
        return self.low * (1 - u) + self.high * u  # of which none overflows


@dataclasses.dataclass(frozen=True)
class LogUniform(Distribution):
    """Numbers of an interval whose logarithms are all equally likely."""

    is_logarithmic: ClassVar[bool] = True

    low: float
    high: float

    def at(self, u: np.ndarray) -> np.ndarray:
        return self.low ** (1 - u) * self.high**u


@dataclasses.dataclass(frozen=True)
class Integers(Distribution):
    """Whole numbers, all equally likely."""

    low: int
    high: int

    def at(self, u: np.ndarray) -> np.ndarray:
        return self.low + np.floor((self.high - self.low) * u).astype(np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Choice(Distribution):
    """The values of a list, all equally likely."""

    values: Any

    def draw(self, name: str, u: np.ndarray) -> tuple[Axis, list[int]]:
        (axis,) = read_axes("choice", {name: self.values})
        return axis, np.floor(len(axis.values) * u).astype(int).tolist()


def uniform(low: float, high: float) -> Distribution:
    """Numbers from `low` to `high`, all equally likely.

    Args:
        low: where the interval begins.
        high: where it ends, above `low`.

    Raises:
        TypeError: if one is no number.
        ValueError: if it is empty.

    Example:
        >>> from jaxopt_lite import sweep
        >>> sweep.uniform(0.8, 0.99)
        Uniform(low=0.8, high=0.99)
    """
    return Uniform(*_interval("uniform", float, low, high))


def log_uniform(low: float, high: float) -> Distribution:
    """Numbers from `low` to `high` whose logarithms are all equally likely.

        low**(1 - u) * high**u, with u uniform in [0, 1)

    Args:
        low: where the interval begins, above 0.
        high: where it ends, above `low`.

    Raises:
        TypeError: if one is no number.
        ValueError: if it is empty, or does not begin above 0.

    Example:
        >>> from jaxopt_lite import sweep
        >>> sweep.log_uniform(1e-4, 1e-1)
        LogUniform(low=0.0001, high=0.1)
    """
    return LogUniform(*_interval("log_uniform", float, low, high, above=0))


def integers(low: int, high: int) -> Distribution:
    """Whole numbers from `low` up to, and without, `high`; traced.

    Where each must be a Python number, such as the width of a layer, take
    `choice(range(low, high))`, which compiles for each.

    Args:
        low: the first, above -2**62.
        high: the one after the last, below 2**62.

    Raises:
        TypeError: if one is no whole number.
        ValueError: if there is none, or one is beyond these bounds.

    Example:
        >>> from jaxopt_lite import sweep
        >>> sweep.integers(1, 10)
        Integers(low=1, high=10)
    """
    return Integers(*_interval("integers", operator.index, low, high, -(2**62), 2**62))


def choice(values: Any) -> Distribution:
    """The values of a list, all equally likely.

    Args:
        values: what an axis of `grid` may be; numbers are traced and others static, as
            there.

    Raises:
        TypeError: if it is no sequence.
        ValueError: if it is empty or holds a nan.

    Example:
        >>> from jaxopt_lite import sweep
        >>> sweep.choice(["adam", "sgd"])
        Choice(values=['adam', 'sgd'])
    """
    read_axes("choice", {"values": values})
    return Choice(values)


def _interval(
    where: str,
    read: Callable[[Any], Any],
    low: Any,
    high: Any,
    above: float = -math.inf,
    below: float = math.inf,
) -> tuple[Any, Any]:
    """The ends of an interval as `read` makes them Python numbers, checked."""
    ends = []
    for name, x in {"low": low, "high": high}.items():
        try:
            ends.append(read(None if isinstance(x, bool | str | bytes) else x))
        except (TypeError, OverflowError):
            what = "a number" if read is float else "a whole number"
            raise TypeError(
                f"{where}: {name} is {short_repr(x)}; expected {what}."
            ) from None
    if not (above < ends[0] < ends[1] < below):
        raise ValueError(
            f"{where}: the interval goes from {short_repr(low)} to {short_repr(high)}; "
            f"expected {above} < low < high < {below}."
        )
    return ends[0], ends[1]
