"""Norms of what goes through a transformation, kept in its state."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.chain import Chain
from jaxopt_lite.combine.guard import ApplyIfFinite
from jaxopt_lite.combine.masking import judge
from jaxopt_lite.combine.norms import norm, norm_of_tree, sums_of_squares
from jaxopt_lite.combine.spikes import SkipSpikes
from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import Leafwise
from jaxopt_lite.core.numerics import saturating_increment
from jaxopt_lite.core.parts import UNDIVIDED, Undivided
from jaxopt_lite.core.selectors import as_selector
from jaxopt_lite.core.transformation import (
    GradientTransformation,
    apply_updates,
    as_transformation,
    select,
)
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.types import Count, Labels, Params, State, Updates
from jaxopt_lite.rules.clipping import ClipByGlobalNorm

RECORDED = ("gradient", "update", "parameter")
"""What there are norms of."""


class RecordState(NamedTuple):
    """How many steps there were, the norms of the last, how many were clipped."""

    count: Count  # type: ignore[assignment]
    norms: dict[str, jax.Array]
    clipped: Count
    inner_state: State


class Record(GradientTransformation):
    """A transformation that keeps norms of what goes in and of what comes out."""

    inner: GradientTransformation
    of: tuple[str, ...]
    by: Any
    holds = {"inner": "inner_state"}

    def init(self, params: Params) -> State:
        flat = Flat(params)
        if self.by is not None:
            judge(self.by, "record", flat)
        groups = _groups(self._labels(flat))
        names = [name for what in self.of for name in _names(what, groups)]
        return RecordState(
            jnp.zeros((), jnp.int32),
            {name: jnp.zeros((), jnp.float32) for name in names},
            jnp.zeros((), jnp.int32),
            self.inner.init(params),
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("record", state, RecordState)
        u, inner = self.inner.update(updates, state.inner_state, params, **extra)
        parts = extra.get("device_parts", UNDIVIDED)
        norms = self._norms(updates, u, params, parts)
        clipped = state.clipped
        bound = _leading_bound(self.inner, state.inner_state)
        if bound is not None:
            clipped = clipped + (norm_of_tree(updates, extra) > bound)
        count, norms, clipped = select(
            extra.get("commit"),
            (saturating_increment(state.count), norms, clipped),
            (state.count, state.norms, state.clipped),
        )
        return u, RecordState(count, norms, clipped, inner)

    def metrics(self, state: State) -> dict[str, Any]:
        counted = {}
        if _leading_bound(self.inner, state.inner_state) is not None:
            steps = jnp.maximum(jnp.asarray(state.count), 1)
            counted["clipped_fraction"] = jnp.asarray(state.clipped) / steps
        return {**state.norms, **counted}

    def _norms(
        self, g: Updates, u: Updates, params: Params | None, parts: Undivided
    ) -> dict[str, jax.Array]:
        """The norms by name."""
        if params is None and "parameter" in self.of:
            raise ValueError(
                "record: update was called without params; expected the parameters. "
                "Call update(updates, state, params)."
            )
        whole = Flat(g if params is None else params)
        trees = {"gradient": g, "update": u}
        if "parameter" in self.of:
            # The new parameters are in memory anyway. The old ones are overwritten, and
            # to read them once more XLA would copy them first.
            trees["parameter"] = apply_updates(params, u)
        labels = self._labels(whole)
        groups = _groups(labels)
        found: dict[str, jax.Array] = {}
        for what in self.of:
            flat = checks.align("record", whole, f"the {what}s", trees[what])
            sums = sums_of_squares(flat, parts, RECORDED.index(what))
            own = (_of_group(sums, labels, group) for group in groups)
            norms = [norm(x, parts).astype(jnp.float32) for x in (sums, *own)]
            found |= zip(_names(what, groups), norms, strict=True)
        return found

    def _labels(self, flat: Flat) -> list[Any]:
        """The group of each leaf; None where it has none."""
        if self.by is None:
            return [None for _ in flat.leaves]
        return self.by.resolve("record", flat)

    def __repr__(self) -> str:
        return f"record({self.inner!r}, {self.of!r})"


def record(
    inner: Any,
    of: Sequence[str] = RECORDED,
    *,
    by: Labels | None = None,
) -> GradientTransformation:
    """Keeps the norms of gradients, updates and parameters of each step in the state.

    The parameters are those after the step, so it stands outermost, around guards too.
    Where `inner` begins with `clip_by_global_norm`, it counts the steps that were
    clipped. `metrics` reads it all.

    Args:
        inner: a transformation; its updates are what is measured.
        of: which norms: some of `"gradient"`, `"update"` and `"parameter"`.
        by: a label for each parameter, as in `partition`, to keep the norms of each
            group as well.

    Returns:
        A transformation with `RecordState(count, norms, clipped, inner_state)`: float32
        norms such as `norms["gradient_norm"]`, and `norms["gradient_norm[head]"]` for
        a group `head`; how many of how many steps were clipped.

    Raises:
        TypeError: if `inner` is no transformation.
        ValueError: if `of` names something else; from `init` and `update`, if a
            parameter has no label; from `update`, if parameters are missing.

    Bytes per float32 parameter that XLA counts on a CPU beside the step itself: 4 for
    the gradients, and none behind a clip or a guard that measures their norm; 4 for the
    parameters; for updates as much as forming them once more, 4 after `sgd`, or writing
    them down and reading them twice, 16 after `adamw`: in new memory, which on a CPU
    takes longer than the step itself. Groups cost nothing.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.record(jl.chain(jl.clip_by_global_norm(1.0), jl.sgd(0.5)))
        >>> params = jnp.array([3.0, 4.0])
        >>> _, state = tx.update(params, tx.init(params), params)
        >>> for name, value in state.norms.items():
        ...     print(name, value)
        gradient_norm 5.0
        update_norm 0.5
        parameter_norm 4.5
    """
    is_several = isinstance(of, Sequence) and not isinstance(of, str)
    chosen: tuple[Any, ...] = tuple(of) if is_several else (of,)
    if strange := [x for x in chosen if x not in RECORDED]:
        raise ValueError(
            f"record: of holds {', '.join(map(repr, strange))}; expected some of "
            f"{', '.join(map(repr, RECORDED))}."
        )
    tx = as_transformation(inner, "record: inner")
    return Record(tx, chosen, None if by is None else as_selector(by))


def _of_group(sums: Sequence[Any], labels: Sequence[Any], group: Any) -> list[Any]:
    return [x for x, label in zip(sums, labels, strict=True) if label == group]


def _groups(labels: Sequence[Any]) -> list[Any]:
    return sorted({x for x in labels if x is not None}, key=str)


def _names(what: str, groups: Sequence[Any]) -> list[str]:
    """The names of the norm of all leaves, and of those of each group."""
    return [f"{what}_norm", *(f"{what}_norm[{group}]" for group in groups)]


def _leading_bound(tx: GradientTransformation, state: State) -> Any:
    """The bound of the clip that a transformation begins with; None if of no clip."""
    while isinstance(tx, Chain | ApplyIfFinite | SkipSpikes | Record) and tx.children():
        name, first = next(iter(tx.children().items()))
        tx, state = first, tx.child_states(state)[name]
    if isinstance(tx, Leafwise) and isinstance(tx.rule, ClipByGlobalNorm):
        return tx.in_force(state)["max_norm"]
    return None
