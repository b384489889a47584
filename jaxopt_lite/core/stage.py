"""A link during one update: what it holds for each leaf, and what follows from it."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core import checks, kernel
from jaxopt_lite.core.codec import Keeping
from jaxopt_lite.core.columns import CodedColumn, Column, held, keepings, take_apart
from jaxopt_lite.core.links import Link, settings
from jaxopt_lite.core.placement import to_device, to_host
from jaxopt_lite.core.rule import SharedRule, begin, slot_kinds
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.transformation import select
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.types import EXACT, PER_AXIS, State


class Stage:
    """One link during one update: its slots by leaf, its settings by leaf."""

    def __init__(
        self, index: int, link: Link, state: State, p: Flat, seen: Sequence[bool]
    ):
        self.index = index
        self.link = link
        self.parts = link.unpack(state)
        self.counts = {name: self.parts[name] for name in link.counts}
        self.steps: dict[Any, Any] = {}
        self.columns = [
            _column(link, slot, self.parts[slot], p, seen)
            for slot in link.rule.Slots._fields
        ]
        self.kept = _kept(link, self.columns, p, seen)
        leaves = [column.leaves for column in self.columns]
        self.rows = list(zip(*leaves, strict=True)) or [()] * len(p.leaves)
        self.rules, self.setting = settings(link, self.counts, p, seen)
        self.on_host = link.storage.offloaded(link.name, p, seen)
        self.shared: Any = None

    @property
    def is_shared(self) -> bool:
        return isinstance(self.link.rule, SharedRule)

    def row(self, i: int, after: Any) -> Any:
        """The slots of a leaf on the device, where `after` is there before."""
        return to_device(self.rows[i], after) if self.on_host[i] else self.rows[i]

    def set_row(self, i: int, row: Any) -> None:
        """Keeps the slots of a leaf where they lie between steps."""
        self.rows[i] = to_host(row) if self.on_host[i] else row

    @property
    def is_random(self) -> bool:
        return self.link.is_random

    @property
    def draw(self) -> Any:
        """The count that its random bits begin with; None where there are none."""
        return self.counts[self.link.counts[0]] + 1 if self.is_random else None

    def step(self, dtype: Any) -> Any:
        """The number of the step for a leaf of some dtype; None where none is kept.

        It is one array for all leaves.
        """
        count, wide = self.counts.get(self.link.rule.counter), arithmetic_dtype(dtype)
        if count is not None and wide not in self.steps:
            self.steps[wide] = kernel.step_number(count, wide)
        return self.steps.get(wide)

    def close(self, counts: dict[str, Any], commit: Any) -> State:
        """The link's next state."""
        parts = {**self.parts, **counts}
        for slot, column, leaves in zip(
            self.link.rule.Slots._fields, self.columns, _transpose(self), strict=True
        ):
            parts[slot] = column.rebuild(leaves)
        for name in begin(self.rules[0]) if self.shared is not None else ():
            kept = select(commit, getattr(self.shared, name), parts[name])
            parts[name] = jnp.asarray(kept, parts[name].dtype)
        return self.link.pack(parts)


def _transpose(stage: Stage) -> list[Any]:
    """The new leaves of each column."""
    if not stage.rows:
        return [[] for _ in stage.columns]
    return [[row[j] for row in stage.rows] for j in range(len(stage.columns))]


def aligned(link: Link, slot: str, tree: Any, p: Flat) -> Column:
    """A slot's tree in the order of the parameters."""
    kind = slot_kinds(link.rule.Slots)[slot]
    return take_apart(link.name, slot, kind, link.storage, tree, p)


def _column(link: Link, slot: str, tree: Any, p: Flat, seen: Sequence[bool]) -> Column:
    """A slot's tree in the order of the parameters, checked."""
    found = aligned(link, slot, tree, p)
    checks.kept(link.name, slot, held(found), p, seen)
    kind = slot_kinds(link.rule.Slots)[slot]
    if kind not in (EXACT, PER_AXIS) and isinstance(found, Flat):
        checks.shapes(link.name, f"state.{slot}", found, "gradient", p)
    return found


def _kept(
    link: Link, columns: Sequence[Column], p: Flat, seen: Sequence[bool]
) -> list[tuple[Keeping, ...]]:
    """How each slot of each leaf is read and written."""
    plain: Keeping = (None, None)
    if not any(isinstance(column, CodedColumn) for column in columns):
        return [(plain,) * len(columns)] * len(p.leaves)
    codecs = link.storage.choose(link.name, p, seen)
    by_slot = [
        keepings(link.name, slot, kind, link.storage, column, codecs, p)
        if isinstance(column, CodedColumn)
        else [plain] * len(p.leaves)
        for (slot, kind), column in zip(
            slot_kinds(link.rule.Slots).items(), columns, strict=True
        )
    ]
    return list(zip(*by_slot, strict=True))
