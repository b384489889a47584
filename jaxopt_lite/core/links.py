"""A leaf rule in its place: the leaves it sees, its numbers there, its first state."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lite.core import checks, kernel
from jaxopt_lite.core.codec import Codec, Coded, salt
from jaxopt_lite.core.columns import CodedColumn, filled
from jaxopt_lite.core.hyperparameters import at_count, is_scheduled
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.placement import refuse_without_host_memory, to_host
from jaxopt_lite.core.rule import (
    Rule,
    begin,
    counts,
    fields,
    layout,
    pack,
    slot_kinds,
    unpack,
)
from jaxopt_lite.core.selectors import PerLeaf, Selector, flags
from jaxopt_lite.core.slots import encode
from jaxopt_lite.core.storage import Storage, arithmetic_dtype, widen
from jaxopt_lite.core.trees import Flat, MaskedNode, is_end
from jaxopt_lite.core.types import NON_NEGATIVE, SIGNED, Params, State
from jaxopt_lite.core.value import field_names, is_array

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

    @property
    def is_random(self) -> bool:
        """Whether some slot is kept by chance, which begins with the step's number."""
        kinds = slot_kinds(self.rule.Slots).values()
        return self.storage.is_random and any(map(self.storage.codes, kinds))

    @property
    def counts(self) -> list[str]:
        """The counts in the state."""
        return counts(self.rule, self.is_random)

    def pack(self, parts: dict[str, Any]) -> State:
        """The state, from its counts, its slots' columns and shared numbers."""
        return pack(self.rule, parts, self.is_random)

    def unpack(self, state: State) -> dict[str, Any]:
        """Its counts, columns and shared numbers, by name.

        A state that was kept in another way may have had a count where this has none,
        or none where this has one, which then begins.
        """
        other = layout(self.rule, not self.is_random)
        if other is not layout(self.rule, self.is_random) and _has(state, other):
            parts = unpack(self.rule, state, not self.is_random)
            begun = {name: jnp.zeros((), jnp.int32) for name in self.counts}
            own = {k: x for k, x in parts.items() if k != "count"}
            return {**begun, **own}
        return unpack(self.rule, state, self.is_random)

    def sees(self, flat: Flat) -> list[bool]:
        """Whether each leaf is this rule's business."""
        seen = [not is_end(leaf) for leaf in flat.leaves]
        for mask in self.masks:
            chosen = flags(mask, self.name, flat)
            seen = [s and c for s, c in zip(seen, chosen, strict=True)]
        return seen


def _has(state: State, form: type[Any]) -> bool:
    return isinstance(state, tuple) and getattr(state, "_fields", ()) == form._fields


def init(link: Link, params: Params) -> State:
    """The state of one link before the first step."""
    flat = Flat(params)
    seen = link.sees(flat)
    checks.inexact(link.name, "parameter", flat, seen)
    parts: dict[str, Any] = {name: jnp.zeros((), jnp.int32) for name in link.counts}
    rules, setting = settings(link, parts, flat, seen)
    for value in fields(link.rule):
        if isinstance(value, ByPath | PerLeaf):
            value.judge(link.name, flat)
    link.storage.judge(flat)
    codecs = link.storage.choose(link.name, flat, seen)
    salts = map(salt, flat.paths) if link.is_random else [None for _ in seen]
    rows = [
        _init_leaf(rules[i], link.storage, codec, own, p) if i >= 0 else None
        for own, p, codec, i in zip(salts, flat.leaves, codecs, setting, strict=True)
    ]
    on_host = link.storage.offloaded(link.name, flat, seen)
    if any(on_host):
        refuse_without_host_memory()
    rows = [
        to_host(row) if is_there else row
        for row, is_there in zip(rows, on_host, strict=True)
    ]
    parts.update(_begin(rules or [link.rule], setting, flat.leaves))
    for slot, kind in slot_kinds(link.rule.Slots).items():
        leaves = [
            getattr(row, slot) if row is not None else _absent(p)
            for row, p in zip(rows, flat.leaves, strict=True)
        ]
        if link.storage.codes(kind):
            coded = CodedColumn(flat, None, flat, link.storage.has_scales)
            parts[slot] = coded.rebuild(
                x if isinstance(x, Coded) else Coded(x) for x in leaves
            )
        else:
            parts[slot] = filled(flat, leaves, flat.leaves)
    return link.pack(parts)


def _begin(rules: list[Rule], setting: list[int], leaves: list[Any]) -> dict[str, Any]:
    """The shared numbers before the first step: of shapes only shapes, if measured."""
    measured = [
        (rules[i], p)
        for i, p in zip(setting, leaves, strict=True)
        if i >= 0 and getattr(rules[i], "measure_init", None) is not None
    ]

    def begun(leaves: list[Any]) -> dict[str, Any]:
        pairs = zip((rule for rule, _ in measured), leaves, strict=True)
        parts = [kernel.measure_init(rule, p) for rule, p in pairs]
        numbers = begin(rules[0], *([kernel.total(parts)] if parts else []))
        return {k: jnp.array(x, dtype=jnp.asarray(x).dtype) for k, x in numbers.items()}

    seen = [p for _, p in measured]
    if any(isinstance(p, jax.ShapeDtypeStruct) for p in seen):
        return jax.eval_shape(begun, seen)
    return begun(seen)


def _absent(p: Any) -> Any:
    """What stands in a slot's tree for a leaf without state."""
    return p if is_end(p) else MaskedNode()


def _init_leaf(
    rule: Rule, storage: Storage, codec: Codec | None, salt: Any, p: Any
) -> Any:
    """The slots of one leaf: of a shape only shapes.

    They share no memory with what is donated or kept.
    """
    if isinstance(p, jax.ShapeDtypeStruct):
        own = functools.partial(_init_leaf, rule, storage, codec, salt)
        return jax.eval_shape(own, p)
    p = jnp.asarray(p)
    dtype = arithmetic_dtype(p.dtype)
    slots = rule.init(p.astype(dtype))
    taken = [p, *jax.tree.leaves(rule)]
    kinds = slot_kinds(rule.Slots)

    def keep(slot: str, x: Any) -> Any:
        if isinstance(x, tuple):
            return [keep(slot, y) for y in x]
        wide = widen(x, dtype)
        if codec is not None and kinds[slot] in (SIGNED, NON_NEGATIVE):
            # Else XLA would compute the codes of constants while it compiles, slowly.
            wide = lax.optimization_barrier(wide)
            kept = _encode(codec, kinds[slot], slot, salt, wide)
            return jax.tree.map(functools.partial(placed_like, p), kept)
        x = wide.astype(storage.dtype(slot, wide))
        if any(x is y for y in taken):
            x = jnp.array(x, copy=True)
        taken.append(x)
        return placed_like(p, x)

    return type(slots)(*map(keep, slots._fields, slots))


# One program for each shape, where every operation would be compiled for itself.
_encode = jax.jit(encode, static_argnums=(0, 1, 2))


def placed_like(p: jax.Array, x: jax.Array) -> jax.Array:
    """A slot where its parameter lies, if it has its shape."""
    if isinstance(p, jax.core.Tracer) or not p.committed or x.shape != p.shape:
        return x
    return jax.device_put(x, p.sharding)


def settings(
    link: Link, counts: Mapping[str, Any], flat: Flat, seen: Sequence[bool]
) -> tuple[list[Rule], list[int]]:
    """The rule with its numbers in force, and which of them each leaf follows.

    -1 stands where the rule does not see the leaf.
    """
    rule = link.rule
    scheduled = {
        name: at_count(value, counts[rule.own_counts.get(name, rule.counter)])
        for name, value in zip(field_names(type(rule)), fields(rule), strict=True)
        if is_scheduled(value)
    }
    if scheduled:
        rule = dataclasses.replace(rule, **scheduled)
    _check_numbers(link.name, rule)
    differing = {
        name: _choices(value, link.name, flat, seen)
        for name, value in zip(field_names(type(rule)), fields(rule), strict=True)
        if isinstance(value, ByPath | PerLeaf)
    }
    if not differing:
        return [rule], [0 if s else -1 for s in seen]
    chosen = zip(*(chosen for _, chosen in differing.values()), strict=True)
    keys = [key if s else None for key, s in zip(chosen, seen, strict=True)]
    distinct = [key for key in dict.fromkeys(keys) if key is not None]
    is_traced = len(distinct) > _SEPARATE_TRACES
    rules = [
        dataclasses.replace(
            rule,
            **{
                name: _as_scalar(values[i]) if is_traced else values[i]
                for (name, (values, _)), i in zip(differing.items(), key, strict=True)
            },
        )
        for key in distinct
    ]
    position = {key: i for i, key in enumerate(distinct)}
    return rules, [-1 if key is None else position[key] for key in keys]


def _choices(
    field: ByPath | PerLeaf, where: str, flat: Flat, seen: Sequence[bool]
) -> tuple[Sequence[Any], list[int]]:
    """The values that a field has, and which of them each leaf gets."""
    if isinstance(field, ByPath):
        return field.values, field.choose(where, flat, seen)
    found = field.resolve(where, flat, seen)
    values = list(dict.fromkeys(found))
    return values, [values.index(x) for x in found]


def _as_scalar(x: Any) -> Any:
    return jnp.asarray(x) if isinstance(x, float) else x


def _check_numbers(where: str, rule: Rule) -> None:
    """Refuses arrays of numbers where one number is in force."""
    for name, value in zip(field_names(type(rule)), fields(rule), strict=True):
        for x in value.values if isinstance(value, ByPath) else (value,):
            if is_array(x) and x.ndim:
                raise ValueError(
                    f"{where}: {name} is {checks.describe(x)}; expected one number. To "
                    f"sweep over many, use jax.vmap over the optimizer."
                )
