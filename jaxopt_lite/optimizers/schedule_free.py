"""Optimizers that average in place of a schedule."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.combine.schedule_free import schedule_free
from jaxopt_lite.core.numbers import called
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter, Numeric
from jaxopt_lite.optimizers.sgd import sgd
from jaxopt_lite.rules.rms import scale_by_rms
from jaxopt_lite.rules.scaling import scale_by_learning_rate
from jaxopt_lite.schedules.curves import linear_schedule


def schedule_free_sgd(
    learning_rate: Numeric = 1.0,
    warmup_steps: int | None = None,
    b1: Numeric = 0.9,
    weight_decay: Hyperparameter | None = None,
    weight_lr_power: Hyperparameter = 2.0,
    state_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Gradient descent whose parameters are averaged in place of a schedule.

        z <- z - rate * (g + weight_decay * y);  x, y as in `schedule_free`

    Args:
        learning_rate: the rate after the warm-up, at least 0.
        warmup_steps: over how many steps the rate rises from 0; None for none.
        b1: how near the trained parameters are to the average, in (0, 1].
        weight_decay: at least 0; None for none.
        weight_lr_power: the power of the largest rate in the average's weights.
        state_dtype: dtype in which `z` is kept.

    Returns:
        `schedule_free(chain(add_decayed_weights(…), sgd(rate)), rate, …)`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number of its kind.

    Source: Defazio et al. 2024, arXiv 2405.15682.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.schedule_free_sgd(0.5)
        >>> p = jnp.array(2.0)
        >>> tx.update(jnp.array(2.0), tx.init(p), p)[0]
        Array(-1., dtype=float32)
    """
    rate = _rate(learning_rate, warmup_steps)
    base = sgd(rate)
    if weight_decay is not None:
        base = chain(add_decayed_weights(weight_decay), base)
    return schedule_free(base, rate, b1, weight_lr_power, state_dtype)


def schedule_free_adamw(
    learning_rate: Numeric = 0.0025,
    warmup_steps: int | None = None,
    b1: Numeric = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.0,
    weight_lr_power: Hyperparameter = 2.0,
    state_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """AdamW whose parameters are averaged in place of a schedule and of its momentum.

        nu <- b2 * nu + (1 - b2) * |g|**2
        z  <- z - rate * (g / (sqrt(nu / (1 - b2**t)) + eps) + weight_decay * y)
        x, y as in `schedule_free`

    Args:
        learning_rate: the rate after the warm-up, at least 0.
        warmup_steps: over how many steps the rate rises from 0; None for none.
        b1: how near the trained parameters are to the average, in (0, 1].
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        weight_decay: at least 0.
        weight_lr_power: the power of the largest rate in the average's weights.
        state_dtype: dtype in which `z` is kept.

    Returns:
        `schedule_free(chain(scale_by_rms(…), add_decayed_weights(…),
        scale_by_learning_rate(rate)), rate, …)`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number of its kind.

    Source: Defazio et al. 2024, arXiv 2405.15682.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.schedule_free_adamw(0.5)
        >>> p = jnp.array(2.0)
        >>> tx.update(jnp.array(3.0), tx.init(p), p)[0]
        Array(-0.5, dtype=float32)
    """
    rate = _rate(learning_rate, warmup_steps)
    with called(decay="b2"):
        scaled = scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True)
    base = chain(
        scaled,
        add_decayed_weights(weight_decay),
        scale_by_learning_rate(rate),
    )
    return schedule_free(base, rate, b1, weight_lr_power, state_dtype)


def _rate(learning_rate: Numeric, warmup_steps: int | None) -> Hyperparameter:
    """The rate, after a rise from 0 where one is wanted."""
    if warmup_steps is None:
        return learning_rate
    return linear_schedule(0.0, learning_rate, warmup_steps)
