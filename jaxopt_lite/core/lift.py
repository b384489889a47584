"""The one lift: runs rules over trees and owns all that is not arithmetic.

A run is a chain of adjacent leaf rules. Each leaf goes through the whole run in one
inner `jit`, which is traced once per (rules, shape, dtype) however many leaves there
are, and which XLA inlines at no cost. Scalars that concern the whole tree (counts,
schedules, what the leaves of a shared rule agree on) are settled before.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.hyperparameters import at_count, is_scheduled
from jaxopt_lite.core.numerics import UNIT, promote, real, saturating_increment
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.rule import (
    Rule,
    SharedRule,
    counts,
    fields,
    keywords,
    pack,
    shared_names,
    slot_kinds,
    unpack,
)
from jaxopt_lite.core.selectors import Selector
from jaxopt_lite.core.storage import Storage, arithmetic_dtype, update_dtype, widen
from jaxopt_lite.core.transformation import select
from jaxopt_lite.core.trees import Flat, MaskedNode, is_end
from jaxopt_lite.core.types import EXACT, Params, State, Updates
from jaxopt_lite.core.value import field_names

# Up to this many different settings of a rule by path are traced apart, each with its
# Python numbers exact. Beyond it, what differs enters one trace as scalars.
_SEPARATE_TRACES = 8


class Link(NamedTuple):
    """A leaf rule in a run: what it computes, how it is kept, which leaves it sees."""

    rule: Rule
    storage: Storage
    masks: tuple[Selector, ...] = ()

    @property
    def name(self) -> str:
        return type(self.rule).__name__

    def sees(self, flat: Flat) -> list[bool]:
        """Whether each leaf is this rule's business."""
        seen = [not is_end(leaf) for leaf in flat.leaves]
        for mask in self.masks:
            chosen = mask.resolve(self.name, flat)
            seen = [s and bool(c) for s, c in zip(seen, chosen, strict=True)]
        return seen


def init(link: Link, params: Params) -> State:
    """The state of one link before the first step."""
    flat = Flat(params)
    checks.inexact(link.name, "parameter", flat)
    for x in (*fields(link.rule), *link.masks):
        if isinstance(x, ByPath):
            x.judge(link.name, flat)
            x.choose(link.name, flat)
    seen = link.sees(flat)
    rows = [
        _init_leaf(link, p) if s else None
        for p, s in zip(flat.leaves, seen, strict=True)
    ]
    parts: dict[str, Any] = {}
    if counts(link.rule):
        parts["count"] = jnp.zeros((), jnp.int32)
    for name in shared_names(link.rule):
        parts[name] = jnp.asarray(getattr(link.rule.begin(), name))  # type: ignore[attr-defined]
    for slot in link.rule.Slots._fields:
        column = [
            getattr(row, slot) if row is not None else _absent(p)
            for row, p in zip(rows, flat.leaves, strict=True)
        ]
        alike = all(
            is_end(x) or x.shape == np.shape(p)
            for x, p in zip(column, flat.leaves, strict=True)
        )
        parts[slot] = (flat.rebuild if alike else flat.rebuild_bare)(column)
    return pack(link.rule, parts)


def _absent(p: Any) -> Any:
    """What stands in a slot's tree for a leaf without state."""
    return p if is_end(p) else MaskedNode()


def _init_leaf(link: Link, p: Any) -> Any:
    if not isinstance(p, jax.Array | jax.ShapeDtypeStruct):
        p = jnp.asarray(p)
    dtype = arithmetic_dtype(p.dtype)
    if isinstance(p, jax.Array):
        wide = p.astype(dtype)
    else:
        wide = jax.ShapeDtypeStruct(p.shape, dtype)  # type: ignore[assignment]
    slots = link.rule.init(wide)
    return type(slots)(
        *(
            _own(widen(x, dtype).astype(link.storage.dtype(slot, widen(x, dtype))), p)
            for slot, x in zip(slots._fields, slots, strict=True)
        )
    )


def _own(x: jax.Array, p: Any) -> jax.Array:
    """A slot that shares no memory with the parameter, which may be donated."""
    return jnp.array(x, copy=True) if x is p else x


def run(
    links: Sequence[Link],
    states: Sequence[State],
    updates: Updates,
    params: Params | None,
    extra: Mapping[str, Any],
) -> tuple[Updates, tuple[State, ...]]:
    """Takes the updates through a run of rules, of which only the first may be shared.

    Where `extra["commit"]` is false, slots, shared numbers and counts stay as they
    were, chosen before the update is formed from them, so a guard costs no pass.
    """
    stages, g, p = _take_apart(links, states, updates, params)
    commit = extra.get("commit")
    named = _named(links, extra)
    shared = _agree(stages[0], g, p, extra) if stages[0].is_shared else None
    programs: dict[Any, _Program] = {}
    emitted: list[Any] = []
    for i, (x, y) in enumerate(zip(g.leaves, p, strict=True)):
        active = [stage for stage in stages if stage.setting[i] >= 0]
        if not active:
            emitted.append(x)
            continue
        key = (update_dtype(x, y), *((s.index, s.setting[i]) for s in active))
        if key not in programs:
            programs[key] = _program([s.rules[s.setting[i]] for s in active], key[0])
        step, numbers = programs[key]
        counts_ = [s.count for s in active]
        rows = [s.rows[i] for s in active]
        u, new = step(numbers, counts_, x, y, rows, commit, shared, named)
        emitted.append(u)
        for stage, row in zip(active, new, strict=True):
            stage.rows[i] = row
    nexts = _advance_counts([s.count for s in stages], commit)
    closed = [
        stage.close(count, shared, commit)
        for stage, count in zip(stages, nexts, strict=True)
    ]
    return g.rebuild(emitted), tuple(closed)


class _Stage:
    """One link during one update: its slots by leaf, its settings by leaf."""

    def __init__(self, index: int, link: Link, state: State, whole: Flat):
        self.index = index
        self.link = link
        self.parts = unpack(link.rule, state)
        self.count = self.parts.get("count")
        self.columns = [
            _column(link, slot, self.parts[slot], whole)
            for slot in link.rule.Slots._fields
        ]
        leaves = [column.leaves for column in self.columns]
        self.rows = list(zip(*leaves, strict=True)) or [()] * len(whole.leaves)
        self.rules, self.setting = _settings(link, self.count, whole)

    @property
    def is_shared(self) -> bool:
        return isinstance(self.link.rule, SharedRule)

    def close(self, count: Any, shared: Any, commit: Any) -> State:
        """The link's next state."""
        parts = dict(self.parts)
        if count is not None:
            parts["count"] = count
        for slot, column, leaves in zip(
            self.link.rule.Slots._fields, self.columns, _transpose(self), strict=True
        ):
            parts[slot] = column.rebuild(leaves)
        for name in shared_names(self.link.rule) if shared is not None else ():
            kept = select(commit, getattr(shared, name), parts[name])
            parts[name] = kept.astype(parts[name].dtype)
        return pack(self.link.rule, parts)


def _transpose(stage: _Stage) -> list[Any]:
    """The new leaves of each column."""
    if not stage.rows:
        return [[] for _ in stage.columns]
    return [[row[j] for row in stage.rows] for j in range(len(stage.columns))]


def _take_apart(
    links: Sequence[Link], states: Sequence[State], updates: Updates, params: Params
) -> tuple[list[_Stage], Flat, list[Any]]:
    name = links[0].name
    g = Flat(updates)
    checks.inexact(name, "gradient", g)
    whole, p = g, [None] * len(g.leaves)
    if params is not None:
        whole = checks.align(name, g, "params", params)
        checks.presence(name, "gradient", g, "parameter", whole)
        checks.shapes(name, "gradient", g, "parameter", whole)
        checks.inexact(name, "parameter", whole)
        p = whole.leaves
    elif needy := [link.name for link in links if link.rule.reads_params]:
        raise ValueError(
            f"{needy[0]}: update was called without params; expected the parameters. "
            f"Call update(updates, state, params)."
        )
    stages = [
        _Stage(i, link, state, whole)
        for i, (link, state) in enumerate(zip(links, states, strict=True))
    ]
    return stages, g, p


def _column(link: Link, slot: str, tree: Any, whole: Flat) -> Flat:
    """A slot's tree in the order of the gradients."""
    column = checks.align(link.name, whole, f"state.{slot}", tree)
    if slot_kinds(link.rule.Slots)[slot] is not EXACT:
        checks.shapes(link.name, f"state.{slot}", column, "gradient", whole)
    return column


def _settings(link: Link, count: Any, flat: Flat) -> tuple[list[Rule], list[int]]:
    """The rule with its numbers in force, and which of them each leaf follows.

    -1 stands where the rule does not see the leaf.
    """
    rule = link.rule
    scheduled = {
        name: at_count(value, count)
        for name, value in zip(field_names(type(rule)), fields(rule), strict=True)
        if is_scheduled(value)
    }
    if scheduled:
        rule = dataclasses.replace(rule, **scheduled)
    seen = link.sees(flat)
    differing = {
        name: value
        for name, value in zip(field_names(type(rule)), fields(rule), strict=True)
        if isinstance(value, ByPath)
    }
    if not differing:
        return [rule], [0 if s else -1 for s in seen]
    chosen = zip(*(v.choose(link.name, flat) for v in differing.values()), strict=True)
    keys = [key if s else None for key, s in zip(chosen, seen, strict=True)]
    distinct = [key for key in dict.fromkeys(keys) if key is not None]
    as_number = jnp.asarray if len(distinct) > _SEPARATE_TRACES else _as_it_is
    rules = [
        dataclasses.replace(
            rule,
            **{
                name: as_number(by_path.values[i])
                for (name, by_path), i in zip(differing.items(), key, strict=True)
            },
        )
        for key in distinct
    ]
    position = {key: i for i, key in enumerate(distinct)}
    return rules, [-1 if key is None else position[key] for key in keys]


def _as_it_is(x: Any) -> Any:
    return x


def _named(links: Sequence[Link], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords that the rules name, out of those that the caller passed."""
    names = {
        (link.name, name)
        for link in links
        for method in ("advance", "emit", "update", "measure", "settle")
        for name in keywords(type(link.rule), method)
        if name not in ("shared", "unit")
    }
    for rule, name in sorted(names):
        if name not in extra:
            raise TypeError(
                f"{rule}: update was called without `{name}`; expected it as a keyword. "
                f"Call update(updates, state, params, {name}=...)."
            )
    return {name: extra[name] for _, name in names}


class _Program(NamedTuple):
    """A compiled step of one leaf, and the arrays among its rules' numbers."""

    step: Callable[..., Any]
    numbers: list[Any]


def _program(rules: list[Rule], dtype: Any) -> _Program:
    numbers, structure = jax.tree.flatten(rules)
    return _Program(_step(structure, dtype), numbers)


@functools.lru_cache(maxsize=4096)
def _step(structure: Any, dtype: Any) -> Callable[..., Any]:
    """The step of one leaf through rules of one structure, traced once per shape."""
    wide = arithmetic_dtype(dtype)

    def step(
        numbers: list[Any],
        counts: list[Any],
        g: Any,
        p: Any,
        rows: list[Any],
        commit: Any,
        shared: Any,
        named: dict[str, Any],
    ) -> tuple[Any, list[Any]]:
        u = jnp.asarray(g).astype(wide)
        p = None if p is None else jnp.asarray(p).astype(wide)
        kept = []
        keys = {**named, "shared": _real_numbers(shared, wide)}
        for rule, count, row in zip(
            _rules(structure, numbers, wide), counts, rows, strict=True
        ):
            old = rule.Slots._make(widen(x, wide) for x in row)
            t = _step_number(count, wide)
            try:
                u, new = _move(rule, u, old, p, t, commit, keys)
            except TypeError as error:
                if t is None and not rule.reads_step:
                    error.add_note(_READS_STEP.format(type(rule).__name__))
                raise
            kept.append(tuple(x.astype(y.dtype) for x, y in zip(new, row, strict=True)))
        return u.astype(dtype), kept

    return jax.jit(step)


_READS_STEP = (
    "{0}: `step` is None, as the state has no count. If the rule reads the step, set "
    "the class attribute `reads_step = True`."
)


def _move(
    rule: Rule, g: Any, old: Any, p: Any, t: Any, commit: Any, keys: dict[str, Any]
) -> tuple[Any, Any]:
    """One rule's transition, the choice of slots, and its readout."""

    def asked(method: str) -> dict[str, Any]:
        return {name: keys[name] for name in keywords(type(rule), method)}

    if rule.update is not None:
        u, new = rule.update(g, old, p, t, **asked("update"))
        return u, select(commit, new, old)
    new = select(commit, rule.advance(g, old, p, t, **asked("advance")), old)
    return rule.emit(g, new, p, t, **asked("emit")), new


def _rules(structure: Any, numbers: list[Any], wide: Any) -> Any:
    """The rules again, their arrays in the dtype of the arithmetic."""
    return structure.unflatten([_real_number(x, wide) for x in numbers])


def _real_number(x: Any, wide: Any) -> Any:
    x = jnp.asarray(x)
    return x.astype(real(wide)) if jnp.issubdtype(x.dtype, jnp.number) else x


def _real_numbers(shared: Any, wide: Any) -> Any:
    return jax.tree.map(lambda x: _real_number(x, wide), shared)


def _step_number(count: Any, wide: Any) -> Any:
    """The step that is being taken, from 1, in the dtype of the arithmetic."""
    if count is None:
        return None
    return saturating_increment(count).astype(real(wide))


@jax.jit
def _advance_counts(counts: list[Any], commit: Any) -> list[Any]:
    return [
        None if count is None else select(commit, saturating_increment(count), count)
        for count in counts
    ]


def _agree(stage: _Stage, g: Flat, p: list[Any], extra: Mapping[str, Any]) -> Any:
    """What the leaves of a shared rule settle on; None where it sees no leaf."""
    rule = stage.link.rule
    assert isinstance(rule, SharedRule)
    partials = []
    for i, (x, y) in enumerate(zip(g.leaves, p, strict=True)):
        if stage.setting[i] < 0:
            continue
        numbers, structure = jax.tree.flatten(stage.rules[stage.setting[i]])
        measure = _measure(structure, update_dtype(x, y))
        unit = np.float32(UNIT * 2.0 ** (i % 8))
        partials.append(measure(numbers, stage.count, x, y, stage.rows[i], unit))
    if not partials:
        return None
    total = _sum(partials)
    dtype = jax.tree.leaves(total)[0].dtype
    begun = rule.begin()
    if begun != ():
        begun = type(begun)(*(stage.parts[name] for name in begun._fields))
    keys = {name: extra[name] for name in keywords(type(rule), "settle")}
    t = _step_number(stage.count, dtype)
    return stage.rules[0].settle(begun, total, t, **keys)  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=4096)
def _measure(structure: Any, dtype: Any) -> Callable[..., Any]:
    """What one leaf contributes, traced once per shape."""
    wide = arithmetic_dtype(dtype)

    def measure(numbers: Any, count: Any, g: Any, p: Any, row: Any, unit: Any) -> Any:
        rule = _rules(structure, numbers, wide)
        keys = {"unit": unit.astype(real(wide))}
        return rule.measure(
            jnp.asarray(g).astype(wide),
            rule.Slots._make(widen(x, wide) for x in row),
            None if p is None else jnp.asarray(p).astype(wide),
            _step_number(count, wide),
            **{name: keys[name] for name in keywords(type(rule), "measure")},
        )

    return jax.jit(measure)


@jax.jit
def _sum(partials: list[Any]) -> Any:
    """The sum over leaves, in the widest of their dtypes."""

    def add(*xs: Any) -> Any:
        dtype = functools.reduce(promote, [x.dtype for x in xs])
        return functools.reduce(jnp.add, [x.astype(dtype) for x in xs])

    return jax.tree.map(add, *partials)
