"""Optimizers that mix other means of the gradient than Adam's."""

from collections.abc import Callable

import jax

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter, Mask, Numeric
from jaxopt_lite.rules.adan import scale_by_adan
from jaxopt_lite.rules.ademamix import (
    scale_by_ademamix,
    scale_by_simplified_ademamix,
)
from jaxopt_lite.rules.adopt import fourth_root, scale_by_adopt
from jaxopt_lite.rules.lion import scale_by_lion
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def adan(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.98,
    b2: Hyperparameter = 0.92,
    b3: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.0,
    mask: Mask | None = None,
) -> GradientTransformation:
    """Steps against the gradient's mean, carried on by the mean of its changes.

        p <- p - learning_rate * ((m_hat + b2 * v_hat) / (sqrt(n_hat + eps_root) + eps)
                                  + weight_decay * p)

    with the debiased means of `scale_by_adan`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean of changes, per step, in [0, 1).
        b3: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`.

    Returns:
        `chain(scale_by_adan(…), add_decayed_weights(…), scale_by_learning_rate(…))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Xie et al. 2022, arXiv 2208.06677, whose decay divides the parameter after
    the step; see `scale_by_adan` for the coefficient that Optax has wrong.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adan(0.5)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    return chain(
        scale_by_adan(b1, b2, b3, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def lion(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.99,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Hyperparameter = 1e-3,
    mask: Mask | None = None,
) -> GradientTransformation:
    """Steps of one size in every element, against the sign of the gradient's mean.

        p  <- p - learning_rate * (sign(b1 * mu + (1 - b1) * g) + weight_decay * p)
        mu <- b2 * mu + (1 - b2) * g

    Args:
        learning_rate: step size, at least 0; a third to a tenth of Adam's.
        b1: weight of the past in the update, in [0, 1).
        b2: weight of the past in the mean that is kept, per step, in [0, 1).
        mu_dtype: dtype in which the first moment is kept.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`.

    Returns:
        `chain(scale_by_lion(…), add_decayed_weights(…), scale_by_learning_rate(…))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Chen et al. 2023, arXiv 2302.06675.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.lion(0.25, weight_decay=1.0)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    return chain(
        scale_by_lion(b1, b2, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def adopt(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.9999,
    eps: Hyperparameter = 1e-6,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[jax.Array], Numeric] = fourth_root,
) -> GradientTransformation:
    """Steps against the mean of gradients, each over the mean square before it.

        mu <- b1 * mu + (1 - b1) * clipped(g / max(sqrt(nu), eps))
        p  <- p - learning_rate * mu

        as in `scale_by_adopt`; the first step is zero.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: least root mean square, at least 0.
        mu_dtype: dtype in which the first moment is kept.
        nesterov: whether to look one step ahead.
        use_clipping: whether the ratio is clipped.
        clip_value_fn: from the count (0 at the first step) to the bound, at least 0.

    Returns:
        `chain(scale_by_adopt(…), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Taniguchi et al. 2024, arXiv 2411.02853. For decoupled weight decay, chain
    `scale_by_adopt` and `add_decayed_weights`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adopt(0.5)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(1., dtype=float32)
    """
    return chain(
        scale_by_adopt(
            b1,
            b2,
            eps,
            mu_dtype,
            nesterov=nesterov,
            use_clipping=use_clipping,
            clip_value_fn=clip_value_fn,
        ),
        scale_by_learning_rate(learning_rate),
    )


def ademamix(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    b3: Hyperparameter = 0.9999,
    alpha: Hyperparameter = 5.0,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Hyperparameter = 0.0,
    mask: Mask | None = None,
) -> GradientTransformation:
    """Adam, with a mean over many more gradients added to its own.

        u = (m1_hat + alpha * m2) / (sqrt(nu_hat + eps_root) + eps)
        p <- p - learning_rate * (u + weight_decay * p)

    with the moments of `scale_by_ademamix`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past in the fast mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        b3: weight of the past in the slow mean, per step, in [0, 1).
        alpha: weight of the slow mean, at least 0.
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        mu_dtype: dtype in which both means are kept.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`.

    Returns:
        `chain(scale_by_ademamix(…), add_decayed_weights(…),
        scale_by_learning_rate(…))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Pagliardini, Ablin and Grangier 2024, arXiv 2409.03137, which lets `b3` and
    `alpha` rise: give schedules.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.ademamix(0.25, b3=0.5, alpha=2.0)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    return chain(
        scale_by_ademamix(b1, b2, b3, alpha, eps, eps_root, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def simplified_ademamix(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.99,
    b2: Hyperparameter = 0.95,
    alpha: Hyperparameter = 0.0,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    weight_decay: Hyperparameter = 0.0,
    mask: Mask | None = None,
) -> GradientTransformation:
    """Steps against a fading sum of gradients and the present one.

        p <- p - learning_rate * ((m + alpha * g) / (sqrt(n_hat + eps_root) + eps)
                                  + weight_decay * p)

    with the sum and the mean square of `scale_by_simplified_ademamix`.

    Args:
        learning_rate: step size, at least 0; some `1 - b1` of Adam's.
        b1: weight of the past sum, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        alpha: weight of the present gradient, at least 0.
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`.

    Returns:
        `chain(scale_by_simplified_ademamix(…), add_decayed_weights(…),
        scale_by_learning_rate(…))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Morwani et al. 2025, arXiv 2502.02431.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.simplified_ademamix(0.25, alpha=1.0)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    return chain(
        scale_by_simplified_ademamix(b1, b2, alpha, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
