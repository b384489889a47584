"""Laws of JAX's transformations: `jit`, `scan`, `vmap`, and what they compile."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxopt_lite.testing.case import Case, Counted, is_inexact, made, x64
from jaxopt_lite.testing.compare import Problem, same_values


def jit_equals_eager(case: Case) -> Iterator[Problem]:
    """A jitted step gives what an eager one gives."""
    yield from same_values("jitted updates", case.exact.updates, case.eager.updates)
    yield from same_values("jitted states", case.exact.states, case.eager.states)


def scan_equals_loop(case: Case) -> Iterator[Problem]:
    """Steps inside `lax.scan` give what they give in a loop."""
    run = case.exact

    def step(state: Any, g: Any) -> Any:
        u, state = case.update(g, state, run.params)
        return state, u

    with x64():
        state, updates = jax.jit(lambda *args: jax.lax.scan(step, *args))(
            run.states[0], stack(run.gradients)
        )
        expected = stack(run.updates)
    yield from same_values("scanned updates", updates, expected)
    yield from same_values("the scanned state", state, run.states[-1])


def vmap_equals_loop(case: Case) -> Iterator[Problem]:
    """A batch of gradients, states and parameters gives what they give one by one."""
    run = case.exact
    with x64():
        params = [run.params, made(lambda p: p + p, run.params)]
        batch = list(zip(run.gradients[1:], run.states[1:-1], params, strict=True))
        found = jax.jit(jax.vmap(case.update))(*map(stack, zip(*batch, strict=True)))
        expected = stack([case.jitted(*one) for one in batch])
    yield from same_values("a batch of updates", found[0], expected[0])
    yield from same_values("a batch of states", found[1], expected[1])


def many_steps_compile_once(case: Case) -> Iterator[Problem]:
    """Many steps are traced and compiled once."""
    run = case.run
    counted = Counted(case.update)
    for g, state in zip(run.gradients, run.states[:-1], strict=True):
        counted.trace(g, state, run.params)
    if counted.traces > 1:
        yield Problem(f"{len(run.gradients)} steps", f"{counted.traces} traces", "1")


def other_hyperparameters_compile_once(case: Case) -> Iterator[Problem]:
    """A transformation with other numbers in its arrays compiles no second time."""
    if not case.is_argument:
        return
    other = jax.tree.map(lambda x: x / 2 if is_inexact(x) else x, case.tx)
    counted = Counted(case.update_of)
    for tx in (case.tx, other):
        counted.trace(tx, case.run.gradients[0], case.run.states[0], case.params)
    if counted.traces > 1:
        yield Problem("two transformations", f"{counted.traces} traces", "1")


def rebuilding_compiles_once(case: Case) -> Iterator[Problem]:
    """A transformation built again, equal by value, compiles no second time.

    One that holds arrays is compared by identity, so as a static argument it is let
    retrace; as an argument it is not.
    """
    built = [case.tx, pickle.loads(pickle.dumps(case.tx)), copy.deepcopy(case.tx)]
    ways = {"as an argument": Counted(case.update_of)}
    if not jax.tree.leaves(case.tx):
        ways["as a static argument"] = Counted(case.update_of, static_argnums=0)
    for way, counted in ways.items():
        for tx in built:
            counted.trace(tx, case.run.gradients[0], case.run.states[0], case.params)
        if counted.traces > 1:
            yield Problem(way, f"{counted.traces} traces of 3 equal ones", "1 trace")


def stack(trees: Any) -> Any:
    """A list of trees as one tree of batches."""
    return made(lambda *leaves: np.stack(leaves), *trees)
