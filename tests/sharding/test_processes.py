"""ZeRO-1 in two processes that are killed in the middle of a step."""

import jax
import numpy as np
import pytest

from tests import processes
from tests.helpers import relative_error
from tests.sharding.meshes import tree
from tests.sharding.training import SHAPES, STEPS, TX, batch, stepper


def start(devices, *arguments):
    return processes.start("tests.sharding.training", devices, *arguments)


@pytest.mark.full
def test_one_process_goes_on_where_two_were_killed(tmp_path):
    folder, port, last = tmp_path / "run", processes.free_port(), 4
    two = [
        start(2, folder, "--die-at", last + 1, "--port", port, "--process", i)
        for i in range(2)
    ]
    said = processes.ended(*two)
    for process, (out, err) in zip(two, said, strict=True):
        assert "4 devices, begins with step 0\n" in out, err
        assert process.returncode != 0
    kept = sorted(int(x.name) for x in folder.iterdir() if x.name.isdigit())
    assert kept[-1] == last  # the step in which they died was not saved
    [(out, _)] = processes.finished(start(1, folder))
    assert f"1 devices, begins with step {last + 1}\n" in out

    params, step = tree(SHAPES), stepper(TX)
    state = TX.init(params)
    for i in range(STEPS):
        params, state = step(params, state, batch(i))
    with np.load(f"{folder}.npz") as found:
        for x, y in zip(found.values(), jax.tree.leaves((params, state)), strict=True):
            assert relative_error(x, y) <= 1e-6
