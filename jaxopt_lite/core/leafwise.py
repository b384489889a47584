"""`leafwise`: a rule for one array becomes a transformation of trees."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from jaxopt_lite.core import lift, links
from jaxopt_lite.core.hyperparameters import at_count, is_numeric
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.ranges import checked
from jaxopt_lite.core.rule import Rule, begin, fields
from jaxopt_lite.core.storage import Storage
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Params, State, Updates
from jaxopt_lite.core.value import field_names


class Leafwise(GradientTransformation):
    """A rule, lifted to trees."""

    rule: Rule
    storage: Storage = Storage()

    def parts(self) -> tuple[Link]:
        return (Link(self.rule, self.storage),)

    def init(self, params: Params) -> State:
        (link,) = self.parts()
        return links.init(link, params)

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        updates, (state,) = lift.run(self.parts(), [state], updates, params, extra)
        return updates, state

    def hyperparams(self) -> dict[str, Any]:
        named = zip(field_names(type(self.rule)), fields(self.rule), strict=True)
        return {name: x for name, x in named if is_numeric(x)}

    def with_hyperparams(self, hyperparams: Mapping[str, Any]) -> Self:
        rule = checked(dataclasses.replace(self.rule, **hyperparams))
        return dataclasses.replace(self, rule=rule)

    def in_force(self, state: State) -> dict[str, Any]:
        (link,) = self.parts()
        counts = link.unpack(state)
        counter = self.rule.counter
        return {
            name: at_count(x, counts.get(self.rule.own_counts.get(name, counter)))
            for name, x in self.hyperparams().items()
        }

    def metrics(self, state: State) -> dict[str, Any]:
        (link,) = self.parts()
        parts = link.unpack(state)
        return {name: parts[name] for name in begin(self.rule)}

    def __repr__(self) -> str:
        stored = f", {self.storage!r}" if self.storage != Storage() else ""
        return f"leafwise({self.rule!r}{stored})"


def leafwise(rule: Rule, storage: Storage | None = None) -> GradientTransformation:
    """Lifts a rule for one array to trees of parameters.

    The lift owns what is no arithmetic: the step count (int32, saturating), arithmetic
    in at least float32, updates in `result_type(gradient, parameter)` (in the
    gradient's dtype where no parameters are given), slots whose structure, shape and
    dtype never change, hyperparameters by path and by step, None and masked leaves,
    one trace per (rule, shape, dtype), and errors that name the parameter.

    Args:
        rule: a `Rule` or `SharedRule`.
        storage: in which dtype each slot is kept; by default that of the arithmetic.

    Returns:
        A transformation whose state is the rule's `State`, each slot one tree in the
        shape of the parameters.

    Raises:
        TypeError: if `rule` is no rule; from `init` and `update`, if a parameter or
            gradient is not floating-point.
        ValueError: if a number lies outside the interval that its field declares; from
            `update`, if gradients, state and parameters do not agree, or
            if `params` is missing where the rule reads it.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> class Sign(jl.Rule):
        ...     def emit(self, g, slots, p, step):
        ...         return jnp.sign(g)
        >>> tx = jl.leafwise(Sign())
        >>> tx.update({"w": jnp.array([-2.0, 3.0])}, tx.init({"w": jnp.zeros(2)}))[0]
        {'w': Array([-1.,  1.], dtype=float32)}
    """
    if not isinstance(rule, Rule):
        raise TypeError(
            f"leafwise: found {rule!r}, a {type(rule).__name__}; expected an "
            f"instance of a subclass of `Rule`."
        )
    return Leafwise(checked(rule), storage or Storage())
