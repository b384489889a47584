"""Optimizers that are Adam with another second moment."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Mask
from jaxopt_lite.rules.belief import scale_by_acprop, scale_by_belief
from jaxopt_lite.rules.radam import scale_by_radam
from jaxopt_lite.rules.scaling import scale_by_learning_rate
from jaxopt_lite.rules.yogi import scale_by_yogi


def adabelief(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-16,
    eps_root: Hyperparameter = 1e-16,
    weight_decay: Hyperparameter | None = None,
    weight_decay_mask: Mask | None = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Steps against the gradient's mean over how far gradients lie from it.

        p <- p - learning_rate * (mu_hat / (sqrt(nu_hat) + eps) + weight_decay * p)

    with the debiased moments of `scale_by_belief`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added to the second moment at every step, at least 0.
        weight_decay: decay per unit of learning rate, at least 0; None for none.
        weight_decay_mask: which parameters decay, as in `masked`.
        nesterov: whether to look one step ahead.

    Returns:
        `chain(scale_by_belief(…), add_decayed_weights(…), scale_by_learning_rate(…))`,
        without the decay where it is None.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zhuang et al. 2020, arXiv 2010.07468, without rectification.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adabelief(0.25, b1=0.5)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    decay = [] if weight_decay is None else [weight_decay]
    return chain(
        scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov),
        *(add_decayed_weights(x, weight_decay_mask) for x in decay),
        scale_by_learning_rate(learning_rate),
    )


def acprop(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-16,
    eps_root: Hyperparameter = 1e-16,
    weight_decay: Hyperparameter = 0.0,
    mask: Mask | None = None,
) -> GradientTransformation:
    """Steps against the gradient over how far those before it lay from their mean.

        p <- p - learning_rate * (g / (sqrt(nu_hat) + eps) + weight_decay * p)

    with `nu_hat` of the step before, as in `scale_by_acprop`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added to the second moment at every step, at least 0.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`.

    Returns:
        `chain(scale_by_acprop(…), add_decayed_weights(…), scale_by_learning_rate(…))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zhuang et al. 2021, arXiv 2110.05454; see `scale_by_acprop` for where Optax
    departs from it.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.acprop(0.25)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    return chain(
        scale_by_acprop(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def yogi(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-3,
) -> GradientTransformation:
    """Adam whose second moment moves by no more than the square of the gradient.

        p <- p - learning_rate * mu_hat / (sqrt(nu_hat) + eps)

    with the debiased moments of `scale_by_yogi`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: one minus the size of a step of the second moment, in [0, 1).
        eps: added to the root, at least 0.

    Returns:
        `chain(scale_by_yogi(…), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zaheer et al. 2018, Adaptive Methods for Nonconvex Optimization, NeurIPS;
    see `scale_by_yogi` for where the moments begin.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.yogi(0.5, eps=0.0)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5001, dtype=float32)
    """
    return chain(scale_by_yogi(b1, b2, eps), scale_by_learning_rate(learning_rate))


def radam(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    threshold: Hyperparameter = 5.0,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam, held back while its second moment is of few gradients.

        p <- p - learning_rate * r * mu_hat / (sqrt(nu_hat + eps_root) + eps)
        p <- p - learning_rate * mu_hat         before there are enough gradients

    with the moments and the factor `r` of `scale_by_radam`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        threshold: how many gradients are enough, as in `scale_by_radam`.
        nesterov: whether to look one step ahead.

    Returns:
        `chain(scale_by_radam(…), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Liu et al. 2019, arXiv 1908.03265. `torch.optim.RAdam` adds `eps` before the
    bias correction.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.radam(0.25)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    return chain(
        scale_by_radam(b1, b2, eps, eps_root, threshold, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )
