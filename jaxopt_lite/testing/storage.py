"""Laws of checkpoints: the state comes back from each of them bit by bit."""

import importlib
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from jaxopt_lite.testing.case import Case
from jaxopt_lite.testing.compare import Problem, Unproven, same_bits


def state_survives_pickle(case: Case) -> Iterator[Problem]:
    """The state comes back from `pickle`."""
    saved = case.run.states[1]
    restored = pickle.loads(pickle.dumps(saved))
    yield from same_bits("the restored state", restored, saved)


def state_survives_msgpack(case: Case) -> Iterator[Problem]:
    """The state comes back from Flax's msgpack."""
    serialization = _library("flax.serialization")
    first, saved = case.run.states[:2]
    restored = serialization.from_bytes(first, serialization.to_bytes(saved))
    yield from same_bits("the restored state", restored, saved)


def state_survives_orbax(case: Case) -> Iterator[Problem]:
    """The state comes back from an Orbax checkpoint."""
    orbax = _library("orbax.checkpoint")
    first, saved = case.run.states[:2]
    # A state may be without leaves, which Orbax takes only beside others.
    target = {"params": case.params, "state": first}
    restore_args = orbax.checkpoint_utils.construct_restore_args(target)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        with orbax.Checkpointer(orbax.PyTreeCheckpointHandler()) as checkpointer:
            checkpointer.save(path, {**target, "state": saved})
            restored = checkpointer.restore(
                path, item=target, restore_args=restore_args
            )
    yield from same_bits("the restored state", restored["state"], saved)


def _library(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Unproven(f"{module.split('.')[0]} is not installed") from error
