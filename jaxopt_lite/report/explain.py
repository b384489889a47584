"""`explain`: what an optimizer does to one parameter, and what it keeps for it."""

import difflib
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax

from jaxopt_lite.core import checks
from jaxopt_lite.core.transformation import as_transformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params
from jaxopt_lite.report.actions import Action, actions
from jaxopt_lite.report.summary import owner_of
from jaxopt_lite.report.text import columns, shown


class Kept(NamedTuple):
    """An array of the state that belongs to the parameter."""

    path: str
    array: str
    nbytes: int


class Explanation(NamedTuple):
    """What is done with one parameter, in order, and the state that is kept for it."""

    path: str
    parameter: str
    step: int
    actions: tuple[Action, ...]
    state: tuple[Kept, ...]

    @property
    def state_bytes(self) -> int:
        """Bytes of state that belong to the parameter."""
        return sum(kept.nbytes for kept in self.state)

    @property
    def title(self) -> str:
        """The parameter, its shape, and the step that schedules are read at."""
        name = self.path or "the parameter"
        return f"{name}: {self.parameter}, at step {self.step}"

    def __repr__(self) -> str:
        tables = (columns(lines) for lines in (_of_actions(self), _of_state(self)))
        rows = "\n\n".join([self.title, *tables]).splitlines()
        return "\n".join(row.rstrip() for row in rows)

    def __rich__(self) -> Any:
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table

        tables = []
        for head, *lines in (_of_actions(self), _of_state(self)):
            table = Table(*head, box=SIMPLE_HEAD, header_style="bold", padding=(0, 1))
            for line in lines:
                table.add_row(*line)
            tables.append(table)
        return Group(self.title, *tables)


def explain(tx: Any, params: Params, path: str, *, step: int = 0) -> Explanation:
    """What a transformation does to one parameter, in order, and why.

    It tells which rules act on it, with which numbers, by which pattern of a `by_path`,
    schedule, mask or label; how its slots are kept; and which arrays of the state are
    its own. Nothing is allocated: the parameters may be shapes.

    Args:
        tx: a transformation.
        params: the parameters, or their shapes.
        path: that of one parameter, as errors and `by_path` know it:
            `"encoder/0/bias"`.
        step: the step at which to read schedules, 0 for the first.

    Returns:
        An `Explanation` of `path`, `parameter`, `step`, `actions`, `state` and
        `state_bytes`, which prints as two tables, with `rich.print` as well. An action
        has `name`, `acts`, `numbers` (each a `value` and its `source`), `notes` and
        `depth`: how many wrappers it is in. What the parameters share, such as counts,
        is no part of `state`.

    Raises:
        TypeError: if `tx` is no transformation.
        KeyError: if no parameter stands at the path; the nearest is named.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> params = {"body": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}}
        >>> spared = jl.by_path({"bias": False, "*": True})
        >>> tx = jl.chain(
        ...     jl.trace(0.9),
        ...     jl.add_decayed_weights(0.01, mask=spared),
        ...     jl.scale(jl.by_path({"bias": -0.1, "*": -0.01})),
        ... )
        >>> jl.explain(tx, params, "body/bias")
        body/bias: float32[3], at step 0
        <BLANKLINE>
           rule                 numbers                   notes
        1  trace                decay=0.9
        -  add_decayed_weights  not here                  mask is False by 'bias'
        2  scale                step_size=-0.1 by 'bias'
        <BLANKLINE>
        state              array       bytes
        0/trace/body/bias  float32[3]  12
        total                          12
    """
    tx = as_transformation(tx, "explain: the optimizer")
    shapes = jax.eval_shape(lambda tree: tree, params)
    flat = Flat(shapes)
    i = _find(flat, path)
    return Explanation(
        path,
        checks.describe(flat.leaves[i]),
        step,
        tuple(actions(tx, flat, i, step)),
        tuple(_kept(jax.eval_shape(tx.init, shapes), flat, path)),
    )


def _find(flat: Flat, path: str) -> int:
    """The place of the parameter at a path."""
    there = [p for p, x in zip(flat.paths, flat.leaves, strict=True) if not is_end(x)]
    if path in there:
        return flat.paths.index(path)
    near = difflib.get_close_matches(path, there, 1, 0.0)
    nearest = f"; the nearest is {checks.quote(near[0])}" if near else ""
    raise KeyError(f"explain: there is no parameter at {path!r}{nearest}.")


def _kept(state: Any, flat: Flat, path: str) -> Iterator[Kept]:
    """The arrays of a state that belong to one parameter."""
    held = Flat(state)
    for place, leaf in zip(held.paths, held.leaves, strict=True):
        if not is_end(leaf) and owner_of(place, leaf, flat.paths) == path:
            nbytes = math.prod(leaf.shape) * leaf.dtype.itemsize
            yield Kept(place, checks.describe(leaf), nbytes)


def _of_actions(found: Explanation) -> Sequence[tuple[str, ...]]:
    """The table of the actions."""
    lines = [("", "rule", "numbers", "notes")]
    acting = 0
    for action in found.actions:
        acting += action.acts
        numbers = (
            f"{name}={shown(x.value)}{x.source and f' {x.source}'}"
            for name, x in action.numbers.items()
        )
        lines.append(
            (
                str(acting) if action.acts else "-",
                "  " * action.depth + action.name,
                ", ".join(numbers) if action.acts else "not here",
                "; ".join(action.notes),
            )
        )
    return lines


def _of_state(found: Explanation) -> Sequence[tuple[str, ...]]:
    """The table of the state."""
    lines = [(x.path, x.array, f"{x.nbytes:,}") for x in found.state]
    return [
        ("state", "array", "bytes"),
        *lines,
        ("total", "", f"{found.state_bytes:,}"),
    ]
