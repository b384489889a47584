"""Which parameter each array of a state belongs to, and which axes of it it has."""

from collections.abc import Callable, Container, Mapping
from typing import Any, NamedTuple

import jax

from jaxopt_lite.core.codec import Coded
from jaxopt_lite.core.trees import Flat, is_end, upwards
from jaxopt_lite.core.types import Params, PyTree, State
from jaxopt_lite.sharding.specs import Origin, falling, origin, rising
from jaxopt_lite.tree.state import Parameters, is_known


class Owner(NamedTuple):
    """The path of the parameter that an array of a state belongs to.

    Of scales, `codes` is the place among all arrays of what they are the scales of.
    """

    path: str
    is_coded: bool = False
    codes: int | None = None


def owners(
    init: Callable[..., Any], state: State, known: Container[str]
) -> list[Owner | None]:
    """Whose each array of a state is, of the parameters at known paths."""

    def is_part(x: Any) -> bool:
        return isinstance(x, Parameters | Coded)

    def is_whole(x: Any) -> bool:
        return is_part(x) or is_known(x)

    def add(tree: PyTree, is_coded: bool, codes: dict[str, int]) -> dict[str, int]:
        """Adds the arrays of a tree like the parameters; their places by path."""
        flat, places = Flat(tree), {}
        for path, x in zip(flat.paths, flat.leaves, strict=True):
            if not is_end(x):
                # Of several arrays for one parameter each stands below its path.
                own = [p for p in upwards(path) if p in known]
                places[path] = len(found)
                found.append(Owner(own[0], is_coded, codes.get(path)) if own else None)
        return places

    found: list[Owner | None] = []
    structure: Any
    marks, structure = jax.tree.flatten(jax.eval_shape(init, Parameters()), is_whole)
    for mark, part in zip(marks, structure.flatten_up_to(state), strict=True):
        if isinstance(part, Coded):
            add(part.scales, True, add(part.codes, True, {}))
        elif isinstance(mark, Parameters):
            add(part, False, {})
        else:
            found.extend(None for _ in jax.tree.leaves(part))
    return found


def origins(
    init: Callable[..., Any], state: State, params: Params, asked: Mapping[int, str]
) -> dict[int, Origin]:
    """Which axes of its parameter some arrays of a state have, as far as can be told.

    It is told by making the state of parameters in which no two axes have one size. A
    rule may ask which is larger: so all arrays of a parameter must agree, or the sizes
    are made to differ the other way.

    Args:
        init: makes the state.
        state: the state.
        params: the parameters, as shapes.
        asked: the path of the parameter, by the place of an array in the state.
    """
    arrays, _ = jax.tree.flatten_with_path(state)
    flat = Flat(params)
    shapes = {
        path: p.shape
        for path, p in zip(flat.paths, flat.leaves, strict=True)
        if not is_end(p)
    }
    found: dict[int, Origin] = {}
    for grow in (rising, falling):
        if len(found) == len(asked):
            break
        larger = jax.eval_shape(init, _grown(grow, params))
        grown = dict(jax.tree.flatten_with_path(larger)[0])
        told: dict[str, dict[int, Origin | None]] = {
            path: {} for path in asked.values()
        }
        for i, path in asked.items():
            at, x = arrays[i]
            own = shapes[path]
            told[path][i] = (
                origin(x.shape, own, grown[at].shape, grow(own))
                if at in grown
                else None
            )
        for of_one in told.values():
            if all(x is not None for x in of_one.values()):
                found = {**of_one, **found}  # type: ignore[dict-item]
    return found


def _grown(grow: Callable[..., Any], params: Params) -> Params:
    return jax.tree.map(lambda p: jax.ShapeDtypeStruct(grow(p.shape), p.dtype), params)
