"""Pictures of a sweep."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.sweep.axis import Axis
from jaxopt_lite.sweep.result import Result
from jaxopt_lite.sweep.space import listed

STEP = "step"
"""Draws the curves."""

CURVES = 10
"""How many of them."""

DIGITS = 3
"""Of numbers beside them."""


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
    names = tuple(over) if isinstance(over, tuple | list) else (over,)
    are_names = all(isinstance(name, str) for name in names)
    if not are_names or not 1 <= len(names) == len({*names}) <= 2:
        raise ValueError(
            f"plot: over is {over!r}; expected the name of an axis, a pair of them, or "
            f"'step': {listed(result.space.names)}."
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
        texts = result.space.texts(i, DIGITS)
        label = ", ".join(f"{name}={text}" for name, text in texts.items())
        plot.plot(result.curve(metric)[i], label=label, linewidth=1.5)
    if np.all(result.curve(metric)[np.isfinite(result.curve(metric))] > 0):
        plot.set_yscale("log")
    plot.set(xlabel=STEP, ylabel=metric)
    plot.legend(fontsize="x-small")


def _line(plot: Any, result: Result, metric: str, axis: Axis, maximize: bool) -> None:
    _set_up(plot.xaxis, plot.set_xscale, axis)
    best = sorted(_best(result, metric, [axis], maximize).items())
    x, rows = [value for (value,), _ in best], [i for _, i in best]
    error = np.nan_to_num(result.standard_error(metric)[rows])
    plot.errorbar(
        x, result.mean(metric)[rows], error, marker="o", capsize=3, linewidth=1.5
    )
    plot.set(ylabel=metric)


def _map(
    plot: Any, result: Result, metric: str, x: Axis, y: Axis, maximize: bool
) -> Any:
    """Cells where every pair of values occurs, else points."""
    _set_up(plot.xaxis, plot.set_xscale, x)
    _set_up(plot.yaxis, plot.set_yscale, y)
    best = _best(result, metric, [x, y], maximize)
    mean = result.mean(metric)
    columns, rows = (sorted({pair[i] for pair in best}) for i in (0, 1))
    if len(best) < len(columns) * len(rows):
        return plot.scatter(*zip(*best, strict=True), c=mean[[*best.values()]])
    cells = [[mean[best[v, w]] for v in columns] for w in rows]
    edges = _edges(columns, x), _edges(rows, y)
    return plot.pcolormesh(*edges, np.ma.masked_invalid(cells))


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


def _set_up(axis_of_plot: Any, set_scale: Any, axis: Axis) -> None:
    """Names an axis of the picture, and what stands on it."""
    axis_of_plot.set_label_text(axis.name)
    if axis.is_number:
        set_scale("log" if axis.is_logarithmic else "linear")
    else:
        axis_of_plot.set_ticks(range(len(axis.values)), axis.texts(DIGITS))


def _edges(places: list[float], axis: Axis) -> np.ndarray:
    """The boundaries of cells around places, halfway between them as they are drawn."""
    x = np.log(places) if axis.is_logarithmic else np.asarray(places, float)
    half = np.diff(x) / 2 if len(x) > 1 else np.array([0.5])
    edges = np.concatenate(
        [[x[0] - half[0]], x[:-1] + half[: len(x) - 1], [x[-1] + half[-1]]]
    )
    return np.exp(edges) if axis.is_logarithmic else edges
