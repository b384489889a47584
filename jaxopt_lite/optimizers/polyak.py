"""Optimizers whose step size comes from how far the loss is above its minimum."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import DECAY, whole_tree_number
from jaxopt_lite.core.transformation import GradientTransformation, identity
from jaxopt_lite.core.types import Hyperparameter
from jaxopt_lite.rules.momo import Momo, MomoAdam
from jaxopt_lite.rules.polyak import PolyakStep, is_clipped


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
    rule = PolyakStep(f_min, max_learning_rate, eps, is_clipped(variant), scaling)
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
