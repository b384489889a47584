"""Records learning rates: `python -m tests.golden.record_pytorch_schedules`."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.golden.schedule_cases import CASES, LR, STEPS, Case

FILE = Path(__file__).with_name("pytorch_schedules.npz")


def trajectory(case: Case) -> np.ndarray:
    """The learning rate and the momentum of every step, one row each, in float64."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=LR, momentum=0.9)
    scheduler = make(case, optimizer)
    (group,) = optimizer.param_groups
    rows = []
    for _ in range(STEPS):
        rows.append((group["lr"], group["momentum"]))
        optimizer.step()
        scheduler.step()
    return np.array(rows)


def make(case: Case, optimizer: Any) -> Any:
    arguments = dict(case.arguments)
    if "schedulers" in arguments:
        members = [make(member, optimizer) for member in arguments["schedulers"]]
        arguments["schedulers"] = members
    return getattr(torch.optim.lr_scheduler, case.scheduler)(optimizer, **arguments)


def main() -> None:
    np.savez_compressed(
        FILE,
        torch_version=str(torch.__version__),
        names=list(CASES),
        rates=np.stack([trajectory(case) for case in CASES.values()]),
    )


if __name__ == "__main__":
    main()
