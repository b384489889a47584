"""Records state dicts of torch.optim: `python -m tests.golden.record_pytorch_states`.

Each is kept as one vector; `layout` says what stands in it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.golden import cases, state_cases
from tests.golden.record_pytorch import in_float64
from tests.golden.state_cases import CASES, GROUPS, SAVED, SHAPES, Case

FILE = Path(__file__).with_name("pytorch_states.npz")

Run = tuple[dict[str, torch.Tensor], dict[str, Any], dict[str, torch.Tensor]]


@in_float64()
def run(case: Case) -> Run:
    """The parameters and the state dict when it is saved, and the last parameters."""
    params = {k: torch.tensor(p) for k, p in cases.parameters(SHAPES).items()}
    groups = [
        {
            "params": [(k, params[k]) if case.is_named else params[k] for k in names],
            **case.of_group(i),
        }
        for i, names in enumerate(GROUPS)
    ]
    common = {k: v for k, v in case.arguments.items() if not isinstance(v, list)}
    optimizer = getattr(torch.optim, case.optimizer)(groups, **common)
    saved: Any = None
    for count, gradient in enumerate(state_cases.gradients(case)):
        for i, group in enumerate(optimizer.param_groups):
            group["lr"] = state_cases.rate(case, i, count)
        if count == SAVED:
            saved = _copied(params), optimizer.state_dict()
            saved[1]["state"] = {
                i: _copied(entry) for i, entry in saved[1]["state"].items()
            }
        for name, p in params.items():
            p.grad = torch.tensor(gradient[name]) if name in gradient else None
        optimizer.step()
    return *saved, params


def _copied(tensors: dict[str, Any]) -> dict[str, Any]:
    return {k: torch.clone(x) if torch.is_tensor(x) else x for k, x in tensors.items()}


def packed(result: Run) -> tuple[np.ndarray, dict[str, Any]]:
    """A run as one vector, and the names and shapes in it with all else."""
    first, state_dict, last = result
    trees = {
        "first": first,
        "last": last,
        **{str(i): entry for i, entry in state_dict["state"].items()},
    }
    arrays = {
        f"{at} {name}": x.numpy()
        for at, tree in trees.items()
        for name, x in tree.items()
    }
    vector = np.concatenate([x.ravel() for x in arrays.values()])
    shapes = {name: x.shape for name, x in arrays.items()}
    return vector, {"shapes": shapes, "param_groups": state_dict["param_groups"]}


def main() -> None:
    runs = {name: packed(run(case)) for name, case in CASES.items()}
    layouts = {name: layout for name, (_, layout) in runs.items()}
    np.savez_compressed(
        FILE,
        torch_version=str(torch.__version__),
        layout=json.dumps(layouts),
        **{f"state_{i}": vector for i, (vector, _) in enumerate(runs.values())},
    )


if __name__ == "__main__":
    main()
