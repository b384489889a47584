"""Gradient descent with noise: for exploration, and for privacy."""

from typing import Any

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.noise import add_noise
from jaxopt_lite.combine.privacy import differentially_private_aggregate
from jaxopt_lite.core.numbers import called
from jaxopt_lite.core.transformation import GradientTransformation, identity
from jaxopt_lite.core.types import Hyperparameter, Numeric
from jaxopt_lite.rules.momentum import trace
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def noisy_sgd(
    learning_rate: Hyperparameter,
    eta: Hyperparameter = 0.01,
    gamma: Hyperparameter = 0.55,
    key: Any = None,
    *,
    seed: int | None = None,
) -> GradientTransformation:
    """Steps against the gradient and noise whose variance falls with the steps.

        p <- p - learning_rate * (g + sqrt(eta / t**gamma) * z),  z ~ N(0, 1)

    Args:
        learning_rate: step size, at least 0.
        eta: variance of the noise at the first step, at least 0.
        gamma: how fast the variance falls, at least 0.
        key: a key of `jax.random`, or an integer to make one of; None is 0.
        seed: the same, under the name that Optax deprecates.

    Returns:
        `chain(add_noise(…), scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if a number is negative, or if both `key` and `seed` are given.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Neelakantan et al. 2015, arXiv 1511.06807.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.noisy_sgd(1.0, eta=0.0)
        >>> g = jnp.array([2.0])
        >>> tx.update(g, tx.init(g))[0]
        Array([-2.], dtype=float32)
    """
    return chain(
        add_noise(eta, gamma, key, seed=seed), scale_by_learning_rate(learning_rate)
    )


def dpsgd(
    learning_rate: Hyperparameter,
    l2_norm_clip: Numeric,
    noise_multiplier: Numeric,
    seed: Any = None,
    momentum: Hyperparameter | None = None,
    nesterov: bool = False,
    *,
    key: Any = None,
) -> GradientTransformation:
    """Steps against a differentially private mean of the gradients of single examples.

        p <- p - learning_rate * u,  u as in `differentially_private_aggregate`

    It takes gradients with the examples along axis 0.

    Args:
        learning_rate: step size, at least 0.
        l2_norm_clip: largest norm of the gradient of one example, at least 0.
        noise_multiplier: standard deviation of the noise over `l2_norm_clip`, at
            least 0.
        seed: a key of `jax.random`, or an integer to make one of.
        momentum: weight of the past in a trace of `u`; None for none.
        nesterov: whether that trace looks one step ahead.
        key: the same as `seed`, under the name that Optax changes to.

    Returns:
        `chain(differentially_private_aggregate(…), trace(momentum) or identity(),
        scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range, or both `key` and `seed` are
            given.
        TypeError: if one is no number of its kind, or if there is neither `key` nor
            `seed`.

    Source: Abadi et al. 2016, arXiv 1607.00133.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.dpsgd(1.0, l2_norm_clip=1.0, noise_multiplier=0.0, seed=0)
        >>> tx.update(jnp.array([[8.0, 0.0], [0.0, 0.5]]), tx.init(jnp.zeros(2)))[0]
        Array([-0.5 , -0.25], dtype=float32)
    """
    with called(decay="momentum"):
        moved = identity() if momentum is None else trace(momentum, nesterov)
    return chain(
        differentially_private_aggregate(
            l2_norm_clip, noise_multiplier, key, seed=seed
        ),
        moved,
        scale_by_learning_rate(learning_rate),
    )
