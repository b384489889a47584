"""The one idea: a gradient transformation is a value."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, cast

import jax
import jax.numpy as jnp

from jaxopt_lite.core import checks, trees
from jaxopt_lite.core.hyperparameters import (
    Schedule,
    at_count,
    is_numeric,
    is_scheduled,
)
from jaxopt_lite.core.ranges import checked
from jaxopt_lite.core.types import Params, State, Updates
from jaxopt_lite.core.value import Value, field_names


class EmptyState(NamedTuple):
    """The state of a transformation that remembers nothing."""


class GradientTransformation(Value):
    """A pair of pure functions that turns gradients into updates.

    A transformation is a frozen dataclass and a pytree whose leaves are its array
    hyperparameters; it holds no other state. `init(params)` makes the state,
    `update(updates, state, params=None, **extra)` returns the new updates and the new
    state. It also unpacks as `init, update = tx`.

    `GradientTransformation(init, update)` makes one from two functions, for code
    written against Optax's protocol. Keywords that `update` does not take are not
    passed to it.

    Flax keeps `tx` static, in linen's `TrainState` and in `nnx.Optimizer`: give it
    Python numbers and schedules there. Another array there makes linen trace anew, and
    nnx refuses any ("Found data on value of type ..."); what must change without a
    trace goes into the state, by `inject_hyperparams(adamw)(learning_rate=...)`.
    `interop.flax.TrainState` takes arrays.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> halve = jl.GradientTransformation(
        ...     lambda params: jl.EmptyState(),
        ...     lambda updates, state, params=None: (updates / 2, state),
        ... )
        >>> halve.update(jnp.array([3.0]), halve.init(jnp.zeros(1)))[0]
        Array([1.5], dtype=float32)
    """

    holds: ClassVar[Mapping[str, str]] = {}
    """The fields that are transformations, each with the state's field of its own."""

    counter: ClassVar[str] = "count"
    """The state's field that its own schedules are read at."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made: Any = FromFunctions if cls is GradientTransformation else cls
        return cast(Self, object.__new__(made))

    def init(self, params: Params) -> State:
        """The state before the first step."""
        raise NotImplementedError

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        """The updates to add to the parameters, and the next state."""
        raise NotImplementedError

    def parts(self) -> tuple[Any, ...]:
        """What a chain sees: leaf rules it may fuse with its neighbours, or `self`."""
        return (self,)

    def split(self, state: State) -> tuple[State, ...]:
        """The states of the parts."""
        return (state,)

    def join(self, states: Sequence[State]) -> State:
        """The state again, from the states of the parts."""
        (state,) = states
        return state

    def children(self) -> dict[str, "GradientTransformation"]:
        """The transformations that this one is made of, by name."""
        return {name: getattr(self, name) for name in self.holds}

    def child_states(self, state: State) -> dict[str, State]:
        """The state of each child; where `holds` names no field, the state itself."""
        for field in filter(None, self.holds.values()):
            if not hasattr(state, field):
                found = checks.article(type(state).__name__)
                raise TypeError(
                    f"{type(self).__name__}: the state is {found}; expected one with a "
                    f"field `{field}`. Pass the state that `init` or the last `update` "
                    f"of this transformation returned."
                )
        return {
            name: getattr(state, field) if field else state
            for name, field in self.holds.items()
        }

    def with_children(self, children: Mapping[str, "GradientTransformation"]) -> Self:
        """This transformation, made of others."""
        return dataclasses.replace(self, **children)

    def mapped(
        self, function: "Callable[[GradientTransformation], GradientTransformation]"
    ) -> "GradientTransformation":
        """What a function makes of each transformation inside, the inmost first."""
        children = {k: child.mapped(function) for k, child in self.children().items()}
        return function(self.with_children(children) if children else self)

    def hyperparams(self) -> dict[str, Any]:
        """The numbers of its own: as they were given, schedules too."""
        fields = {name: getattr(self, name) for name in field_names(type(self))}
        return {name: x for name, x in fields.items() if is_numeric(x)}

    def with_hyperparams(self, hyperparams: Mapping[str, Any]) -> Self:
        """This transformation with other numbers."""
        return checked(dataclasses.replace(self, **hyperparams))

    def in_force(self, state: State) -> dict[str, Any]:
        """The numbers of its own at the next step, schedules read at their counts."""
        has_count = self.counter in getattr(state, "_fields", ())
        count = getattr(state, self.counter) if has_count else None
        return {
            name: at_count(x, count)
            for name, x in self.hyperparams().items()
            if count is not None or not is_scheduled(x)
        }

    def metrics(self, state: State) -> dict[str, Any]:
        """What its own state says of the training: scalars by name."""
        return {}

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter((self.init, self.update))


class FromFunctions(GradientTransformation):
    """A transformation made of two functions, ours or another library's."""

    init_fn: Callable[..., Any]
    update_fn: Callable[..., Any]

    def __init__(self, init: Callable[..., Any], update: Callable[..., Any]):
        object.__setattr__(self, "init_fn", init)
        object.__setattr__(self, "update_fn", update)
        self.__post_init__()

    def init(self, params: Params) -> State:
        return self.init_fn(params)

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        commit = extra.pop("commit", None)
        taken = accepted(self.update_fn, extra)
        updates, new = self.update_fn(updates, state, params, **taken)
        if commit is not None:
            # Where a step may not count, the dtypes of the state must not drift.
            new = jax.tree.map(lambda x, s: x.astype(jnp.result_type(s)), new, state)
        return updates, select(commit, new, state)


def accepted(function: Callable[..., Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Those of the keywords that a function takes."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return extra
    return {name: value for name, value in extra.items() if name in parameters}


def select(commit: jax.Array | None, new: State, old: State) -> State:
    """The new state where `commit` is true (or absent), the old one elsewhere."""
    if commit is None:
        return new
    return jax.tree.map(functools.partial(jnp.where, commit), new, old)


def as_transformation(tx: Any, where: str) -> GradientTransformation:
    """`tx` itself, or another library's transformation made one of ours.

    Raises:
        TypeError: if `tx` has no `init` and `update`.
    """
    if isinstance(tx, GradientTransformation):
        return tx
    has_both = callable(getattr(tx, "init", None)) and callable(
        getattr(tx, "update", None)
    )
    if has_both and not isinstance(tx, type):
        return FromFunctions(tx.init, tx.update)
    cure = ""
    if isinstance(tx, Schedule):
        cure = " A schedule is given as a learning rate, or to `scale_by_schedule`."
    elif callable(tx):
        cure = " If it makes one, call it."
    elif isinstance(tx, list | tuple) and any(hasattr(x, "update") for x in tx):
        cure = " Of several make one: `chain(*members)`."
    raise TypeError(
        f"{where} is {checks.describe(tx)}; expected a transformation with `init` and "
        f"`update`, such as `scale(0.1)`.{cure}"
    )


class Identity(GradientTransformation):
    """Returns updates as they came."""

    def parts(self) -> tuple[Any, ...]:
        return ()

    def split(self, state: State) -> tuple[State, ...]:
        checks.named_tuple("identity", state, EmptyState)
        return ()

    def join(self, states: Sequence[State]) -> State:
        return EmptyState()

    def init(self, params: Params) -> State:
        return EmptyState()

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        return updates, state


def identity() -> GradientTransformation:
    """Leaves every update as it is.

    Returns:
        A transformation with an `EmptyState`.

    Example:
        >>> import jaxopt_lite as jl
        >>> tx = jl.identity()
        >>> tx.update({"w": 1.0}, tx.init({"w": 0.0}))
        ({'w': 1.0}, EmptyState())
    """
    return Identity()


def apply_updates(params: Params, updates: Updates) -> Params:
    """Adds each update to its parameter, in the parameter's dtype.

        p <- (p + u).astype(p.dtype)

    Args:
        params: the parameters; a None stays None.
        updates: as `update` returned them, matched to the parameters by path; where
            one is None or masked, the parameter stays as it is.

    Returns:
        The new parameters, in the tree of the old.

    Raises:
        ValueError: if an update has no parameter or another shape than its
            parameter; the text names each.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> params = {"w": jnp.ones(2), "n": None}
        >>> jl.apply_updates(params, {"w": jnp.ones(2), "n": None})
        {'n': None, 'w': Array([2., 2.], dtype=float32)}
    """
    flat = trees.Flat(params)
    aligned = checks.align(
        "apply_updates", flat, "the updates", updates, "the parameters"
    )
    checks.shapes("apply_updates", "update", aligned, "parameter", flat)
    return flat.rebuild(map(_add, flat.leaves, aligned.leaves))


def _add(p: Any, u: Any) -> Any:
    if trees.is_end(p) or trees.is_end(u):
        return p
    if (dtype := getattr(p, "dtype", None)) and dtype == getattr(u, "dtype", None):
        return jax.lax.add(p, u)  # as `+`, without its promotion to trace
    p = jnp.asarray(p)
    return (p + u).astype(p.dtype)
