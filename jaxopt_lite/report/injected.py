"""The numbers that a state holds: reading and changing them, by name."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.combine.mechanize import MechanicState, Mechanize
from jaxopt_lite.combine.sam import Sam, SAMState
from jaxopt_lite.combine.schedule_free import ScheduleFree, ScheduleFreeState
from jaxopt_lite.combine.sophia import Sophia, SophiaState
from jaxopt_lite.core import checks
from jaxopt_lite.core.links import placed_like
from jaxopt_lite.core.numbers import BOUND, DECAY, NON_NEGATIVE, fixed_number
from jaxopt_lite.report.names import INNER

_RANGES = {
    **dict.fromkeys(("learning_rate", "weight_decay", "eps", "eps_root"), NON_NEGATIVE),
    **dict.fromkeys(("b1", "b2", "b3", "decay"), DECAY),
    "max_norm": BOUND,
}
"""The ranges of numbers in a state, where the old one shows that they apply."""

_STEPS = {
    state: {field: f"{name}/" for name, field in made.holds.items() if field}
    for state, made in (
        (MechanicState, Mechanize),
        (SAMState, Sam),
        (ScheduleFreeState, ScheduleFree),
        (SophiaState, Sophia),
    )
}
"""How a transformation that holds several calls those whose states these fields are."""


def numbers_held(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All numbers that a state holds, by name."""
    if _is_injected(node):
        yield from ((path + name, x) for name, x in node.hyperparams.items())
    for step, child in _inside(node):
        yield from numbers_held(child, path + step)


def with_numbers(node: Any, path: str, found: Mapping[str, Any]) -> Any:
    """A state with other numbers, down to what it holds."""
    inside = _inside(node)
    if not inside:
        return node
    children = [with_numbers(child, path + step, found) for step, child in inside]
    structure: Any = jax.tree.structure(node, is_leaf=lambda x: x is not node)
    node = structure.unflatten(children)
    if not _is_injected(node):
        return node
    scheduled = getattr(node, "hyperparams_states", {})
    numbers = {
        name: _replaced(path + name, found[path + name], old, name in scheduled)
        if path + name in found
        else old
        for name, old in node.hyperparams.items()
    }
    return node._replace(hyperparams=numbers)


def _is_injected(node: Any) -> bool:
    return {"hyperparams", "inner_state"} <= set(getattr(node, "_fields", ()))


def _inside(node: Any) -> list[tuple[str, Any]]:
    """What a node of a state holds, each with its step of the path."""
    found, _ = jax.tree_util.tree_flatten_with_path(
        node, is_leaf=lambda x: x is not node
    )
    names = {"inner_state": INNER} if _is_injected(node) else _STEPS.get(type(node), {})
    return [(_step(path[0], names), child) for path, child in found if path]


def _step(key: Any, names: Mapping[str, str]) -> str:
    """A step into a state, as the transformations call it."""
    if isinstance(key, jax.tree_util.GetAttrKey):
        return names.get(key.name, "")
    return f"{jax.tree_util.keystr((key,), simple=True)}/"


def _replaced(name: str, new: Any, held: Any, is_scheduled: bool) -> Any:
    """A number of the state in the dtype, shape, place and wrapping of the old one."""
    if is_scheduled:
        raise ValueError(
            f"set_hyperparams: {name} follows a schedule, which would overwrite it; "
            f"expected a number that does not. Give `inject_hyperparams` a number, or "
            f"change the schedule of the optimizer."
        )
    old = jnp.asarray(held)
    if not jnp.issubdtype(old.dtype, jnp.inexact):  # an integer, assigned in place
        old = old.astype(float)
    where, interval = f"set_hyperparams: {name}", _range_in_state(name, old)
    with np.errstate(over="ignore"):  # what overflows is refused below
        # A copy: the state may be donated.
        x = jnp.array(fixed_number(where, new, interval), old.dtype)
    fixed_number(f"{where} in {old.dtype}", x, interval)
    if x.shape not in ((), old.shape):
        raise ValueError(
            f"{where} is {checks.describe(x)}; expected one number, or "
            f"{checks.describe(old)} as it is."
        )
    x = placed_like(old, jnp.broadcast_to(x, old.shape))
    wrapping: Any = jax.tree.structure(held)  # of a framework, or none
    return wrapping.unflatten([x])


def _range_in_state(name: str, old: jax.Array) -> str:
    """The range of a number, as far as its name and the old one tell."""
    interval = _RANGES.get(name.rpartition("/")[2], "[-inf, inf]")
    try:
        fixed_number(name, old, interval)
    except ValueError:
        return "[-inf, inf]"
    return interval
