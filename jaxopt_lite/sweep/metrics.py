"""What a training returns: numbers by name, and curves along the steps."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.types import PyTree
from jaxopt_lite.core.value import short_repr

Shapes = dict[str, jax.ShapeDtypeStruct]
"""The metrics of one lane, without their numbers."""


def read(returned: Any) -> dict[str, jax.Array]:
    """The metrics of one lane, floats in at least float32.

    Raises:
        TypeError: if they are no dict of numbers and curves; all mistakes are named.
    """
    cure = (
        "Expected a dict of scalars and curves (one number for each step), such as "
        "{'loss': loss, 'losses': losses}."
    )
    if not isinstance(returned, dict) or not returned:
        raise TypeError(f"sweep: train returned {_shown(returned)}. {cure}")
    problems = [
        (str(name), text) for name, x in returned.items() if (text := _problem(name, x))
    ]
    if problems:
        checks.fail(
            "sweep: train returned what cannot be kept.",
            problems,
            cure,
            TypeError,
        )
    return {name: _widened(x) for name, x in returned.items()}


def _problem(name: Any, x: Any) -> str | None:
    if not isinstance(name, str):
        return f"named by a {type(name).__name__}"
    if not isinstance(x, bool | int | float | np.ndarray | np.generic | jax.Array):
        return _described(x)
    dtype = jnp.result_type(x)
    is_real = jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)
    if not is_real or jnp.iscomplexobj(x) or np.ndim(x) > 1 or np.shape(x) == (0,):
        return checks.describe(x)
    return None


def _widened(x: Any) -> jax.Array:
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize < 4:
        return x.astype(jnp.float32)
    if jnp.issubdtype(x.dtype, jnp.integer) and jnp.iinfo(x.dtype).bits < 8:
        return x.astype(jnp.int8)  # the least that files keep
    return x


def agree(shapes: list[Shapes], configurations: list[PyTree]) -> Shapes:
    """What `train` returns, for all static values alike.

    Raises:
        ValueError: if for some it returns something else than for the first.
    """
    first, problems = shapes[0], []
    for other, configuration in zip(shapes, configurations, strict=True):
        for name in sorted({*first, *other}):
            found, expected = (checks.describe(x.get(name)) for x in (other, first))
            if found != expected:
                text = f"{found}; {expected} for {configurations[0]}"
                problems.append((f"{name}", f"for {configuration} {text}"))
    if problems:
        checks.fail(
            "sweep: what train returns depends on static values.",
            problems,
            "Expected the same names, shapes and dtypes for every configuration.",
            ValueError,
        )
    return first


def loss(where: str, returned: Any) -> tuple[PyTree, jax.Array]:
    """The state and the loss, a float, that one stretch of a training ends with.

    `where` says what has returned them.

    Raises:
        TypeError: if they are something else.
    """
    is_pair = isinstance(returned, tuple) and len(returned) == 2
    if not is_pair or _problem("loss", returned[1]) or np.ndim(returned[1]):
        found = f"the loss {_described(returned[1])}" if is_pair else _shown(returned)
        raise TypeError(
            f"{where} returned {found}; expected a pair of a state and a loss, a real "
            f"number."
        )
    return returned[0], jnp.asarray(returned[1], float)


def from_least(losses: jax.Array) -> jax.Array:
    """The positions of losses from the least to the greatest, the not finite last."""
    return jnp.argsort(jnp.where(jnp.isfinite(losses), losses, jnp.inf), stable=True)


class _Text(str):
    """A leaf in words, for the `repr` of a tree."""

    def __repr__(self) -> str:
        return str(self)


def _shown(tree: PyTree) -> str:
    """A tree with its arrays in words, whether or not they are traced."""
    return repr(jax.tree.map(lambda x: _Text(short_repr(x)), tree))


def _described(x: Any) -> str:
    if isinstance(x, dict | list | tuple):
        return f"{_shown(x)}, {checks.article(type(x).__name__)}"
    return checks.describe(x)


def final(x: np.ndarray) -> np.ndarray:
    """A metric of (configurations, seeds), of a curve its last number."""
    return x if x.ndim == 2 else x[:, :, -1]


def diverged(metrics: dict[str, np.ndarray]) -> np.ndarray:
    """By lane, whether any number is not finite."""
    finite = [
        np.isfinite(x) if x.ndim == 2 else np.isfinite(x).all(-1)
        for x in metrics.values()
    ]
    return ~np.all(finite, axis=0)


def diverged_step(metrics: dict[str, np.ndarray]) -> np.ndarray:
    """By lane the first step at which a curve is not finite; -1 where there is none.

    Of the longest curves: others have another unit.
    """
    curves = [x for x in metrics.values() if x.ndim == 3]
    longest = max((x.shape[2] for x in curves), default=0)
    finite = np.ones((*diverged(metrics).shape, longest + 1), bool)
    for x in curves:
        if x.shape[2] == longest:
            finite[:, :, :longest] &= np.isfinite(x)
    return np.where(finite.all(-1), -1, finite.argmin(-1))
