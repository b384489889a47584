"""Whether an optimizer's numbers are those that PyTorch trained with."""

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import Leafwise
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.interop.pytorch_state.axes import WHERE
from jaxopt_lite.interop.pytorch_state.fields import ABSENT, COUNTERPARTS, Counterpart
from jaxopt_lite.interop.pytorch_state.saved import Saved, array
from jaxopt_lite.interop.pytorch_state.walk import Node

_DECOUPLED = "decoupled_weight_decay"


def report_numbers(
    nodes: Iterable[Node], saved: Mapping[str, Saved], flat: Flat
) -> None:
    """Warns of numbers in force at the next step that are not those of a state dict."""
    ours = dict(zip(flat.paths, _in_force(nodes, flat), strict=True))
    differing: dict[str, list[str]] = {}
    for path, x in saved.items():
        for text in _differences(ours[path], dict(_numbers(x.group))):
            differing.setdefault(text, []).append(path)
    if differing:
        lines = [
            f"{WHERE}: some numbers are not those of the state dict.",
            *(f"  {x} at {checks.listed(at)}" for x, at in differing.items()),
            "The optimizer's are in force: make it with PyTorch's, unless that is "
            "meant.",
        ]
        warnings.warn("\n".join(lines), UserWarning, stacklevel=3)


def _in_force(nodes: Iterable[Node], flat: Flat) -> list[dict[str, list[Any]]]:
    """The numbers of each leaf by PyTorch's name, in the order in which they act."""
    found: list[dict[str, list[Any]]] = [{} for _ in flat.leaves]
    adapted: set[int] = set()
    for node in nodes:
        if not isinstance(node.tx, Leafwise):
            continue
        counterpart = COUNTERPARTS.get(type(node.tx.rule), Counterpart(()))
        named = _named(node, counterpart, flat)
        for i in (i for i, is_seen in enumerate(node.seen) if is_seen):
            for name, values in named.items():
                found[i].setdefault(name, []).append(values[i])
            if "weight_decay" in named:
                found[i][_DECOUPLED] = [i in adapted]
            if counterpart.slots:
                adapted.add(i)
    return found


def _named(
    node: Node, counterpart: Counterpart, flat: Flat
) -> dict[str, Sequence[Any]]:
    """The numbers of one rule, of each a value for every leaf."""
    numbers = node.tx.in_force(node.state)
    named: dict[str, Sequence[Any]] = {
        name: [x for _ in flat.leaves] for name, x in counterpart.fixed.items()
    }
    for ours, theirs in counterpart.numbers.items():
        x = numbers[ours]
        named[theirs] = (
            [x.values[i] for i in x.choose(WHERE, flat, node.seen)]
            if isinstance(x, ByPath)
            else [x for _ in flat.leaves]
        )
    return named


def _numbers(group: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a group, those of pairs apart."""
    for name, x in group.items():
        if isinstance(x, tuple | list) and name not in ("params", "param_names"):
            yield from ((f"{name}[{i}]", y) for i, y in enumerate(x))
        elif (y := array(x)).ndim == 0 and y.dtype.kind in "biuf":
            yield name, y.item()


def _differences(
    ours: Mapping[str, Sequence[Any]], theirs: Mapping[str, float]
) -> Iterator[str]:
    """What differs at one parameter."""
    for name, x in theirs.items():
        absent = [ABSENT[name]] if name in ABSENT else []
        found = ours.get(name, absent)
        # Rates multiply; what else stands several times is no one number.
        is_one = len(found) == 1 or (name == "lr" and found)
        is_idle = name == _DECOUPLED and not theirs.get("weight_decay")
        if is_idle or not is_one or not all(map(_is_known, found)):
            continue
        y = math.prod(map(float, found))
        if not math.isclose(y, x, rel_tol=1e-6):
            here = bool(y) if isinstance(x, bool) else y
            yield f"{name}: {_shown(here)} here, {_shown(x)} in PyTorch"


def _is_known(x: Any) -> bool:
    return not isinstance(x, jax.core.Tracer) and np.ndim(x) == 0


def _shown(x: float) -> str:
    return str(x) if isinstance(x, bool) else f"{x:.6g}"
