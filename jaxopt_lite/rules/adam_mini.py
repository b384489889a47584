"""Adam with one second moment for each block of a parameter: Adam-mini."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.block_axes import block_axes
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import (
    abs_sq,
    bias_correction,
    moving_mean,
    real,
    root,
)
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Exact,
    Hyperparameter,
    Signed,
    Tensor,
)


class ScaleByAdamMiniState(NamedTuple):
    """How many gradients were seen, their mean, and each block's mean square.

    `nu` has the axes of the parameter, of size 1 where the squares are averaged.
    """

    count: Count  # type: ignore[assignment]
    mu: Signed
    nu: Exact


class BlockMoments(NamedTuple):
    """The first moment of the gradient, and for each block the second."""

    mu: Signed
    nu: Exact


class ScaleByAdamMini(Rule):
    """Adam-mini."""

    b1: Decay
    b2: Decay
    eps: Magnitude
    axes: Any
    Slots = BlockMoments
    State = ScaleByAdamMiniState

    def init(self, p: Tensor) -> BlockMoments:
        blocks = [1 if i in self.axes else n for i, n in enumerate(p.shape)]
        return BlockMoments(jnp.zeros_like(p), jnp.zeros(blocks, real(p.dtype)))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> BlockMoments:
        return BlockMoments(
            mu=moving_mean(slots.mu, g, self.b1),
            nu=moving_mean(slots.nu, self.mean_square(g), self.b2),
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        size = root(slots.nu * (1 / bias_correction(self.b2, step))) + self.eps
        return slots.mu * (1 / (bias_correction(self.b1, step) * size))

    def mean_square(self, x: Tensor) -> Tensor:
        """The mean of squares in each block, 0 where it has no elements."""
        many = math.prod(x.shape[i] for i in self.axes)
        return jnp.sum(abs_sq(x), self.axes, keepdims=True) / max(many, 1)


def scale_by_adam_mini(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    axes: Any = None,
) -> GradientTransformation:
    """Divides the gradient's moving mean by the root of its block's mean square.

        mu <- b1 * mu + (1 - b1) * g
        nu <- b2 * nu + (1 - b2) * mean(|g|**2) over the block
        u   = mu / (1 - b1**t) / (sqrt(nu / (1 - b2**t)) + eps)

    The elements of a parameter that differ only in their places on `axes` are a block.
    These axes are, if not given:

    - all but the last, so that each output unit of a kernel is a block, also of one
      for convolutions;
    - the last of what is named `*embedding`, so that each row of the table is one;
    - the first and the last of `query/kernel` and `key/kernel` with axes (in, heads,
      head_dim), so that each head is one; the first of `value/kernel`;
    - all of vectors, and of what is named `bias`.

    No name tells an axis of stacked layers, or an output axis that comes first: give
    `axes` there.

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: added to the root, at least 0.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.
        axes: `by_path` of the axes over which blocks extend: an integer or a tuple of
            them, negative ones from the end, () for Adam's second moment, None for
            those above.

    Returns:
        A transformation with `ScaleByAdamMiniState(count, mu, nu)`: a slot like the
        parameter, and one number for each block.

    Raises:
        ValueError: if an argument is outside its range; from `init` and `update`, if a
            parameter has not the axes that it is given.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zhang et al. 2024, arXiv 2406.16793. In github.com/zyushun/Adam-mini blocks
    go by PyTorch's names alone; a parameter without one of them is one block, values
    also, and up to 1.1.0 all but queries and keys were, with Adam for embeddings and
    the output layer.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> heads = jl.by_path({"attention/q": (0, 2), "*": None})
        >>> tx = jl.scale_by_adam_mini(axes=heads)
        >>> g = {
        ...     "attention": {"q": jnp.ones((6, 2, 4))},
        ...     "kernel": jnp.array([[1.0, 2.0], [7.0, 2.0]]),
        ... }
        >>> u, state = tx.update(g, tx.init(g))
        >>> u["kernel"].round(1)
        Array([[0.2, 1. ],
               [1.4, 1. ]], dtype=float32)
        >>> state.nu["attention"]["q"].shape, state.nu["kernel"].shape
        ((1, 2, 1), (1, 2))
    """
    return leafwise(
        ScaleByAdamMini(b1, b2, eps, block_axes(axes)),
        keep(mu=mu_dtype),
    )
