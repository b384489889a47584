"""Laws of trees: empty ones, unusual leaves, zeros."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxopt_lite.testing.case import Case, made, numbers_like
from jaxopt_lite.testing.compare import Problem, finite, same_structure, same_types


def empty_trees(case: Case) -> Iterator[Problem]:
    """`{}` and `()` are trees of parameters, too."""
    trees: tuple[Any, ...] = ({}, ())
    for empty in trees:
        case.update(empty, case.tx.init(empty), empty)
        yield from _fits(case, f"parameters {empty}", empty)


def none_leaves(case: Case) -> Iterator[Problem]:
    """None in place of a parameter and its gradient stays None."""
    leaves, structure = jax.tree.flatten(case.params)
    if jax.tree_util.treedef_is_leaf(structure):
        return  # None in place of the whole tree means that no tree is given
    holed = jax.tree.unflatten(structure, [None, *leaves[1:]])
    yield from _fits(case, "with a None", holed)


def scalar_leaves(case: Case) -> Iterator[Problem]:
    """Parameters may be scalars."""
    scalars = made(lambda p: p.ravel()[0] if p.size else p, case.params)
    yield from _fits(case, "scalars", scalars)


def zero_size_leaves(case: Case) -> Iterator[Problem]:
    """Parameters may have no elements."""
    hollow = made(lambda p: p[:0] if p.ndim else p, case.params)
    yield from _works(case, "without elements", hollow)


def complex_leaves(case: Case) -> Iterator[Problem]:
    """Parameters may be complex."""
    params = made(lambda p: p.astype(np.complex64), case.params)
    yield from _works(case, "complex", params)


def zero_gradients_stay_finite(case: Case) -> Iterator[Problem]:
    """Gradients of zero give finite updates and states, at zero parameters, too."""
    zeros = made(np.zeros_like, case.params)
    for where, params in {"": case.params, ", zero parameters": zeros}.items():
        state = case.tx.init(params)
        for _ in range(2):
            u, state = case.jitted(zeros, state, params)
            yield from finite(f"zero gradients{where}, the updates", u)
            yield from finite(f"zero gradients{where}, the state", state)


def _fits(case: Case, where: str, params: Any) -> Iterator[Problem]:
    """A step gives updates like the gradients and a state like the first.

    Only shapes are computed, which takes no compilation.
    """
    first = jax.eval_shape(case.tx.init, params)
    u, state = jax.eval_shape(case.update, params, first, params)
    yield from same_structure(f"{where}, the updates", u, params)
    yield from same_types(f"{where}, the state", state, first)


def _works(case: Case, where: str, params: Any) -> Iterator[Problem]:
    """Two steps fit, and all numbers in updates and state are finite."""
    yield from _fits(case, where, params)
    state = case.tx.init(params)
    for step in range(2):
        u, state = case.jitted(numbers_like(params, step), state, params)
        yield from finite(f"{where}, the updates", u)
        yield from finite(f"{where}, the state", state)
