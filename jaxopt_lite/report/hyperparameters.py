"""Reading and changing the numbers of an optimizer, by path and name."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.combine.inject import InjectHyperparams
from jaxopt_lite.core import checks
from jaxopt_lite.core.transformation import (
    FromFunctions,
    GradientTransformation,
    as_transformation,
)
from jaxopt_lite.core.types import State
from jaxopt_lite.core.value import is_array, short_repr
from jaxopt_lite.report.injected import numbers_held, with_numbers
from jaxopt_lite.report.names import INNER, below, entries_of, names_of, placed

_Optimizer = TypeVar("_Optimizer")


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
        yield from entries_of(path + name, value)
    if isinstance(tx, FromFunctions):
        yield from ((name, jnp.asarray(x)) for name, x in numbers_held(state, path))
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
        return _changed(optimizer, placed(given, names_of(optimizer, "")), "")
    _check_state(optimizer)
    return with_numbers(optimizer, "", placed(given, dict(numbers_held(optimizer, ""))))


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


def _changed(tx: Any, given: Mapping[str, Any], path: str) -> Any:
    """A transformation with other numbers, down to its children."""
    own = {}
    for name, value in tx.hyperparams().items():
        entries = [entry for entry, _ in entries_of(path + name, value)]
        if path + name in given:
            own[name] = _in_the_dtype_of(value, given[path + name])
        elif not given.keys().isdisjoint(entries):
            values = (
                _in_the_dtype_of(x, given[entry]) if entry in given else x
                for entry, x in entries_of(path + name, value)
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
