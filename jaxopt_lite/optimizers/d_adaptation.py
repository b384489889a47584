"""Optimizers whose step size is estimated from how well the gradients agree."""

from typing import Any

from jaxopt_lite.combine.decay import Decays
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import DECAY, whole_tree_number
from jaxopt_lite.core.selectors import as_selector
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Mask
from jaxopt_lite.rules.dadapt import DAdaptAdamW
from jaxopt_lite.rules.prodigy import Prodigy


def prodigy(
    learning_rate: Hyperparameter = 1.0,
    betas: tuple[Hyperparameter, Hyperparameter] = (0.9, 0.999),
    beta3: Hyperparameter | None = None,
    eps: Hyperparameter = 1e-8,
    estim_lr0: Hyperparameter = 1e-6,
    estim_lr_coef: Hyperparameter = 1.0,
    weight_decay: Hyperparameter = 0.0,
    safeguard_warmup: bool = False,
    weight_decay_mask: Mask | None = None,
) -> GradientTransformation:
    """AdamW whose step size is an estimate of the distance to the solution.

        rate = d * learning_rate * sqrt(1 - b2**t) / (1 - b1**t)
        r <- b3 * r + d / d0 * rate * <g, p0 - p>
        s <- b3 * s + d / d0 * rate * g
        m <- b1 * m + (1 - b1) * d * g;  v <- b2 * v + (1 - b2) * |d * g|**2
        d' = max(d, estim_lr_coef * r / ||s||_1)
        p <- p - rate * (m / (sqrt(v) + d' * eps) + weight_decay * p)

    with the sums of the whole tree; `d` begins at `d0 = estim_lr0`, and `p0` is where
    the parameters began.

    Args:
        learning_rate: a factor of the step size, at least 0, best a schedule that
            peaks at 1.
        betas: weights of the past mean and mean square, per step, in [0, 1).
        beta3: weight of past gradients in the estimate, in [0, 1); if None, the root
            of the second beta.
        eps: added to the root, in units of the estimate, at least 0.
        estim_lr0: the first estimate, above 0; better too small than too large.
        estim_lr_coef: a factor of the estimate, at least 0.
        weight_decay: decay per unit of step size, at least 0.
        safeguard_warmup: whether `s` is weighted with `d` in place of `rate`, so that
            a small first rate does not make the estimate large.
        weight_decay_mask: which parameters decay, as in `masked`.

    Returns:
        A transformation with `ProdigyState(exp_avg, exp_avg_sq, grad_sum, params0,
        estim_lr, numerator_weighted, count)`, four slots like the parameter; `estim_lr`
        is the estimate.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if a number but `eps` and `weight_decay` is `by_path`, or one is no
            number, array or schedule.

    Source: Mishchenko and Defazio 2023, arXiv 2306.06101. As in Optax, Adam's bias
    corrections are always on. Where all gradients, or all rates of a warm-up, were 0 so
    far, the estimate stays; Optax returns nan then. `weight_decay_mask` is newer than
    Optax 0.2.8.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.prodigy(estim_lr0=0.5)
        >>> p = jnp.array([1.0, 1.0])
        >>> tx.update(jnp.array([2.0, -3.0]), tx.init(p), p)[0].round(3)
        Array([-0.5,  0.5], dtype=float32)
    """
    b1, b2 = _pair(betas)
    mask = weight_decay_mask
    return leafwise(
        Prodigy(
            learning_rate,
            b1,
            b2,
            None if beta3 is None else whole_tree_number("beta3", beta3, DECAY),
            eps,
            estim_lr0,
            estim_lr_coef,
            weight_decay,
            True if mask is None else Decays(as_selector(mask)),
            safeguard_warmup,
        )
    )


def dadapt_adamw(
    learning_rate: Hyperparameter = 1.0,
    betas: tuple[Hyperparameter, Hyperparameter] = (0.9, 0.999),
    eps: Hyperparameter = 1e-8,
    estim_lr0: Hyperparameter = 1e-6,
    weight_decay: Hyperparameter = 0.0,
) -> GradientTransformation:
    """AdamW whose step size is estimated from how well the gradients agree.

        rate = d * learning_rate * sqrt(1 - b2**t) / (1 - b1**t);  c = sqrt(b2)
        r <- c * r + (1 - c) * rate * <g, s / (sqrt(v) + eps)>
        s <- c * s + (1 - c) * rate * g
        m <- b1 * m + (1 - b1) * rate * g;  v <- b2 * v + (1 - b2) * |g|**2
        d <- max(d, r / ((1 - c) * ||s||_1))
        p <- p - m / (sqrt(v) + eps) - weight_decay * rate * p

    with the sums of the whole tree; `d` begins at `estim_lr0`.

    Args:
        learning_rate: a factor of the step size, at least 0, best a schedule that
            peaks at 1.
        betas: weights of the past mean and mean square, per step, in [0, 1).
        eps: added to the root, above 0.
        estim_lr0: the first estimate, above 0; better too small than too large.
        weight_decay: decay per unit of step size, at least 0.

    Returns:
        A transformation with `DAdaptAdamWState(exp_avg, exp_avg_sq, grad_sum, estim_lr,
        numerator_weighted, count)`, three slots like the parameter; `estim_lr` is the
        estimate.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if a number but `eps` and `weight_decay` is `by_path`, or one is no
            number, array or schedule.

    Source: Defazio and Mishchenko 2023, arXiv 2301.07733. As in Optax, Adam's bias
    corrections are always on. Where all gradients, or all rates of a warm-up, were 0 so
    far, the estimate stays; Optax returns nan from then on.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.dadapt_adamw(estim_lr0=0.5)
        >>> p = jnp.array([1.0, 1.0])
        >>> tx.update(jnp.array([2.0, -3.0]), tx.init(p), p)[0].round(3)
        Array([-0.5,  0.5], dtype=float32)
    """
    b1, b2 = _pair(betas)
    return leafwise(DAdaptAdamW(learning_rate, b1, b2, eps, estim_lr0, weight_decay))


def _pair(betas: Any) -> tuple[Any, Any]:
    """Adam's two betas, checked."""
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ValueError(f"betas is {betas!r}; expected two numbers in {DECAY}.")
    b1, b2 = betas
    return (
        whole_tree_number("betas[0]", b1, DECAY),
        whole_tree_number("betas[1]", b2, DECAY),
    )
