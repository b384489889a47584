"""What a sweep has found so far, and the file it is kept in."""

import dataclasses
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.sweep.axis import Axis
from jaxopt_lite.sweep.space import Space

VERSION = 2
"""Of the file; another one is refused."""

METRIC = "metrics/"
"""In front of the name of a metric's array in the file."""


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """The metrics of a sweep, with the lanes that are done.

    Args:
        space: the configurations.
        key: the data of the key that all seeds are made of.
        train: what the programs compute, a digest of each.
        metrics: by name an array of (configurations, seeds), a curve with its steps
            behind; NumPy, written in place as lanes are done.
        done: which lanes, an array of (configurations, seeds).
    """

    space: Space
    key: list[int]
    train: list[str]
    metrics: dict[str, np.ndarray]
    done: np.ndarray

    @property
    def header(self) -> dict[str, Any]:
        """All that is no array, as JSON has it; equal for equal sweeps."""
        axes = [{**vars(axis), "values": axis.labels} for axis in self.space.axes]
        header: dict[str, Any] = {"axes": axes, "rows": self.space.rows}
        header |= {"key": self.key, "train": self.train}
        return json.loads(json.dumps({"version": VERSION, **header}))

    def add(self, lanes: np.ndarray, found: dict[str, np.ndarray]) -> None:
        """Keeps what lanes have returned, an array of (lanes, 2) numbers them."""
        for name, x in found.items():
            self.metrics[name][tuple(lanes.T)] = x
        self.done[tuple(lanes.T)] = True

    def copy(self) -> "Record":
        """The same with arrays of its own."""
        arrays = {name: x.copy() for name, x in self.metrics.items()}
        return dataclasses.replace(self, metrics=arrays, done=self.done.copy())

    def write(self, path: Path) -> None:
        """Replaces the file at once: it is never seen half written."""
        path = checked(path).resolve()  # of a link, what it leads to
        beside = path.with_name(f".{path.name}.part")
        arrays: dict[str, Any] = {METRIC + k: x for k, x in self.metrics.items()}
        try:
            with beside.open("wb") as file:
                np.savez(file, header=json.dumps(self.header), done=self.done, **arrays)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def resume(self, path: Path) -> None:
        """Takes over the lanes that a file says are done, where there is a file.

        Raises:
            ValueError: if it is no results file, or that of another sweep.
        """
        if not path.exists():
            return
        earlier = read(path)
        differences = _differences(earlier, self)
        if differences:
            checks.fail(
                f"{path} holds the results of another sweep; nothing was written.",
                differences,
                "Expected the same space, seeds, key, train and metrics, and the same "
                "version of JAX: give another path, or move the file away.",
                ValueError,
            )
        self.done[...] = earlier.done
        for name, x in self.metrics.items():
            x[...] = earlier.metrics[name]


def read(path: Path) -> Record:
    """What a file holds.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is no results file, or is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        header = json.loads(str(arrays.pop("header")))
        if header["version"] != VERSION:
            raise ValueError(f"version {header['version']}, not {VERSION}")
        axes = [Axis(**{**x, "values": tuple(x["values"])}) for x in header["axes"]]
        space = Space(tuple(axes), tuple(map(tuple, header["rows"])))
        done = arrays.pop("done")
        metrics = {name.removeprefix(METRIC): x for name, x in arrays.items()}
        return _coherent(Record(space, header["key"], header["train"], metrics, done))
    except FileNotFoundError:
        raise
    except _DAMAGED as error:
        raise ValueError(
            f"{path} cannot be read as results of a sweep ({error}); nothing was "
            f"written. Expected a file that `run` or `Result.save` wrote: give another "
            f"path, or move the file away."
        ) from error


def checked(path: Any) -> Path:
    """The path of a file, in a folder that exists.

    Raises:
        TypeError: if it is no path.
        ValueError: if there is no such folder.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"sweep: path is {path!r}; expected the name of a file.")
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(
            f"sweep: path is {str(path)!r}; expected a file in an existing folder."
        )
    return path


def _coherent(record: Record) -> Record:
    """The record, if each of its lanes has all metrics.

    Raises:
        ValueError: if not.
    """
    lanes = record.done.shape
    if record.done.dtype != bool or len(lanes) != 2 or lanes[0] != len(record.space):
        raise ValueError(f"done is {checks.describe(record.done)}")
    shapes = {name: x.shape[:2] for name, x in record.metrics.items()}
    if not shapes or set(shapes.values()) != {lanes}:
        raise ValueError(f"metrics of {shapes} for lanes of {lanes}")
    return record


_DAMAGED = (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def _differences(found: Record, expected: Record) -> list[checks.Problem]:
    """Where two sweeps differ, in words."""
    pairs = [
        ("axes", found.space.names, expected.space.names),
        ("configurations", found.header["rows"], expected.header["rows"]),
        ("seeds", found.done.shape[1], expected.done.shape[1]),
        ("key", found.key, expected.key),
        ("metrics", _shapes(found), _shapes(expected)),
    ]
    if found.space.names == expected.space.names:
        axes = zip(found.space.axes, expected.space.axes, strict=True)
        pairs[1:1] = [(a.name, a.labels, b.labels) for a, b in axes]
    if all(x == y for _, x, y in pairs):  # where they differ, so does what is computed
        pairs = [("train", found.train, expected.train)]
    return [
        (what, f"{_short(x)} in the file, {_short(y)} here")
        for what, x, y in pairs
        if x != y
    ]


def _shapes(record: Record) -> dict[str, str]:
    return {name: checks.describe(x) for name, x in sorted(record.metrics.items())}


def _short(x: Any) -> str:
    text = str(x)
    return text if len(text) <= 80 else f"{text[:77]}..."
