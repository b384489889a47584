"""What the recorded PyTorch trajectories are of: cases, gradients, learning rates."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

STEPS = 50
RECORDED = (1, 2, 3, 10, 25, 50)
"""The steps after which the parameters are recorded."""

Tree = dict[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]
SHAPES = {"kernel": (3, 4), "bias": (5,), "scale": ()}
MATRICES = {"kernel": (3, 4)}
"""What an optimizer sees that takes matrices alone."""


class Case(NamedTuple):
    """One run of one optimizer.

    An argument that is a dict gives every parameter its own value, as param_groups do.
    """

    optimizer: str
    arguments: Mapping[str, Any]
    scheduled: bool

    @property
    def shapes(self) -> Shapes:
        """The shapes of the parameters."""
        return MATRICES if self.optimizer == "Muon" else SHAPES

    def __str__(self) -> str:
        arguments = ", ".join(f"{k}={v}" for k, v in self.arguments.items())
        return f"{self.optimizer}({arguments}){' scheduled' if self.scheduled else ''}"


def factor(count: Any) -> Any:
    """What a scheduled learning rate is multiplied with after `count` steps."""
    return (1 + count % 7) * 0.25


def parameters(shapes: Shapes = SHAPES) -> Tree:
    """The parameters before the first step."""
    rng = np.random.default_rng(0)
    return {name: np.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}


def gradients(shapes: Shapes = SHAPES) -> Iterator[Tree]:
    """The gradients of every step: of either sign, from 1e-3 to 10 in magnitude."""
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        yield {name: _gradient(rng, shape) for name, shape in shapes.items()}


def _gradient(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    sign = rng.choice([-1.0, 1.0], size=shape)
    return np.asarray(sign * 10 ** rng.uniform(-3, 1, size=shape))


def flat(tree: Mapping[str, Any]) -> np.ndarray:
    """A tree as one vector, in the order of its shapes."""
    return np.concatenate([np.ravel(tree[name]) for name in SHAPES if name in tree])


RATES = {"kernel": 0.1, "bias": 0.01, "scale": 0.03}
NUMBERS = {"kernel": 0.1, "bias": 0.0, "scale": 0.03}

_BY_PARAMETER = {
    "SGD": ["momentum", "dampening", "weight_decay"],
    "Adagrad": ["lr_decay", "eps", "weight_decay"],
    "RMSprop": ["alpha", "eps", "momentum", "weight_decay"],
    "Adam": ["eps", "weight_decay"],
    "AdamW": ["eps", "weight_decay"],
    "NAdam": ["eps", "momentum_decay", "weight_decay"],
    "RAdam": ["eps", "weight_decay"],
    "Adamax": ["eps", "weight_decay"],
    "Adadelta": ["rho", "eps", "weight_decay"],
    "Adafactor": ["weight_decay"],
    "ASGD": ["lambd", "alpha", "weight_decay"],
    "Rprop": [],
    "Muon": ["weight_decay"],
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
_VARIANTS["Adam"].append({"amsgrad": True, "eps": 1e-3})
_VARIANTS |= {
    "AdamW": _VARIANTS["Adam"],
    "NAdam": [
        {"betas": (0.8, 0.95), "eps": 1e-3, "momentum_decay": 0.1},
        {"decoupled_weight_decay": True, "maximize": True},
    ],
    "RAdam": [
        {"betas": (0.8, 0.95), "eps": 1e-3},
        {"decoupled_weight_decay": True, "maximize": True},
    ],
    "Adamax": [{"betas": (0.8, 0.95), "eps": 1e-2, "maximize": True}],
    "Adadelta": [{"rho": 0.7, "eps": 1e-2, "maximize": True}],
    "Adafactor": [
        {"lr": 0.5, "beta2_decay": -0.5, "eps": (1e-3, 0.5), "d": 1.5},
        {"maximize": True},
    ],
    "ASGD": [{"lambd": 0.1, "alpha": 0.5, "t0": 10.0, "maximize": True}],
    "Rprop": [{"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2), "maximize": True}],
    "Muon": [
        {"momentum": 0.8, "nesterov": False, "ns_steps": 3},
        {"adjust_lr_fn": "match_rms_adamw"},
    ],
}
WITHOUT_DECAY = ("Rprop",)


def _cases() -> Iterator[Case]:
    for optimizer, variants in _VARIANTS.items():
        yield Case(optimizer, {}, scheduled=False)
        if optimizer in WITHOUT_DECAY:
            yield from (Case(optimizer, x, scheduled=False) for x in variants)
            yield Case(optimizer, {"lr": RATES}, scheduled=False)
            continue
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
