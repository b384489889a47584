"""Optimizers for games: gradient descent and Adam that look ahead."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.core.numbers import called, number
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter
from jaxopt_lite.rules.adam import scale_by_adam
from jaxopt_lite.rules.optimistic import scale_by_optimistic_gradient
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def optimistic_gradient_descent(
    learning_rate: Hyperparameter,
    alpha: Hyperparameter = 1.0,
    beta: Hyperparameter = 1.0,
) -> GradientTransformation:
    """Steps against the gradient and what has changed in it since the last step.

        p <- p - learning_rate * (alpha * g + beta * (g - previous_gradient))

    Args:
        learning_rate: step size, at least 0.
        alpha: weight of the gradient, finite.
        beta: weight of the change, finite.

    Returns:
        `chain(scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if the learning rate is negative.
        TypeError: if an argument is no number, array, schedule or `by_path`.

    Source: Rakhlin and Sridharan 2013, arXiv 1311.1869; Mokhtari, Ozdaglar and
    Pattathil 2019, arXiv 1901.08511.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.optimistic_gradient_descent(0.5)
        >>> u, state = tx.update(jnp.array(3.0), tx.init(jnp.array(0.0)))
        >>> u, tx.update(jnp.array(4.0), state)[0]
        (Array(-1.5, dtype=float32), Array(-2.5, dtype=float32))
    """
    return chain(
        scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate),
    )


def optimistic_adam(
    learning_rate: Hyperparameter,
    optimism: Hyperparameter | None = None,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
) -> GradientTransformation:
    """Adam that looks ahead, with the size of that look as a number of its own.

        p <- p - learning_rate * r - optimism * (r - previous_r)

    where `r` is the update of `scale_by_adam`. In `optimistic_adam_v2` the learning
    rate scales both terms, and the optimism is relative to it.

    Args:
        learning_rate: step size, at least 0.
        optimism: weight of the change, finite; None for the learning rate.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        mu_dtype: dtype in which the first moment is kept.
        nesterov: whether Adam itself looks one step ahead.

    Returns:
        `chain(scale_by_adam(…), scale_by_optimistic_gradient(learning_rate, optimism),
        scale_by_learning_rate(1))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Daskalakis et al. 2017, arXiv 1711.00141. Optax refuses schedules here.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.optimistic_adam(0.5, nesterov=False)
        >>> tx.update(jnp.array(3.0), tx.init(jnp.array(0.0)))[0].round(4)
        Array(-0.5, dtype=float32)
    """
    rate = number("learning_rate", learning_rate)
    with called(beta="optimism"):
        looks_ahead = scale_by_optimistic_gradient(
            rate, rate if optimism is None else optimism
        )
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        looks_ahead,
        scale_by_learning_rate(1.0),
    )


def optimistic_adam_v2(
    learning_rate: Hyperparameter,
    *,
    alpha: Hyperparameter = 1.0,
    beta: Hyperparameter = 1.0,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    nesterov: bool = True,
) -> GradientTransformation:
    """Adam that looks ahead.

        p <- p - learning_rate * (alpha * r + beta * (r - previous_r))

    where `r` is the update of `scale_by_adam`.

    Args:
        learning_rate: step size, at least 0.
        alpha: weight of Adam's update, finite.
        beta: weight of its change, finite.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        mu_dtype: dtype in which the first moment is kept.
        nesterov: whether Adam itself looks one step ahead.

    Returns:
        `chain(scale_by_adam(…), scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Daskalakis et al. 2017, arXiv 1711.00141.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.optimistic_adam_v2(0.5, nesterov=False)
        >>> tx.update(jnp.array(3.0), tx.init(jnp.array(0.0)))[0].round(4)
        Array(-0.5, dtype=float32)
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate),
    )
