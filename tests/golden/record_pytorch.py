"""Records trajectories of torch.optim: `python -m tests.golden.record_pytorch`."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from tests.golden import cases
from tests.golden.cases import CASES, RECORDED, Case

FILE = Path(__file__).with_name("pytorch.npz")


@contextlib.contextmanager
def in_float64() -> Iterator[None]:
    """NAdam and ASGD keep numbers of their state in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@in_float64()
def trajectory(case: Case) -> np.ndarray:
    """The parameters after every step, one row each, in float64."""
    params = {
        name: torch.tensor(p) for name, p in cases.parameters(case.shapes).items()
    }
    optimizer = getattr(torch.optim, case.optimizer)(
        [_group(case, name, p) for name, p in params.items()],
        **{k: v for k, v in case.arguments.items() if not isinstance(v, Mapping)},
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, cases.factor if case.scheduled else lambda count: 1.0
    )
    rows = []
    for gradient in cases.gradients(case.shapes):
        for name, p in params.items():
            p.grad = torch.tensor(gradient[name])
        optimizer.step()
        scheduler.step()
        rows.append(cases.flat({name: p.numpy().copy() for name, p in params.items()}))
    return np.stack(rows)


def _group(case: Case, name: str, p: torch.Tensor) -> dict[str, object]:
    own = {k: v[name] for k, v in case.arguments.items() if isinstance(v, Mapping)}
    return {"params": [p], **own}


def main() -> None:
    kept = [step - 1 for step in RECORDED]
    np.savez_compressed(
        FILE,
        torch_version=str(torch.__version__),
        names=list(CASES),
        **{
            f"parameters_{i}": trajectory(case)[kept]
            for i, case in enumerate(CASES.values())
        },
    )


if __name__ == "__main__":
    main()
