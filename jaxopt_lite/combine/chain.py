"""One transformation after another, with neighbouring rules fused."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from jaxopt_lite.combine.masking import Freeze, fill_frozen, hide
from jaxopt_lite.core import checks, lift
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.rule import Rule, SharedRule
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.types import Params, State, Updates


class Chain(GradientTransformation):
    """Transformations, one after another; the state is a tuple of theirs."""

    transforms: tuple[GradientTransformation, ...]

    def parts(self) -> tuple[Any, ...]:
        return tuple(part for tx in self.transforms for part in tx.parts())

    def split(self, state: State) -> tuple[State, ...]:
        members = self._members(state)
        return tuple(
            inner
            for tx, member in zip(self.transforms, members, strict=True)
            for inner in tx.split(member)
        )

    def join(self, states: Sequence[State]) -> State:
        rest = iter(states)
        return tuple(
            tx.join([next(rest) for _ in tx.parts()]) for tx in self.transforms
        )

    def init(self, params: Params) -> State:
        seen = hide(self._frozen(), params)
        return tuple(
            tx.init(params if isinstance(tx, Freeze) else seen)
            for tx in self.transforms
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        frozen, whole = self._frozen(), updates if params is None else params
        u, p = hide(frozen, updates, whole), hide(frozen, params, whole)
        states: list[State] = []
        for run, held in _runs(self.parts(), self.split(state)):
            if isinstance(run[0], Link):
                u, new = lift.run(run, held, u, p, extra)
                states.extend(new)
            else:
                u, one = run[0].update(u, held[0], p, **extra)
                states.append(one)
        return fill_frozen(frozen, u, updates, params), self.join(states)

    def children(self) -> dict[str, GradientTransformation]:
        return {str(i): tx for i, tx in enumerate(self.transforms)}

    def child_states(self, state: State) -> dict[str, State]:
        return dict(zip(self.children(), self._members(state), strict=True))

    def with_children(self, children: Mapping[str, GradientTransformation]) -> Self:
        return dataclasses.replace(self, transforms=tuple(children.values()))

    def _members(self, state: State) -> Sequence[State]:
        if not isinstance(state, tuple | list) or len(state) != len(self.transforms):
            found = checks.article(type(state).__name__)
            if isinstance(state, tuple | list):
                found = f"a tuple of {len(state)}"
            raise TypeError(
                f"chain: the state is {found}; expected a tuple of "
                f"{len(self.transforms)}, one for each member. Call update(updates, "
                f"state, params) with the state that `init` or the last `update` of "
                f"this chain returned."
            )
        return state

    def _frozen(self) -> list[Any]:
        return [part.mask for part in self.parts() if isinstance(part, Freeze)]

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, self.transforms))})"


class NamedChain(Chain):
    """A chain whose state is a dict of the states of its members, by name."""

    names: tuple[str, ...] = ()

    def init(self, params: Params) -> State:
        return self._by_name(super().init(params))

    def join(self, states: Sequence[State]) -> State:
        return self._by_name(super().join(states))

    def children(self) -> dict[str, GradientTransformation]:
        return dict(zip(self.names, self.transforms, strict=True))

    def _by_name(self, states: Sequence[State]) -> dict[str, State]:
        return dict(zip(self.names, states, strict=True))

    def _members(self, state: State) -> Sequence[State]:
        if not isinstance(state, dict) or set(state) != set(self.names):
            found = sorted(state) if isinstance(state, dict) else type(state).__name__
            raise TypeError(
                f"named_chain: the state is {found}; expected a dict of "
                f"{sorted(self.names)}. Pass the state that `init` or the last "
                f"`update` of this chain returned."
            )
        return [state[name] for name in self.names]

    def __repr__(self) -> str:
        named = zip(self.names, self.transforms, strict=True)
        return f"named_chain({', '.join(map(repr, named))})"


def _runs(
    parts: Sequence[Any], states: Sequence[State]
) -> Iterator[tuple[list[Any], list[State]]]:
    """Adjacent leaf rules together, each that measures first; all else stands alone."""
    run: list[Any] = []
    held: list[State] = []
    for part, state in zip(parts, states, strict=True):
        joins = (
            run
            and isinstance(part, Link)
            and isinstance(run[-1], Link)
            and not _measures(part.rule)
        )
        if run and not joins:
            yield run, held
            run, held = [], []
        run.append(part)
        held.append(state)
    if run:
        yield run, held


def _measures(rule: Rule) -> bool:
    return isinstance(rule, SharedRule) and rule.measure is not None


def chain(*transforms: Any) -> GradientTransformation:
    """Applies transformations one after another.

        u1, s1 = tx1.update(g, s1, p);  u2, s2 = tx2.update(u1, s2, p);  …

    Neighbouring leaf rules are computed in one pass over each leaf. Parameters that a
    `freeze` in the chain names take no part in it: no other member sees them or keeps
    state for them (in Optax, members still do).

    Args:
        *transforms: transformations, ours or Optax's; none makes the identity.

    Returns:
        A transformation whose state is the tuple of theirs.

    Raises:
        TypeError: if a member has no `init` and `update`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.chain(jl.clip(1.0), jl.scale(-0.5))
        >>> tx.update(jnp.array([4.0, -0.5]), tx.init(jnp.zeros(2)))[0]
        Array([-0.5 ,  0.25], dtype=float32)
    """
    return Chain(
        tuple(
            as_transformation(tx, f"chain: member {i}")
            for i, tx in enumerate(transforms)
        )
    )


def named_chain(*transforms: tuple[str, Any]) -> GradientTransformation:
    """Applies transformations one after another, their states under names.

    Args:
        *transforms: pairs of a name and a transformation.

    Returns:
        A transformation whose state is a dict from name to state, so that adding a
        member does not move the others in a checkpoint.

    Raises:
        TypeError: if a member is no pair of a name and a transformation.
        ValueError: if a name stands twice.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.named_chain(("clip", jl.clip(1.0)), ("momentum", jl.trace(0.9)))
        >>> tx.init(jnp.zeros(2))["momentum"]
        TraceState(trace=Array([0., 0.], dtype=float32))
    """
    for i, pair in enumerate(transforms):
        if not (
            isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
        ):
            raise TypeError(
                f"named_chain: member {i} is {pair!r}; expected a pair of a name and a "
                f"transformation, such as ('clip', clip(1.0))."
            )
    names = tuple(name for name, _ in transforms)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"named_chain: {', '.join(map(repr, twice))} names several members; "
            f"expected each name once."
        )
    members = (
        as_transformation(tx, f"named_chain: {name!r}") for name, tx in transforms
    )
    return NamedChain(tuple(members), names)
