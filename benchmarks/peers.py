"""Libraries that speak the same protocol under the same names."""

import importlib
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import jaxopt_lite

KNOWN = ("optax",)


def installed(names: Iterable[str]) -> tuple[list[ModuleType], list[str]]:
    """This package and the named peers; then the names of those that are missing."""
    libraries, missing = [jaxopt_lite], []
    for name in names:
        try:
            libraries.append(importlib.import_module(name))
        except ImportError:
            missing.append(name)
    return libraries, missing


def adamw(library: ModuleType, mask: Any) -> Any:
    return library.adamw(1e-3, weight_decay=0.01, mask=mask)


def clip_adamw(library: ModuleType, mask: Any) -> Any:
    return library.chain(library.clip_by_global_norm(1.0), adamw(library, mask))


def decay_mask(library: ModuleType, tree: Any) -> Any:
    """Which leaves decay: by path for ours, a ready tree for peers, their fastest."""
    mask = jaxopt_lite.weights_only
    return mask if library is jaxopt_lite else mask(tree)


def stepper(library: ModuleType, tx: Any) -> Callable[..., Any]:
    """A whole training step behind the gradients; a new function at every call."""

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return library.apply_updates(params, updates), state

    return step
