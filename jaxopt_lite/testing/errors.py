"""Laws of errors: a bad gradient is refused by the name of its parameter."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import DictKey, GetAttrKey, SequenceKey

from jaxopt_lite.testing.case import Case, made
from jaxopt_lite.testing.compare import Problem, Unproven, name, raised


def wrong_shape_is_named(case: Case) -> Iterator[Problem]:
    """A gradient of another shape raises an error that names its path.

    One shape would broadcast to the parameter's, so that forgetting it is silent.
    """
    keyed, structure = jax.tree_util.tree_flatten_with_path(case.params)
    leaves = [p for _, p in keyed]
    for i, (path, p) in enumerate(keyed):
        for rows in {1, p.shape[0] + 1} - {p.shape[0]} if p.ndim else ():
            wrong = jnp.zeros((rows, *p.shape[1:]), p.dtype)
            others = [*leaves[:i], wrong, *leaves[i + 1 :]]
            gradients = jax.tree.unflatten(structure, others)
            where = f"a gradient of shape {wrong.shape} for {p.shape}"
            yield from _refused(case, where, gradients, _parameter(path))


def missing_leaf_is_named(case: Case) -> Iterator[Problem]:
    """A gradient that is missing, or stands elsewhere, raises with its path."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(case.params)[0]]
    inside = [path for path in paths if _holder(case.params, path) is not None]
    if not inside:
        raise Unproven("the parameters hold no dict to take a gradient from")
    for path in inside:
        for new in (None, "renamed"):
            gradients = made(np.zeros_like, case.params)
            holder: Any = _holder(gradients, path)
            removed = holder.pop(path[-1].key)
            if new is not None:
                holder[new] = removed
            where = "a gradient missing" if new is None else "a gradient renamed"
            yield from _refused(case, where, gradients, _parameter(path))


def missing_params_are_named(case: Case) -> Iterator[Problem]:
    """Where parameters are needed, the error without them says `params`."""
    if case.refusal is not None and "params" not in str(case.refusal):
        expected = "a text that says that `params` are needed"
        yield raised("update without params", case.refusal, expected)


def _refused(case: Case, where: str, gradients: Any, path: str) -> Iterator[Problem]:
    """Nothing, if an update with these gradients raises and names the path."""
    try:
        jax.eval_shape(case.update, gradients, case.run.states[0], case.params)
    except Exception as error:
        if path not in str(error):
            yield raised(where, error, f"a text that names {path!r}")
    else:
        yield Problem(where, "no error", f"an error that names {path!r}")


def _parameter(path: tuple[Any, ...]) -> str:
    """The name of a parameter, without what a framework's box adds to its path."""
    return name(path).removesuffix("/value")


def _holder(tree: Any, path: tuple[Any, ...]) -> dict[Any, Any] | None:
    """The dict that holds the leaf at a path, if one does."""
    for key in path[:-1]:
        match key:
            case DictKey(key=child) | SequenceKey(idx=child):
                tree = tree[child]
            case GetAttrKey(name=child):
                tree = getattr(tree, child)
            case _:
                return None
    return tree if path and type(tree) is dict else None
