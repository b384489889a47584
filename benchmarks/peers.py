"""Libraries that are measured beside this one, those of JAX under the same names."""

import importlib
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import jax

import jaxopt_lite

KNOWN = ("optax", "torch")


def installed(names: Iterable[str]) -> tuple[list[ModuleType], list[str]]:
    """This package and the named peers; then the names of those that are missing."""
    libraries, missing = [jaxopt_lite], []
    for name in names:
        try:
            libraries.append(importlib.import_module(name))
        except ImportError:
            missing.append(name)
    return libraries, missing


def of_jax(libraries: Iterable[ModuleType]) -> list[ModuleType]:
    """Those that speak the protocol of this one."""
    return [library for library in libraries if library.__name__ != "torch"]


def adamw(library: ModuleType, mask: Any) -> Any:
    return library.adamw(1e-3, weight_decay=0.01, mask=mask)


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


class TorchAdamW:
    """PyTorch's fused AdamW on tensors of the same shapes."""

    def __init__(self, torch: ModuleType, tree: Any, device: str = "cpu"):
        self.wait = torch.cuda.synchronize if device != "cpu" else lambda: None
        groups: Sequence[list[Any]] = ([], [])
        shapes, decays = jax.tree.leaves(tree), jaxopt_lite.weights_only(tree)
        for x, decay in zip(shapes, jax.tree.leaves(decays), strict=True):
            dtype = getattr(torch, str(x.dtype))
            p = torch.ones(x.shape, dtype=dtype, device=device, requires_grad=True)
            p.grad = torch.ones_like(p)
            groups[decay].append(p)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": params, "weight_decay": decay}
                for params, decay in zip(groups, (0.0, 0.01), strict=True)
                if params
            ],
            lr=1e-3,
            fused=True,
        )

    def __call__(self) -> None:
        self.optimizer.step()
        self.wait()
