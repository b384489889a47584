"""Trees of random numbers and of keys."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.types import DTypeLike, PyTree


def split_key_like(rng_key: jax.Array, target_tree: PyTree) -> PyTree:
    """A tree of keys, one for each array of another tree.

    Example:
        >>> import jax
        >>> from jaxopt_lite import tree
        >>> keys = tree.split_key_like(jax.random.key(0), {"w": 1.0, "n": None})
        >>> keys["w"].dtype, keys["n"]
        (key<fry>, None)
    """
    structure: Any = jax.tree.structure(target_tree)
    return structure.unflatten(jax.random.split(rng_key, structure.num_leaves))


def random_like(
    rng_key: jax.Array,
    target_tree: PyTree,
    sampler: Callable[..., jax.Array] = jax.random.normal,
    dtype: DTypeLike | None = None,
) -> PyTree:
    """A tree of random numbers in the shape of another.

    Args:
        rng_key: a key of `jax.random`.
        target_tree: gives the shapes.
        sampler: a function of key, shape and dtype; if it takes `out_sharding` too, it
            is given the sharding of the leaf.
        dtype: of every leaf; None is that of the target.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> noise = tree.random_like(jax.random.key(0), {"w": jnp.zeros((2, 3))})
        >>> noise["w"].shape
        (2, 3)
    """
    takes_sharding = "out_sharding" in inspect.signature(sampler).parameters

    def sample(x: jax.Array, key: jax.Array) -> jax.Array:
        placed = {"out_sharding": jax.typeof(x).sharding} if takes_sharding else {}
        return sampler(key, x.shape, x.dtype if dtype is None else dtype, **placed)

    keys = split_key_like(rng_key, target_tree)
    return jax.tree.map(sample, target_tree, keys)


def unwrap_random_key_data(input_tree: PyTree) -> PyTree:
    """A tree with the numbers of its typed keys in their place.

    Example:
        >>> import jax
        >>> from jaxopt_lite import tree
        >>> tree.unwrap_random_key_data({"key": jax.random.key(7), "x": 1.0})
        {'key': Array([0, 7], dtype=uint32), 'x': 1.0}
    """

    def unwrapped(x: Any) -> Any:
        is_key = isinstance(x, jax.Array) and jnp.issubdtype(
            x.dtype, jax.dtypes.prng_key
        )
        return jax.random.key_data(x) if is_key else x

    return jax.tree.map(unwrapped, input_tree)
