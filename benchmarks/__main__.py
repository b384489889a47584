"""Measure this package beside its peers, which take turns in one process.

    python -m benchmarks
    python -m benchmarks step --tree one --repeats 31 --save

Without an argument all benchmarks run but `quality`, which trains networks for some
minutes; saved tables and pictures stand in benchmarks/results. What takes an
accelerator is in `python -m benchmarks.accelerator`.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from types import ModuleType

from rich.console import Console

from benchmarks import compile as compiling
from benchmarks import (
    eager,
    memory,
    muon,
    peers,
    pipelines,
    quality,
    step,
    sweep,
    trace,
    trees,
)

BENCHMARKS = {
    "trace": trace,
    "compile": compiling,
    "eager": eager,
    "step": step,
    "pipelines": pipelines,
    "memory": memory,
    "quality": quality,
    "muon": muon,
    "sweep": sweep,
}


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_args(arguments)
    console = Console()
    libraries, missing = peers.installed(args.peers)
    for name in missing:
        console.print(f"{name} is not installed and left out.")
    for measured in args.benchmarks:
        of_networks = measured in (quality, sweep)
        name = measured.TREE if of_networks else args.tree or measured.TREE
        tree = trees.TREES[name](trees.NARROW if args.smoke else measured.SHRINK)
        repeats = args.repeats or (1 if args.smoke else measured.REPEATS)
        label = f"{name}-smoke" if args.smoke else name
        beside = libraries if measured is step else peers.of_jax(libraries)
        report = measured.report(label, tree, beside, repeats)
        if args.smoke or name != measured.TREE:  # the goals are for other sizes
            report = dataclasses.replace(report, goals=())
        report.show(console)
        if args.save:
            console.print(f"saved: {report.save()}", highlight=False)


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "benchmarks",
        nargs="*",
        type=benchmark,
        default=[x for x in BENCHMARKS.values() if x is not quality],
        metavar="benchmark",
        help=f"{', '.join(BENCHMARKS)}; all but quality unless named",
    )
    parser.add_argument(
        "--tree",
        choices=list(trees.TREES),
        help="each its own unless told; quality and sweep train networks",
    )
    parser.add_argument(
        "--peers",
        type=known_peers,
        default=peers.KNOWN,
        help=f"separated by commas, '' for none; known: {', '.join(peers.KNOWN)}",
    )
    parser.add_argument("--repeats", type=rounds, help="how many rounds to take turns")
    parser.add_argument(
        "--smoke", action="store_true", help="one round on narrow trees, to see it run"
    )
    parser.add_argument(
        "--save", action="store_true", help="write Markdown to benchmarks/results"
    )
    return parser.parse_args(arguments)


def benchmark(name: str) -> ModuleType:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(
            f"{name!r} is not one of {', '.join(BENCHMARKS)}"
        )
    return BENCHMARKS[name]


def known_peers(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in peers.KNOWN:
            raise argparse.ArgumentTypeError(
                f"{name!r} is not one of {', '.join(peers.KNOWN)}"
            )
    return names


def rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


if __name__ == "__main__":
    main()
