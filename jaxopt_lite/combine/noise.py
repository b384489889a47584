"""Random noise on gradients. The state holds the data of a key, which any checkpoint
takes, and not a typed key."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.rule import ScaleByScheduleState
from jaxopt_lite.core.storage import arithmetic_dtype, update_dtype
from jaxopt_lite.core.transformation import GradientTransformation, select
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import (
    Count,
    Hyperparameter,
    Params,
    PyTree,
    State,
    Updates,
)
from jaxopt_lite.rules.noise import AddAnnealedNoise


class AddNoiseState(NamedTuple):
    """How often noise was added, and the data of the key for the next."""

    count: Count  # type: ignore[assignment]
    rng_key: jax.Array


class AddNoise(GradientTransformation):
    """Draws the noise; the rule scales and adds it."""

    inner: GradientTransformation
    key: Any
    holds = {"inner": ""}

    def init(self, params: Params) -> State:
        count = self.inner.init(params).count
        return AddNoiseState(count, key_data(self.key))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        following, drawn = jax.random.split(jax.random.wrap_key_data(state.rng_key))
        keys = jax.random.split(drawn, count_arrays(updates))
        noise = normal_like(keys, updates)
        u, (count,) = self.inner.update(
            updates, ScaleByScheduleState(state.count), params, **extra, noise=noise
        )
        data = jax.random.key_data(following)
        kept = select(extra.get("commit"), data, state.rng_key)
        return u, AddNoiseState(count, kept)


def add_noise(
    eta: Hyperparameter,
    gamma: Hyperparameter,
    key: Any = None,
    *,
    seed: int | None = None,
) -> GradientTransformation:
    """Adds normal noise whose variance falls with the steps.

        u = g + sqrt(eta / t**gamma) * z,  z ~ N(0, 1)

    Args:
        eta: variance of the noise at the first step, at least 0.
        gamma: how fast the variance falls, at least 0.
        key: a key of `jax.random`, or an integer to make one of; None is 0.
        seed: the same, under the name that Optax deprecates.

    Returns:
        A transformation with `AddNoiseState(count, rng_key)`, the key as raw data, so
        that every checkpoint takes it. It draws what Optax draws from the same key;
        for low precision it draws in float32.

    Raises:
        ValueError: if a number is negative, or if both `key` and `seed` are given.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Neelakantan et al. 2015, arXiv 1511.06807.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.add_noise(eta=0.01, gamma=0.55, key=0)
        >>> g = jnp.zeros(1000)
        >>> f"{tx.update(g, tx.init(g))[0].std():.2f}"
        '0.10'
    """
    rule = AddAnnealedNoise(eta, gamma)
    return AddNoise(leafwise(rule), one_key("add_noise", key, seed))


def one_key(where: str, key: Any, seed: Any) -> Any:
    """The one of the two that is given; 0 if none is.

    Raises:
        ValueError: if both are.
    """
    if key is not None and seed is not None:
        raise ValueError(
            f"{where}: found key={key!r} and seed={seed!r}; expected one of them."
        )
    given = seed if key is None else key
    return 0 if given is None else given


def key_data(key: Any) -> jax.Array:
    """The raw data of a key, of any of the forms in which keys come."""
    if jnp.issubdtype(jnp.result_type(key), jax.dtypes.prng_key):
        return jax.random.key_data(key)
    if jnp.ndim(key):
        return jnp.array(key, copy=True)
    return jax.random.key_data(jax.random.key(key))


def normal_like(keys: jax.Array, tree: PyTree) -> PyTree:
    """Normal noise in the shape of a tree, from a key for each array."""
    flat = Flat(tree)
    each = iter(keys)
    return flat.rebuild(x if is_end(x) else _normal(next(each), x) for x in flat.leaves)


def count_arrays(tree: PyTree) -> int:
    """How many arrays a tree has."""
    return sum(not is_end(x) for x in Flat(tree).leaves)


def _normal(key: jax.Array, x: Any) -> jax.Array:
    """Normal noise for one array, in at least float32."""
    dtype = arithmetic_dtype(update_dtype(x, None))
    return jax.random.normal(key, jnp.shape(x), dtype)
