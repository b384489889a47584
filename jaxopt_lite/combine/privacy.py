"""Gradients of single examples: clipped each by its own norm, summed, with noise."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.noise import (
    count_arrays,
    key_data,
    normal_like,
    one_key,
)
from jaxopt_lite.core import checks
from jaxopt_lite.core.numerics import global_norm
from jaxopt_lite.core.ranges import FIXED, Magnitude, checked
from jaxopt_lite.core.transformation import GradientTransformation, select
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Numeric, Params, PyTree, State, Updates


class DifferentiallyPrivateAggregateState(NamedTuple):
    """The data of the key for the next noise."""

    rng_key: jax.Array


class DifferentiallyPrivateAggregate(GradientTransformation):
    """The noisy mean of clipped gradients."""

    l2_norm_clip: Annotated[Magnitude, FIXED]
    noise_multiplier: Annotated[Magnitude, FIXED]
    key: Any

    def init(self, params: Params) -> State:
        return DifferentiallyPrivateAggregateState(key_data(self.key))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        examples = _examples("differentially_private_aggregate", Flat(updates))
        total, _ = per_example_global_norm_clip(updates, self.l2_norm_clip)
        key = jax.random.wrap_key_data(state.rng_key)
        keys = jax.random.split(key, 1 + count_arrays(total))
        noise = normal_like(keys[1:], total)
        size = self.l2_norm_clip * self.noise_multiplier

        def mean(x: jax.Array, z: jax.Array) -> jax.Array:
            return ((x + size * z) / examples).astype(x.dtype)

        data = jax.random.key_data(keys[0])
        kept = select(extra.get("commit"), data, state.rng_key)
        u = jax.tree.map(mean, total, noise)
        return u, DifferentiallyPrivateAggregateState(kept)


def differentially_private_aggregate(
    l2_norm_clip: Numeric,
    noise_multiplier: Numeric,
    key: Any = None,
    *,
    seed: int | None = None,
) -> GradientTransformation:
    """Turns the gradients of single examples into a differentially private mean.

        u = (sum over examples of g_i * min(1, l2_norm_clip / |g_i|)
             + l2_norm_clip * noise_multiplier * z) / examples,  z ~ N(0, 1)

    It stands first in a chain and takes gradients with the examples along axis 0, such
    as `jax.vmap(jax.grad(loss), (None, 0))` gives.

    Args:
        l2_norm_clip: largest norm of the gradient of one example, at least 0.
        noise_multiplier: standard deviation of the noise over `l2_norm_clip`, at
            least 0.
        key: a key of `jax.random`, or an integer to make one of.
        seed: the same, under the name that Optax deprecates.

    Returns:
        A transformation with `DifferentiallyPrivateAggregateState(rng_key)`, the key as
        raw data.

    Raises:
        ValueError: if a number is negative, if both `key` and `seed` are given, or,
            from `update`, if gradients have no common axis of examples.
        TypeError: if a number is a schedule, `by_path`, or no number, or if there is
            neither `key` nor `seed`.

    Source: Abadi et al. 2016, arXiv 1607.00133.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.differentially_private_aggregate(1.0, noise_multiplier=0.0, key=0)
        >>> per_example = jnp.array([[8.0, 0.0], [0.0, 0.5]])
        >>> tx.update(per_example, tx.init(jnp.zeros(2)))[0]
        Array([0.5 , 0.25], dtype=float32)
    """
    if key is None and seed is None:
        raise TypeError(
            "differentially_private_aggregate: found neither key nor seed; expected a "
            "key of `jax.random` that nobody can guess, since noise that others can "
            "draw again hides nothing."
        )
    return checked(
        DifferentiallyPrivateAggregate(
            l2_norm_clip,
            noise_multiplier,
            one_key("differentially_private_aggregate", key, seed),
        )
    )


def per_example_global_norm_clip(
    grads: PyTree, l2_norm_clip: Numeric
) -> tuple[PyTree, jax.Array]:
    """Sums the gradients of single examples, each clipped by its norm over all leaves.

        sum over examples of g_i * min(1, l2_norm_clip / |g_i|)

    Args:
        grads: gradients with the examples along axis 0.
        l2_norm_clip: largest norm of one example's gradient, at least 0.

    Returns:
        The tree of sums, and how many examples were clipped, an int32.

    Raises:
        ValueError: if the leaves have no common axis of examples; all are named.

    Source: Abadi et al. 2016, arXiv 1607.00133.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> g = {"w": jnp.array([[8.0, 0.0], [0.0, 0.5]])}
        >>> jl.per_example_global_norm_clip(g, 1.0)
        ({'w': Array([1. , 0.5], dtype=float32)}, Array(1, dtype=int32))
    """
    flat = Flat(grads)
    if not _examples("per_example_global_norm_clip", flat):
        return grads, jnp.zeros((), jnp.int32)
    arrays = [x for x in flat.leaves if not is_end(x)]
    norms = jax.vmap(global_norm)(arrays)
    factors = jnp.minimum(1.0, l2_norm_clip / jnp.where(norms == 0, 1.0, norms))
    factors = jnp.where(norms == 0, 1.0, factors)

    def clipped_sum(x: Any) -> Any:
        wide = jnp.promote_types(x.dtype, factors.dtype)
        total = jnp.tensordot(factors.astype(wide), x.astype(wide), axes=1)
        return total.astype(x.dtype)

    sums = flat.rebuild(x if is_end(x) else clipped_sum(x) for x in flat.leaves)
    return sums, jnp.sum(factors < 1, dtype=jnp.int32)


def per_example_layer_norm_clip(
    grads: PyTree, global_l2_norm_clip: Numeric, uniform: bool = True
) -> tuple[PyTree, PyTree]:
    """Sums the gradients of single examples, each leaf clipped by its own norm.

    Leaf k of K is clipped to `global_l2_norm_clip / sqrt(K)`, or, if not uniform, to
    `global_l2_norm_clip * sqrt(size_k / size)`; together they stay below
    `global_l2_norm_clip`.

    Args:
        grads: gradients with the examples along axis 0.
        global_l2_norm_clip: largest norm of one example's gradient, at least 0.
        uniform: whether every leaf has the same share, or one by its size.

    Returns:
        The tree of sums, and the tree of how many examples were clipped in each leaf.

    Raises:
        ValueError: if the leaves have no common axis of examples; all are named.

    Source: McMahan et al. 2017, arXiv 1710.06963.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> g = {"w": jnp.array([[3.0, 4.0], [0.3, 0.4]])}
        >>> jl.per_example_layer_norm_clip(g, 1.0)[1]
        {'w': Array(1, dtype=int32)}
    """
    flat = Flat(grads)
    examples = _examples("per_example_layer_norm_clip", flat)
    sizes = [0 if is_end(x) else x.size / max(examples, 1) for x in flat.leaves]
    layers = sum(not is_end(x) for x in flat.leaves)
    sums, counts = [], []
    for x, size in zip(flat.leaves, sizes, strict=True):
        share = 1 / max(layers, 1) if uniform else size / max(sum(sizes), 1)
        one = (x, x)
        if not is_end(x):
            one = per_example_global_norm_clip(x, global_l2_norm_clip * share**0.5)
        sums.append(one[0])
        counts.append(one[1])
    return flat.rebuild(sums), flat.rebuild_bare(counts)


def _examples(where: str, flat: Flat) -> int:
    """How many examples there are along axis 0; none if there is no leaf."""
    arrays = [(i, x) for i, x in enumerate(flat.leaves) if not is_end(x)]
    sizes = [jnp.shape(x)[0] if jnp.ndim(x) else None for _, x in arrays]
    expected = next((n for n in sizes if n is not None), None)
    problems = [
        (flat.paths[i], f"gradient {checks.describe(x)}")
        for (i, x), n in zip(arrays, sizes, strict=True)
        if n is None or n != expected
    ]
    if problems:
        checks.fail(
            f"{where}: {checks.plural(len(problems), 'gradient has', 'gradients have')}"
            f" not one slice for each of {expected} examples.",
            problems,
            "Expected the examples along axis 0 of every gradient, as of "
            "jax.vmap(jax.grad(loss), (None, 0)).",
            ValueError,
        )
    return expected or 0
