"""Learning rates that fall from layer to layer."""

import re
from collections.abc import Sequence
from typing import Any

from jaxopt_lite.core import checks
from jaxopt_lite.core.hyperparameters import Schedule
from jaxopt_lite.core.numbers import fixed_number, fixed_whole_number, number
from jaxopt_lite.core.paths import ByPath, by_path, matches
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Count, Hyperparameter, Numeric, Params


class Multiple(Schedule):
    """A schedule times a number."""

    factor: Any
    schedule: Any

    def __call__(self, count: Count | int) -> Numeric:
        return self.factor * self.schedule(count)


def layerwise_decay(
    pattern: str,
    rate: Numeric,
    layers: int | Params,
    *,
    below: str | Sequence[str] = (),
    top: Hyperparameter = 1.0,
) -> ByPath:
    """Numbers by path that fall from each layer to the one below it.

        top * rate**0           what is no layer, such as the head
        top * rate**(n - i)     layer i of n, from 0 at the bottom
        top * rate**(n + 1)     what lies below the layers, such as an embedding

    A lower layer of a pretrained network is to change less than a higher one. It goes
    wherever a number goes: `adamw(layerwise_decay(…, top=schedule))`, or
    `scale(layerwise_decay(…))` behind any optimizer, as a multiplier.

    Args:
        pattern: a pattern of `by_path` with `{}` in the place of the layer's number,
            such as `"layers_{}"` or `"encoder/layers/{}/*"`.
        rate: what a layer gets of the one above it, at least 0: a number or an array.
        layers: the parameters, or their shapes, in which the layers are found, numbered
            however they are; or how many there are, numbered from 0, of which one too
            many would get `top`.
        below: patterns of what lies below the first layer; what none of them matches
            gets `top`.
        top: a number, an array or a schedule.

    Returns:
        A `by_path` with a pattern for each layer, the topmost first.

    Raises:
        ValueError: if `pattern` holds no `{}`, `rate` or `top` is negative, there are
            fewer than one layer, or none is found.
        TypeError: if `rate` or `top` is of another type, such as `by_path`.

    Source: Howard and Ruder 2018, arXiv 1801.06146; Bao et al. 2021, arXiv 2106.08254,
    whose exponents these are. ELECTRA (arXiv 2003.10555) has one more for each layer.

    Example:
        >>> import jaxopt_lite as jl
        >>> rates = jl.layerwise_decay("block_{}", 0.5, 2, below="embed", top=0.8)
        >>> rates
        by_path({'block_1': 0.4, 'block_0': 0.2, 'embed': 0.1, '*': 0.8})
        >>> tx = jl.adamw(rates, weight_decay=0.01, mask=jl.weights_only)
    """
    if not isinstance(pattern, str) or "{}" not in pattern:
        raise ValueError(
            f"layerwise_decay: the pattern is {pattern!r}; expected one with '{{}}' in "
            f"the place of the layer's number, such as 'layers_{{}}'."
        )
    if isinstance(top, ByPath):
        raise TypeError(
            "layerwise_decay: top is by_path; expected one number or schedule for what "
            "is no layer."
        )
    rate = fixed_number("rate", rate)
    top = number("top", top)
    found = _patterns(pattern, layers)
    lowest = [below] if isinstance(below, str) else below
    powers = {x: depth + 1 for depth, x in enumerate(reversed(found))}
    powers |= dict.fromkeys(lowest, len(found) + 1)
    numbers = {x: _times(rate**n, top) for x, n in powers.items()}
    return by_path({**numbers, "*": numbers.get("*", top)})


def _times(factor: Numeric, x: Any) -> Any:
    """A number or a schedule times a number."""
    return Multiple(factor, x) if isinstance(x, Schedule) else factor * x


def _patterns(pattern: str, layers: int | Params) -> list[str]:
    """The pattern of each layer, from the bottom."""
    if not isinstance(layers, int | float):
        return [pattern.replace("{}", i) for i in _numbers(pattern, layers)]
    layers = fixed_whole_number("layers", layers, 1)
    return [pattern.replace("{}", str(i)) for i in range(layers)]


def _numbers(pattern: str, params: Params) -> list[str]:
    """The numbers of the layers that some parameter belongs to, as they are written."""
    flat = Flat(params)
    paths = [p for p, x in zip(flat.paths, flat.leaves, strict=True) if not is_end(x)]
    found = {
        digits
        for path in paths
        for digits in re.findall(r"\d+", path)
        if matches(pattern.replace("{}", digits), path)
    }
    if not found:
        raise ValueError(
            f"layerwise_decay: no parameter matches {pattern!r}; expected numbers in "
            f"the place of '{{}}' in some of {checks.listed(paths)}."
        )
    return sorted(found, key=int)
