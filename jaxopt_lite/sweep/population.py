"""Population based training: the worst copy the best, and try something near."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.types import PyTree
from jaxopt_lite.core.value import short_repr
from jaxopt_lite.sweep.arguments import check, one_program, whole
from jaxopt_lite.sweep.evolution import NAME, Evolution, TrainRound
from jaxopt_lite.sweep.hyperparameters import numbers
from jaxopt_lite.sweep.space import Space


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
    check(NAME, "train_round(hyperparams, state, key)", train_round, space, key)
    one_program(NAME, space)
    rounds = whole(NAME, "rounds", rounds, 1)
    _check(len(space), exploit, explore)
    replaced = max(1, int(exploit * len(space)))
    evolution = Evolution(train_round, space, rounds, replaced, explore)
    columns = {name: jnp.asarray(x) for name, x in numbers(space).items()}
    number, loss, state, history = jax.jit(evolution.run)(columns, key)
    return Population(
        int(number), float(loss), state, *jax.tree.map(np.asarray, history)
    )


def _check(n: int, exploit: float, explore: float) -> None:
    for name, x in {"exploit": exploit, "explore": explore}.items():
        if isinstance(x, bool) or not isinstance(x, int | float):
            raise TypeError(f"{NAME}: {name} is {short_repr(x)}; expected a number.")
    if not 0 < exploit <= 0.5:
        raise ValueError(f"{NAME}: exploit is {exploit!r}; expected 0 < x <= 0.5.")
    if not 0 < explore < float("inf"):
        raise ValueError(f"{NAME}: explore is {explore!r}; expected 0 < x < inf.")
    if n < 2:
        raise ValueError(
            f"{NAME}: the space has {n} configuration; expected at least 2, so that "
            f"one can copy another."
        )
