"""The optimizer that keeps one number for each place on an axis."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.core.numbers import called
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter
from jaxopt_lite.rules.scaling import scale_by_learning_rate
from jaxopt_lite.rules.sm3 import scale_by_sm3


def sm3(
    learning_rate: Hyperparameter, momentum: Hyperparameter = 0.9
) -> GradientTransformation:
    """Steps against the gradient over a bound on the root of the sum of its squares.

        p <- p - learning_rate * nu

    with the mean `nu` of `scale_by_sm3`.

    Args:
        learning_rate: step size, at least 0.
        momentum: weight of the past steps in their mean, in [0, 1).

    Returns:
        `chain(scale_by_sm3(momentum), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Anil et al. 2019, arXiv 1901.11150. Optax refuses schedules.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.sm3(0.5, momentum=0.0)
        >>> params = {"w": jnp.array([1.0])}
        >>> updates, state = tx.update({"w": jnp.array([2.0])}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)
        {'w': Array([0.5], dtype=float32)}
    """
    with called(b1="momentum"):
        return chain(scale_by_sm3(momentum), scale_by_learning_rate(learning_rate))
