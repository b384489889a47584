"""Errors that name the parameter: what, where, found, expected, cure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.trees import (
    Branches,
    Flat,
    Reordered,
    is_end,
    is_masked,
    parent,
)
from jaxopt_lite.core.types import PyTree, cached

Problem = tuple[str, str]
"""A path, and what is wrong there."""


def fail(
    head: str, problems: Iterable[Problem], cure: str, error: type[Exception]
) -> NoReturn:
    """Raises one error that lists every problem by path and says what to do."""
    listed = [f"  {quote(path)}: {text}" for path, text in problems]
    raise error("\n".join([head, *listed, cure]))


def quote(path: str) -> str:
    """A path as errors show it; the path of a bare array is empty."""
    return repr(path) if path else "the parameter"


def listed(paths: Sequence[str]) -> str:
    """Some paths in one line: all, if they are few."""
    shown = ", ".join(map(quote, paths[:8])) or "no path"
    return f"{shown} and {len(paths) - 8} more" if len(paths) > 8 else shown


def distinct(where: str, paths: Sequence[str]) -> None:
    """Refuses paths that stand for several leaves, such as of `a/b` and of `b` in `a`.

    Raises:
        ValueError: naming every such path.
    """
    if len(set(paths)) < len(paths):
        twice = [path for path, n in Counter(paths).items() if n > 1]
        fail(
            f"{where}: {plural(len(twice), 'path stands', 'paths stand')} for several "
            f"leaves.",
            [(path, "stands several times") for path in twice],
            "Expected a path for each leaf: rename the keys that hold a '/'.",
            ValueError,
        )


def describe(x: Any) -> str:
    """An array in few words: `float32[3,4]`."""
    if x is None:
        return "None"
    if is_masked(x):
        return "masked"
    if not _is_array(x):
        kind, shown = article(type(x).__name__), repr(x)
        return f"{shown}, {kind}" if len(shown) <= 100 else kind
    return f"{x.dtype}[{','.join(map(str, x.shape))}]"


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype")


def align(
    where: str, reference: Flat, what: str, tree: PyTree, beside: str = "the gradients"
) -> Flat:
    """A tree taken apart in the order of `reference`, matched by path.

    A masked position stands for every leaf below it. `beside` names the reference.

    Raises:
        ValueError: if one has a leaf that the other has not; all are named.
    """
    flat = Flat(tree)
    if flat.layout == reference.layout:
        return flat
    distinct(where, reference.paths)
    order = flat.order(reference.paths)
    if order is None:
        _raise_mismatch(where, what, flat.paths, beside, reference.paths)
    return Reordered(flat, reference.paths, order)


def branches(where: str, reference: Flat, what: str, tree: PyTree) -> Branches:
    """A tree with a list of arrays at each leaf of `reference`, taken apart.

    Raises:
        ValueError: naming every array that stands at no leaf.
    """
    paths = Flat(tree).paths
    known = {*reference.paths}
    strange = [x for x in paths if x not in known and parent(x) not in known]
    if strange:
        fail(
            f"{where}: {what} has {plural(len(strange), 'array', 'arrays')} that "
            f"stand at no leaf.",
            [(path, f"only in {what}") for path in strange],
            "Expected the same paths: pass gradients, state and parameters of one "
            "model.",
            ValueError,
        )
    return Branches(tree, reference.paths)


def named_tuple(where: str, state: Any, expected: type[Any]) -> None:
    """Refuses a state without the fields of the one expected.

    Fields and not the class are asked for: a state may be Optax's, or restored.

    Raises:
        TypeError: saying what was found.
    """
    # Every tuple has methods called `count` and `index`.
    known = getattr(state, "_fields", ()) if isinstance(state, tuple) else dir(state)
    missing = [name for name in expected._fields if name not in known]
    if missing or (not expected._fields and jax.tree.leaves(state)):
        found, cure = article(type(state).__name__), ""
        if type(state).__name__ == expected.__name__:
            found += f" without {', '.join(missing)}"
            cure = ", or what `interop.from_optax` makes of one of Optax"
        raise TypeError(
            f"{where}: the state is {found}; expected "
            f"{expected.__name__}({', '.join(expected._fields)}). Pass the state that "
            f"`init` or the last `update` of this transformation returned{cure}."
        )


def shapes(where: str, what: str, found: Flat, expected: str, reference: Flat) -> None:
    """Refuses leaves of other shapes than those of `reference`.

    Raises:
        ValueError: naming every such leaf.
    """
    problems = [
        (reference.paths[i], f"{what} {describe(x)}, {expected} {describe(y)}")
        for i, (x, y) in enumerate(zip(found.leaves, reference.leaves, strict=True))
        if np.shape(x) != np.shape(y) and not is_end(x) and not is_end(y)
    ]
    if problems:
        fail(
            f"{where}: {plural(len(problems), f'{what} does', f'{what}s do')} "
            f"not have the shape of the {expected}.",
            problems,
            f"Expected equal shapes: pass each {what} at the path of its {expected}.",
            ValueError,
        )


def presence(where: str, g: Flat, p: Flat, trained: Sequence[bool]) -> None:
    """Refuses a parameter that is trained and has no gradient, and the reverse.

    Raises:
        ValueError: naming every such leaf.
    """
    problems = [
        (g.paths[i], f"gradient {describe(x)}, parameter {describe(y)}")
        for i, (x, y) in enumerate(zip(g.leaves, p.leaves, strict=True))
        if (is_end(x) and not is_end(y) and trained[i]) or (y is None and not is_end(x))
    ]
    if problems:
        fail(
            f"{where}: {plural(len(problems), 'leaf has', 'leaves have')} a gradient "
            f"without a parameter, or a parameter without a gradient.",
            problems,
            "Expected an array in both or None in both: `freeze` a parameter that gets "
            "no gradient, or filter it out for `init` as for the gradients.",
            ValueError,
        )


def kept(
    where: str, slot: str, held: Sequence[Any], p: Flat, seen: Sequence[bool]
) -> None:
    """Refuses a slot that holds nothing for a leaf that is seen.

    Raises:
        ValueError: naming every such leaf.
    """
    problems = [
        (p.paths[i], f"state.{slot} {describe(x)}, gradient {describe(p.leaves[i])}")
        for i, (x, is_seen) in enumerate(zip(held, seen, strict=True))
        if is_seen and is_end(x)
    ]
    if problems:
        fail(
            f"{where}: {plural(len(problems), 'leaf has', 'leaves have')} a gradient "
            f"and no state.",
            problems,
            "Expected the leaves that `init` saw: filter or mask the parameters in the "
            "same way for `init` and `update`.",
            ValueError,
        )


def inexact(where: str, what: str, flat: Flat, seen: Sequence[bool]) -> None:
    """Refuses leaves that are seen and not floating-point or complex arrays.

    Raises:
        TypeError: naming every such leaf.
    """
    problems = [
        (flat.paths[i], f"{what} {describe(x)}")
        for i, (x, is_seen) in enumerate(zip(flat.leaves, seen, strict=True))
        if is_seen and not _is_inexact(x) and not is_end(x)
    ]
    if problems:
        fail(
            f"{where}: {plural(len(problems), f'{what} is', f'{what}s are')} "
            f"not floating-point.",
            problems,
            "Expected floating-point or complex arrays: cast what is to be trained, "
            "filter other leaves out (`eqx.filter(model, eqx.is_inexact_array)`, "
            "`nnx.state(model, nnx.Param)`, Haiku's parameters without its state), or "
            "freeze them with `partition` and `set_to_zero`.",
            TypeError,
        )


def _is_inexact(x: Any) -> bool:
    if isinstance(x, float | complex):
        return True
    return _is_array(x) and _is_inexact_dtype(x.dtype)


@cached
def _is_inexact_dtype(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.inexact)


def _raise_mismatch(
    where: str, what: str, found: Sequence[str], beside: str, expected: Sequence[str]
) -> NoReturn:
    """Says which paths one tree has and the other has not."""
    missing = [(path, f"missing in {what}") for path in expected if path not in found]
    surplus = [(path, f"only in {what}") for path in found if path not in expected]
    fail(
        f"{where}: the trees of {what} and of {beside} do not match: they have "
        f"{plural(len(found), 'leaf', 'leaves')} and {len(expected)}.",
        missing + surplus,
        _cure(what, found, beside, expected),
        ValueError,
    )


def _cure(what: str, found: Sequence[str], beside: str, expected: Sequence[str]) -> str:
    """What to do where two trees do not have the same paths."""
    empty = what if not found else beside if not expected else None
    if empty in ("the gradients", "the updates"):
        return (
            "Expected a gradient for each, found none: pass what `nnx.grad` returned "
            "to `nnx.Optimizer.update`, which keeps nothing of a tree of bare arrays."
        )
    if above := _above(found, expected):
        return f"Expected the same paths: pass what stands at {above!r} in {what}."
    if above := _above(expected, found):
        return f"Expected the same paths: pass what stands at {above!r} in {beside}."
    return "Expected the same paths: pass gradients, state and parameters of one model."


def _above(paths: Sequence[str], others: Sequence[str]) -> str | None:
    """The path below which all others stand among some paths, if there is one."""
    known, end = {*paths}, f"/{others[0]}"
    tried = (path.removesuffix(end) for path in paths if path.endswith(end))
    return next((x for x in tried if known >= {f"{x}/{y}" for y in others}), None)


def article(name: str) -> str:
    """`a dict`, `an int`."""
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def plural(n: int, one: str, many: str) -> str:
    """`1 gradient is`, `2 gradients are`."""
    return f"{n} {one if n == 1 else many}"
