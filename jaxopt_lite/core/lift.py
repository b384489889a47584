"""The one lift: runs rules over trees and owns all that is not arithmetic.

A run is a chain of adjacent leaf rules. Scalars that concern the whole tree (counts,
schedules, what the leaves of a shared rule agree on) are settled first; then each leaf
goes through the whole run at once, in the program that `kernel` compiles for its shape.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import and_
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks, kernel
from jaxopt_lite.core.codec import Keeping, salt
from jaxopt_lite.core.columns import held
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.numerics import distinct_unit, promote
from jaxopt_lite.core.parts import UNDIVIDED, Undivided
from jaxopt_lite.core.rule import SharedRule, keywords
from jaxopt_lite.core.stage import Stage, aligned
from jaxopt_lite.core.storage import arithmetic_dtype, update_dtype
from jaxopt_lite.core.trees import Flat, is_end
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
    stages, g, p = _take_apart(links, states, updates, params)
    commit = extra.get("commit")
    named, common = _named(links, extra, g)
    for stage in stages:
        if stage.is_shared:
            parts = extra.get("device_parts", UNDIVIDED)
            stage.shared = _agree(stage, g, p, named, common, parts)
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
                _at_leaf(named, i),
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


def _take_apart(
    links: Sequence[Link], states: Sequence[State], updates: Updates, params: Params
) -> tuple[list[Stage], Flat, list[Any]]:
    """The links with their states, the gradients and the parameters, all checked."""
    name = links[0].name
    g = Flat(updates)
    p = None if params is None else checks.align(name, g, "params", params)
    view = p or g
    # Without a gradient a leaf takes no part, if no state was made for it either.
    is_given = [not is_end(x) for x in g.leaves]
    seen_by = [list(map(and_, link.sees(view), is_given)) for link in links]
    seen = [any(by_each) for by_each in zip(*seen_by, strict=True)]
    checks.inexact(name, "gradient", g, seen)
    if p is not None:
        trained = seen if all(is_given) else _kept(links, states, p)
        checks.presence(name, g, p, trained)
        checks.shapes(name, "gradient", g, "parameter", p)
        checks.inexact(name, "parameter", p, seen)
    elif needy := [link.name for link in links if link.rule.reads_params]:
        raise ValueError(
            f"{needy[0]}: update was called without params; expected the parameters. "
            f"Call update(updates, state, params)."
        )
    stages = [
        Stage(i, link, state, view, by_this)
        for i, (link, state, by_this) in enumerate(
            zip(links, states, seen_by, strict=True)
        )
    ]
    return stages, g, [None] * len(g.leaves) if p is None else p.leaves


def _kept(links: Sequence[Link], states: Sequence[State], p: Flat) -> list[bool]:
    """Whether some slot is kept for each leaf."""
    kept = [False for _ in p.leaves]
    for link, state in zip(links, states, strict=True):
        parts = link.unpack(state)
        for slot in link.rule.Slots._fields:
            column = aligned(link, slot, parts[slot], p)
            kept = [k or not is_end(x) for k, x in zip(kept, held(column), strict=True)]
    return kept


def _named(
    links: Sequence[Link], extra: Mapping[str, Any], g: Flat
) -> tuple[dict[str, Flat], dict[str, Any]]:
    """The keywords that the rules name, out of those that the caller passed.

    Those that are trees, in the order of the gradients; then those for all leaves.
    """
    demanded = {
        (link.name, name): is_demanded
        for link in links
        for method in ("advance", "emit", "update", "measure", "settle")
        for name, is_demanded in keywords(type(link.rule), method).items()
        if name not in ("shared", "unit")
    }
    for (rule, name), is_demanded in sorted(demanded.items()):
        if is_demanded and name not in extra:
            raise TypeError(
                f"{rule}: update was called without `{name}`; expected it as a "
                f"keyword. Call update(updates, state, params, {name}=...)."
            )
    named = {name: extra[name] for _, name in demanded if name in extra}
    if "value" in named:
        check_value(next(r for r, name in demanded if name == "value"), named["value"])
    trees = {}
    for link in links:
        for name in link.rule.trees:
            if name in extra:
                trees[name] = checks.align(link.name, g, name, extra[name])
                checks.shapes(link.name, name, trees[name], "gradient", g)
    return trees, {k: x for k, x in named.items() if k not in trees}


def check_value(rule: str, value: Any) -> None:
    """Refuses a loss that is no number."""
    dtype = getattr(value, "dtype", np.dtype(type(value)))
    if np.ndim(value) or not jnp.issubdtype(dtype, jnp.number):
        raise ValueError(
            f"{rule}: value is {checks.describe(value)}; expected the loss, one number."
        )


def _at_leaf(trees: Mapping[str, Flat], i: int) -> dict[str, Any]:
    """The keywords that are trees, of each the leaf at one place."""
    return {name: flat.leaves[i] for name, flat in trees.items()}


def _agree(
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
        row, keys = stage.row(i, None), {**common, **_at_leaf(named, i)}
        contribution = functools.partial(
            measure, numbers, stage.step(dtype), y, row, unit, begun, keys
        )
        measured.append(parts.measure(contribution, g.paths[i], x))
    return parts.total(measured)
