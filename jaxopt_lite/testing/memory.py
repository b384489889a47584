"""Laws of memory: inputs, donated buffers, devices."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_lite.testing.case import Case, made, x64
from jaxopt_lite.testing.compare import (
    Problem,
    at,
    name,
    same_values,
    structure,
    with_paths,
)


def inputs_are_not_modified(case: Case) -> Iterator[Problem]:
    """An eager update leaves its arguments as they are and can be repeated."""
    run = case.exact  # what is jitted cannot modify its arguments
    arguments = (run.gradients[1], run.states[1], run.params)
    before = jax.tree.map(lambda x: x, arguments)
    with x64():
        case.update(*arguments)
    if not _identical(arguments, before):
        yield Problem("the arguments", "other leaves after update", "the same leaves")
    with x64():
        repeated = case.update(*before)
    expected = (run.updates[1], run.states[2])
    yield from same_values("the same update again", repeated, expected)


def donation_is_safe(case: Case) -> Iterator[Problem]:
    """State and parameters can be donated: the state has memory of its own."""
    params = made(np.copy, case.params)
    state = case.tx.init(params)
    shared = list(_shared(case.tx, params, state))
    yield from shared
    if shared:
        return

    def step(tx: Any, g: Any, state: Any, p: Any) -> tuple[Any, Any]:
        u, state = case.update_of(case.tx if tx is None else tx, g, state, p)
        return jax.tree.map(lambda p, u: (p + u).astype(p.dtype), p, u), state

    donating = jax.jit(step, donate_argnums=(2, 3))
    tx = case.tx if case.is_argument else None
    for g in case.run.gradients:
        params, state = donating(tx, g, state, params)
    for path, x in with_paths(tx):
        if isinstance(x, jax.Array) and x.is_deleted():
            yield Problem(f"hyperparameter {path!r}", "donated with the state", "alive")


def sharding_is_preserved(case: Case) -> Iterator[Problem]:
    """States and updates lie where the parameters lie, on one device or spread."""
    runs = {"jitted": case.exact, "eager": case.eager}
    if len(jax.local_devices()) > 1:
        with x64():
            params = _spread(case.exact.params)
            runs = {
                "jitted": case.follow(case.jitted, params),
                "eager": case.follow(case.update, params),
            }
    for how, run in runs.items():
        yield from _astray("the first state", run.states[0], run.params)
        yield from _astray(f"the {how} state", run.states[1], run.params)
        yield from _astray(f"the {how} updates", run.updates[0], run.params)


def _identical(found: Any, expected: Any) -> bool:
    """Whether two trees are alike and hold the very same objects."""
    if structure(found) != structure(expected):
        return False
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return all(x is y for x, y in pairs)


def _shared(tx: Any, params: Any, state: Any) -> Iterator[Problem]:
    """Leaves of the state that share memory with another leaf."""
    owners: dict[int, str] = {}
    trees = {"hyperparameter": tx, "parameter": params, "the state's": state}
    for what, tree in trees.items():
        for path, x in with_paths(tree):
            if not isinstance(x, jax.Array) or not x.size:
                continue
            address = x.unsafe_buffer_pointer()
            if what == "the state's" and address in owners:
                found = f"memory shared with {owners[address]}"
                yield Problem(f"the state, {path!r}", found, "memory of its own")
            owners[address] = f"{what} {path!r}"


def _spread(params: Any) -> Any:
    """Longer parameters, cut along their first axis over two devices."""
    devices = jax.local_devices()[:2]
    mesh = Mesh(np.asarray(devices), ("devices",))

    def spread(p: Any) -> Any:
        if not p.ndim:
            return jax.device_put(p, NamedSharding(mesh, PartitionSpec()))
        long = jnp.concatenate([p] * len(devices))
        return jax.device_put(long, NamedSharding(mesh, PartitionSpec("devices")))

    return jax.tree.map(spread, params)


def _astray(where: str, tree: Any, params: Any) -> Iterator[Problem]:
    """Leaves shaped like the parameter at their path that lie elsewhere."""
    expected = jax.tree_util.tree_flatten_with_path(params)[0]
    for path, x in jax.tree_util.tree_flatten_with_path(tree)[0]:
        for parameter, p in expected:
            mirrors = path[len(path) - len(parameter) :] == parameter
            if not mirrors or np.shape(x) != p.shape:
                continue
            if not x.sharding.is_equivalent_to(p.sharding, p.ndim):
                yield Problem(at(where, name(path)), f"{x.sharding}", f"{p.sharding}")
