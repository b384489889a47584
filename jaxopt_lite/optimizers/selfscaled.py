"""Optimizers that take the size of their steps from the past."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Mask
from jaxopt_lite.rules.adadelta import scale_by_adadelta
from jaxopt_lite.rules.cocob import scale_by_cocob
from jaxopt_lite.rules.madgrad import scale_by_madgrad
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def adadelta(
    learning_rate: Hyperparameter | None = None,
    rho: Hyperparameter = 0.9,
    eps: Hyperparameter = 1e-6,
    weight_decay: Hyperparameter = 0.0,
    weight_decay_mask: Mask | None = None,
) -> GradientTransformation:
    """Steps as large as past steps were, whatever the unit of the gradient.

        d = g + weight_decay * p
        p <- p - learning_rate * d * sqrt(e_x + eps) / sqrt(e_d + eps)

    with the moving mean squares of `scale_by_adadelta`.

    Args:
        learning_rate: factor of the steps, at least 0. None leaves them as they are,
            and with them the sign: the updates then point uphill.
        rho: weight of the past, per step, in [0, 1).
        eps: added under both roots, at least 0.
        weight_decay: multiple of the parameter that is added to its gradient, at least
            0.
        weight_decay_mask: which parameters decay, as in `masked`.

    Returns:
        `chain(add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zeiler 2012, arXiv 1212.5701. Equal to `torch.optim.Adadelta`, whose default
    learning rate is 1.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adadelta(1.0, rho=0.0, eps=1.0)
        >>> p = jnp.array(0.0)
        >>> tx.update(jnp.array(0.75), tx.init(p), p)[0]
        Array(-0.6, dtype=float32)
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )


def madgrad(
    learning_rate: Hyperparameter,
    momentum: Hyperparameter = 0.9,
    weight_decay: Hyperparameter = 0.0,
    eps: Hyperparameter = 1e-6,
) -> GradientTransformation:
    """Steps towards where the weighted sum of all gradients leads from the beginning.

        d = g + weight_decay * p
        p <- momentum * p + (1 - momentum) * (x0 - s / (cbrt(grad_sum_sq) + eps))

    with the sums of `scale_by_madgrad`, of `d`.

    Args:
        learning_rate: weight of the gradients, at least 0; 0.01 is usual.
        momentum: share of the way that is not taken in one step, in [0, 1).
        weight_decay: multiple of the parameter that is added to its gradient, at least
            0.
        eps: added to the learning rate and to the cube root, at least 0.

    Returns:
        `chain(add_decayed_weights(weight_decay), scale_by_madgrad(…))`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Defazio and Jelassi 2021, arXiv 2101.11075.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.madgrad(1.0, momentum=0.5, eps=0.0)
        >>> p = jnp.array(3.0)
        >>> tx.update(jnp.array(8.0), tx.init(p), p)[0]
        Array(-1., dtype=float32)
    """
    return chain(
        add_decayed_weights(weight_decay),
        scale_by_madgrad(learning_rate, momentum, eps),
    )


def cocob(
    learning_rate: Hyperparameter = 1.0,
    alpha: Hyperparameter = 100.0,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.0,
    mask: Mask | None = None,
) -> GradientTransformation:
    """Steps as bets on the next gradient, without a learning rate.

        d = learning_rate * (g + weight_decay * p)
        p <- init_particles + bet

    with the bet of `scale_by_cocob` on `d`.

    Args:
        learning_rate: factor of the gradients, at least 0. A constant one changes
            next to nothing, since bets do not depend on the gradient's unit.
        alpha: how cautious the first bets are, at least 0.
        eps: where the scale of the gradients begins, at least 0.
        weight_decay: multiple of the parameter that is added to its gradient, at least
            0.
        mask: which parameters decay, as in `masked`.

    Returns:
        `chain(add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate, flip_sign=False),
        scale_by_cocob(alpha, eps))`.

    Raises:
        ValueError: if an argument is negative; from `update`, without parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Orabona and Tommasi 2017, arXiv 1705.07795.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.cocob(alpha=4.0)
        >>> p = jnp.array([1.0, 1.0])
        >>> tx.update(jnp.array([3.0, -0.1]), tx.init(p), p)[0]
        Array([-0.25,  0.25], dtype=float32)
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate, flip_sign=False),
        scale_by_cocob(alpha, eps),
    )
