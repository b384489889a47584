"""Reading and changing the numbers of an optimizer, by path and name."""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.mechanize import MechanicState, Mechanize
from jaxopt_lite.combine.sam import Sam, SAMState
from jaxopt_lite.combine.schedule_free import ScheduleFree, ScheduleFreeState
from jaxopt_lite.combine.sophia import Sophia, SophiaState
from jaxopt_lite.core import checks
from jaxopt_lite.core.hyperparameters import BOUND, NON_NEGATIVE, fixed_number, number
from jaxopt_lite.core.links import placed_like
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.types import State

_Optimizer = TypeVar("_Optimizer")

_RANGES = {
    **dict.fromkeys(("learning_rate", "weight_decay", "eps", "eps_root"), NON_NEGATIVE),
    **dict.fromkeys(("b1", "b2", "b3", "decay", "slow_step_size"), "[0, 1]"),
    "max_norm": BOUND,
}
"""The ranges of numbers that mean the same wherever they stand."""

_STEPS = {
    state: {field: name for name, field in made.holds.items() if field}
    for state, made in (
        (MechanicState, Mechanize),
        (SAMState, Sam),
        (ScheduleFreeState, ScheduleFree),
        (SophiaState, Sophia),
    )
}
"""How a transformation that holds several calls those whose states these fields are."""


def get_hyperparams(tx: Any, state: State) -> dict[str, Any]:
    """The numbers in force at the next step, by path and name.

    Schedules are read at the counts in the state, so the learning rate of a chain,
    however nested, is one look-up. Under `jit` the values are traced.

    Args:
        tx: a transformation.
        state: its state.

    Returns:
        A flat dict. A member of a chain is named by its place or name, a group of a
        `partition` by its label: `"1/weight_decay"`. What wraps one transformation
        adds nothing to the path. Of `by_path` there is an entry for each pattern:
        `"weight_decay[*bias]"`. Of another library's transformations only those are
        shown that keep their numbers in the state. Whole numbers, flags and seeds are
        not: they are no numbers to tune on the way.

    Raises:
        TypeError: if `tx` is no transformation, or the state is another's.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> rate = jl.linear_schedule(1.0, 0.0, 4)
        >>> tx = jl.chain(jl.clip_by_global_norm(1.0), jl.sgd(rate, momentum=0.9))
        >>> state = tx.init(jnp.zeros(2))
        >>> _, state = tx.update(jnp.ones(2), state)
        >>> for name, value in jl.get_hyperparams(tx, state).items():
        ...     print(name, value)
        0/max_norm 1.0
        1/0/decay 0.9
        1/1/learning_rate 0.75
    """
    tx = as_transformation(tx, "get_hyperparams: the optimizer")
    return dict(_in_force(tx, state, ""))


def _in_force(
    tx: GradientTransformation, state: State, path: str
) -> Iterator[tuple[str, Any]]:
    for name, value in tx.in_force(state).items():
        yield from _entries(path + name, value)
    states = tx.child_states(state)
    for name, child in tx.children().items():
        yield from _in_force(child, states[name], _below(tx, path, name))


def _below(tx: GradientTransformation, path: str, name: str) -> str:
    """The path of a child; what holds one transformation adds nothing."""
    return path if len(tx.holds) == 1 else f"{path}{name}/"


def _entries(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A number under its name, or those of `by_path` under each pattern."""
    if isinstance(value, ByPath):
        for pattern, x in zip(value.patterns, value.values, strict=True):
            yield f"{name}[{pattern}]", x
    else:
        yield name, value


def set_hyperparams(
    optimizer: _Optimizer, /, hyperparams: Mapping[str, Any] | None = None, **named: Any
) -> _Optimizer:
    """An optimizer, or a state, with other numbers.

        state = set_hyperparams(state, learning_rate=1e-4)
        tx = set_hyperparams(tx, {"1/weight_decay": jnp.asarray(0.1)})

    In a state, what `inject_hyperparams` holds is changed: dtypes, shapes and places
    stay, so nothing is traced or compiled anew. Of an optimizer the numbers themselves
    are: an array in the place of an array traces nothing anew where the optimizer is an
    argument of the function under `jit`; a Python number is part of its structure, and
    another one makes another optimizer.

    Args:
        optimizer: a transformation, or the state of one that holds its numbers.
        hyperparams: from the names of `get_hyperparams` to numbers, arrays, schedules
            or `by_path`. The last part of a name does, where it stands once.
        **named: the same, as keywords.

    Returns:
        The same with these numbers; what was given is not changed.

    Raises:
        KeyError: if a name stands nowhere, with the nearest one, or several times.
        TypeError: if a value is no number of its kind.
        ValueError: if a learning rate, weight decay, `b1` and the like are out of their
            range; if the number in a state follows a schedule or has another shape.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.set_hyperparams(jl.adamw(0.1), weight_decay=0.5)
        >>> jl.get_hyperparams(tx, tx.init(jnp.zeros(1)))["1/weight_decay"]
        0.5
    """
    given = {**(hyperparams or {}), **named}
    if isinstance(optimizer, GradientTransformation):
        places = _places(optimizer, "")
        found = {_find(name, places): value for name, value in given.items()}
        return _changed(optimizer, found, "")
    return _in_state(optimizer, given)


def _last(name: str) -> str:
    """A name without its path and pattern."""
    return name.partition("[")[0].rpartition("/")[2]


def _range(name: str) -> str:
    return _RANGES.get(_last(name), "[-inf, inf]")


def _places(tx: GradientTransformation, path: str) -> list[str]:
    """The names of all numbers, of `by_path` as a whole and of each pattern."""
    names = []
    for name, value in tx.hyperparams().items():
        entries = [entry for entry, _ in _entries(path + name, value)]
        names += list(dict.fromkeys([path + name, *entries]))
    for name, child in tx.children().items():
        names += _places(child, _below(tx, path, name))
    return names


def _changed(tx: Any, given: Mapping[str, Any], path: str) -> Any:
    """A transformation with other numbers, down to its children."""
    own = {}
    for name, value in tx.hyperparams().items():
        entries = [entry for entry, _ in _entries(path + name, value)]
        if path + name in given:
            own[name] = number(name, given[path + name], _range(name))
        elif not given.keys().isdisjoint(entries):
            values = (given.get(e, x) for e, x in _entries(path + name, value))
            own[name] = dataclasses.replace(
                value, values=tuple(number(name, x, _range(name)) for x in values)
            )
    children = {
        name: _changed(child, given, _below(tx, path, name))
        for name, child in tx.children().items()
    }
    tx = tx.with_hyperparams(own) if own else tx
    return tx.with_children(children) if children else tx


def _in_state(state: Any, given: Mapping[str, Any]) -> Any:
    """A state in which injected numbers are replaced."""
    places = list(_held(state, ""))
    found = {_find(name, places): value for name, value in given.items()}
    return _with_held(state, "", found)


def _held(node: Any, path: str) -> Iterator[str]:
    """The names of all numbers that a state holds."""
    if _is_injected(node):
        yield from (path + name for name in node.hyperparams)
    for step, child in _inside(node):
        yield from _held(child, path + step)


def _with_held(node: Any, path: str, found: Mapping[str, Any]) -> Any:
    """A state with other numbers, down to what it holds."""
    inside = _inside(node)
    if not inside:
        return node
    children = [_with_held(child, path + step, found) for step, child in inside]
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
    return isinstance(getattr(node, "hyperparams", None), dict)


def _inside(node: Any) -> list[tuple[str, Any]]:
    """What a node of a state holds, each with its step of the path."""
    found, _ = jax.tree_util.tree_flatten_with_path(
        node, is_leaf=lambda x: x is not node
    )
    names = _STEPS.get(type(node), {})
    return [(_step(path[0], names), child) for path, child in found if path]


def _step(key: Any, names: Mapping[str, str]) -> str:
    """A step into a state, as the transformations call it."""
    if isinstance(key, jax.tree_util.GetAttrKey):
        return f"{names[key.name]}/" if key.name in names else ""
    return f"{jax.tree_util.keystr((key,), simple=True)}/"


def _replaced(name: str, new: Any, old: Any, is_scheduled: bool) -> jax.Array:
    """A number of the state in the dtype, shape and place of the old one."""
    if is_scheduled:
        raise ValueError(
            f"set_hyperparams: {name} follows a schedule, which would overwrite it; "
            f"expected a number that does not. Give `inject_hyperparams` a number, or "
            f"change the schedule of the optimizer."
        )
    old = jnp.asarray(old)
    if not jnp.issubdtype(old.dtype, jnp.inexact):  # an integer, assigned in place
        old = old.astype(float)
    # A copy: the state may be donated.
    x = jnp.array(fixed_number(_last(name), new, _range(name)), old.dtype)
    if x.shape not in ((), old.shape):
        raise ValueError(
            f"set_hyperparams: {name} is {checks.describe(x)}; expected one number, or "
            f"{checks.describe(old)} as it is."
        )
    return placed_like(old, jnp.broadcast_to(x, old.shape))


def _find(name: str, places: Sequence[str]) -> str:
    """The one place that a name means: all of it, or its last parts."""
    meant = [p for p in places if p == name] or [
        place for place in places if place.endswith(f"/{name}")
    ]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise KeyError(
            f"set_hyperparams: {name!r} stands {len(meant)} times: "
            f"{', '.join(meant)}. Expected the whole of one of these names."
        )
    near = difflib.get_close_matches(name, places, 1, 0.0)
    nearest = f"; the nearest name is {near[0]!r}" if near else ""
    raise KeyError(f"set_hyperparams: {name!r} stands nowhere{nearest}.")
