"""A sweep that was interrupted goes on, and no file is ever lost."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

import jaxopt_lite as jl
from jaxopt_lite import sweep
from jaxopt_lite.sweep import lanes, record
from tests.sweep.training import descend, message

KEY = jax.random.key(7)
SPACE = sweep.grid(learning_rate=jnp.linspace(0.05, 0.9, 16), kind=["x", "y"])
run = partial(sweep.run, key=KEY, seeds=2, batch_size=8)


def assert_same(a, b):
    assert a.metrics.keys() == b.metrics.keys()
    for name, x in a.metrics.items():
        np.testing.assert_array_equal(x, b.metrics[name])


class Interrupted(BaseException):
    """What Ctrl-C raises, but ours."""


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """The file of a run that was interrupted while it wrote its third chunk."""
    path = tmp_path / "sweep.npz"
    replaced = []
    replace = type(path).replace

    def third_fails(self, target):
        replaced.append(target)
        if len(replaced) == 3:
            raise Interrupted
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "replace", third_fails)
        with pytest.raises(Interrupted):
            run(descend, SPACE, path=path, progress=False)
    return path


def test_an_interrupted_run_goes_on_where_it_stopped_and_says_so(stopped, capsys):
    assert [file.name for file in stopped.parent.iterdir()] == ["sweep.npz"]
    resumed = run(descend, SPACE, path=stopped)
    assert f"{stopped}: 24 of 64 lanes are done." in capsys.readouterr().err
    assert (resumed.resumed, resumed.compilations) == (24, 2)
    assert_same(resumed, run(descend, SPACE, progress=False))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_loses_no_chunk_that_has_ended(tmp_path, monkeypatch, error):
    path, call, called = tmp_path / "sweep.npz", lanes.Program.__call__, []

    def fourth_fails(self, inputs):
        called.append(inputs)
        if len(called) == 4:
            raise error
        return call(self, inputs)

    with monkeypatch.context() as patch:
        patch.setattr(lanes.Program, "__call__", fourth_fails)
        with pytest.raises(error):
            run(descend, SPACE, path=path, progress=False)
    assert run(descend, SPACE, path=path, progress=False).resumed == 24


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    path, replace = tmp_path / "sweep.npz", type(tmp_path).replace

    def full(self, target):
        if target.exists():
            raise OSError("No space left on device")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "replace", full)
        with pytest.raises(OSError, match="No space left"):
            run(descend, SPACE, path=path, progress=False)
    assert [*tmp_path.iterdir()] == [path]
    assert run(descend, SPACE, path=path, progress=False).resumed == 8


def test_a_finished_run_is_not_repeated(tmp_path):
    path = tmp_path / "sweep.npz"
    first = run(descend, SPACE, path=path, progress=False)
    again = run(descend, SPACE, path=str(path), progress=False)
    assert (again.resumed, again.compilations) == (64, 0)
    assert_same(first, again)


def test_an_interrupted_run_cannot_be_loaded(stopped):
    assert message(ValueError, sweep.load, stopped) == (
        f"{stopped}: 24 of 64 lanes are done; expected all. Call `run` again with this "
        f"path: it goes on from there."
    )


def test_a_result_is_saved_and_loaded(tmp_path):
    made = partial(jl.sgd, momentum=0.5)
    space = SPACE * sweep.grid(tx=[jl.sgd, jl.adam(0.1), made, 3])
    result = run(descend, space, progress=False)
    result.save(tmp_path / "sweep.npz")
    loaded = sweep.load(tmp_path / "sweep.npz")
    assert_same(result, loaded)
    assert loaded.space.names == space.names and loaded.space.rows == space.rows
    assert loaded.space.axes[:2] == space.axes[:2]
    *_, functions = loaded.space.axes
    assert functions.values == (
        "sgd",
        repr(jl.adam(0.1)),
        "functools.partial(<function sgd>, momentum=0.5)",
        3,
    )
    result.save(tmp_path / "sweep.npz")  # once more
    loaded.save(tmp_path / "again.npz")
    assert run(descend, space, path=tmp_path / "again.npz").resumed == 256


def other_key(path):
    run(descend, SPACE, path=path, key=jax.random.key(8), progress=False)


def other_seeds(path):
    run(descend, SPACE, path=path, seeds=3, progress=False)


def other_values(path):
    space = sweep.grid(learning_rate=jnp.linspace(0.05, 0.8, 16), kind=["x", "y"])
    run(descend, space, path=path, progress=False)


def other_axes(path):
    space = sweep.grid(learning_rate=jnp.linspace(0.05, 0.9, 16))
    run(descend, space, path=path, progress=False)


def other_metrics(path):
    train = lambda h, key: {"loss": descend(h, key)["losses"]}  # noqa: E731
    run(train, SPACE, path=path, progress=False)


def saved(path):
    run(descend, SPACE, seeds=1, progress=False).save(path)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (other_key, "  'key': [0, 7] in the file, [0, 8] here\n"),
        (other_seeds, "  'seeds': 2 in the file, 3 here\n"),
        (other_values, "  'learning_rate': [0.05, 0.10666"),
        (
            other_axes,
            "  'axes': ('learning_rate', 'kind') in the file, ('learning_rate',) here\n"
            "  'configurations': [[0, 0], [0, 1],",
        ),
        (
            other_metrics,
            "  'metrics': {'loss': 'float32[32,2]', 'losses': 'float32[32,2,10]'} in "
            "the file, {'loss': 'float32[32,2,10]'} here\n",
        ),
        (saved, "  'seeds': 2 in the file, 1 here\n"),
    ],
)
def test_the_file_of_another_sweep_is_left_alone(stopped, other, difference):
    before = stopped.read_bytes()
    text = message(ValueError, other, stopped)
    head, *differences, cure = text.splitlines(keepends=True)
    assert (
        head == f"{stopped} holds the results of another sweep; nothing was written.\n"
    )
    assert difference in "".join(differences)
    assert cure == (
        "Expected the same space, seeds, key, train and metrics, and the same version "
        "of JAX: give another path, or move the file away."
    )
    assert stopped.read_bytes() == before


def truncated(data):
    return data[: len(data) // 2]


def flipped(data):
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [truncated, flipped, lambda data: b"", lambda data: b"loss,rate\n0.1,0.2\n"],
    ids=["truncated", "flipped", "empty", "text"],
)
def test_a_damaged_file_is_left_alone(tmp_path, damage):
    path = tmp_path / "sweep.npz"
    run(descend, SPACE, path=path, progress=False)
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    calls = [
        partial(run, descend, SPACE, path=path),
        partial(sweep.load, path),
        partial(run(descend, SPACE, progress=False).save, path),
    ]
    for call in calls:
        text = message(ValueError, call)
        assert text.startswith(f"{path} cannot be read as results of a sweep (")
        assert text.endswith(
            "nothing was written. Expected a file that `run` or `Result.save` wrote: "
            "give another path, or move the file away."
        )
    assert path.read_bytes() == before


@pytest.mark.parametrize("arrays", [{"a": np.ones(2)}, {"header": np.array("[]")}])
def test_arrays_of_something_else_are_left_alone(tmp_path, arrays):
    path = tmp_path / "other.npz"
    np.savez(path, **arrays)
    text = message(ValueError, sweep.load, path)
    assert text.startswith(f"{path} cannot be read as results of a sweep (")


def test_a_file_of_another_version(tmp_path, monkeypatch):
    path = tmp_path / "sweep.npz"
    run(descend, SPACE, path=path, progress=False)
    monkeypatch.setattr(record, "VERSION", 3)
    assert "(version 2, not 3)" in message(ValueError, sweep.load, path)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        sweep.load(tmp_path / "sweep.npz")


def test_the_header_is_json(tmp_path):
    path = tmp_path / "sweep.npz"
    run(descend, SPACE, path=path, progress=False)
    header = json.loads(str(np.load(path)["header"]))
    assert header["axes"][1] == {
        "name": "kind",
        "values": ["x", "y"],
        "is_number": False,
        "is_logarithmic": False,
    }


def loss_of(tx):
    p = jnp.ones(())
    return {"loss": (p + tx.update(p, tx.init(p), p)[0]) ** 2}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([optax.sgd(0.1), optax.sgd(0.2)], [optax.sgd(0.8), optax.sgd(0.9)]),
        ([jl.sgd(jnp.array(0.1))], [jl.sgd(jnp.array(0.2))]),
        ([lambda p: p], [lambda p: 2 * p]),
        ([np.arange(2000.0)], [np.arange(2000.0) ** 2]),
    ],
    ids=["optax", "array", "function", "data"],
)
def test_static_values_that_read_alike_are_told_apart(tmp_path, first, second):
    def train(h, key):
        x = h["x"]
        if hasattr(x, "update"):
            return loss_of(x)
        return {"loss": x(jnp.ones(())) if callable(x) else jnp.sum(jnp.asarray(x))}

    path = tmp_path / "sweep.npz"
    result = run(train, sweep.grid(x=first), path=path, progress=False)
    before = path.read_bytes()
    text = message(
        ValueError, run, train, sweep.grid(x=second), path=path, progress=False
    )
    assert text.startswith(f"{path} holds the results of another sweep")
    assert path.read_bytes() == before
    again = run(train, sweep.grid(x=first), path=path, progress=False)
    assert again.resumed == again.diverged.size
    assert_same(again, result)


def test_another_train_is_refused(tmp_path):
    path, space = tmp_path / "sweep.npz", sweep.grid(x=[1.0, 2.0])
    run(lambda h, key: {"loss": h["x"]}, space, path=path, progress=False)
    train = lambda h, key: {"loss": -h["x"]}  # noqa: E731
    assert "'train': ['" in message(ValueError, run, train, space, path=path)


@pytest.mark.parametrize(
    ("count", "devices", "chunks"),
    [(16, 8, 1), (100, 1, 7), (256, 8, 16), (300, 3, 17), (512, 8, 16), (5000, 2, 17)],
)
def test_a_file_is_written_while_a_sweep_runs(
    tmp_path, monkeypatch, count, devices, chunks
):
    written = []
    monkeypatch.setattr(
        record.Record, "write", lambda self, path: written.append(self.done.sum())
    )
    space = sweep.grid(learning_rate=jnp.linspace(0.1, 0.9, count))
    train = lambda h, key: {"loss": h["learning_rate"]}  # noqa: E731
    mesh = Mesh(np.array(jax.devices()[:devices]), ("lanes",))
    path = tmp_path / "sweep.npz"
    run(train, space, seeds=1, path=path, mesh=mesh, batch_size=None, progress=False)
    assert len(written) == chunks and written[-1] == count


@pytest.mark.parametrize(
    "arrays",
    [
        {"done": np.ones(3, bool)},
        {"done": np.ones((6, 2), bool)},
        {"metrics/loss": None},
        {"metrics/loss": np.ones((3, 1))},
    ],
    ids=["done of one axis", "of other lanes", "no metric", "short metric"],
)
def test_a_file_whose_parts_do_not_fit_is_refused(tmp_path, arrays):
    path, space = tmp_path / "sweep.npz", sweep.grid(x=[1.0, 2.0, 3.0])
    train = lambda h, key: {"loss": h["x"]}  # noqa: E731
    run(train, space, seeds=2, path=path, progress=False)
    found = {**np.load(path), **arrays}
    np.savez(path, **{name: x for name, x in found.items() if x is not None})
    for call in (sweep.load, partial(run, train, space, seeds=2, path=path)):
        text = f"{path} cannot be read as results of a sweep ("
        arguments = (path,) if call is sweep.load else ()
        assert message(ValueError, call, *arguments).startswith(text)


def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real.npz", tmp_path / "link.npz"
    link.symlink_to(real)
    result = run(descend, SPACE, path=link, progress=False)
    assert link.is_symlink()
    assert_same(sweep.load(real), result)
    assert sorted(tmp_path.iterdir()) == [link, real]
