"""Bounds on the gradients of whole arrays, and of the units within them."""

from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import abs_sq, root
from jaxopt_lite.core.ranges import Bound, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Numeric, Tensor
from jaxopt_lite.rules.norms import rms


class ClipByBlockRms(Rule):
    """Each array scaled down where its root mean square is too large."""

    threshold: Bound

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return clipped_by_rms(g, self.threshold)


def clipped_by_rms(x: Tensor, threshold: Numeric) -> Tensor:
    """An array scaled down so that its root mean square stays bounded."""
    found = rms(x)
    share = threshold / jnp.where(found == 0, 1.0, found)
    return x * jnp.where(found == 0, 1.0, jnp.minimum(1.0, share))


def clip_by_block_rms(threshold: Hyperparameter) -> GradientTransformation:
    """Scales each gradient down so that its root mean square stays bounded.

        u = g * min(1, threshold / sqrt(mean |g|**2))

    Args:
        threshold: largest root mean square of one array, at least 0; infinity for no
            bound.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: if `threshold` is negative.
        TypeError: if it is no number, array, schedule or `by_path`.

    Source: Shazeer and Stern 2018, arXiv 1804.04235. A zero gradient stays zero also
    with `threshold=0`, where Optax returns nan.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.clip_by_block_rms(1.0)
        >>> tx.update(jnp.array([1.0, 7.0]), tx.init(jnp.zeros(2)))[0]
        Array([0.2, 1.4], dtype=float32)
    """
    return leafwise(ClipByBlockRms(threshold))


class AdaptiveGradClip(Rule):
    """The units of an array, each bounded by that of the parameter."""

    clipping: Bound
    eps: Magnitude
    axis: int | tuple[int, ...] | None
    reads_params = True

    def emit(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Tensor:
        bound = self.clipping * jnp.maximum(unitwise_norm(p, self.axis), self.eps)
        return unitwise_clip(unitwise_norm(g, self.axis), bound, g)


def adaptive_grad_clip(
    clipping: Hyperparameter,
    eps: Hyperparameter = 1e-3,
    axis: int | tuple[int, ...] | None = None,
) -> GradientTransformation:
    """Clips the gradient of each unit to a fraction of the norm of its weights.

        u = g * min(1, clipping * max(|p|, eps) / |g|)

    with the norms of `unitwise_norm`.

    Args:
        clipping: largest norm of a unit's gradient per norm of its weights, at least 0.
        eps: lower bound of the norm of the weights, at least 0, so that zeros can move.
        axis: the axes to sum over, as in `unitwise_norm`.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: if an argument is negative; from `update`, without parameters, or
            where an array has more than five axes and `axis` is not given.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Brock, De, Smith and Simonyan 2021, arXiv 2102.06171.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.adaptive_grad_clip(0.1)
        >>> p = jnp.array([[10.0, 0.0], [0.0, 10.0]])
        >>> g = jnp.array([[3.0, 0.3], [4.0, 0.4]])
        >>> tx.update(g, tx.init(p), p)[0]
        Array([[0.6, 0.3],
               [0.8, 0.4]], dtype=float32)
    """
    return leafwise(AdaptiveGradClip(clipping, eps, axis))


# The axes that lead into one unit, by how many axes there are: linear layers, linear
# layers of several heads, convolutions of images, of volumes.
_AXES = {2: (0,), 3: (0,), 4: (0, 1, 2), 5: (0, 1, 2, 3)}


def unitwise_norm(x: Tensor, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """The Euclidean norm of the weights of each unit, at each of these weights.

    Args:
        x: an array.
        axis: the axes to sum over. By default all but the last in the kernels of linear
            layers (two axes) and convolutions (four or five); the first where there are
            three; all of a vector, also of one that has axes of length 1.

    Returns:
        A real array in the shape of `x`.

    Raises:
        ValueError: if `x` has more than five axes and `axis` is not given.

    Source: Brock, De, Smith and Simonyan 2021, arXiv 2102.06171.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> jl.unitwise_norm(jnp.array([[3.0, 0.0], [4.0, 1.0]]))
        Array([[5., 1.],
               [5., 1.]], dtype=float32)
    """
    x = jnp.asarray(x)
    axes = _unit_axes(x) if axis is None else axis
    return jnp.broadcast_to(root(jnp.sum(abs_sq(x), axis=axes, keepdims=True)), x.shape)


def _unit_axes(x: Tensor) -> tuple[int, ...] | None:
    if sum(n != 1 for n in x.shape) < 2:
        return None
    if x.ndim not in _AXES:
        raise ValueError(
            f"unitwise_norm: found {checks.describe(x)}; expected at most five axes. "
            f"Say by `axis` which of them to sum over."
        )
    return _AXES[x.ndim]


def unitwise_clip(
    g_norm: Tensor, max_norm: Tensor, grad: Tensor, div_eps: Numeric = 1e-6
) -> Tensor:
    """Scales a gradient down where its norm is not below a bound.

        grad * max_norm / max(g_norm, div_eps)  where g_norm >= max_norm, else grad

    Args:
        g_norm: the norm at each element, as `unitwise_norm` gives it.
        max_norm: the bound at each element.
        grad: the gradient.
        div_eps: smallest norm to divide by, above 0.

    Returns:
        The clipped gradient.

    Raises:
        ValueError: if the three differ in shape.

    Source: Brock, De, Smith and Simonyan 2021, arXiv 2102.06171.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> g = jnp.array([3.0, 4.0])
        >>> jl.unitwise_clip(jl.unitwise_norm(g), jnp.ones(2), g)
        Array([0.6, 0.8], dtype=float32)
    """
    shapes = [jnp.shape(x) for x in (g_norm, max_norm, grad)]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"unitwise_clip: found shapes {shapes} of g_norm, max_norm and grad; "
            f"expected one shape."
        )
    factor = max_norm / jnp.maximum(g_norm, div_eps)
    return grad * jnp.where(g_norm < max_norm, 1.0, factor)
