"""AdamW that keeps one second moment for each output unit, head or row."""

from typing import Any

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter, Mask
from jaxopt_lite.rules.adam_mini import scale_by_adam_mini
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def adam_mini(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.0,
    mask: Mask | None = None,
    mu_dtype: DTypeLike | None = None,
    *,
    axes: Any = None,
) -> GradientTransformation:
    """AdamW with half the state: one second moment for each block of a parameter.

        p <- p - learning_rate * (mu_hat / (sqrt(nu_hat) + eps) + weight_decay * p)

    with the debiased moments of `scale_by_adam_mini`, where `nu` is the mean square of
    a block: an output unit, a row of an embedding, a head of queries or keys, a vector.

    Args:
        learning_rate: step size, at least 0; AdamW's.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`; `weights_only` leaves out biases
            and norm scales.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.
        axes: `by_path` of the axes over which the blocks of a parameter extend, as in
            `scale_by_adam_mini`; stacked layers and kernels whose output axis is not
            the last want them.

    Returns:
        `chain(scale_by_adam_mini(…), add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range; from `init` and `update`, if a
            parameter has not the axes that it is given.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zhang et al. 2024, arXiv 2406.16793; for the blocks of
    github.com/zyushun/Adam-mini see `scale_by_adam_mini`. It also leaves what is named
    `*norm*` or `*ln_f*` without decay.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adam_mini(2.5)
        >>> params = {"w": jnp.array([1.0, 1.0])}
        >>> g = {"w": jnp.array([1.0, 7.0])}
        >>> updates, state = tx.update(g, tx.init(params), params)
        >>> jl.apply_updates(params, updates)["w"].round(4)
        Array([ 0.5, -2.5], dtype=float32)
    """
    return chain(
        scale_by_adam_mini(b1, b2, eps, mu_dtype, axes=axes),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
