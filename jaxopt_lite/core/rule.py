"""Rules: the arithmetic of one array, and how its state is laid out."""

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core import checks, hyperparameters
from jaxopt_lite.core.numerics import real
from jaxopt_lite.core.transformation import EmptyState
from jaxopt_lite.core.types import (
    NON_NEGATIVE,
    SIGNED,
    Count,
    Kind,
    State,
    Tensor,
    cached,
)
from jaxopt_lite.core.value import Value, field_names


class ScaleByScheduleState(NamedTuple):
    """The state of a rule without slots that reads a schedule."""

    count: Count  # type: ignore[assignment]


class CountedState(NamedTuple):
    """A rule's own state, with the count that its schedules need beside it."""

    count: Count  # type: ignore[assignment]
    inner_state: State


class Rule(Value):
    """The arithmetic of one array; `leafwise` makes it a transformation of trees.

    A rule says how a slot moves and what comes out:

        slots' = advance(g, slots, p, step)         the transition
        u      = emit(g, slots', p, step)           the readout, from the new slots

    A rule whose update needs the old slots gives one method instead,
    `update(g, slots, p, step) -> (u, slots')`.

    It knows no trees, dtypes, counters, masks or paths. `g`, `p` and the slots arrive
    as arrays of one shape, in at least float32; `step` counts from 1, in their dtype.
    Fields are hyperparameters: whatever was given (number, array, `Schedule`,
    `by_path`), the rule reads the number in force for this leaf at this step. It does
    not branch on it in Python. A keyword-only argument (`*, value`) names what the
    caller must pass to `update`, or may if it has a default.

    Class attributes:
        Slots: the NamedTuple of slots, each annotated `Signed`, `NonNegative` or
            `Exact` or `PerAxis`; none by default.
        State: the NamedTuple of the whole state, where it is not `Slots`; its field
            `counter`, if it has one, is the step count.
        Counted: what takes the place of `State` when a count is needed and `State` has
            none; `CountedState` by default.
        counter: the field of `State` that counts the steps, `count` by default.
        own_counts: the hyperparameters whose schedules follow a count of their own,
            each with its field in `State`; whoever resets one restarts the schedules.
        reads_step: whether the arithmetic reads `step`; else `step` is None, unless a
            schedule needs the count.
        reads_params: whether `p` is needed; else `p` is None when the caller gives no
            parameters.
        mixes: whether the arithmetic multiplies matrices, or else mixes elements, in
            `measure` or `emit`, so that types cannot tell how the result is split.
        stacks: whether traced leaves of one shape go through the arithmetic as one
            stack (`vmap`), which products of matrices gain by.
        trees: the keywords that are trees like the parameters, such as a second
            gradient; the rule gets its own leaf of each.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> class SignOfMean(jl.Rule):
        ...     b1: float = 0.9
        ...     Slots = jl.TraceState
        ...     def advance(self, g, slots, p, step):
        ...         return jl.TraceState(self.b1 * slots.trace + (1 - self.b1) * g)
        ...     def emit(self, g, slots, p, step):
        ...         return jnp.sign(slots.trace)
        >>> tx = jl.chain(jl.leafwise(SignOfMean()), jl.scale_by_learning_rate(0.1))
        >>> params = {"w": jnp.ones(2)}
        >>> tx.update({"w": jnp.array([3.0, -2.0])}, tx.init(params), params)[0]
        {'w': Array([-0.1,  0.1], dtype=float32)}
    """

    Slots: ClassVar[type[Any]] = EmptyState
    State: ClassVar[type[Any] | None] = None
    Counted: ClassVar[type[Any] | None] = None
    counter: ClassVar[str] = "count"
    own_counts: ClassVar[Mapping[str, str]] = {}
    reads_step: ClassVar[bool] = False
    reads_params: ClassVar[bool] = False
    mixes: ClassVar[bool] = False
    stacks: ClassVar[bool] = False
    trees: ClassVar[tuple[str, ...]] = ()

    def init(self, p: Tensor) -> Any:
        """The slots before the first step: zeros, unless a rule says otherwise."""
        return self.Slots(
            *(
                jnp.zeros_like(p, dtype=real(p.dtype) if kind == NON_NEGATIVE else None)
                for kind in slot_kinds(self.Slots).values()
            )
        )

    def _stay(self, g: Tensor, slots: Any, p: Any, step: Tensor) -> Any:
        return slots

    def _pass(self, g: Tensor, slots: Any, p: Any, step: Tensor) -> Tensor:
        return g

    advance: ClassVar[Callable[..., Any]] = _stay
    emit: ClassVar[Callable[..., Any]] = _pass
    update: ClassVar[Callable[..., Any] | None] = None


class SharedRule(Rule):
    """A rule whose leaves first agree on a few numbers.

        total  = sum over leaves of measure(g, slots, p, step)
        shared = settle(shared, total, step)
        slots' = advance(g, slots, p, step, shared=shared)
        u      = emit(g, slots', p, step, shared=shared)

    `begin()` gives the numbers before the first step, as a NamedTuple whose fields
    stand in `State` too; those that `settle` returns under the same names are kept.
    Where the rule has a `measure_init(p)`, `init` calls `begin(total)` with its sum
    over leaves, if there are any. `measure` may name `shared`, the numbers before this
    step, and `unit`, a number that `numerics.squares_in_units` wants. Without
    `measure`, `total` is None.

    Attributes:
        sums: whether `measure` sums something over the elements of `g` and reads no
            other array; devices then measure their own parts and send one sum of all.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> class DivideByMaximum(jl.SharedRule):
        ...     def measure(self, g, slots, p, step):
        ...         return jnp.sum(jnp.abs(g))
        ...     def settle(self, shared, total, step):
        ...         return 1 / total
        ...     def emit(self, g, slots, p, step, *, shared):
        ...         return g * shared
        >>> tx = jl.leafwise(DivideByMaximum())
        >>> g = {"a": jnp.array(3.0), "b": jnp.array(1.0)}
        >>> tx.update(g, tx.init(g))[0]
        {'a': Array(0.75, dtype=float32), 'b': Array(0.25, dtype=float32)}
    """

    def begin(self) -> Any:
        """The shared numbers before the first step."""
        return ()

    sums: ClassVar[bool] = False
    measure_init: ClassVar[Callable[..., Any] | None] = None
    measure: ClassVar[Callable[..., Any] | None] = None
    settle: ClassVar[Callable[..., Any]]


@cached
def slot_kinds(slots: type[Any]) -> dict[str, Kind]:
    """The kind of each slot, in order; signed where it is not said."""
    hints = typing.get_type_hints(slots, include_extras=True)
    kinds = {}
    for name in slots._fields:
        said = [m for m in getattr(hints[name], "__metadata__", ()) if type(m) is Kind]
        kinds[name] = said[0] if said else SIGNED
    return kinds


@cached
def keywords(rule: type[Rule], method: str) -> dict[str, bool]:
    """The keyword-only arguments of a rule's method, and whether each is demanded."""
    function = getattr(rule, method, None)
    if function is None:
        return {}
    return {
        p.name: p.default is p.empty
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }


def layout(rule: Rule, is_counted: bool = False) -> type[Any]:
    """The NamedTuple of a rule's state, with a count if it or its storage needs one."""
    state = rule.State or rule.Slots
    scheduled = any(map(hyperparameters.is_scheduled, fields(rule)))
    needs_count = rule.reads_step or scheduled or is_counted
    if rule.counter in state._fields or not needs_count:
        return state
    if rule.Counted is not None:
        return rule.Counted
    return CountedState if state._fields else ScaleByScheduleState


def fields(rule: Rule) -> list[Any]:
    """The hyperparameters of a rule."""
    return [getattr(rule, name) for name in field_names(type(rule))]


def counts(rule: Rule, is_counted: bool = False) -> list[str]:
    """The counts in a rule's state, that of the steps first."""
    named = dict.fromkeys((rule.counter, *rule.own_counts.values()))
    return [name for name in named if name in layout(rule, is_counted)._fields]


def begin(rule: Rule, *total: Any) -> dict[str, Any]:
    """The shared numbers that are kept from step to step, before the first."""
    begun = rule.begin(*total) if isinstance(rule, SharedRule) else ()
    return dict(zip(getattr(begun, "_fields", ()), begun, strict=True))


def pack(rule: Rule, parts: dict[str, Any], is_counted: bool = False) -> State:
    """The state of a rule, from its counts, its slots' columns and shared numbers."""
    form = layout(rule, is_counted)
    if form is not CountedState:
        return form(**parts)
    own = {name: part for name, part in parts.items() if name != "count"}
    return CountedState(parts["count"], (rule.State or rule.Slots)(**own))


def unpack(rule: Rule, state: State, is_counted: bool = False) -> dict[str, Any]:
    """A rule's counts, columns and shared numbers, by name.

    Raises:
        TypeError: if the state is another transformation's.
    """
    form = layout(rule, is_counted)
    checks.named_tuple(type(rule).__name__, state, form)
    if form is not CountedState:
        return {name: getattr(state, name) for name in form._fields}
    own = rule.State or rule.Slots
    checks.named_tuple(type(rule).__name__, state.inner_state, own)
    held = {name: getattr(state.inner_state, name) for name in own._fields}
    return {"count": state.count, **held}
