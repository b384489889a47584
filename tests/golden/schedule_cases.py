"""What the recorded PyTorch learning rates are of."""

from collections.abc import Mapping
from typing import Any, NamedTuple

STEPS = 64
LR = 0.3
"""The optimizer's own learning rate."""


class Case(NamedTuple):
    """A scheduler; a member of its `schedulers` is a case again."""

    scheduler: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        arguments = ", ".join(f"{k}={_shown(v)}" for k, v in self.arguments.items())
        return f"{self.scheduler}({arguments})"


def _shown(argument: Any) -> str:
    return (
        f"[{', '.join(map(str, argument))}]"
        if isinstance(argument, list)
        else str(argument)
    )


_VARIANTS: dict[str, list[dict[str, Any]]] = {
    "StepLR": [{"step_size": 7}, {"step_size": 1, "gamma": 0.97}],
    "MultiStepLR": [
        {"milestones": [30, 8]},
        {"milestones": [8, 8, 30, 55], "gamma": 0.7},
        {"milestones": [0, 20], "gamma": 0.5},
    ],
    "ConstantLR": [{}, {"factor": 0.7, "total_iters": 20}],
    "LinearLR": [
        {},
        {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 40},
        {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 33},
        {"total_iters": 0},
    ],
    "ExponentialLR": [{"gamma": 0.9}],
    "PolynomialLR": [{}, {"total_iters": 40, "power": 2.5}],
    "CosineAnnealingLR": [
        {"T_max": 50},
        {"T_max": 7, "eta_min": 0.01},
        {"T_max": 100, "eta_min": 0.1},
    ],
    "CosineAnnealingWarmRestarts": [
        {"T_0": 9},
        {"T_0": 5, "T_mult": 2, "eta_min": 0.01},
        {"T_0": 1, "T_mult": 3},
    ],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": STEPS},
        {"max_lr": 0.5, "total_steps": STEPS, "three_phase": True},
        {
            "max_lr": 0.5,
            "epochs": 8,
            "steps_per_epoch": 8,
            "pct_start": 0.41,
            "anneal_strategy": "linear",
            "div_factor": 10.0,
            "final_div_factor": 100.0,
        },
        {
            "max_lr": 0.5,
            "total_steps": STEPS,
            "pct_start": 0.25,
            "anneal_strategy": "linear",
            "base_momentum": 0.7,
            "max_momentum": 0.9,
            "three_phase": True,
        },
        {"max_lr": 0.5, "total_steps": STEPS, "pct_start": 0.01},
    ],
    "SequentialLR": [
        {
            "schedulers": [
                Case("LinearLR", {"total_iters": 10}),
                Case("CosineAnnealingLR", {"T_max": 54}),
            ],
            "milestones": [10],
        },
        {
            "schedulers": [
                Case("ConstantLR", {"factor": 0.1, "total_iters": 20}),
                Case("ExponentialLR", {"gamma": 0.9}),
                Case("StepLR", {"step_size": 3, "gamma": 0.5}),
            ],
            "milestones": [15, 40],
        },
    ],
}
CASES = {
    str(case): case
    for scheduler, variants in _VARIANTS.items()
    for case in (Case(scheduler, arguments) for arguments in variants)
}
