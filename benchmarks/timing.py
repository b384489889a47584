"""Times of several runs, taken in turns."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from tqdm import tqdm

AT_ONCE = 10  # steps between two looks at the clock, on an accelerator


class Spread(NamedTuple):
    """A median between its quartiles."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.median:.2f}"
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def spread(values: Sequence[float]) -> Spread:
    if len(values) == 1:
        return Spread(*values * 3)
    return Spread(*statistics.quantiles(values, n=4, method="inclusive"))


def ratio(times: Sequence[float], reference: Sequence[float]) -> Spread:
    """How times compare with those taken in the same rounds."""
    return spread([a / b for a, b in zip(times, reference, strict=True)])


def in_turns(
    name: str,
    runs: Mapping[str, Callable[[], object]],
    repeats: int,
    prepare: Callable[[], object] = gc.collect,
    unmeasured: int = 1,
) -> dict[str, list[float]]:
    """The seconds of each run in each round.

    Every round takes all runs, in the order opposite to the last round's, so that a
    machine that slows down, slows all of them. What the process held before a run
    is hidden from Python's collector, which else walks all of it between the runs, and
    in the time of the run that allocates most.

    Args:
        name: what the progress bar says.
        runs: what to time; the arrays in a result are waited for.
        repeats: the number of measured rounds.
        prepare: is called before every run, outside the measured time.
        unmeasured: the number of rounds before those, for what is slower at first.
    """
    times: dict[str, list[float]] = {key: [] for key in runs}
    order = list(runs)
    for i in tqdm(range(unmeasured + repeats), desc=name, unit="round"):
        for key in order:
            prepare()
            gc.freeze()
            start = time.perf_counter()
            jax.block_until_ready(runs[key]())
            if i >= unmeasured:
                times[key].append(time.perf_counter() - start)
        order.reverse()
    gc.unfreeze()
    return times


def several(run: Callable[[], Any]) -> Callable[[], Any]:
    """A run that takes its step several times."""

    def steps() -> Any:
        for _ in range(AT_ONCE):
            done = run()
        return done

    return steps
