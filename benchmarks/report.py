"""Tables of what was measured, on the screen and in Markdown."""

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import jax
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.timing import Spread

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Goal:
    """A figure and what it should not exceed."""

    what: str
    found: float
    at_most: float

    def __str__(self) -> str:
        verdict = "reached" if self.found <= self.at_most else "missed"
        return f"{self.what}: {self.found:.4g}, goal at most {self.at_most}: {verdict}"


@dataclass(frozen=True)
class Report:
    """One table, how its figures were taken, and how they stand to the goals."""

    name: str
    title: str
    how: str
    libraries: Sequence[ModuleType]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal] = ()
    bars: Mapping[str, Spread] = field(default_factory=dict)
    axis: str = ""

    def show(self, console: Console) -> None:
        console.print(f"\n{self.title}", highlight=False)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for i, column in enumerate(self.columns):
            is_wide = any(" " in row[i] for row in self.rows)
            table.add_column(
                column, justify="left" if i == 0 else "right", no_wrap=not is_wide
            )
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for goal in self.goals:
            console.print(str(goal), highlight=False)

    def markdown(self) -> str:
        head = [
            _row(self.columns),
            _row([":--", *["--:"] * (len(self.columns) - 1)]),
        ]
        return "\n".join(
            [
                f"# {self.title}",
                "",
                f"{today()}, {machine()}; {versions(self.libraries)}. {self.how}",
                "",
                *head,
                *map(_row, self.rows),
                "",
                *(f"- {goal}" for goal in self.goals),
                "",
            ]
        )

    def plot(self, file: Path) -> None:
        """Draws the bars, from quartile to quartile and to the median."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 1.2 + 0.3 * len(self.bars)), layout="constrained")
        axes = figure.add_subplot()
        x = list(self.bars.values())
        middle = [s.median for s in x]
        spread = [[s.median - s.low for s in x], [s.high - s.median for s in x]]
        axes.barh(list(self.bars), middle, xerr=spread, color="tab:blue", ecolor="0.3")
        axes.axvline(1.0, color="0.3", linewidth=1)
        axes.invert_yaxis()
        axes.set_xlabel(self.axis)
        axes.set_title(self.title, fontsize="medium", loc="left")
        figure.savefig(file)

    def save(self) -> Path:
        """Writes Markdown under the day, the device and the name; and a picture."""
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / f"{today()}-{jax.default_backend()}-{self.name}.md"
        file.write_text(self.markdown())
        if self.bars:
            self.plot(file.with_suffix(".png"))
        return file


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def today() -> str:
    return datetime.date.today().isoformat()


def machine() -> str:
    """The device, in words."""
    devices = jax.devices()
    if devices[0].platform != "cpu":
        return f"{len(devices)} x {devices[0].device_kind}"
    return f"{os.cpu_count()} cores of {_processor()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def versions(libraries: Sequence[ModuleType]) -> str:
    found = {"Python": platform.python_version(), "JAX": jax.__version__}
    found |= {library.__name__: library.__version__ for library in libraries}
    if flags := os.environ.get("XLA_FLAGS"):
        found["XLA_FLAGS"] = f"`{flags}`"
    return ", ".join(f"{name} {version}" for name, version in found.items())
