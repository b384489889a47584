"""Successive halving: most configurations are given up early."""

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.types import PyTree
from jaxopt_lite.sweep import metrics
from jaxopt_lite.sweep.arguments import check, one_program, whole
from jaxopt_lite.sweep.hyperparameters import numbers, with_numbers
from jaxopt_lite.sweep.space import Space

TrainRung = Callable[[Any, PyTree, jax.Array, int], tuple[PyTree, Any]]
"""From hyperparameters, state, key and rung to the next state and the loss."""


class Rung(NamedTuple):
    """The configurations that were trained at a rung, by number, and their losses."""

    configurations: np.ndarray
    losses: np.ndarray


class Halving(NamedTuple):
    """The configuration that won, its number, its loss and state, and all rungs."""

    hyperparams: dict[str, Any]
    number: int
    loss: float
    state: PyTree
    rungs: tuple[Rung, ...]


def successive_halving(
    train_rung: TrainRung, space: Space, *, key: jax.Array, eta: int = 3, rungs: int
) -> Halving:
    """Trains all configurations a little, the best of them further, and so on.

    At rung r the best `len(space) // eta**r` of the rung before go on from where they
    were. All rungs are one compiled program.

    Args:
        train_rung: a function of `(hyperparams, state, key, rung)` that JAX can trace.
            At rung 0 `state` is None, later what it returned for this configuration;
            `rung` is a Python number, so that a loop may be `eta**rung` times as long.
            It returns `(state, loss)`: a tree of arrays, and a scalar to be made small.
        space: the configurations; its axes are numbers, or have one value.
        key: a key of `jax.random`; configuration i trains at rung r with
            `fold_in(fold_in(key, r), i)`.
        eta: of how many configurations one goes on, from 2.
        rungs: their number, from 1.

    Returns:
        A `Halving`. A loss that is not finite counts as the greatest; where all of the
        last rung are, so is the winner's.

    Raises:
        TypeError: if `train_rung` returns something else.
        ValueError: if the space has static axes of several values, or too few
            configurations for one to reach the last rung.

    Source: Jamieson and Talwalkar 2016, arXiv 1502.07943.

    Example:
        >>> import jax
        >>> from jaxopt_lite import sweep
        >>> def train_rung(hyperparams, state, key, rung):
        ...     x = jax.random.normal(key) if state is None else state
        ...     for _ in range(2**rung):
        ...         x = x - hyperparams["learning_rate"] * x
        ...     return x, x**2
        >>> found = sweep.successive_halving(
        ...     train_rung,
        ...     sweep.grid(learning_rate=[0.01, 0.1, 0.9, 3.0]),
        ...     key=jax.random.key(0),
        ...     eta=2,
        ...     rungs=3,
        ... )
        >>> found.hyperparams, [len(rung.losses) for rung in found.rungs]
        ({'learning_rate': 0.9}, [4, 2, 1])
    """
    where = "successive_halving"
    call = "train_rung(hyperparams, state, key, rung)"
    check(where, call, train_rung, space, key)
    one_program(where, space)
    eta, rungs = whole(where, "eta", eta, 2), whole(where, "rungs", rungs, 1)
    _check(len(space), eta, rungs)
    sizes = [len(space) // eta**rung for rung in range(rungs)]

    def train(rung: int, columns: Any, state: PyTree, key: jax.Array) -> Any:
        returned = train_rung(with_numbers(space[0], columns), state, key, rung)
        return metrics.loss(f"{where}: train_rung", returned)

    @jax.jit
    def climb(columns: dict[str, jax.Array], key: jax.Array) -> Any:
        at, losses = jnp.arange(len(space)), jnp.zeros(len(space))
        states: PyTree = None
        found = []
        for rung, size in enumerate(sizes):
            best = metrics.from_least(losses)[:size]
            at, states = at[best], jax.tree.map(itemgetter(best), states)
            here = {name: x[at] for name, x in columns.items()}
            key_of = partial(jax.random.fold_in, jax.random.fold_in(key, rung))
            states, losses = jax.vmap(partial(train, rung))(
                here, states, jax.vmap(key_of)(at)
            )
            found.append((at, losses))
        best = metrics.from_least(losses)[0]
        return at[best], losses[best], jax.tree.map(itemgetter(best), states), found

    number, loss, state, found = climb(numbers(space), key)
    history = tuple(Rung(*map(np.asarray, rung)) for rung in found)
    return Halving(space[int(number)], int(number), float(loss), state, history)


def _check(n: int, eta: int, rungs: int) -> None:
    if n < eta ** (rungs - 1):
        raise ValueError(
            f"successive_halving: {n} configurations for {rungs} rungs with "
            f"eta={eta}; expected at least eta**(rungs - 1) = {eta ** (rungs - 1)}, so "
            f"that one reaches the last rung."
        )
