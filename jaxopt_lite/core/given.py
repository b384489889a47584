"""What a run of rules is given, taken apart and checked."""

from collections.abc import Mapping, Sequence
from operator import and_
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.columns import held
from jaxopt_lite.core.links import Link
from jaxopt_lite.core.rule import keywords
from jaxopt_lite.core.stage import Stage, aligned
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, State, Updates


def take_apart(
    links: Sequence[Link], states: Sequence[State], updates: Updates, params: Params
) -> tuple[list[Stage], Flat, list[Any]]:
    """The links with their states, the gradients and the parameters, all checked."""
    name = links[0].name
    g = Flat(updates)
    p = None if params is None else checks.align(name, g, "params", params)
    view = p or g
    # Without a gradient a leaf takes no part, if no state was made for it either.
    is_given = [not is_end(x) for x in g.leaves]
    seen_by = [list(map(and_, link.sees(view), is_given)) for link in links]
    seen = [any(by_each) for by_each in zip(*seen_by, strict=True)]
    checks.inexact(name, "gradient", g, seen)
    if p is not None:
        trained = seen if all(is_given) else _kept(links, states, p)
        checks.presence(name, g, p, trained)
        checks.shapes(name, "gradient", g, "parameter", p)
        checks.inexact(name, "parameter", p, seen)
    elif needy := [link.name for link in links if link.rule.reads_params]:
        raise ValueError(
            f"{needy[0]}: update was called without params; expected the parameters. "
            f"Call update(updates, state, params)."
        )
    stages = [
        Stage(i, link, state, view, by_this)
        for i, (link, state, by_this) in enumerate(
            zip(links, states, seen_by, strict=True)
        )
    ]
    return stages, g, [None] * len(g.leaves) if p is None else p.leaves


def _kept(links: Sequence[Link], states: Sequence[State], p: Flat) -> list[bool]:
    """Whether some slot is kept for each leaf."""
    kept = [False for _ in p.leaves]
    for link, state in zip(links, states, strict=True):
        parts = link.unpack(state)
        for slot in link.rule.Slots._fields:
            column = aligned(link, slot, parts[slot], p)
            kept = [k or not is_end(x) for k, x in zip(kept, held(column), strict=True)]
    return kept


def named_by(
    links: Sequence[Link], extra: Mapping[str, Any], g: Flat
) -> tuple[dict[str, Flat], dict[str, Any]]:
    """The keywords that the rules name, out of those that the caller passed.

    Those that are trees, in the order of the gradients; then those for all leaves.
    """
    demanded = {
        (link.name, name): is_demanded
        for link in links
        for method in ("advance", "emit", "update", "measure", "settle")
        for name, is_demanded in keywords(type(link.rule), method).items()
        if name not in ("shared", "unit")
    }
    for (rule, name), is_demanded in sorted(demanded.items()):
        if is_demanded and name not in extra:
            raise TypeError(
                f"{rule}: update was called without `{name}`; expected it as a "
                f"keyword. Call update(updates, state, params, {name}=...)."
            )
    named = {name: extra[name] for _, name in demanded if name in extra}
    if "value" in named:
        check_value(next(r for r, name in demanded if name == "value"), named["value"])
    trees = {}
    for link in links:
        for name in link.rule.trees:
            if name in extra:
                trees[name] = checks.align(link.name, g, name, extra[name])
                checks.shapes(link.name, name, trees[name], "gradient", g)
    return trees, {k: x for k, x in named.items() if k not in trees}


def check_value(rule: str, value: Any) -> None:
    """Refuses a loss that is no number."""
    dtype = getattr(value, "dtype", np.dtype(type(value)))
    if np.ndim(value) or not jnp.issubdtype(dtype, jnp.number):
        raise ValueError(
            f"{rule}: value is {checks.describe(value)}; expected the loss, one number."
        )


def at_leaf(trees: Mapping[str, Flat], i: int) -> dict[str, Any]:
    """The keywords that are trees, of each the leaf at one place."""
    return {name: flat.leaves[i] for name, flat in trees.items()}
