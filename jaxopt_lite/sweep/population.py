"""Population based training: the worst copy the best, and try something near."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr

from jaxopt_lite.core import checks
from jaxopt_lite.core.types import PyTree
from jaxopt_lite.core.value import short_repr
from jaxopt_lite.sweep import metrics
from jaxopt_lite.sweep.arguments import check, one_program, whole
from jaxopt_lite.sweep.axis import Axis
from jaxopt_lite.sweep.hyperparameters import numbers, with_numbers
from jaxopt_lite.sweep.space import Space

TrainRound = Callable[[Any, PyTree, jax.Array], tuple[PyTree, Any]]
"""From hyperparameters, state and key to the next state and the loss."""

Columns = dict[str, jax.Array]
"""By axis the number that each member has."""


class Population(NamedTuple):
    """What a population has been through; arrays are of (rounds, members).

    `parents` says whose state and numbers a member had at the start of a round: its
    own number, or that of another one that it copied. `number` is the member with the
    least loss in the last round, `loss` and `state` are its.
    """

    number: int
    loss: float
    state: PyTree
    hyperparams: dict[str, np.ndarray]
    losses: np.ndarray
    parents: np.ndarray

    def schedule(self) -> dict[str, np.ndarray]:
        """The numbers that the best state was trained with, round by round."""
        line = [self.number]
        for parents in self.parents[:0:-1]:
            line.append(int(parents[line[-1]]))
        rounds = np.arange(len(line))
        return {name: x[rounds, line[::-1]] for name, x in self.hyperparams.items()}


def population_based_training(
    train_round: TrainRound,
    space: Space,
    *,
    key: jax.Array,
    rounds: int,
    exploit: float = 0.25,
    explore: float = 0.2,
) -> Population:
    """Trains a population whose worst members become changed copies of the best.

    Before each round but the first, every member of the worst `exploit` of the
    population takes the state and the numbers of a random one of the best `exploit`
    (exploitation), and moves each number by a step up or down at random (exploration):
    times or over `1 + explore` on a logarithmic axis, by `explore` of its range on any
    other, and not beyond the range. All rounds are one compiled program.

    Args:
        train_round: a function of `(hyperparams, state, key)` that JAX can trace. In
            the first round `state` is None, later what a member has; its structure,
            shapes and dtypes stay the same. It returns `(state, loss)`: a tree of
            arrays, and a scalar to be made small.
        space: the members to begin with; its axes are numbers, or have one value.
        key: a key of `jax.random`; the whole run follows from it.
        rounds: how many, from 1.
        exploit: the share that is replaced, in (0, 0.5]; at least one member.
        explore: the size of a step, above 0.

    Returns:
        A `Population`. A loss that is not finite counts as the greatest, and its
        member is not copied; where all are of the last round, so is the best.

    Raises:
        TypeError: if `train_round` returns something else.
        ValueError: if a number is out of range, the space has static axes of several
            values or fewer than two members.

    Source: Jaderberg et al. 2017, arXiv 1711.09846; there numbers are multiplied on any
    axis, and may leave the range.

    Example:
        >>> import jax
        >>> from jaxopt_lite import sweep
        >>> def train_round(hyperparams, state, key):
        ...     x = jax.numpy.ones(()) if state is None else state
        ...     x = x - hyperparams["learning_rate"] * x
        ...     return x, x**2
        >>> found = sweep.population_based_training(
        ...     train_round,
        ...     sweep.grid(learning_rate=[0.01, 0.02, 0.04, 0.08]),
        ...     key=jax.random.key(0),
        ...     rounds=6,
        ... )
        >>> found.losses.shape, found.schedule()["learning_rate"].shape
        ((6, 4), (6,))
    """
    where = "population_based_training"
    check(where, "train_round(hyperparams, state, key)", train_round, space, key)
    one_program(where, space)
    rounds = whole(where, "rounds", rounds, 1)
    _check(len(space), exploit, explore)
    n, replaced = len(space), max(1, int(exploit * len(space)))
    axes = {axis.name: axis for axis in space.axes if axis.is_number}

    def train(
        columns: Columns, states: PyTree, key: jax.Array, is_first: bool = False
    ) -> Any:
        def one(columns: Columns, state: PyTree, key: jax.Array) -> Any:
            returned = train_round(with_numbers(space[0], columns), state, key)
            found, loss = metrics.loss(f"{where}: train_round", returned)
            if not is_first:
                _check_state(where, state, found)
            return found, loss

        keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(n))
        return jax.vmap(one)(columns, states, keys)

    def copy(columns: Columns, losses: jax.Array, key: jax.Array) -> Any:
        """The parent of each member, and the numbers that it goes on with."""
        choosing, *moving = jax.random.split(key, 1 + len(columns))
        order = metrics.from_least(losses)
        first = order[:replaced]
        is_finite = jnp.isfinite(losses[first]).at[0].set(True)
        chance = is_finite / is_finite.sum()
        best = jax.random.choice(choosing, first, (replaced,), p=chance)
        parents = jnp.arange(n).at[order[n - replaced :]].set(best)
        is_copy = parents != jnp.arange(n)
        moved = {
            name: jnp.where(is_copy, _moved(axes[name], x[parents], explore, k), x)
            for (name, x), k in zip(columns.items(), moving, strict=True)
        }
        return parents, moved

    def round_(carry: Any, i: jax.Array) -> Any:
        columns, states, losses, key = carry
        copying, training = jax.random.split(jax.random.fold_in(key, i))
        parents, columns = copy(columns, losses, copying)
        states = jax.tree.map(lambda x: x[parents], states)
        states, losses = train(columns, states, training)
        return (columns, states, losses, key), (columns, losses, parents)

    @jax.jit
    def evolve(columns: Columns, key: jax.Array) -> Any:
        states, losses = train(columns, None, jax.random.fold_in(key, 0), is_first=True)
        first = (columns, losses, jnp.arange(n))
        carry = (columns, states, losses, key)
        carry, later = jax.lax.scan(round_, carry, jnp.arange(1, rounds))
        history = jax.tree.map(lambda x, y: jnp.concatenate([x[None], y]), first, later)
        best = metrics.from_least(carry[2])[0]
        return best, carry[2][best], jax.tree.map(lambda x: x[best], carry[1]), history

    columns = {name: jnp.asarray(x) for name, x in numbers(space).items()}
    number, loss, state, history = evolve(columns, key)
    return Population(
        int(number), float(loss), state, *jax.tree.map(np.asarray, history)
    )


def _moved(axis: Axis, x: jax.Array, explore: float, key: jax.Array) -> jax.Array:
    """A step up or down from each number, within the range of the axis."""
    low, high = min(axis.values), max(axis.values)
    sign = jax.random.rademacher(key, x.shape, jnp.float32)
    if axis.is_logarithmic:
        moved = x * (1 + explore) ** sign
    else:
        moved = x + sign * explore * (high - low)
    if jnp.issubdtype(x.dtype, jnp.integer):
        moved = x + sign * jnp.maximum(1, jnp.abs(jnp.round(moved - x)))
    return jnp.clip(moved, low, high).astype(x.dtype)


def _check_state(where: str, before: PyTree, after: PyTree) -> None:
    """Refuses a state that cannot take the place of the one before.

    Raises:
        TypeError: naming every leaf that differs.
    """
    old, new = _leaves(before), _leaves(after)
    problems = [
        (path, f"{_found(new, path)}; it was {_found(old, path)} before")
        for path in {**old, **new}
        if path not in old or path not in new or not _fits(new[path], old[path])
    ]
    structures: Any = jax.tree.structure(after), jax.tree.structure(before)
    if not problems and structures[0] != structures[1]:
        problems = [("state", "{}; it was {} before".format(*structures))]
    if problems:
        checks.fail(
            f"{where}: train_round returned another kind of state than it was given.",
            problems,
            "Expected the same paths, shapes and dtypes from the first round on, such "
            "as by jnp.zeros(shape, dtype) there or x.astype(dtype) later.",
            TypeError,
        )


def _leaves(state: PyTree) -> dict[str, Any]:
    pairs = jax.tree_util.tree_leaves_with_path({"state": state})
    return {keystr(path, simple=True, separator="/"): x for path, x in pairs}


def _found(leaves: dict[str, Any], path: str) -> str:
    return checks.describe(leaves[path]) if path in leaves else "missing"


def _fits(new: Any, old: Any) -> bool:
    """Whether a leaf may follow another one, whose dtype gives way where it is weak."""
    new = jnp.asarray(new)
    dtype = jnp.result_type(old, new) if old.weak_type else old.dtype
    return old.shape == new.shape and new.dtype == dtype


def _check(n: int, exploit: float, explore: float) -> None:
    where = "population_based_training"
    for name, x in {"exploit": exploit, "explore": explore}.items():
        if isinstance(x, bool) or not isinstance(x, int | float):
            raise TypeError(f"{where}: {name} is {short_repr(x)}; expected a number.")
    if not 0 < exploit <= 0.5:
        raise ValueError(f"{where}: exploit is {exploit!r}; expected 0 < x <= 0.5.")
    if not 0 < explore < float("inf"):
        raise ValueError(f"{where}: explore is {explore!r}; expected 0 < x < inf.")
    if n < 2:
        raise ValueError(
            f"{where}: the space has {n} configuration; expected at least 2, so that "
            f"one can copy another."
        )
