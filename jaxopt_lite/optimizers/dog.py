"""Optimizers whose step size is the distance from the start, over the gradients."""

from typing import Any

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.transformation import GradientTransformation, identity
from jaxopt_lite.core.types import Hyperparameter, Mask
from jaxopt_lite.rules.dog import scale_by_dog, scale_by_dowg
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def dog(
    learning_rate: Hyperparameter = 1.0,
    init_step: tuple[str, Hyperparameter] = ("heuristic", 1e-6),
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter | None = None,
    mask: Mask | None = None,
) -> GradientTransformation:
    """Gradient descent by the distance from the start over the gradients' norms.

        r = max over steps of ||p - p0||
        p <- p - learning_rate * g * r / sqrt(sum over steps of ||g||**2 + eps)

    where `g` includes `weight_decay * p`.

    Args:
        learning_rate: a factor of the step size, at least 0.
        init_step: how the first step is found, as in `scale_by_dog`.
        eps: added under the root, at least 0.
        weight_decay: at least 0; None for none.
        mask: which parameters decay, as in `masked`.

    Returns:
        `chain(add_decayed_weights(…) or identity(), scale_by_dog(…),
        scale_by_learning_rate(…))`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number of its kind.

    Source: Ivgi, Hinder and Carmon 2023, arXiv 2302.12022; see `scale_by_dog`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.dog(init_step=("learning_rate", 0.25))
        >>> p = {"w": jnp.array(1.0)}
        >>> tx.update({"w": jnp.array(2.0)}, tx.init(p), p)[0]
        {'w': Array(-0.5, dtype=float32)}
    """
    return chain(
        _decayed(weight_decay, mask),
        scale_by_dog(init_step, eps),
        scale_by_learning_rate(learning_rate),
    )


def dowg(
    learning_rate: Hyperparameter = 1.0,
    init_estim_sq_dist: Hyperparameter | None = None,
    eps: Hyperparameter = 1e-4,
    weight_decay: Hyperparameter | None = None,
    mask: Mask | None = None,
) -> GradientTransformation:
    """Gradient descent by the distance from the start over weighted gradients.

        r2 = max over steps of ||p - p0||**2
        p <- p - learning_rate * g * r2 / (sqrt(sum of r2 * ||g||**2) + eps)

    where `g` includes `weight_decay * p`.

    Args:
        learning_rate: a factor of the step size, at least 0.
        init_estim_sq_dist: the squared distance before the first step, at least 0; if
            None, `eps`.
        eps: added to the root, at least 0.
        weight_decay: at least 0; None for none.
        mask: which parameters decay, as in `masked`.

    Returns:
        `chain(add_decayed_weights(…) or identity(), scale_by_dowg(…),
        scale_by_learning_rate(…))`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number of its kind.

    Source: Khaled, Mishchenko and Jin 2023, arXiv 2305.16284.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.dowg(init_estim_sq_dist=0.25, eps=0.0)
        >>> p = {"w": jnp.array(1.0)}
        >>> tx.update({"w": jnp.array(2.0)}, tx.init(p), p)[0]
        {'w': Array(-0.5, dtype=float32)}
    """
    return chain(
        _decayed(weight_decay, mask),
        scale_by_dowg(init_estim_sq_dist, eps),
        scale_by_learning_rate(learning_rate),
    )


def _decayed(weight_decay: Any, mask: Any) -> GradientTransformation:
    """Weight decay, if there is any."""
    if weight_decay is None:
        return identity()
    return add_decayed_weights(weight_decay, mask)
