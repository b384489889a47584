"""Laws of the transformation itself: a value that JAX can take apart."""

import copy
import pickle
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from jaxopt_lite.testing.case import Case, is_number
from jaxopt_lite.testing.compare import (
    Problem,
    describe,
    shortened,
    structure,
    with_paths,
)


def is_compared_by_value(case: Case) -> Iterator[Problem]:
    """`repr` shows it, copies equal it and share its hash, nothing else does.

    One that holds arrays is equal to itself alone, but its copies have its structure.
    """
    tx = case.tx
    if " at 0x" in repr(tx):
        yield Problem("repr", shortened(repr(tx)), "fields, not an address in memory")
    if tx != tx or tx == object() or hash(tx) != hash(tx):
        yield Problem("==", "not equal to itself or equal to an object", "equality")
    by_identity = bool(jax.tree.leaves(tx))
    for how, rebuilt in {
        "pickle": pickle.loads(pickle.dumps(tx)),
        "deepcopy": copy.deepcopy(tx),
    }.items():
        if by_identity:
            equal = structure(rebuilt) == structure(tx)
        else:
            equal = rebuilt == tx and hash(rebuilt) == hash(tx)
        if not equal:
            yield Problem(how, f"{shortened(rebuilt)}, another value", "an equal one")


def is_a_pytree_of_arrays(case: Case) -> Iterator[Problem]:
    """Its leaves are numbers, and it can be rebuilt with anything in their place."""
    for path, x in with_paths(case.tx):
        if not is_number(x):
            yield Problem(f"leaf {path!r}", describe(x), "an array, or no leaf")
    leaves = jax.tree.leaves(case.tx)
    built = structure(case.tx)
    for filler in (object(), None, 0, jax.ShapeDtypeStruct((), jnp.float32)):
        fillers = [filler] * len(leaves)
        rebuilt = built.unflatten(fillers)
        found = built.flatten_up_to(rebuilt)
        if len(found) != len(leaves) or any(x is not filler for x in found):
            what = type(filler).__name__
            yield Problem(f"rebuilt with {what} leaves", shortened(rebuilt), "the same")


def unpacks_to_init_and_update(case: Case) -> Iterator[Problem]:
    """`init, update = tx` gives its two functions."""
    init, update = case.tx
    run = case.run
    state = init(run.params)
    found = jax.eval_shape(
        lambda *args: update(*args, **case.extra), run.gradients[0], state, run.params
    )
    if structure(found) != structure((run.updates[0], state)):
        yield Problem("the unpacked update", shortened(found), "what `tx.update` gives")
