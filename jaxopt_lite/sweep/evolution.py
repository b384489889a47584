"""The rounds of a population: how its members train, copy and try something near."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import keystr

from jaxopt_lite.core import checks
from jaxopt_lite.core.types import PyTree
from jaxopt_lite.sweep import metrics
from jaxopt_lite.sweep.axis import Axis
from jaxopt_lite.sweep.hyperparameters import with_numbers
from jaxopt_lite.sweep.space import Space

NAME = "population_based_training"
"""What the errors name."""

TrainRound = Callable[[Any, PyTree, jax.Array], tuple[PyTree, Any]]
"""From hyperparameters, state and key to the next state and the loss."""

Columns = dict[str, jax.Array]
"""By axis the number that each member has."""


class Evolution(NamedTuple):
    """The rules by which a population goes from round to round."""

    train_round: TrainRound
    space: Space
    rounds: int
    replaced: int
    explore: float

    def run(self, columns: Columns, key: jax.Array) -> Any:
        """All rounds.

        Args:
            columns: the numbers of the first round.
            key: a key of `jax.random`.

        Returns:
            The member that is best in the end, its loss and state, and the history: of
            all rounds the numbers, the losses and the parents of the members.
        """
        begin = jax.random.fold_in(key, 0)
        states, losses = self._trained(columns, None, begin, is_first=True)
        first = (columns, losses, self._members)
        carry = (columns, states, losses, key)
        carry, later = jax.lax.scan(self._round, carry, jnp.arange(1, self.rounds))
        history = jax.tree.map(lambda x, y: jnp.concatenate([x[None], y]), first, later)
        _, states, losses, _ = carry
        best = metrics.from_least(losses)[0]
        return best, losses[best], jax.tree.map(lambda x: x[best], states), history

    @property
    def _members(self) -> jax.Array:
        return jnp.arange(len(self.space))

    def _round(self, carry: Any, i: jax.Array) -> Any:
        columns, states, losses, key = carry
        copying, training = jax.random.split(jax.random.fold_in(key, i))
        parents, columns = self._copied(columns, losses, copying)
        states = jax.tree.map(lambda x: x[parents], states)
        states, losses = self._trained(columns, states, training)
        return (columns, states, losses, key), (columns, losses, parents)

    def _trained(
        self, columns: Columns, states: PyTree, key: jax.Array, is_first: bool = False
    ) -> Any:
        """The states of all members after a round, and their losses."""

        def one(columns: Columns, state: PyTree, key: jax.Array) -> Any:
            hyperparams = with_numbers(self.space[0], columns)
            returned = self.train_round(hyperparams, state, key)
            found, loss = metrics.loss(f"{NAME}: train_round", returned)
            if not is_first:
                _check_state(state, found)
            return found, loss

        keys = jax.vmap(partial(jax.random.fold_in, key))(self._members)
        return jax.vmap(one)(columns, states, keys)

    def _copied(
        self, columns: Columns, losses: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Columns]:
        """The parent of each member, and the numbers that it goes on with."""
        choosing, *moving = jax.random.split(key, 1 + len(columns))
        order = metrics.from_least(losses)
        first, last = order[: self.replaced], order[len(self.space) - self.replaced :]
        is_finite = jnp.isfinite(losses[first]).at[0].set(True)
        chance = is_finite / is_finite.sum()
        best = jax.random.choice(choosing, first, (self.replaced,), p=chance)
        parents = self._members.at[last].set(best)
        is_copy = parents != self._members
        axes = {axis.name: axis for axis in self.space.axes}
        moved = {
            name: jnp.where(is_copy, _moved(axes[name], x[parents], self.explore, k), x)
            for (name, x), k in zip(columns.items(), moving, strict=True)
        }
        return parents, moved


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


def _check_state(before: PyTree, after: PyTree) -> None:
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
            f"{NAME}: train_round returned another kind of state than it was given.",
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
