"""Moving means of trees, for optimizers that are written by hand."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core import numerics
from jaxopt_lite.core.numerics import abs_sq, moving_mean
from jaxopt_lite.core.types import Count, Numeric, PyTree
from jaxopt_lite.tree.elementwise import cast
from jaxopt_lite.tree.matching import each


def update_moment(
    updates: PyTree, moments: PyTree, decay: Numeric, order: int
) -> PyTree:
    """The moving mean of a power, `decay * m + (1 - decay) * g**order`.

    Args:
        updates: the gradients; None where there is none.
        moments: the mean so far.
        decay: weight of the past, per step, in [0, 1).
        order: the power.

    Raises:
        ValueError: if the paths differ; each is named.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.update_moment({"w": jnp.array([2.0])}, {"w": jnp.zeros(1)}, 0.75, 2)
        {'w': Array([1.], dtype=float32)}
    """

    def moved(g: Any, m: Any) -> jax.Array:
        return moving_mean(jnp.asarray(m), g**order, decay)

    return each("tree.update_moment", moved, updates, moments=moments)


def update_moment_per_elem_norm(
    updates: PyTree, moments: PyTree, decay: Numeric, order: int | float
) -> PyTree:
    """The moving mean of a power of magnitudes, `decay * m + (1 - decay) * |g|**order`.

    It is real where the gradient is complex; of a real gradient the power is taken with
    its sign, so that an odd one may be negative.

    Args:
        updates: the gradients; None where there is none.
        moments: the mean so far.
        decay: weight of the past, per step, in [0, 1).
        order: the power.

    Raises:
        ValueError: if the paths differ; each is named.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> g, m = jnp.array([3.0 + 4.0j]), jnp.zeros(1)
        >>> tree.update_moment_per_elem_norm(g, m, 0.5, 2)
        Array([12.5], dtype=float32)
    """

    def moved(g: Any, m: Any) -> jax.Array:
        half = order // 2 if order % 2 == 0 else order / 2
        power = abs_sq(g) ** half if jnp.iscomplexobj(g) else g**order
        return moving_mean(jnp.asarray(m), power, decay)

    return each("tree.update_moment_per_elem_norm", moved, updates, moments=moments)


def update_infinity_moment(
    updates: PyTree, moments: PyTree, decay: Numeric, eps: Numeric
) -> PyTree:
    """The largest magnitude, which decays, `max(|g| + eps, decay * m)`.

    Args:
        updates: the gradients; None where there is none.
        moments: the magnitude so far.
        decay: weight of the past, per step, in [0, 1).
        eps: added to the gradient's magnitude.

    Raises:
        ValueError: if the paths differ; each is named.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.update_infinity_moment(jnp.array([-1.0]), jnp.array([4.0]), 0.5, 0.0)
        Array([2.], dtype=float32)
    """

    def moved(g: Any, m: Any) -> jax.Array:
        return jnp.maximum(jnp.abs(g) + eps, decay * m)

    return each("tree.update_infinity_moment", moved, updates, moments=moments)


def bias_correction(moment: PyTree, decay: Numeric, count: Count | int) -> PyTree:
    """Divides by the weight that a mean from zero has gathered, `m / (1 - decay**t)`.

    Args:
        moment: the mean.
        decay: its weight of the past, per step, in [0, 1).
        count: how many values it has seen, from 1; at 0 the mean stays as it is.

    Returns:
        The corrected mean, in the dtypes of `moment`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxopt_lite import tree
        >>> tree.bias_correction({"w": jnp.array([1.5])}, 0.5, 2)
        {'w': Array([2.], dtype=float32)}
    """
    widest = jnp.result_type(float)
    weight = numerics.bias_correction(decay, jnp.asarray(count, widest))
    gain = 1 / jnp.where(weight == 0, 1, weight)
    return each(
        "tree.bias_correction", lambda m: cast(m * gain, jnp.asarray(m).dtype), moment
    )
