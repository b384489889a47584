"""The counts of an optimizer: how many steps PyTorch has taken."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.accumulation import MultiSteps
from jaxopt_lite.combine.condition import ConditionallyMask, ConditionallyTransform
from jaxopt_lite.combine.inject import InjectHyperparams
from jaxopt_lite.core import checks
from jaxopt_lite.core.numbers import fixed_whole_number
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.interop.pytorch_state.axes import WHERE
from jaxopt_lite.interop.pytorch_state.kept import Kept
from jaxopt_lite.interop.pytorch_state.saved import Saved
from jaxopt_lite.interop.pytorch_state.walk import Node
from jaxopt_lite.schedules.stateful import WrappedScheduleState

_COUNTS: dict[type[Any], str] = {
    ConditionallyMask: "step",
    ConditionallyTransform: "step",
    MultiSteps: "gradient_step",
}
"""What counts the steps beside the rules and `inject_hyperparams`, and where."""


def counted(
    nodes: Sequence[Node],
    rules: Sequence[Kept],
    saved: Mapping[str, Saved],
    flat: Flat,
    count: int | None,
) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Each count of the steps, and that which takes its place.

    Raises:
        ValueError: if `count` is needed, or another than was saved.
    """
    if count is not None:
        fixed_whole_number(f"{WHERE}: count", count, least=0)
    counts = [(x, rule.seen) for rule in rules for x in rule.counts]
    counts += [(x, node.seen) for node in nodes for x in _counts(node)]
    for old, seen in counts:
        yield old, jnp.asarray(_taken(_steps(seen, saved, flat), count), old.dtype)


def _taken(steps: Sequence[int | None], count: int | None) -> int:
    """How many steps were taken by what sees parameters that took so many."""
    if not steps:
        return count or 0
    known = [x for x in steps if x is not None]
    if len(known) == len(steps):
        most = max(known)
        if count not in (None, most):
            raise ValueError(
                f"{WHERE}: count is {count}, and the state dict is of step {most}; "
                f"expected the same. Leave it out."
            )
        return most
    if count is None:
        raise ValueError(
            f"{WHERE}: the state dict does not say how many steps were taken, and the "
            f"optimizer counts them; expected `count`, such as that of the learning "
            f"rate's schedule in PyTorch: count=scheduler.last_epoch."
        )
    return count


def _steps(
    seen: Sequence[bool], saved: Mapping[str, Saved], flat: Flat
) -> list[int | None]:
    """How many steps each leaf has taken that is seen."""
    return [
        saved[path].step
        for path, is_seen in zip(flat.paths, seen, strict=True)
        if is_seen and path in saved
    ]


def _counts(node: Node) -> list[jax.Array]:
    """The counts of what is no rule."""
    if isinstance(node.tx, InjectHyperparams):
        states = node.state.hyperparams_states.values()
        own = [x.count for x in states if isinstance(x, WrappedScheduleState)]
        return [node.state.count, *own]
    name = _COUNTS.get(type(node.tx))
    return [getattr(node.state, name)] if name else []


def report_unequal(
    rules: Sequence[Kept], saved: Mapping[str, Saved], flat: Flat
) -> None:
    """Warns of parameters that took fewer steps than others under one count."""
    lines: dict[str, None] = {}
    for rule in rules:
        places = [path for path, s in zip(flat.paths, rule.seen, strict=True) if s]
        steps = {path: saved[path].step or 0 for path in places if path in saved}
        most = max(steps.values(), default=0)
        if rule.counterpart.slots and rule.counts:
            lines |= {
                f"  {checks.quote(path)}: {n} steps of {most}": None
                for path, n in steps.items()
                if n < most
            }
    if lines:
        text = [
            f"{WHERE}: some parameters took fewer steps than others.",
            *lines,
            "One count stands for all here: what the rules make of it, such as the "
            "bias correction, is that of the others. Give such parameters a group of "
            "their own in `partition`.",
        ]
        warnings.warn("\n".join(text), UserWarning, stacklevel=3)
