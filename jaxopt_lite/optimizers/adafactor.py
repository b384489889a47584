"""The optimizer that keeps one number for each row and column of a matrix."""

import jax.numpy as jnp

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.numbers import called
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter, Mask
from jaxopt_lite.rules.factored import scale_by_factored_rms
from jaxopt_lite.rules.momentum import ema
from jaxopt_lite.rules.norms import scale_by_param_block_rms
from jaxopt_lite.rules.scaling import scale, scale_by_learning_rate
from jaxopt_lite.rules.unitwise import clip_by_block_rms


def adafactor(
    learning_rate: Hyperparameter | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: Hyperparameter = 0.8,
    decay_offset: Hyperparameter = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Hyperparameter | None = 1.0,
    momentum: Hyperparameter | None = None,
    dtype_momentum: DTypeLike | None = jnp.float32,
    weight_decay_rate: Hyperparameter | None = None,
    eps: Hyperparameter = 1e-30,
    factored: bool = True,
    weight_decay_mask: Mask | None = None,
) -> GradientTransformation:
    """Steps against the gradient over the root of its factored mean square.

        u = g / sqrt(v)                           v of scale_by_factored_rms
        u = u / max(1, rms(u) / clipping_threshold)
        p <- p - learning_rate * max(1e-3, rms(p)) * u - weight_decay_rate * p

    Args:
        learning_rate: step size, at least 0, in units of the parameter's root mean
            square; None for 1.
        min_dim_size_to_factor: least size of the two largest axes of a parameter that
            is factored.
        decay_rate: how fast the past gains weight, at least 0.
        decay_offset: the count at which the weights begin anew, such as that of a
            restored state.
        multiply_by_parameter_scale: whether a step is in units of the parameter's root
            mean square.
        clipping_threshold: largest root mean square of the direction; None for none.
        momentum: weight of the past in a mean of the steps, in [0, 1); None for none.
        dtype_momentum: dtype in which that mean is kept; None for the parameter's, at
            least float32.
        weight_decay_rate: decay per step, at least 0; None for none. The learning rate
            does not multiply it.
        eps: added to each square, at least 0.
        factored: whether any parameter is factored.
        weight_decay_mask: which parameters decay, as in `masked`; `weights_only` leaves
            out biases and norm scales.

    Returns:
        `chain(scale_by_factored_rms(…), clip_by_block_rms(…),
        scale_by_learning_rate(…), scale_by_param_block_rms(), ema(…),
        add_decayed_weights(…), scale(-1))`, without those that are None.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Shazeer and Stern 2018, arXiv 1804.04235, whose step size is
    `min(1e-2, 1 / sqrt(t))`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adafactor(0.5)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)
        {'w': Array(0.5, dtype=float32)}
    """
    with called(step_offset="decay_offset", epsilon="eps"):
        parts = [
            scale_by_factored_rms(
                factored, decay_rate, decay_offset, min_dim_size_to_factor, eps
            )
        ]
    if clipping_threshold is not None:
        with called(threshold="clipping_threshold"):
            parts.append(clip_by_block_rms(clipping_threshold))
    if learning_rate is not None:
        parts.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        parts.append(scale_by_param_block_rms())
    if momentum is not None:
        with called(decay="momentum"):
            parts.append(ema(momentum, debias=False, accumulator_dtype=dtype_momentum))
    if weight_decay_rate is not None:
        with called(weight_decay="weight_decay_rate"):
            parts.append(add_decayed_weights(weight_decay_rate, weight_decay_mask))
    return chain(*parts, scale(-1))
