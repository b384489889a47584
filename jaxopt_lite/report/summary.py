"""`summary`: what an optimizer does to which parameters, and what its state weighs."""

import math
from collections.abc import Container, Iterable
from typing import Any, NamedTuple

import jax

from jaxopt_lite.core.transformation import as_transformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params
from jaxopt_lite.report.groups import Treatment, treatments
from jaxopt_lite.report.text import columns, shown


class Row(NamedTuple):
    """A group of parameters that are treated alike."""

    group: str
    transformation: str
    leaves: int
    parameters: int
    learning_rate: str
    weight_decay: str
    state_bytes: int

    @property
    def bytes_per_parameter(self) -> float:
        """Bytes of state for each parameter of the group."""
        return self.state_bytes / self.parameters if self.parameters else 0.0


class Summary(NamedTuple):
    """The rows of `summary`, and what belongs to no parameter (counts)."""

    rows: tuple[Row, ...]
    shared_bytes: int

    @property
    def total(self) -> Row:
        """All groups together, with the bytes that belong to no parameter."""
        return Row(
            "total",
            "",
            sum(row.leaves for row in self.rows),
            sum(row.parameters for row in self.rows),
            "",
            "",
            sum(row.state_bytes for row in self.rows) + self.shared_bytes,
        )

    def __str__(self) -> str:
        return columns([_HEADER, *map(_cells, self.rows), _cells(self.total)])


_HEADER = (
    "group",
    "transformation",
    "leaves",
    "parameters",
    "learning rate",
    "weight decay",
    "state bytes",
    "bytes/param",
)


def summary(tx: Any, params: Params) -> Summary:
    """Prints and returns what a transformation does to each group of parameters.

    A group is what is treated alike: the same label of a partition, rules, learning
    rate and weight decay. Nothing is allocated, so the parameters may be shapes
    (`jax.eval_shape` of a model's initialisation), of a 7B model too. Printed with rich
    where it is installed, else as plain text.

    Args:
        tx: a transformation.
        params: the parameters, or their shapes.

    Returns:
        A `Summary` of `rows` and a `total`; each row has group, transformation, leaves,
        parameters, learning_rate, weight_decay, state_bytes, bytes_per_parameter. The
        total adds the counts, which belong to no parameter.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> params = {"dense": {"kernel": jnp.ones((64, 32)), "bias": jnp.ones(32)}}
        >>> tx = jl.adamw(1e-3, mask=jl.weights_only)
        >>> table = jl.summary(tx, params)  # doctest: +ELLIPSIS
        <BLANKLINE>
        ...
        >>> [(row.group, row.weight_decay) for row in table.rows]
        [('dense/bias', '-'), ('dense/kernel', '0.0001')]
        >>> table.rows[0].bytes_per_parameter
        8.0
    """
    tx = as_transformation(tx, "summary: the optimizer")
    shapes = jax.eval_shape(lambda tree: tree, params)
    table = _tabulate(treatments(tx, shapes), shapes, jax.eval_shape(tx.init, shapes))
    _show(table)
    return table


def _tabulate(by_path: dict[str, Treatment], shapes: Any, state: Any) -> Summary:
    flat = Flat(shapes)
    sizes = {
        path: math.prod(leaf.shape)
        for path, leaf in zip(flat.paths, flat.leaves, strict=True)
        if not is_end(leaf)
    }
    weights, shared = _weigh(state, sizes)
    groups: dict[Any, list[str]] = {}
    for path, treatment in by_path.items():
        key = (
            treatment.label,
            ", ".join(rule.name for rule in treatment.rules) or "set_to_zero",
            _number(treatment, "learning_rate"),
            _number(treatment, "weight_decay"),
        )
        groups.setdefault(key, []).append(path)
    rows = tuple(
        Row(
            label or _several(paths),
            transformation,
            len(paths),
            sum(sizes[path] for path in paths),
            learning_rate,
            weight_decay,
            sum(weights[path] for path in paths),
        )
        for (
            label,
            transformation,
            learning_rate,
            weight_decay,
        ), paths in groups.items()
    )
    return Summary(rows, shared)


def _weigh(state: Any, sizes: dict[str, int]) -> tuple[dict[str, int], int]:
    """The bytes of state that belong to each parameter, and those of none."""
    weights = dict.fromkeys(sizes, 0)
    shared = 0
    flat = Flat(state)
    for path, leaf in zip(flat.paths, flat.leaves, strict=True):
        if is_end(leaf):
            continue
        size = math.prod(leaf.shape) * leaf.dtype.itemsize
        owner = owner_of(path, leaf, weights)
        if owner is None:
            shared += size
        else:
            weights[owner] += size
    return weights, shared


def owner_of(path: str, leaf: Any, paths: Container[str]) -> str | None:
    """The parameter of a leaf of a state: the one whose path its own path ends with."""
    if leaf.shape == () and path.rpartition("/")[2] == "count":
        return None
    return next((end for end in _endings(path) if end in paths), None)


def _endings(path: str) -> Iterable[str]:
    """`a/b/c`, `b/c`, `c` and the empty path of a bare array."""
    while path:
        yield path
        path = path.partition("/")[2]
    yield ""


def _number(treatment: Treatment, name: str) -> str:
    values = [rule.numbers[name] for rule in treatment.rules if name in rule.numbers]
    return " * ".join(map(shown, values)) or "-"


def _several(paths: list[str]) -> str:
    more = f", … (+{len(paths) - 1})" if len(paths) > 1 else ""
    return (paths[0] or "the parameter") + more


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.group,
        row.transformation,
        f"{row.leaves:,}",
        f"{row.parameters:,}",
        row.learning_rate,
        row.weight_decay,
        f"{row.state_bytes:,}",
        f"{row.bytes_per_parameter:.2f}",
    )


def _show(table: Summary) -> None:
    try:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(table)
        return
    shown = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1))
    for i, name in enumerate(_HEADER):
        justify: Any = "left" if i < 2 else "right"
        shown.add_column(name.replace(" ", "\n"), justify=justify, no_wrap=True)
    for row in table.rows:
        group, transformation, *rest = _cells(row)
        shown.add_row(group, transformation.replace(", ", "\n"), *rest)
    shown.add_section()
    shown.add_row(*_cells(table.total), style="bold")
    # A narrow terminal wraps the lines; rich alone would cut the numbers.
    unbounded = Console(width=1000)
    Console(width=max(Console().width, unbounded.measure(shown).maximum)).print(shown)
