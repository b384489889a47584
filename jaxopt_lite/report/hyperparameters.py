"""Reading and changing the numbers of an optimizer, by path and name."""

import dataclasses
import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.combine.inject import InjectHyperparams
from jaxopt_lite.combine.mechanize import MechanicState, Mechanize
from jaxopt_lite.combine.sam import Sam, SAMState
from jaxopt_lite.combine.schedule_free import ScheduleFree, ScheduleFreeState
from jaxopt_lite.combine.sophia import Sophia, SophiaState
from jaxopt_lite.core import checks
from jaxopt_lite.core.links import placed_like
from jaxopt_lite.core.numbers import BOUND, DECAY, NON_NEGATIVE, fixed_number
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.transformation import (
    FromFunctions,
    GradientTransformation,
    as_transformation,
)
from jaxopt_lite.core.types import State
from jaxopt_lite.core.value import is_array, short_repr

_Optimizer = TypeVar("_Optimizer")

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

INNER = "inner_state/"
"""The step into what a factory made of injected numbers."""


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
        `"weight_decay[*bias]"`. Of another library's transformations those are shown
        that stand in the state, as it left them: a scheduled one as it was at the last
        step. Whole numbers, flags and seeds are not: they are no numbers to tune on
        the way.

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
    if any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(state)):
        raise TypeError(
            "get_hyperparams: the state is one of shapes; expected one of arrays, as "
            "`init` gives outside of `jax.eval_shape`."
        )
    return dict(_in_force(tx, state, ""))


def _in_force(
    tx: GradientTransformation, state: State, path: str
) -> Iterator[tuple[str, Any]]:
    for name, value in tx.in_force(state).items():
        yield from _entries(path + name, value)
    if isinstance(tx, FromFunctions):
        yield from ((name, jnp.asarray(x)) for name, x in _held(state, path))
    elif isinstance(tx, InjectHyperparams):
        yield from _in_force_inside(tx, state, path)
    states = tx.child_states(state)
    for name, child in tx.children().items():
        yield from _in_force(child, states[name], below(tx, path, name, child))


def _in_force_inside(
    tx: InjectHyperparams, state: State, path: str
) -> Iterator[tuple[str, Any]]:
    """The numbers of what the factory makes, but for those that it was given."""
    given = tx.given(state)
    known = {id(x) for x in given.values()}
    inside = _in_force(tx.at(given), state.inner_state, path + INNER)
    yield from ((name, x) for name, x in inside if id(x) not in known)


def below(
    tx: GradientTransformation, path: str, name: str, child: GradientTransformation
) -> str:
    """The path of a child; what holds one transformation adds nothing.

    It adds its name where a number of the child is called as one of its own.
    """
    alone = len(tx.holds) == 1 and tx.hyperparams().keys().isdisjoint(
        _places(child, "")
    )
    return path if alone else f"{path}{name}/"


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
        TypeError: if a value is none that the optimizer could have been made with.
        ValueError: if a number is outside its range; if the number in a state follows a
            schedule or has another shape. Of a state only those ranges are known that
            numbers of one name share: learning rates, weight decays, `b1` and the like.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.set_hyperparams(jl.adamw(0.1), weight_decay=0.5)
        >>> jl.get_hyperparams(tx, tx.init(jnp.zeros(1)))["1/weight_decay"]
        0.5
    """
    given = _given(hyperparams, named)
    if isinstance(optimizer, GradientTransformation):
        return _changed(optimizer, _found(given, _places(optimizer, "")), "")
    _check_state(optimizer)
    return _with_held(optimizer, "", _found(given, dict(_held(optimizer, ""))))


def _check_state(state: Any) -> None:
    """Refuses what is neither a transformation of ours nor a state."""
    is_factory = callable(state) and jax.tree_util.all_leaves([state])
    has_both = hasattr(state, "init") and hasattr(state, "update")
    if has_both or is_factory or isinstance(state, int | float | str):
        raise TypeError(
            f"set_hyperparams: found {checks.article(type(state).__name__)}, "
            f"{short_repr(state)}; expected a transformation of jaxopt_lite, such as "
            f"`adamw(1e-3)`, or the state of one made by `inject_hyperparams`."
        )


def _given(hyperparams: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers by name, whichever way they were given."""
    if hyperparams is None:
        return dict(named)
    if not isinstance(hyperparams, Mapping):
        raise TypeError(
            f"set_hyperparams: the hyperparameters are {hyperparams!r}, "
            f"{checks.article(type(hyperparams).__name__)}; expected a dict from names "
            f"to numbers."
        )
    if strange := [name for name in hyperparams if not isinstance(name, str)]:
        raise TypeError(
            f"set_hyperparams: {strange[0]!r} is no name; expected strings, as "
            f"`get_hyperparams` gives."
        )
    if twice := sorted(hyperparams.keys() & named.keys()):
        raise TypeError(
            f"set_hyperparams: {', '.join(twice)} stands in the dict and among the "
            f"keywords; expected each name once."
        )
    return {**hyperparams, **named}


def _places(tx: GradientTransformation, path: str) -> list[str]:
    """The names of all numbers, of `by_path` as a whole and of each pattern."""
    names = []
    for name, value in tx.hyperparams().items():
        entries = [entry for entry, _ in _entries(path + name, value)]
        names += list(dict.fromkeys([path + name, *entries]))
    for name, child in tx.children().items():
        names += _places(child, below(tx, path, name, child))
    return names


def _changed(tx: Any, given: Mapping[str, Any], path: str) -> Any:
    """A transformation with other numbers, down to its children."""
    own = {}
    for name, value in tx.hyperparams().items():
        entries = [entry for entry, _ in _entries(path + name, value)]
        if path + name in given:
            own[name] = _in_the_dtype_of(value, given[path + name])
        elif not given.keys().isdisjoint(entries):
            values = (
                _in_the_dtype_of(x, given[entry]) if entry in given else x
                for entry, x in _entries(path + name, value)
            )
            own[name] = dataclasses.replace(value, values=tuple(values))
    children = {
        name: _changed(child, given, below(tx, path, name, child))
        for name, child in tx.children().items()
    }
    if own:
        try:
            tx = tx.with_hyperparams(own)
        except (TypeError, ValueError) as error:
            if type(error) not in (TypeError, ValueError):
                raise
            # It begins with the name.
            raise type(error)(f"set_hyperparams: {path}{error}") from None
    return tx.with_children(children) if children else tx


def _in_the_dtype_of(old: Any, new: Any) -> Any:
    """An array as the one before it, so that it is no other type to trace."""
    is_new_array = is_array(new) or isinstance(new, np.ndarray)
    if is_array(old) and is_new_array and jnp.issubdtype(new.dtype, jnp.floating):
        return jnp.asarray(new, old.dtype)
    return new


def _held(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All numbers that a state holds, by name."""
    if _is_injected(node):
        yield from ((path + name, x) for name, x in node.hyperparams.items())
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


def _found(given: Mapping[str, Any], places: Collection[str]) -> dict[str, Any]:
    """The numbers by the places that their names mean.

    Raises:
        KeyError: telling of each name that means none, or several, or the same place
            as another.
    """
    meant = {name: _meant(name, places) for name in given}
    wrong = [
        _explained(name, found, places)
        for name, found in meant.items()
        if len(found) != 1
    ]
    names: dict[str, str] = {}
    for name, (place, *_) in ((n, f) for n, f in meant.items() if len(f) == 1):
        if place in names:
            wrong.append(f"{names[place]!r} and {name!r} are the same number")
        names[place] = name
    wrong += [
        f"{names[whole]!r} and {names[part]!r} are the same number"
        for whole in names
        for part in names
        if part.startswith(f"{whole}[")
    ]
    if wrong:
        raise KeyError(f"set_hyperparams: {'; '.join(wrong)}.")
    return {place: given[name] for place, name in names.items()}


def _meant(name: str, places: Collection[str]) -> list[str]:
    """The places that a name means: all of one, or its last parts."""
    return [p for p in places if p == name] or [
        place for place in places if place.endswith(f"/{name}")
    ]


def _explained(name: str, found: list[str], places: Collection[str]) -> str:
    """Why a name is not of one place."""
    if found:
        return (
            f"{name!r} stands {len(found)} times: {', '.join(found)}. Expected the "
            f"whole of one of these names"
        )
    if not places:
        return f"{name!r} stands nowhere: there are no numbers that may be changed"
    last = {place.rpartition("/")[2]: place for place in places}
    near = difflib.get_close_matches(name, places, 1) or [
        last[x]
        for x in difflib.get_close_matches(name.rpartition("/")[2], last, 1, 0.5)
    ]
    if near:
        return f"{name!r} stands nowhere; the nearest name is {near[0]!r}"
    return f"{name!r} stands nowhere among {', '.join(places)}"
