"""The one lift: runs rules over trees and owns all that is not arithmetic.

A run is a chain of adjacent leaf rules. Scalars that concern the whole tree (counts,
schedules, what the leaves of a shared rule agree on) are settled first; then each leaf
goes through the whole run at once, in the program that `kernel` compiles for its shape.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_lite.core import checks, kernel
from jaxopt_lite.core.agreement import agree
from jaxopt_lite.core.codec import Keeping, salt
from jaxopt_lite.core.given import at_leaf, named_by, take_apart
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.parts import UNDIVIDED
from jaxopt_lite.core.stage import Stage
from jaxopt_lite.core.storage import update_dtype
from jaxopt_lite.core.types import Params, State, Updates


def run(
    links: Sequence[Link],
    states: Sequence[State],
    updates: Updates,
    params: Params | None,
    extra: Mapping[str, Any],
) -> tuple[Updates, tuple[State, ...]]:
    """Takes the updates through a run of rules, of which only the first may measure.

    Where `extra["commit"]` is false, slots, shared numbers and counts stay as they
    were, chosen before the update is formed from them, so a guard costs no pass.
    """
    stages, g, p = take_apart(links, states, updates, params)
    commit = extra.get("commit")
    named, common = named_by(links, extra, g)
    for stage in stages:
        if stage.is_shared:
            parts = extra.get("device_parts", UNDIVIDED)
            stage.shared = agree(stage, g, p, named, common, parts)
    settings = [*zip(*(stage.setting for stage in stages), strict=True)]
    programs: dict[Any, _Program] = {}
    emitted = list(g.leaves)
    # What is fetched from the host for a leaf waits for the update before the last, so
    # that it is on its way while the last is computed.
    previous = latest = None
    for leaves in _together(stages, settings, g.leaves, p):
        first = leaves[0]
        kept = tuple(stage.kept[first] for stage in stages)
        key = (update_dtype(g.leaves[first], p[first]), settings[first], kept)
        if key not in programs:
            programs[key] = _program(stages, *key, commit, common)
        active, step, arguments, is_random = programs[key]
        own = [
            (
                g.leaves[i],
                p[i],
                [s.row(i, previous) for s in active],
                at_leaf(named, i),
                salt(g.paths[i]) if is_random else None,
            )
            for i in leaves
        ]
        try:
            moved = kernel.apply(step, arguments, own)
        except (TypeError, ValueError) as error:
            error.add_note(f"This was at {checks.quote(g.paths[first])}.")
            raise
        for i, (u, rows) in zip(leaves, moved, strict=True):
            emitted[i] = u
            for stage, row in zip(active, rows, strict=True):
                stage.set_row(i, row)
        previous, latest = latest, emitted[first]
    nexts = kernel.advance_counts([s.counts for s in stages], commit)
    closed = [
        stage.close(after, commit) for stage, after in zip(stages, nexts, strict=True)
    ]
    return g.rebuild(emitted), tuple(closed)


# As many elements may one stack of leaves have, for what is computed along the way.
_LARGEST_STACK = 2**25


class _Program(NamedTuple):
    """The rules that a leaf goes through, compiled, and what its leaves share."""

    active: list[Stage]
    step: Callable[..., Any]
    arguments: tuple[Any, ...]
    is_random: bool


def _program(
    stages: Sequence[Stage],
    dtype: Any,
    setting: Sequence[int],
    kept: Sequence[tuple[Keeping, ...]],
    commit: Any,
    common: Mapping[str, Any],
) -> _Program:
    """The program of the leaves with some settings, and updates of some dtype."""
    pairs = [(s, i) for s, i in zip(stages, setting, strict=True) if i >= 0]
    active = [stage for stage, _ in pairs]
    step, numbers = kernel.program(
        [stage.rules[i] for stage, i in pairs],
        dtype,
        tuple(kept[stage.index] for stage in active),
    )
    steps, shared = [s.step(dtype) for s in active], [s.shared for s in active]
    draws = [s.draw for s in active]
    arguments = (numbers, steps, commit, shared, common, draws)
    is_random = any(draw is not None for draw in draws)
    return _Program(active, step, arguments, is_random)


def _together(
    stages: Sequence[Stage],
    settings: Sequence[tuple[int, ...]],
    g: Sequence[Any],
    p: Sequence[Any],
) -> Iterable[Sequence[int]]:
    """The leaves that some rule sees, those that go as one stack together."""
    seen = [i for i, setting in enumerate(settings) if max(setting) >= 0]
    if not any(stage.link.rule.stacks for stage in stages):
        yield from ((i,) for i in seen)
        return
    groups: dict[Any, list[int]] = {}
    for i in seen:
        x, y = g[i], p[i]
        stacks = any(
            stage.link.rule.stacks and j >= 0
            for stage, j in zip(stages, settings[i], strict=True)
        )
        key: Any = i
        if stacks and isinstance(x, jax.core.Tracer):  # others may be on other devices
            kept = tuple(stage.kept[i] for stage in stages)
            key = (
                settings[i],
                kept,
                jax.typeof(x),
                None if y is None else jax.typeof(y),
            )
        groups.setdefault(key, []).append(i)
    for leaves in groups.values():
        many = max(1, _LARGEST_STACK // max(1, np.size(g[leaves[0]])))
        for start in range(0, len(leaves), many):
            yield leaves[start : start + many]
