"""Optimizers that look at the Hessian."""

from typing import Any

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.combine.sophia import scale_by_sophia
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter, Mask
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def sophia(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.965,
    b2: Hyperparameter = 0.99,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 1e-4,
    weight_decay_mask: Mask | None = None,
    gamma: Hyperparameter = 0.01,
    clip_threshold: Hyperparameter | None = 1.0,
    update_interval: int = 10,
    hessian_diagonal_fn: Any = None,
    mu_dtype: DTypeLike | None = None,
    verbose: bool = False,
    print_win_rate_every_n_steps: int = 0,
) -> GradientTransformation:
    """Takes clipped Newton steps with a diagonal Hessian, and decays the weights.

        p <- p - learning_rate * (u + weight_decay * p),  u as in `scale_by_sophia`

    Call `update(updates, state, params, obj_fn=loss)`, the loss as a function of the
    parameters on the batch at hand.

    Args:
        learning_rate: step size, at least 0.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past curvature, per estimate, in [0, 1).
        eps: least denominator, at least 0.
        weight_decay: at least 0.
        weight_decay_mask: which parameters decay, as in `masked`.
        gamma: factor of the curvature, at least 0.
        clip_threshold: largest magnitude of an element, at least 0; None for none.
        update_interval: every how many steps the Hessian is estimated, at least 1.
        hessian_diagonal_fn: a transformation whose updates are the estimate.
        mu_dtype: dtype in which `mu` is kept.
        verbose: whether to print which share of the steps was not clipped.
        print_win_rate_every_n_steps: every how many steps; 0 for none.

    Returns:
        `chain(scale_by_sophia(…), add_decayed_weights(…), scale_by_learning_rate(…))`.

    Raises:
        ValueError: if an argument is outside its range; from `update`, if the estimator
            misses something.
        TypeError: if an argument is no number of its kind, or no transformation.

    Source: Liu et al. 2023, arXiv 2305.14342.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.sophia(0.5, weight_decay=0.0)
        >>> p = jnp.array([1.0, -2.0])
        >>> tx.update(2 * p, tx.init(p), p, obj_fn=lambda p: jnp.sum(p**2))[0]
        Array([-0.5,  0.5], dtype=float32)
    """
    return chain(
        scale_by_sophia(
            b1,
            b2,
            eps,
            gamma,
            clip_threshold,
            update_interval,
            hessian_diagonal_fn,
            mu_dtype,
            verbose,
            print_win_rate_every_n_steps,
        ),
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
