"""A sweep gives the same on one device, on several, and on those of two processes."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxopt_lite import sweep
from tests import processes
from tests.processes import ended, finished, free_port
from tests.sweep.everywhere import SPACE
from tests.sweep.training import descend

SAID = (
    "4 devices, 0 resumed, Result(14 configurations x 3 seeds; loss, losses; 6 lanes "
    "diverged; 2 compilations)"
)


def start(devices, *arguments):
    return processes.start("tests.sweep.everywhere", devices, *arguments)


def start_two(folder, *paths):
    """Two processes of two devices each, and the files that they are told to write."""
    port = free_port()
    return [
        start(2, folder / f"{i}.npz", "--path", path, "--port", port, "--process", i)
        for i, path in enumerate(paths)
    ]


@pytest.fixture(scope="module")
def alone():
    """The metrics on a single device."""
    mesh = Mesh(np.array(jax.devices()[:1]), ("lanes",))
    key = jax.random.key(7)
    return sweep.run(
        descend, SPACE, key=key, seeds=3, mesh=mesh, progress=False
    ).metrics


def assert_equal(file, metrics):
    with np.load(file) as found:
        assert {*found} == {*metrics}
        for name, x in metrics.items():
            assert found[name].shape == x.shape
            np.testing.assert_allclose(found[name], x, rtol=1e-6)


def test_four_devices_give_what_one_gives(alone, tmp_path):
    [(out, _)] = finished(start(4, tmp_path / "four.npz"))
    assert out.splitlines()[-1] == SAID
    assert_equal(tmp_path / "four.npz", alone)


def test_two_processes_give_what_one_gives_and_one_resumes_from_them(alone, tmp_path):
    path = tmp_path / "sweep.npz"
    said = finished(*start_two(tmp_path, path, path))
    for i, (out, _) in enumerate(said):
        assert out.splitlines()[-1] == SAID
        assert_equal(tmp_path / f"{i}.npz", alone)
    assert "42/42" in said[0][1] and "/42" not in said[1][1]
    [(out, err)] = finished(start(1, tmp_path / "again.npz", "--path", path))
    assert "42 resumed" in out and f"{path}: 42 of 42 lanes are done." in err
    assert_equal(tmp_path / "again.npz", alone)


def test_two_processes_that_see_different_files(tmp_path):
    path = tmp_path / "sweep.npz"
    finished(start(1, tmp_path / "alone.npz", "--path", path))
    before = path.read_bytes()
    for _, err in ended(*start_two(tmp_path, path, tmp_path / "missing.npz")):
        assert "ValueError: run: the processes find different results at path;" in err
    assert path.read_bytes() == before
