"""Pictures of a sweep."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.sweep.record import plain
from jaxopt_lite.sweep.result import Result
from jaxopt_lite.sweep.space import Axis, listed

STEP = "step"
"""Draws the curves."""

CURVES = 10
"""How many of them."""


def draw(
    result: Result,
    path: Path,
    metric: str,
    over: str | tuple[str, ...] | None,
    maximize: bool,
) -> None:
    """Draws a metric over some axes or the steps; see `Result.plot`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "plot: matplotlib is not installed. Install jaxopt_lite[sweep]."
        ) from error
    names = _names(result, over)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    plot = figure.subplots()
    if names == (STEP,):
        _curves(plot, result, metric, maximize)
    elif len(names) == 1:
        _line(plot, result, metric, result.space.axis(names[0]), maximize)
    else:
        x, y = map(result.space.axis, names)
        colours = _map(plot, result, metric, x, y, maximize)
        figure.colorbar(colours, ax=plot, label=metric)
    plot.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _names(result: Result, over: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Over what to draw."""
    if over is None:
        names = tuple(axis.name for axis in result.space.axes if len(axis.values) > 1)
        if len(names) not in (1, 2):
            raise ValueError(
                f"plot: {checks.plural(len(names), 'axis has', 'axes have')} several "
                f"values; expected `over` to name one, a pair of them, or 'step': "
                f"{listed(result.space.names)}."
            )
        return names
    names = (over,) if isinstance(over, str) else tuple(over)
    if len(names) not in (1, 2):
        raise ValueError(
            f"plot: over is {over!r}; expected the name of an axis, a pair, or 'step'."
        )
    return names


def _curves(plot: Any, result: Result, metric: str, maximize: bool) -> None:
    if result.metrics[metric].ndim < 3:
        curves = [name for name, x in result.metrics.items() if x.ndim == 3]
        raise ValueError(
            f"plot: {metric!r} is a single number for each lane; expected a curve to "
            f"draw over the steps: {listed(curves) or 'train returned none'}."
        )
    for i in result.ranked(metric, maximize=maximize)[:CURVES]:
        values = (f"{name}={_text(x)}" for name, x in result.space[i].items())
        plot.plot(result.curve(metric)[i], label=", ".join(values), linewidth=1.5)
    if np.all(result.curve(metric)[np.isfinite(result.curve(metric))] > 0):
        plot.set_yscale("log")
    plot.set(xlabel=STEP, ylabel=metric)
    plot.legend(fontsize="x-small")


def _line(plot: Any, result: Result, metric: str, axis: Axis, maximize: bool) -> None:
    best = _best(result, metric, [axis], maximize)
    values = sorted(best)
    rows = [best[value] for value in values]
    place = _places(plot.xaxis, plot.set_xscale, axis)
    mean = result.mean(metric)[rows]
    error = np.nan_to_num(result.standard_error(metric)[rows])
    x = [place(value) for (value,) in values]
    plot.errorbar(x, mean, error, marker="o", capsize=3, linewidth=1.5)
    plot.set(ylabel=metric)


def _map(
    plot: Any, result: Result, metric: str, x: Axis, y: Axis, maximize: bool
) -> Any:
    """Cells where every pair of values occurs, else points."""
    best = _best(result, metric, [x, y], maximize)
    mean = result.mean(metric)
    across = _places(plot.xaxis, plot.set_xscale, x)
    along = _places(plot.yaxis, plot.set_yscale, y)
    if len(best) == len({v for v, _ in best}) * len({w for _, w in best}):
        columns = sorted({across(v): v for v, _ in best}.items())
        rows = sorted({along(w): w for _, w in best}.items())
        cells = [[mean[best[v, w]] for _, v in columns] for _, w in rows]
        edges = [
            _edges([p for p, _ in places], axis)
            for places, axis in ((columns, x), (rows, y))
        ]
        return plot.pcolormesh(*edges, np.ma.masked_invalid(cells))
    points = [(across(v), along(w)) for v, w in best]
    return plot.scatter(*zip(*points, strict=True), c=mean[list(best.values())])


def _best(
    result: Result, metric: str, axes: list[Axis], maximize: bool
) -> dict[tuple[Any, ...], int]:
    """For each combination of values the best configuration that has it.

    A static value is known by its place on the axis.
    """
    space = result.space
    columns = [
        space.column(axis.name) if axis.is_number else space.levels(axis.name)
        for axis in axes
    ]
    best: dict[tuple[Any, ...], int] = {}
    for i in result.ranked(metric, maximize=maximize):
        best.setdefault(tuple(column[i] for column in columns), i)
    return best


def _places(axis_of_plot: Any, set_scale: Any, axis: Axis) -> Any:
    """Sets up an axis of the picture; gives the function from values to places."""
    axis_of_plot.set_label_text(axis.name)
    if axis.is_number:
        set_scale("log" if axis.is_logarithmic else "linear")
        return float
    axis_of_plot.set_ticks(range(len(axis.values)), [*map(_text, axis.values)])
    return int


def _edges(places: list[float], axis: Axis) -> np.ndarray:
    """The boundaries of cells around places, halfway between them as they are drawn."""
    x = np.log(places) if axis.is_logarithmic else np.asarray(places, float)
    half = np.diff(x) / 2 if len(x) > 1 else np.array([0.5])
    edges = np.concatenate(
        [[x[0] - half[0]], x[:-1] + half[: len(x) - 1], [x[-1] + half[-1]]]
    )
    return np.exp(edges) if axis.is_logarithmic else edges


def _text(x: Any) -> str:
    return f"{x:.3g}" if isinstance(x, float) else str(plain(x))
