"""The step size of Polyak: how far the loss is above its minimum."""

from typing import Annotated, Any

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import UNIT
from jaxopt_lite.core.ranges import WHOLE_TREE, Bound, FiniteNumber, Magnitude
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Tensor
from jaxopt_lite.rules.global_norm import GlobalNormRule

VARIANTS = ("sps", "sps+")


class ScaleByPolyak(GlobalNormRule):
    """Polyak's step size; `is_clipped` says whether it may not be negative."""

    f_min: Annotated[FiniteNumber, WHOLE_TREE]
    max_learning_rate: Annotated[Bound, WHOLE_TREE]
    eps: Annotated[Magnitude, WHOLE_TREE]
    is_clipped: bool

    def settle(self, shared: Any, total: Tensor, step: Any, *, value: Any) -> Tensor:
        gap = jnp.asarray(value, total.dtype) - self.f_min
        if self.is_clipped:
            gap = jnp.maximum(gap, 0.0)
        # In units, a square that float32 could not hold is none.
        size = total + self.eps / UNIT**2
        found = gap / UNIT**2 / jnp.where(size == 0, 1.0, size)
        return jnp.where(size == 0, 0.0, jnp.minimum(found, self.max_learning_rate))


class PolyakStep(ScaleByPolyak):
    """A step downhill of Polyak's size, scaled."""

    scaling: Magnitude

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any, *, shared: Any) -> Tensor:
        return g * (-self.scaling * shared)


def scale_by_polyak(
    f_min: Hyperparameter = 0.0,
    max_learning_rate: Hyperparameter = 1.0,
    eps: Hyperparameter = 0.0,
    variant: str = "sps",
) -> GradientTransformation:
    """Multiplies gradients by the step that would bring a linear loss to its minimum.

        u = g * min((value - f_min) / (||g||**2 + eps), max_learning_rate)

    with the norm of the whole tree. A zero gradient stays zero.

    Args:
        f_min: what the loss is at its minimum, or a bound below.
        max_learning_rate: the largest factor, at least 0.
        eps: added to the squared norm, at least 0.
        variant: "sps", or "sps+" for no step where the loss is below `f_min`; "sps"
            then steps uphill.

    Returns:
        A transformation with an `EmptyState`, whose `update` needs the keyword
        `value`, the loss; with a schedule `ScaleByScheduleState`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if a number is `by_path`, or no number, array or schedule; from
            `update`, without `value`.

    Source: Loizou et al. 2020, arXiv 2002.10542; "sps+" Garrigos, Gower and Schaipp
    2023, arXiv 2307.14528. The norm is measured in at least float32 and right from
    1e-12 to 1e20; Optax's factor is 0 where the norm is below 1.5e-8.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_polyak(max_learning_rate=10.0)
        >>> g = {"a": jnp.array(3.0), "b": jnp.array(4.0)}
        >>> tx.update(g, tx.init(g), value=50.0)[0]
        {'a': Array(6., dtype=float32), 'b': Array(8., dtype=float32)}
    """
    rule = ScaleByPolyak(f_min, max_learning_rate, eps, is_clipped(variant))
    return leafwise(rule)


def is_clipped(variant: str) -> bool:
    """Whether a variant, one of those known, takes no step uphill."""
    if variant not in VARIANTS:
        raise ValueError(
            f"variant is {variant!r}; expected one of {', '.join(map(repr, VARIANTS))}."
        )
    return variant == "sps+"
