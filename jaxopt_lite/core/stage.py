"""A link during one update: what it holds for each leaf, and what follows from it."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core import checks, kernel
from jaxopt_lite.core.links import Link, settings
from jaxopt_lite.core.rule import SharedRule, begin, counts, pack, slot_kinds, unpack
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.transformation import select
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.types import EXACT, PER_AXIS, Kind, State


class Stage:
    """One link during one update: its slots by leaf, its settings by leaf."""

    def __init__(
        self, index: int, link: Link, state: State, p: Flat, seen: Sequence[bool]
    ):
        self.index = index
        self.link = link
        self.parts = unpack(link.rule, state)
        self.counts = {name: self.parts[name] for name in counts(link.rule)}
        self.steps: dict[Any, Any] = {}
        self.columns = [
            _column(link, slot, self.parts[slot], p, seen)
            for slot in link.rule.Slots._fields
        ]
        leaves = [column.leaves for column in self.columns]
        self.rows = list(zip(*leaves, strict=True)) or [()] * len(p.leaves)
        self.rules, self.setting = settings(link, self.counts, p, seen)
        self.shared: Any = None

    @property
    def is_shared(self) -> bool:
        return isinstance(self.link.rule, SharedRule)

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
        return pack(self.link.rule, parts)


def _transpose(stage: Stage) -> list[Any]:
    """The new leaves of each column."""
    if not stage.rows:
        return [[] for _ in stage.columns]
    return [[row[j] for row in stage.rows] for j in range(len(stage.columns))]


def aligned(link: Link, slot: str, tree: Any, p: Flat) -> Any:
    """A slot's tree in the order of the parameters."""
    align = checks.branches if _kind(link, slot) is PER_AXIS else checks.align
    return align(link.name, p, f"state.{slot}", tree)


def _kind(link: Link, slot: str) -> Kind:
    return slot_kinds(link.rule.Slots)[slot]


def _column(link: Link, slot: str, tree: Any, p: Flat, seen: Sequence[bool]) -> Any:
    """A slot's tree in the order of the parameters, checked."""
    column = aligned(link, slot, tree, p)
    checks.kept(link.name, slot, column, p, seen)
    if _kind(link, slot) not in (EXACT, PER_AXIS):
        checks.shapes(link.name, f"state.{slot}", column, "gradient", p)
    return column
