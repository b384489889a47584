"""Optimizers that scale each element by the past size of its gradient."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.numbers import called
from jaxopt_lite.core.transformation import GradientTransformation, identity
from jaxopt_lite.core.types import (
    DTypeLike,
    Hyperparameter,
    Mask,
)
from jaxopt_lite.rules.adam import scale_by_adam
from jaxopt_lite.rules.momentum import trace
from jaxopt_lite.rules.rms import scale_by_rms, scale_by_rss, scale_by_stddev
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def adagrad(
    learning_rate: Hyperparameter,
    initial_accumulator_value: Hyperparameter = 0.1,
    eps: Hyperparameter = 1e-7,
) -> GradientTransformation:
    """Steps against the gradient over the root of the sum of its squares so far.

        s <- s + |g|**2;  p <- p - learning_rate * g / sqrt(s + eps)

    Args:
        learning_rate: step size, at least 0.
        initial_accumulator_value: where the sum `s` begins, at least 0.
        eps: added under the root, at least 0.

    Returns:
        `chain(scale_by_rss(…), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Duchi, Hazan and Singer 2011, JMLR 12. `interop.pytorch.adagrad` has
    PyTorch's start at 0 and `eps` beside the root.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adagrad(0.5, initial_accumulator_value=0.0)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)
        {'w': Array(0.5, dtype=float32)}
    """
    return chain(
        scale_by_rss(initial_accumulator_value, eps),
        scale_by_learning_rate(learning_rate),
    )


def rmsprop(
    learning_rate: Hyperparameter,
    decay: Hyperparameter = 0.9,
    eps: Hyperparameter = 1e-8,
    initial_scale: Hyperparameter = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Hyperparameter | None = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> GradientTransformation:
    """Steps against the gradient over the root of the moving mean of its squares.

        nu <- decay * nu + (1 - decay) * |g|**2
        p  <- p - learning_rate * g / sqrt(nu + eps)

    Args:
        learning_rate: step size, at least 0.
        decay: weight of the past, per step, in [0, 1).
        eps: added to the denominator, at least 0.
        initial_scale: where `nu` begins, at least 0.
        eps_in_sqrt: whether `eps` stands under the root; PyTorch's does not.
        centered: whether the variance takes the place of the mean square.
        momentum: weight of the past in a trace of the steps; None for none.
        nesterov: whether that trace looks one step ahead.
        bias_correction: whether the means are divided by `1 - decay**t`.

    Returns:
        `chain(scale_by_rms(…) or scale_by_stddev(…), scale_by_learning_rate(…),
        trace(momentum) or identity())`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Tieleman and Hinton 2012; centered Graves 2013, arXiv 1308.0850. As in Optax
    the learning rate comes before the momentum; `interop.pytorch.rmsprop` has
    PyTorch's order, which matters when the learning rate changes.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.rmsprop(0.5, decay=0.75)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)
        {'w': Array(0., dtype=float32)}
    """
    scaled = scale_by_stddev if centered else scale_by_rms
    with called(decay="momentum"):
        moved = identity() if momentum is None else trace(momentum, nesterov)
    return chain(
        scaled(decay, eps, initial_scale, eps_in_sqrt, bias_correction),
        scale_by_learning_rate(learning_rate),
        moved,
    )


def adam(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Steps against the gradient's mean over the root of its squares' mean.

        p <- p - learning_rate * mu_hat / (sqrt(nu_hat + eps_root) + eps)

    with the debiased moments of `scale_by_adam`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        mu_dtype: dtype in which the first moment is kept.
        nesterov: whether to look one step ahead (NAdam).

    Returns:
        `chain(scale_by_adam(…), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Kingma and Ba 2014, arXiv 1412.6980. Equal to `torch.optim.Adam` without
    weight decay.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adam(0.5)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)
        {'w': Array(0.5, dtype=float32)}
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_learning_rate(learning_rate),
    )


def adamw(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Hyperparameter = 1e-4,
    mask: Mask | None = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam, with weight decay that is not scaled by the gradient's past.

        p <- p - learning_rate * (mu_hat / (sqrt(nu_hat + eps_root) + eps)
                                  + weight_decay * p)

    with the debiased moments of `scale_by_adam`.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        mu_dtype: dtype in which the first moment is kept.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`; `weights_only` leaves out biases
            and norm scales.
        nesterov: whether to look one step ahead (NAdamW).

    Returns:
        `chain(scale_by_adam(…), add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Loshchilov and Hutter 2017, arXiv 1711.05101. Equal to `torch.optim.AdamW`,
    whose default decay is 0.01.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adamw(0.5, weight_decay=0.1, mask=jl.weights_only)
        >>> params = {"kernel": jnp.array(1.0), "bias": jnp.array(1.0)}
        >>> g = {"kernel": jnp.array(2.0), "bias": jnp.array(2.0)}
        >>> updates, state = tx.update(g, tx.init(params), params)
        >>> jl.apply_updates(params, updates)
        {'bias': Array(0.5, dtype=float32), 'kernel': Array(0.45, dtype=float32)}
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def nadam(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Adam that looks one step ahead: `adam(…, nesterov=True)`.

        mu_hat = b1 * mu / (1 - b1**(t+1)) + (1 - b1) * g / (1 - b1**t)
        p <- p - learning_rate * mu_hat / (sqrt(nu_hat + eps_root) + eps)

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        mu_dtype: dtype in which the first moment is kept.

    Returns:
        The same transformation as `adam(…, nesterov=True)`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Dozat 2016, with a constant `b1`; PyTorch's NAdam warms it up.

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.nadam(0.1) == jl.adam(0.1, nesterov=True)
        True
    """
    return adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov=True)


def nadamw(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
    weight_decay: Hyperparameter = 1e-4,
    mask: Mask | None = None,
) -> GradientTransformation:
    """AdamW that looks one step ahead: `adamw(…, nesterov=True)`.

        mu_hat = b1 * mu / (1 - b1**(t+1)) + (1 - b1) * g / (1 - b1**t)
        p <- p - learning_rate * (mu_hat / (sqrt(nu_hat + eps_root) + eps)
                                  + weight_decay * p)

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0.
        mu_dtype: dtype in which the first moment is kept.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`.

    Returns:
        The same transformation as `adamw(…, nesterov=True)`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Dozat 2016; Loshchilov and Hutter 2017, arXiv 1711.05101.

    Example:
        >>> import jaxopt_lite as jl
        >>> jl.nadamw(0.1) == jl.adamw(0.1, nesterov=True)
        True
    """
    return adamw(
        learning_rate,
        b1,
        b2,
        eps,
        eps_root,
        mu_dtype,
        weight_decay,
        mask,
        nesterov=True,
    )
