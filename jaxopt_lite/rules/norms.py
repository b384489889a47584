"""Gradients measured against the norms of whole arrays."""

from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import abs_sq, ratio, root
from jaxopt_lite.core.ranges import Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Tensor


def sum_of_squares(x: Tensor) -> Tensor:
    """The squared Euclidean norm of an array, of any shape."""
    return jnp.sum(abs_sq(x))


def norm(x: Tensor) -> Tensor:
    """The Euclidean norm of an array, of any shape."""
    return root(sum_of_squares(x))


def rms(x: Tensor) -> Tensor:
    """The root mean square of an array, 0 where it has no elements."""
    return root(sum_of_squares(x) / max(x.size, 1))


class ScaleByTrustRatio(Rule):
    """The ratio of norms."""

    min_norm: Magnitude
    trust_coefficient: Magnitude
    eps: Magnitude
    reads_params = True

    def emit(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Tensor:
        of_p = jnp.maximum(norm(p), self.min_norm)
        of_g = jnp.maximum(norm(g), self.min_norm)
        trust = self.trust_coefficient * ratio(of_p, of_g + self.eps)
        return g * jnp.where((of_p == 0) | (of_g == 0), 1.0, trust)


def scale_by_trust_ratio(
    min_norm: Hyperparameter = 0.0,
    trust_coefficient: Hyperparameter = 1.0,
    eps: Hyperparameter = 0.0,
) -> GradientTransformation:
    """Gives each update the norm of its parameter.

        u = g * trust_coefficient * max(|p|, min_norm) / (max(|g|, min_norm) + eps)

    with Euclidean norms of whole arrays. Where one of the two norms is 0, `u = g`: a
    parameter that is zero could else never move.

    Args:
        min_norm: lower bound of both norms, at least 0.
        trust_coefficient: norm of the update per norm of the parameter, at least 0.
        eps: added to the gradient's norm, at least 0.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: if an argument is negative; from `update`, without parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: You, Gitman and Ginsburg 2017, arXiv 1708.03888; You et al. 2019, arXiv
    1904.00962. Norms are taken in at least float32; Optax's overflow in float16.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_trust_ratio()
        >>> p = jnp.array([0.0, 10.0])
        >>> tx.update(jnp.array([3.0, 4.0]), tx.init(p), p)[0]
        Array([6., 8.], dtype=float32)
    """
    return leafwise(ScaleByTrustRatio(min_norm, trust_coefficient, eps))


class ScaleByParamBlockNorm(Rule):
    """The norm of the parameter."""

    min_scale: Magnitude
    reads_params = True

    def emit(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Tensor:
        return g * jnp.maximum(norm(p), self.min_scale)


def scale_by_param_block_norm(
    min_scale: Hyperparameter = 1e-3,
) -> GradientTransformation:
    """Multiplies each gradient by the Euclidean norm of its parameter.

        u = g * max(|p|, min_scale)

    Args:
        min_scale: smallest factor, at least 0.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: if `min_scale` is negative; from `update`, without parameters.
        TypeError: if it is no number, array, schedule or `by_path`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_param_block_norm()
        >>> p = jnp.array([3.0, 4.0])
        >>> tx.update(jnp.ones(2), tx.init(p), p)[0]
        Array([5., 5.], dtype=float32)
    """
    return leafwise(ScaleByParamBlockNorm(min_scale))


class ScaleByParamBlockRms(Rule):
    """The root mean square of the parameter."""

    min_scale: Magnitude
    reads_params = True

    def emit(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Tensor:
        return g * jnp.maximum(rms(p), self.min_scale)


def scale_by_param_block_rms(
    min_scale: Hyperparameter = 1e-3,
) -> GradientTransformation:
    """Multiplies each gradient by the root mean square of its parameter.

        u = g * max(sqrt(mean |p|**2), min_scale)

    Args:
        min_scale: smallest factor, at least 0.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: if `min_scale` is negative; from `update`, without parameters.
        TypeError: if it is no number, array, schedule or `by_path`.

    Source: Shazeer and Stern 2018, arXiv 1804.04235.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_param_block_rms()
        >>> p = jnp.array([1.0, 7.0])
        >>> tx.update(jnp.ones(2), tx.init(p), p)[0]
        Array([5., 5.], dtype=float32)
    """
    return leafwise(ScaleByParamBlockRms(min_scale))


class Centralize(Rule):
    """The gradient without its mean."""

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        if g.ndim < 2 or not g.size:
            return g
        return g - jnp.mean(g, axis=tuple(range(1, g.ndim)), keepdims=True)


def centralize() -> GradientTransformation:
    """Takes from each gradient its mean over all axes but the first.

        u = g - mean(g over axes 1, 2, …)

    Vectors and scalars stay as they are.

    Returns:
        A transformation with an `EmptyState`.

    Source: Yong et al. 2020, arXiv 2004.01461. The mean is over what feeds into one
    output where the first axis counts outputs, as in PyTorch; in a kernel of Flax that
    is the last. The axes are Optax's.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.centralize()
        >>> g = jnp.array([[1.0, 3.0], [5.0, 6.0]])
        >>> tx.update(g, tx.init(g))[0]
        Array([[-1. ,  1. ],
               [-0.5,  0.5]], dtype=float32)
    """
    return leafwise(Centralize())
