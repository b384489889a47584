"""What the leaves of a shared rule settle on, before any of them moves."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_lite.core import kernel
from jaxopt_lite.core.given import at_leaf
from jaxopt_lite.core.numerics import distinct_unit, promote
from jaxopt_lite.core.parts import UNDIVIDED, Undivided
from jaxopt_lite.core.rule import SharedRule, keywords
from jaxopt_lite.core.stage import Stage
from jaxopt_lite.core.storage import arithmetic_dtype, update_dtype
from jaxopt_lite.core.trees import Flat


def agree(
    stage: Stage,
    g: Flat,
    p: list[Any],
    named: Mapping[str, Flat],
    common: Mapping[str, Any],
    parts: Undivided,
) -> Any:
    """What the leaves of a shared rule settle on; None where it sees no leaf."""
    seen = [i for i, setting in enumerate(stage.setting) if setting >= 0]
    if not seen:
        return None
    rule = stage.rules[0]
    assert isinstance(rule, SharedRule)
    begun = rule.begin()
    if begun != ():
        begun = begun._replace(**{name: stage.parts[name] for name in begun._fields})
    if rule.measure is None:
        total = None
        dtypes = [arithmetic_dtype(update_dtype(g.leaves[i], p[i])) for i in seen]
        kept = [x.dtype for x in jax.tree.leaves(begun)]
        dtype = functools.reduce(promote, dtypes + kept)
    else:
        parts = parts if rule.sums else UNDIVIDED
        total = _measure(stage, seen, g, p, begun, named, common, parts)
        dtype = jax.tree.leaves(total)[0].dtype
    keys = {k: common[k] for k in keywords(type(rule), "settle") if k in common}
    begun = kernel.with_numbers(begun, dtype)
    return kernel.with_numbers(rule, dtype).settle(
        begun, total, stage.step(dtype), **keys
    )


def _measure(
    stage: Stage,
    seen: Sequence[int],
    g: Flat,
    p: list[Any],
    begun: Any,
    named: Mapping[str, Flat],
    common: Mapping[str, Any],
    parts: Undivided,
) -> Any:
    """What the leaves measure, summed."""
    measured = []
    alike: Counter[tuple[int, ...]] = Counter()
    for i in seen:
        x, y = g.leaves[i], p[i]
        numbers, structure = jax.tree.flatten(stage.rules[stage.setting[i]])
        dtype = update_dtype(x, y)
        measure = kernel.measure_program(structure, dtype, stage.kept[i])
        unit = distinct_unit(alike[np.shape(x)])
        alike[np.shape(x)] += 1
        row, keys = stage.row(i, None), {**common, **at_leaf(named, i)}
        contribution = functools.partial(
            measure, numbers, stage.step(dtype), y, row, unit, begun, keys
        )
        measured.append(parts.measure(contribution, g.paths[i], x))
    return parts.total(measured)
