"""Optimizers that divide by the largest that a gradient has been."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter, Mask
from jaxopt_lite.rules.maximum import scale_by_adamax, scale_by_amsgrad
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def adamax(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
) -> GradientTransformation:
    """Steps against the gradient's mean over its largest magnitude, slowly forgotten.

        nu <- max(|g| + eps, b2 * nu);  p <- p - learning_rate * mu_hat / nu

    with the debiased mean of `scale_by_adamax`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: what remains of the largest magnitude, per step, in [0, 1).
        eps: added to the magnitude, at least 0.

    Returns:
        `chain(scale_by_adamax(…), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Kingma and Ba 2014, arXiv 1412.6980, section 7.1. Equal to
    `torch.optim.Adamax` without weight decay.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adamax(0.5)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


def adamaxw(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 1e-4,
    mask: Mask | None = None,
) -> GradientTransformation:
    """Adamax, with weight decay that is not scaled by the gradient's past.

        p <- p - learning_rate * (mu_hat / nu + weight_decay * p)

    with the moments of `scale_by_adamax`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: what remains of the largest magnitude, per step, in [0, 1).
        eps: added to the magnitude, at least 0.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`.

    Returns:
        `chain(scale_by_adamax(…), add_decayed_weights(…), scale_by_learning_rate(…))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Kingma and Ba 2014, arXiv 1412.6980; Loshchilov and Hutter 2017, arXiv
    1711.05101. The decay of `torch.optim.Adamax` is part of the gradient.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adamaxw(0.25, weight_decay=1.0)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    return chain(
        scale_by_adamax(b1, b2, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def amsgrad(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> GradientTransformation:
    """Adam over the largest second moment so far.

        p <- p - learning_rate * mu_hat / (sqrt(nu_max + eps_root) + eps)

    with the moments of `scale_by_amsgrad`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        mu_dtype: dtype in which the first moment is kept.
        bias_correction_mu: whether the first moment is debiased.
        bias_correction_nu: whether the second is, before its maximum is taken.

    Returns:
        `chain(scale_by_amsgrad(…), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Reddi, Kale and Kumar 2018, arXiv 1904.09237, which debiases neither moment.
    `torch.optim.Adam(amsgrad=True)` debiases the maximum instead.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.amsgrad(0.5)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array(0.5, dtype=float32)
    """
    return chain(
        scale_by_amsgrad(
            b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu
        ),
        scale_by_learning_rate(learning_rate),
    )
