"""Optimizers whose steps are measured by layers: LARS, LAMB, Fromage, NovoGrad."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.combine.masking import masked
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import called, number
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Mask
from jaxopt_lite.rules.adam import scale_by_adam
from jaxopt_lite.rules.fromage import FromageShrinkage, FromageStep
from jaxopt_lite.rules.momentum import trace
from jaxopt_lite.rules.norms import scale_by_trust_ratio
from jaxopt_lite.rules.novograd import scale_by_novograd
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def lars(
    learning_rate: Hyperparameter,
    weight_decay: Hyperparameter = 0.0,
    weight_decay_mask: Mask = True,
    trust_coefficient: Hyperparameter = 0.001,
    eps: Hyperparameter = 0.0,
    trust_ratio_mask: Mask = True,
    momentum: Hyperparameter = 0.9,
    nesterov: bool = False,
) -> GradientTransformation:
    """Momentum of steps as long, for each array, as a share of its norm.

        d = g + weight_decay * p
        s = -learning_rate * trust_coefficient * |p| / (|d| + eps) * d
        p <- p + trace,  trace <- s + momentum * trace

    with Euclidean norms of whole arrays; `s = -learning_rate * d` where one is 0.

    Args:
        learning_rate: step size, at least 0.
        weight_decay: multiple of the parameter that is added to its gradient, at least
            0.
        weight_decay_mask: which parameters decay, as in `masked`; True for all,
            `weights_only` leaves out biases and norm scales.
        trust_coefficient: length of a step relative to the parameter, at least 0.
        eps: added to the norm of `d`, at least 0.
        trust_ratio_mask: which parameters have steps of such length, as in `masked`;
            the others have `s = -learning_rate * d`.
        momentum: weight of the past, per step, finite.
        nesterov: whether the momentum looks one step ahead.

    Returns:
        `chain(add_decayed_weights(weight_decay, weight_decay_mask),
        masked(scale_by_trust_ratio(…), trust_ratio_mask),
        scale_by_learning_rate(learning_rate), trace(momentum, nesterov))`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: You, Gitman and Ginsburg 2017, arXiv 1708.03888, which divides by
    `|g| + weight_decay * |p|` in place of `|d|`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.lars(10.0)
        >>> p = jnp.array([0.0, 10.0])
        >>> tx.update(jnp.array([3.0, 4.0]), tx.init(p), p)[0].round(2)
        Array([-0.06, -0.08], dtype=float32)
    """
    ratio = scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps)
    with called(decay="momentum"):
        moved = trace(momentum, nesterov)
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        masked(ratio, trust_ratio_mask),
        scale_by_learning_rate(learning_rate),
        moved,
    )


def lamb(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-6,
    eps_root: Hyperparameter = 0.0,
    weight_decay: Hyperparameter = 0.0,
    mask: Mask | None = None,
) -> GradientTransformation:
    """AdamW whose steps are as long, for each array, as a share of its norm.

        d = mu_hat / (sqrt(nu_hat + eps_root) + eps) + weight_decay * p
        p <- p - learning_rate * |p| / |d| * d

    with the debiased moments of `scale_by_adam` and Euclidean norms of whole arrays;
    where one of these is 0, `p <- p - learning_rate * d`.

    Args:
        learning_rate: length of a step relative to the parameter, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        weight_decay: decay beside the direction of Adam, at least 0.
        mask: which parameters decay, as in `masked`; `weights_only` leaves out biases
            and norm scales.

    Returns:
        `chain(scale_by_adam(…), add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: You et al. 2019, arXiv 1904.00962, without bounds on `|p|`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.lamb(0.1)
        >>> p = jnp.array([6.0, 8.0])
        >>> tx.update(jnp.array([3.0, -3.0]), tx.init(p), p)[0].round(3)
        Array([-0.707,  0.707], dtype=float32)
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )


def fromage(
    learning_rate: Hyperparameter, min_norm: Hyperparameter = 1e-6
) -> GradientTransformation:
    """Steps of a given angle, for each array, that leave its norm nearly as it is.

        p <- (p - learning_rate * max(|p|, min_norm) / max(|g|, min_norm) * g)
             / sqrt(1 + learning_rate**2)

    with Euclidean norms of whole arrays.

    Args:
        learning_rate: length of a step relative to the parameter, at least 0; 0.01 is
            usual.
        min_norm: lower bound of both norms, at least 0.

    Returns:
        A chain of `scale_by_trust_ratio(min_norm)`, the shortened step and the
        shortened parameter.

    Raises:
        ValueError: if an argument is negative; from `update`, without parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Bernstein et al. 2020, arXiv 2002.03432. The share that the parameter loses
    is exact to rounding; in Optax a float32 rate of 1e-3 makes it 5 % too small, one of
    1e-4 zero.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.fromage(0.75)
        >>> p = jnp.array(5.0)
        >>> tx.update(jnp.array(3.0), tx.init(p), p)[0].round(4)
        Array(-4., dtype=float32)
    """
    rate = number("learning_rate", learning_rate)
    return chain(
        scale_by_trust_ratio(min_norm),
        leafwise(FromageStep(rate)),
        leafwise(FromageShrinkage(rate)),
    )


def novograd(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.25,
    eps: Hyperparameter = 1e-6,
    eps_root: Hyperparameter = 0.0,
    weight_decay: Hyperparameter = 0.0,
) -> GradientTransformation:
    """Momentum of gradients that are divided by the moving norm of their array.

        mu <- b1 * mu + g / (sqrt(nu + eps_root) + eps) + weight_decay * p
        p <- p - learning_rate * mu

    with `nu` of `scale_by_novograd`, one number for each array.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past in the momentum, per step, in [0, 1).
        b2: weight of the past mean squared norm, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        weight_decay: multiple of the parameter that enters the momentum, at least 0.

    Returns:
        `chain(scale_by_novograd(…), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Ginsburg et al. 2019, arXiv 1905.11286.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.novograd(1.0)
        >>> p = jnp.zeros(2)
        >>> tx.update(jnp.array([3.0, 4.0]), tx.init(p), p)[0].round(3)
        Array([-0.6, -0.8], dtype=float32)
    """
    return chain(
        scale_by_novograd(b1, b2, eps, eps_root, weight_decay),
        scale_by_learning_rate(learning_rate),
    )
