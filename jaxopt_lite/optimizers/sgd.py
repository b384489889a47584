"""Stochastic gradient descent."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.core.numbers import called
from jaxopt_lite.core.transformation import GradientTransformation, identity
from jaxopt_lite.core.types import (
    DTypeLike,
    Hyperparameter,
)
from jaxopt_lite.rules.momentum import trace
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def sgd(
    learning_rate: Hyperparameter,
    momentum: Hyperparameter | None = None,
    nesterov: bool = False,
    accumulator_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Steps against the gradient, or against the trace of past gradients.

        p     <- p - learning_rate * g

        trace <- g + momentum * trace
        p     <- p - learning_rate * trace                      with momentum
        p     <- p - learning_rate * (g + momentum * trace)     with nesterov

    Args:
        learning_rate: step size, at least 0: a number, an array, a schedule or
            `by_path`.
        momentum: weight of the past, per step, in [0, 1]; None for none, 0.9 is usual.
        nesterov: whether the momentum looks one step ahead.
        accumulator_dtype: dtype in which the trace is kept.

    Returns:
        `chain(trace(momentum) or identity(), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if an argument is of no such kind.

    Source: Robbins and Monro 1951; with momentum Polyak 1964, Sutskever et al. 2013.
    Equal to `torch.optim.SGD(params, lr, momentum, nesterov=nesterov)`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.sgd(0.1, momentum=0.9)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)
        {'w': Array(0.8, dtype=float32)}
    """
    step = scale_by_learning_rate(learning_rate)
    if momentum is None:
        return chain(identity(), step)
    with called(decay="momentum"):
        return chain(trace(momentum, nesterov, accumulator_dtype), step)
