"""What the recorded PyTorch trajectories are of: cases, gradients, learning rates."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

STEPS = 50
RECORDED = (1, 2, 3, 10, 25, 50)
"""The steps after which the parameters are recorded."""

Tree = dict[str, np.ndarray]
SHAPES = {"kernel": (3, 4), "bias": (5,), "scale": ()}


class Case(NamedTuple):
    """One run of one optimizer.

    An argument that is a dict gives every parameter its own value, as param_groups do.
    """

    optimizer: str
    arguments: Mapping[str, Any]
    scheduled: bool

    def __str__(self) -> str:
        arguments = ", ".join(f"{k}={v}" for k, v in self.arguments.items())
        return f"{self.optimizer}({arguments}){' scheduled' if self.scheduled else ''}"


def factor(count: Any) -> Any:
    """What a scheduled learning rate is multiplied with after `count` steps."""
    return (1 + count % 7) * 0.25


def parameters() -> Tree:
    """The parameters before the first step."""
    rng = np.random.default_rng(0)
    return {name: np.asarray(rng.normal(size=shape)) for name, shape in SHAPES.items()}


def gradients() -> Iterator[Tree]:
    """The gradients of every step: of either sign, from 1e-3 to 10 in magnitude."""
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        yield {name: _gradient(rng, shape) for name, shape in SHAPES.items()}


def _gradient(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    sign = rng.choice([-1.0, 1.0], size=shape)
    return np.asarray(sign * 10 ** rng.uniform(-3, 1, size=shape))


def flat(tree: Mapping[str, Any]) -> np.ndarray:
    """A tree as one vector, in the order of `SHAPES`."""
    return np.concatenate([np.ravel(tree[name]) for name in SHAPES])


RATES = {"kernel": 0.1, "bias": 0.01, "scale": 0.03}
NUMBERS = {"kernel": 0.1, "bias": 0.0, "scale": 0.03}

_BY_PARAMETER = {
    "SGD": ["momentum", "dampening", "weight_decay"],
    "Adagrad": ["lr_decay", "eps", "weight_decay"],
    "RMSprop": ["alpha", "eps", "momentum", "weight_decay"],
    "Adam": ["eps", "weight_decay"],
    "AdamW": ["eps", "weight_decay"],
}

_VARIANTS: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "dampening": 0.1},
        {"momentum": 0.9, "dampening": 1.0},
        {"momentum": 0.9, "dampening": 0.1, "maximize": True},
    ],
    "Adagrad": [
        {},
        {"lr_decay": 0.1},
        {"initial_accumulator_value": 0.1},
        {"eps": 1e-2},
        {"lr_decay": 0.1, "initial_accumulator_value": 0.1, "eps": 1e-2},
        {"maximize": True},
    ],
    "RMSprop": [
        {},
        {"alpha": 0.9},
        {"eps": 1e-2},
        {"momentum": 0.9},
        {"centered": True},
        {"centered": True, "momentum": 0.9},
        {"alpha": 0.9, "eps": 1e-2, "centered": True, "momentum": 0.5},
        {"maximize": True},
    ],
    "Adam": [
        {},
        {"betas": (0.8, 0.95)},
        {"eps": 1e-3},
        {"betas": (0.0, 0.99), "eps": 1e-3},
        {"maximize": True},
    ],
}
_VARIANTS["AdamW"] = _VARIANTS["Adam"]


def _cases() -> Iterator[Case]:
    for optimizer, variants in _VARIANTS.items():
        yield Case(optimizer, {}, scheduled=False)
        for variant in variants:
            arguments = {"lr": 0.03, **variant}
            yield Case(optimizer, {**arguments, "weight_decay": 0.0}, scheduled=False)
            yield Case(optimizer, {**arguments, "weight_decay": 0.1}, scheduled=True)
        yield Case(optimizer, {"lr": 0.03, "weight_decay": 0.0}, scheduled=True)
        yield Case(optimizer, {"lr": 0.03, "weight_decay": 0.1}, scheduled=False)
        yield Case(optimizer, {"lr": 0.03, "weight_decay": NUMBERS}, scheduled=False)
        arguments = {name: NUMBERS for name in _BY_PARAMETER[optimizer]}
        yield Case(optimizer, {"lr": RATES, **arguments}, scheduled=True)


CASES = {str(case): case for case in _cases()}
