"""Optimizers that estimate their step size, from the way so far or from the loss."""

from typing import Any

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import Decays, add_decayed_weights
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import DECAY, whole_tree_number
from jaxopt_lite.core.selectors import as_selector
from jaxopt_lite.core.transformation import GradientTransformation, identity
from jaxopt_lite.core.types import Hyperparameter, Mask
from jaxopt_lite.rules.dadapt import DAdaptAdamW
from jaxopt_lite.rules.dog import scale_by_dog, scale_by_dowg
from jaxopt_lite.rules.momo import Momo, MomoAdam
from jaxopt_lite.rules.polyak import PolyakStep, polyak_numbers
from jaxopt_lite.rules.prodigy import Prodigy
from jaxopt_lite.rules.scaling import scale_by_learning_rate

POSITIVE = "(0, inf)"


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


def polyak_sgd(
    max_learning_rate: Hyperparameter = 1.0,
    scaling: Hyperparameter = 1.0,
    f_min: Hyperparameter = 0.0,
    eps: Hyperparameter = 0.0,
    variant: str = "sps",
) -> GradientTransformation:
    """Gradient descent by the step that would bring a linear loss to its minimum.

        p <- p - scaling * g * min((value - f_min) / (||g||**2 + eps),
                                   max_learning_rate)

    Args:
        max_learning_rate: the largest step size before scaling, at least 0.
        scaling: a factor of the step size, at least 0; also `by_path`.
        f_min: what the loss is at its minimum, or a bound below.
        eps: added to the squared norm, at least 0.
        variant: "sps", or "sps+" for no step where the loss is below `f_min`.

    Returns:
        A transformation with the state of `chain(sgd(scaling), scale_by_polyak(…))`,
        whose `update` needs the keyword `value`, the loss.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number of its kind; from `update`, without `value`.

    Source: Loizou et al. 2020, arXiv 2002.10542; see `scale_by_polyak`. Optax scales
    the gradient before it measures it, so that half the scaling makes twice the step.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.polyak_sgd()
        >>> p = {"w": jnp.array(3.0)}
        >>> tx.update({"w": jnp.array(6.0)}, tx.init(p), p, value=9.0)[0]
        {'w': Array(-1.5, dtype=float32)}
    """
    numbers = polyak_numbers(f_min, max_learning_rate, eps, variant)
    rule = PolyakStep(*numbers, scaling)
    # One rule does it, in a state laid out as Optax's two.
    return chain(chain(identity(), leafwise(rule)), identity())


def momo(
    learning_rate: Hyperparameter = 1.0,
    beta: Hyperparameter = 0.9,
    lower_bound: Hyperparameter = 0.0,
    weight_decay: Hyperparameter = 0.0,
    adapt_lower_bound: bool = False,
) -> GradientTransformation:
    """Momentum whose step ends where a model of the loss reaches its lower bound.

        m <- beta * m + (1 - beta) * g, and means f of `value` and c of <g, p> likewise,
        each beginning at its first value
        k    = 1 + learning_rate * weight_decay
        rate = min(learning_rate, max(k * (f - lower_bound - c) + <m, p>, 0) / ||m||**2)
        p <- (p - rate * m) / k

    with the sums of the whole tree.

    Args:
        learning_rate: the largest step size, at least 0.
        beta: weight of the past in the means, per step, in [0, 1).
        lower_bound: what the loss does not fall below.
        weight_decay: decay per unit of learning rate, at least 0.
        adapt_lower_bound: whether the lower bound is estimated on the way, from
            `lower_bound` up.

    Returns:
        A transformation with `MomoState(exp_avg, barf, gamma, lb, count)`, one slot
        like the parameter, whose `update` needs the keyword `value`, the loss.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if one is `by_path`, or no number, array or schedule; from `update`,
            without `value`.

    Source: Schaipp et al. 2023, arXiv 2305.07583. Optax forms `p / k - rate * m`, which
    overshoots: `rate` is the one at which the step above reaches the bound. Optax takes
    no step where `||m||` is below 1.5e-8.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.momo()
        >>> p = {"w": jnp.array(3.0)}
        >>> tx.update({"w": jnp.array(6.0)}, tx.init(p), p, value=9.0)[0]
        {'w': Array(-1.5, dtype=float32)}
    """
    return leafwise(
        Momo(
            learning_rate,
            whole_tree_number("beta", beta, DECAY),
            lower_bound,
            weight_decay,
            adapt_lower_bound,
        )
    )


def momo_adam(
    learning_rate: Hyperparameter = 1e-2,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    lower_bound: Hyperparameter = 0.0,
    weight_decay: Hyperparameter = 0.0,
    adapt_lower_bound: bool = False,
) -> GradientTransformation:
    """Adam whose step ends where a model of the loss reaches its lower bound.

        m <- b1 * m + (1 - b1) * g, and means f of `value` and c of <g, p> likewise
        v <- b2 * v + (1 - b2) * |g|**2
        w    = 1 - b1**t;  k = 1 + learning_rate * weight_decay
        D    = sqrt(v / (1 - b2**t)) + eps
        rate = min(learning_rate / w,
                   max(k * (f - w * lower_bound - c) + <m, p>, 0) / <m, m / D>)
        p <- (p - rate * m / D) / k

    with the sums of the whole tree.

    Args:
        learning_rate: the largest step size, at least 0.
        b1: weight of the past in the means, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        lower_bound: what the loss does not fall below.
        weight_decay: decay per unit of learning rate, at least 0.
        adapt_lower_bound: whether the lower bound is estimated on the way, from
            `lower_bound` up.

    Returns:
        A transformation with `MomoAdamState(exp_avg, exp_avg_sq, barf, gamma, lb,
        count)`, two slots like the parameter, whose `update` needs the keyword `value`,
        the loss.

    Raises:
        ValueError: if an argument is outside its range; from `update`, without
            parameters.
        TypeError: if a number but `b2` and `eps` is `by_path`, or one is no number,
            array or schedule; from `update`, without `value`.

    Source: Schaipp et al. 2023, arXiv 2305.07583; as in `momo`, Optax overshoots with
    weight decay.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.momo_adam()
        >>> p = {"w": jnp.array(3.0)}
        >>> tx.update({"w": jnp.array(6.0)}, tx.init(p), p, value=9.0)[0]
        {'w': Array(-0.01, dtype=float32)}
    """
    return leafwise(
        MomoAdam(
            learning_rate, b1, lower_bound, weight_decay, adapt_lower_bound, b2, eps
        )
    )
