"""Optimizers that follow the sign of the gradient: signSGD, Signum, Rprop."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.core.numbers import called
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter
from jaxopt_lite.rules.momentum import ema
from jaxopt_lite.rules.scaling import scale, scale_by_learning_rate
from jaxopt_lite.rules.sign import scale_by_rprop, scale_by_sign


def sign_sgd(learning_rate: Hyperparameter) -> GradientTransformation:
    """Steps of one size against the sign of the gradient.

        p <- p - learning_rate * sign(g)

    Args:
        learning_rate: step size in units of the parameter, at least 0: a number, an
            array, a schedule or `by_path`.

    Returns:
        `chain(scale_by_sign(), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if the learning rate is negative.
        TypeError: if it is none of these.

    Source: Bernstein et al. 2018, arXiv 1802.04434.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.sign_sgd(0.5)
        >>> tx.update(jnp.array([-3.0, 0.1]), tx.init(jnp.zeros(2)))[0]
        Array([ 0.5, -0.5], dtype=float32)
    """
    return chain(scale_by_sign(), scale_by_learning_rate(learning_rate))


def signum(
    learning_rate: Hyperparameter,
    beta: Hyperparameter = 0.9,
    accumulator_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Steps of one size against the sign of the gradient's moving mean.

        ema <- beta * ema + (1 - beta) * g
        p <- p - learning_rate * sign(ema)

    Args:
        learning_rate: step size in units of the parameter, at least 0.
        beta: weight of the past mean, per step, in [0, 1).
        accumulator_dtype: dtype in which the mean is kept; by default the parameter's,
            at least float32.

    Returns:
        `chain(ema(beta, debias=False), scale_by_sign(),
        scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Bernstein et al. 2018, arXiv 1802.04434.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.signum(0.5)
        >>> tx.update(jnp.array([-3.0, 0.1]), tx.init(jnp.zeros(2)))[0]
        Array([ 0.5, -0.5], dtype=float32)
    """
    with called(decay="beta"):
        mean = ema(beta, debias=False, accumulator_dtype=accumulator_dtype)
    return chain(
        mean,
        scale_by_sign(),
        scale_by_learning_rate(learning_rate),
    )


def rprop(
    learning_rate: Hyperparameter,
    eta_minus: Hyperparameter = 0.5,
    eta_plus: Hyperparameter = 1.2,
    min_step_size: Hyperparameter = 1e-6,
    max_step_size: Hyperparameter = 50.0,
) -> GradientTransformation:
    """Steps against the gradient's sign, longer while it stays, shorter once it turns.

        p <- p - step_sizes * sign(g)         (no step where the sign has turned)

    with the step sizes of `scale_by_rprop`, one for each element. It wants gradients
    without noise, of all examples.

    Args:
        learning_rate: the step size to begin with, in units of the parameter, at least
            0; of a schedule only the first value counts.
        eta_minus: factor of the step size where the sign has turned, in (0, 1).
        eta_plus: factor of the step size where it has stayed, at least 1.
        min_step_size: smallest step size, at least 0.
        max_step_size: largest step size, at least 0; infinity for no bound.

    Returns:
        `chain(scale_by_rprop(…), scale(-1))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Riedmiller and Braun 1993; Igel and Hüsken 2003. Equal to
    `torch.optim.Rprop`; Optax is one step late.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.rprop(0.5)
        >>> tx.update(jnp.array([-3.0, 0.1]), tx.init(jnp.zeros(2)))[0]
        Array([ 0.5, -0.5], dtype=float32)
    """
    return chain(
        scale_by_rprop(
            learning_rate, eta_minus, eta_plus, min_step_size, max_step_size
        ),
        scale(-1.0),
    )
