"""A batch of optimizers is an optimizer with batched leaves."""

import copy
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.value import (
    Value,
    field_names,
    is_array,
    short_repr,
    structural_key,
)


def stack(optimizers: Sequence[Any]) -> GradientTransformation:
    """One optimizer whose numbers are arrays with an axis of optimizers.

    `jax.vmap(train)(stack([tx1, tx2]))` trains with each of them. A Python number that
    all have in common stays a Python number, exact in any trace; where they differ, it
    becomes an array of the default float or integer type. Arrays are stacked.

    Args:
        optimizers: transformations that differ in nothing but numbers.

    Returns:
        A transformation to be used under `jax.vmap`.

    Raises:
        TypeError: if one is no transformation.
        ValueError: if there is none, or if they differ in anything else; every such
            place is named, by its path in the first that differs.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> from jaxopt_lite import sweep
        >>> batch = sweep.stack([jl.sgd(rate) for rate in (0.1, 0.2, 0.5)])
        >>> def first_update(tx):
        ...     return tx.update(jnp.ones(()), tx.init(jnp.zeros(())))[0]
        >>> jax.vmap(first_update)(batch)
        Array([-0.1, -0.2, -0.5], dtype=float32)
    """
    if not optimizers:
        raise ValueError("stack: found no optimizer; expected at least one.")
    values = [
        as_transformation(tx, f"stack: optimizer {i}")
        for i, tx in enumerate(optimizers)
    ]
    problems: list[checks.Problem] = []
    stacked: GradientTransformation = _stack("", values, problems)
    if problems:
        checks.fail(
            "stack: optimizers differ in more than numbers.",
            problems,
            "Expected the same transformations with other numbers: sweep over the rest "
            "as a static axis.",
            ValueError,
        )
    return stacked


def _stack(path: str, parts: list[Any], problems: list[checks.Problem]) -> Any:
    """What stands at one place of all optimizers, as one; differences are added."""
    first, kinds = parts[0], {type(x) for x in parts}
    if all(map(_is_number, parts)):
        if len({structural_key(x) for x in parts}) == 1 and not is_array(first):
            return first
        if len({jnp.shape(x) for x in parts}) == 1:
            return jnp.stack(parts) if any(map(is_array, parts)) else jnp.array(parts)
    elif len(kinds) == 1 and isinstance(first, Value):
        return _stack_values(path, parts, problems)
    elif kinds == {tuple} and len({len(x) for x in parts}) == 1:
        columns = enumerate(zip(*parts, strict=True))
        return tuple(_stack(f"{path}/{i}", list(x), problems) for i, x in columns)
    elif len({structural_key(x) for x in parts}) == 1:
        return first
    shown = [short_repr(x) for x in parts]
    other = next((i for i, text in enumerate(shown) if text != shown[0]), 1)
    text = f"{shown[0]} in optimizer 0, {shown[other]} in optimizer {other}"
    problems.append((path.removeprefix("/"), text))
    return first


def _is_number(x: Any) -> bool:
    return is_array(x) or (isinstance(x, int | float) and not isinstance(x, bool))


def _stack_values(path: str, parts: list[Any], problems: list[checks.Problem]) -> Any:
    stacked = copy.copy(parts[0])
    for name in field_names(type(stacked)):
        column = [getattr(x, name) for x in parts]
        part = _stack(f"{path}/{name}", column, problems)
        object.__setattr__(stacked, name, part)
    stacked.__post_init__()
    return stacked
