"""`Result`: what a sweep has found."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.sweep import metrics as metrics_
from jaxopt_lite.sweep import record as record_
from jaxopt_lite.sweep.record import Record
from jaxopt_lite.sweep.space import Space, UnknownName, known, listed


class Configuration(NamedTuple):
    """A configuration and how it did, on the average of its seeds."""

    number: int
    hyperparams: dict[str, Any]
    mean: dict[str, float]
    standard_error: dict[str, float]
    diverged: int


class Result:
    """What a sweep has found, by configuration and seed.

    `result.metrics["loss"]` is an array of (configurations, seeds), of a curve one of
    (configurations, seeds, steps). `len(result)` is the number of configurations and
    `result[i]` the i-th with its means. A lane in which any number is not finite has
    diverged: means leave it out and say how many did.

    Args:
        record: the metrics.
        compilations: how many programs were compiled for them.
        resumed: how many lanes came from a file.

    Example:
        >>> import jax
        >>> from jaxopt_lite import sweep
        >>> result = sweep.run(
        ...     lambda hyperparams, key: {"loss": (hyperparams["x"] - 1) ** 2},
        ...     sweep.grid(x=[0.0, 0.5, 2.0]),
        ...     key=jax.random.key(0),
        ...     progress=False,
        ... )
        >>> result
        Result(3 configurations x 1 seed; loss; 0 lanes diverged; 1 compilation)
        >>> result.mean("loss").tolist(), result.best().hyperparams
        ([1.0, 0.25, 1.0], {'x': 0.5})
    """

    def __init__(self, record: Record, compilations: int = 0, resumed: int = 0):
        self.record = record
        self.compilations = compilations
        self.resumed = resumed
        self.diverged = metrics_.diverged(record.metrics)
        """By lane, whether any number is not finite."""
        self.diverged_step = metrics_.diverged_step(record.metrics)
        """By lane the step, of the longest curves, at which one is no longer finite;
        -1 where there is none."""

    @property
    def space(self) -> Space:
        """The configurations."""
        return self.record.space

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """By name an array of (configurations, seeds), of a curve with its steps."""
        return self.record.metrics

    @property
    def seeds(self) -> int:
        """How often each configuration was trained."""
        return self.diverged.shape[1]

    def __len__(self) -> int:
        return len(self.space)

    def __getitem__(self, i: int) -> Configuration:
        names = list(self.metrics)
        return Configuration(
            range(len(self))[i],
            self.space[i],
            {name: float(self.mean(name)[i]) for name in names},
            {name: float(self.standard_error(name)[i]) for name in names},
            int(self.diverged[i].sum()),
        )

    def __repr__(self) -> str:
        lanes = int(self.diverged.sum())
        return (
            f"Result({checks.plural(len(self), 'configuration', 'configurations')} x "
            f"{checks.plural(self.seeds, 'seed', 'seeds')}; "
            f"{', '.join(self.metrics)}; "
            f"{checks.plural(lanes, 'lane', 'lanes')} diverged; "
            f"{checks.plural(self.compilations, 'compilation', 'compilations')})"
        )

    def mean(self, metric: str) -> np.ndarray:
        """The mean over the seeds that have not diverged, by configuration.

        Of a curve it is that of its last numbers. Where all seeds diverged it is nan.
        """
        return self._over_seeds(metrics_.final(self._of(metric))[:, :, None])[:, 0]

    def curve(self, metric: str) -> np.ndarray:
        """As `mean`, at every step: an array of (configurations, steps)."""
        x = self._of(metric)
        return self._over_seeds(x.reshape(*self.diverged.shape, -1))

    def _over_seeds(self, x: np.ndarray) -> np.ndarray:
        """The means of (configurations, seeds, steps) over seeds not diverged."""
        x = x.astype(np.float64)
        kept = ~self.diverged[:, :, None]
        n = kept.sum(1)
        total = np.where(kept, x, 0.0).sum(1)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)

    def standard_error(self, metric: str) -> np.ndarray:
        """The standard error of `mean`; nan for fewer than two seeds.

        sqrt(sum over seeds of (x - mean)**2 / (n - 1) / n)
        """
        x = metrics_.final(self._of(metric)).astype(np.float64)
        deviation = np.where(self.diverged, 0.0, x - self.mean(metric)[:, None])
        n = (~self.diverged).sum(1)
        variance = np.square(deviation).sum(1) / np.maximum(n - 1, 1)
        return np.where(n > 1, np.sqrt(variance / np.maximum(n, 1)), np.nan)

    def best(
        self, metric: str | None = None, *, maximize: bool = False
    ) -> Configuration:
        """The configuration with the least mean, none of whose seeds has diverged.

        Args:
            metric: the name of one; None takes `loss`, or the only one there is.
            maximize: whether the greatest mean is the best.

        Raises:
            KeyError: if there is no such metric.
            ValueError: if every configuration has a seed that diverged.
        """
        first = self.ranked(metric, maximize=maximize)[0]
        if self.diverged[first].any():
            raise ValueError(
                f"best: each of {len(self)} configurations has a seed that diverged; "
                f"expected one without. Sweep smaller learning rates, or more of them."
            )
        return self[first]

    def ranked(self, metric: str | None = None, *, maximize: bool = False) -> list[int]:
        """The configurations from the best to the worst, by number.

        Those of which more seeds diverged stand behind those of which fewer did.

        Args:
            metric: the name of one; None as for `best`.
            maximize: whether the greatest mean is the best.

        Raises:
            KeyError: if there is no such metric.
        """
        mean = self.mean(self._decisive(metric)) * (-1 if maximize else 1)
        order = np.lexsort([np.arange(len(self)), mean, self.diverged.sum(1)])
        return order.tolist()

    def _decisive(self, metric: str | None) -> str:
        """The name of a metric; for None `loss`, or the only one there is."""
        names = list(self.metrics)
        if metric is None and "loss" not in names and len(names) > 1:
            raise UnknownName(
                f"sweep: train returned {listed(names)}; expected the name of the one "
                f"that decides."
            )
        unnamed = "loss" if "loss" in names else names[0]
        return known("metric", unnamed if metric is None else metric, names)

    def table(
        self, metric: str | None = None, *, maximize: bool = False, top: int = 10
    ) -> Any:
        """The best configurations, with means and standard errors.

        Args:
            metric: by which they are ranked, as for `best`; it is shown beside all
                that are no curves.
            maximize: whether the greatest mean is the best.
            top: how many to show.

        Returns:
            A `rich.table.Table`; `rich.print` prints it.

        Raises:
            ImportError: if rich is not installed.
            KeyError: if there is no such metric.
        """
        try:
            from rich.markup import escape
            from rich.table import Table
        except ImportError as error:
            raise ImportError(
                "table: rich is not installed. Install jaxopt_lite[sweep]; `to_dict` "
                "needs nothing."
            ) from error
        by = self._decisive(metric)
        shown = self.ranked(by, maximize=maximize)[:top]
        caption = (
            f"{len(shown)} of {len(self)} configurations, mean over "
            f"{checks.plural(self.seeds, 'seed', 'seeds')}"
        )
        table = Table(caption=caption)
        names = [name for name, x in self.metrics.items() if x.ndim == 2 or name == by]
        for axis in self.space.axes:
            table.add_column(escape(axis.name), justify="right", no_wrap=axis.is_number)
        for name in names:
            table.add_column(escape(name), justify="right", no_wrap=True)
        if self.diverged.any():
            table.add_column("diverged", justify="right")
        for i in shown:
            table.add_row(*map(escape, self._cells(self[i], names)))
        return table

    def _cells(self, row: Configuration, metrics: list[str]) -> list[str]:
        cells = [*self.space.texts(row.number, 4).values()]
        for name in metrics:
            error = row.standard_error[name]
            spread = f" ± {error:.2g}" if np.isfinite(error) else ""
            cells.append(f"{row.mean[name]:.4g}{spread}")
        if self.diverged.any():
            cells.append(f"{row.diverged} of {self.seeds}" if row.diverged else "")
        return cells

    def to_dict(self) -> dict[str, Any]:
        """Everything in lists and dicts, as `json` and data frames take it.

        Returns:
            `hyperparams` and `mean`, `standard_error` by name with a list over the
            configurations, `metrics`, `diverged` and `diverged_step` with a list of
            seeds for each, `compilations`, `resumed`. A static value that is no string
            or number is in words; those that would read alike are numbered.
        """
        return {
            "hyperparams": {name: self.space.labels(name) for name in self.space.names},
            "mean": {name: self.mean(name).tolist() for name in self.metrics},
            "standard_error": {
                name: self.standard_error(name).tolist() for name in self.metrics
            },
            "metrics": {name: x.tolist() for name, x in self.metrics.items()},
            "diverged": self.diverged.tolist(),
            "diverged_step": self.diverged_step.tolist(),
            "compilations": self.compilations,
            "resumed": self.resumed,
        }

    def save(self, path: str | Path) -> None:
        """Writes a file that `load` reads; `run` resumes from it, too.

        Static values that are no strings or numbers, or read like another one, are
        kept in words.

        Raises:
            ValueError: if there is a file of something else, which stays as it is, or
                no such folder.
        """
        path = record_.checked(path)
        self.record.copy().resume(path)
        self.record.write(path)

    def plot(
        self,
        path: str | Path,
        metric: str | None = None,
        *,
        over: str | tuple[str, str] | None = None,
        maximize: bool = False,
    ) -> None:
        """Draws a metric over one axis, over two, or over the steps.

        Over one axis: a line of the means with their standard errors. Over two: a map
        of the means, or points where a space is no grid. Over the steps: the mean curve
        of each of the ten best configurations. At each place stands the best of the
        configurations that differ in other axes only. A logarithmic axis is drawn so.

        Args:
            path: the picture; its ending says which kind.
            metric: the name of one; None as for `best`.
            over: the name of an axis, a pair of names, or "step"; None takes the axes
                of the space with several values, if they are one or two.
            maximize: whether greater is better.

        Raises:
            ImportError: if matplotlib is not installed.
            KeyError: if there is no such metric or axis.
            ValueError: if `over` is something else, or None and the space has more
                than two such axes, or "step" is asked of a metric that is no curve.
        """
        from jaxopt_lite.sweep.plot import draw

        draw(self, Path(path), self._decisive(metric), over, maximize)

    def _of(self, metric: str) -> np.ndarray:
        return self.metrics[known("metric", metric, self.metrics)]


def load(path: str | Path) -> Result:
    """The result that `Result.save` or a finished `run` has written.

    Args:
        path: the file.

    Returns:
        A `Result`; a static value that was no string or number, or read like another
        one of its axis, is now in words.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is damaged, no results file, or of a run that was interrupted.

    Example:
        >>> import tempfile, jax
        >>> from jaxopt_lite import sweep
        >>> space = sweep.grid(x=[0.0, 1.0, 2.0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = sweep.run(
        ...         lambda h, key: {"loss": (h["x"] - 1) ** 2},
        ...         space,
        ...         key=jax.random.key(0),
        ...         path=f"{folder}/result.npz",
        ...         progress=False,
        ...     )
        ...     sweep.load(f"{folder}/result.npz").best().hyperparams
        {'x': 1.0}
    """
    record = record_.read(Path(path))
    if not record.done.all():
        raise ValueError(
            f"{path}: {record.done.sum()} of {record.done.size} lanes are done; "
            f"expected all. Call `run` again with this path: it goes on from there."
        )
    return Result(record)
