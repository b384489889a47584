"""What the recorded PyTorch state dicts are of: optimizers, groups, gradients."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.golden import cases
from tests.golden.cases import Tree, factor

STEPS = 20
SAVED = 10
"""The step after which the state is saved."""

SHAPES = {
    "dense.weight": (4, 3),
    "dense.bias": (4,),
    "conv.weight": (2, 3, 1, 2),
    "scale": (),
}
"""As PyTorch has them: outputs first."""

OURS = {
    "dense.weight": ("dense/kernel", (1, 0)),
    "dense.bias": ("dense/bias", (0,)),
    "conv.weight": ("conv/kernel", (2, 3, 1, 0)),
    "scale": ("scale", ()),
}
"""Where we have them, and which axes of PyTorch's ours are."""

GROUPS = [["dense.bias", "scale"], ["conv.weight", "dense.weight"]]
"""In another order than the model's."""

NAMES = [name for group in GROUPS for name in group]
"""In the order of PyTorch's indices."""


class Case(NamedTuple):
    """One run of one optimizer.

    An argument that is a list has a value for each group. Parameters that are late
    have no gradient until the state is saved.
    """

    optimizer: str
    arguments: Mapping[str, Any] = {}
    scheduled: bool = False
    is_named: bool = False
    late: tuple[str, ...] = ()

    def of_group(self, i: int) -> dict[str, Any]:
        """The arguments that a group has of its own."""
        return {k: v[i] for k, v in self.arguments.items() if isinstance(v, list)}

    def __str__(self) -> str:
        words = [
            *(f"{k}={v}" for k, v in self.arguments.items()),
            *(["scheduled"] if self.scheduled else []),
            *(["named"] if self.is_named else []),
            *(f"late {name}" for name in self.late),
        ]
        return f"{self.optimizer}({', '.join(words)})"


def gradients(case: Case) -> Iterator[Tree]:
    """The gradients of every step, without those that are late."""
    for i, gradient in zip(range(STEPS), cases.gradients(SHAPES), strict=False):
        hidden = case.late if i < SAVED else ()
        yield {name: g for name, g in gradient.items() if name not in hidden}


def rate(case: Case, i: int, count: Any) -> Any:
    """The learning rate of a group."""
    lr = case.arguments["lr"]
    lr = lr[i] if isinstance(lr, list) else lr
    return lr * factor(count) if case.scheduled else lr


def ours(tree: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """A tree as we have it: under our paths, with our axes."""
    nested: dict[str, Any] = {}
    for name, x in tree.items():
        path, axes = OURS[name]
        *above, last = path.split("/")
        node = nested
        for step in above:
            node = node.setdefault(step, {})
        node[last] = np.transpose(x, axes)
    return nested


RATES = [0.1, 0.03]
DECAYS = [0.0, 0.1]

_VARIANTS: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "dampening": 0.1},
    ],
    "Adam": [{}, {"amsgrad": True}, {"eps": 1e-3, "betas": (0.8, 0.95)}],
    "AdamW": [{}, {"amsgrad": True}],
    "RMSprop": [
        {},
        {"momentum": 0.9},
        {"centered": True, "momentum": 0.9},
    ],
    "Adagrad": [{}, {"lr_decay": 0.1, "initial_accumulator_value": 0.1}],
    "NAdam": [{}, {"decoupled_weight_decay": True}],
    "RAdam": [{"eps": 1e-3}, {"decoupled_weight_decay": True}],
    "Adamax": [{}],
    "Adadelta": [{"rho": 0.7}],
    "ASGD": [{"lambd": 0.1, "t0": 5.0}],
}


def _cases() -> Iterator[Case]:
    for optimizer, variants in _VARIANTS.items():
        for variant in variants:
            yield Case(optimizer, {"lr": 0.03, "weight_decay": 0.0, **variant})
            grouped = {"lr": RATES, "weight_decay": DECAYS, **variant}
            yield Case(optimizer, grouped, scheduled=True, is_named=True)
    yield Case("SGD", {"lr": 0.03, "momentum": 0.9}, late=("scale",))
    yield Case("Rprop", {"lr": RATES})


CASES = {str(case): case for case in _cases()}
