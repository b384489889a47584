"""Second moments of matrices kept as one row and one column: Adafactor."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import abs_sq, inverse_root, real, root
from jaxopt_lite.core.ranges import FiniteNumber, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    Exact,
    Hyperparameter,
    Numeric,
    Tensor,
)


class FactoredState(NamedTuple):
    """How many gradients were seen, and the means of their squares.

    Of a factored parameter `v_row` and `v_col` count, of another `v`; what does not
    count is one zero.
    """

    count: Count  # type: ignore[assignment]
    v_row: Exact
    v_col: Exact
    v: Exact


class Means(NamedTuple):
    """The means of squares: by row and by column, or whole."""

    v_row: Exact
    v_col: Exact
    v: Exact


def decay_rate_pow(i: Numeric, exponent: Numeric = 0.8) -> Numeric:
    """The weight of the past at the i-th step, `1 - (i + 1)**-exponent`."""
    return 1 - (i + 1) ** -exponent


class ScaleByFactoredRms(Rule):
    """Adafactor's scaling."""

    factored: bool
    decay_rate: Magnitude
    step_offset: FiniteNumber
    min_dim_size_to_factor: int
    epsilon: Magnitude
    decay_rate_fn: Callable[..., Any]
    Slots = Means
    State = FactoredState

    def init(self, p: Tensor) -> Means:
        none = jnp.zeros(1, real(p.dtype))
        if not (axes := self.axes(p.shape)):
            return Means(none, none, jnp.zeros_like(p, real(p.dtype)))
        row, column = (jnp.zeros(np.delete(p.shape, i), none.dtype) for i in axes)
        return Means(row, column, none)

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> Means:
        new = self.weight(step)
        square = abs_sq(g) + self.epsilon

        def mean(old: Tensor, x: Tensor) -> Tensor:
            # In float32 `1 - new` would be off by the same at every step.
            return old - new * old + new * x

        if not (axes := self.axes(g.shape)):
            return slots._replace(v=mean(slots.v, square))
        rows, columns = (jnp.mean(square, i) for i in axes)
        return slots._replace(
            v_row=mean(slots.v_row, rows), v_col=mean(slots.v_col, columns)
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        if not (axes := self.axes(g.shape)):
            return g * inverse_root(slots.v)
        return over_factored_root(g, slots.v_row, slots.v_col, axes)

    def axes(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """The largest axis and the next, over which rows and columns are means."""
        if not self.factored or len(shape) < 2:
            return None
        *_, second, first = np.argsort(shape, kind="stable").tolist()
        if shape[second] < self.min_dim_size_to_factor or 0 in shape:
            return None
        return first, second

    def weight(self, step: Any) -> Any:
        """How much the newest square counts."""
        i = jnp.maximum(step - 1 - self.step_offset, 0)
        if self.decay_rate_fn is decay_rate_pow:
            # The difference from 1 would lose its digits.
            return (i + 1) ** -self.decay_rate
        return 1 - self.decay_rate_fn(i, self.decay_rate)


def over_factored_root(
    x: Tensor, v_row: Tensor, v_col: Tensor, axes: tuple[int, int]
) -> Tensor:
    """`x / sqrt(v_row * v_col / mean(v_row))`, of means over one of the axes each."""
    last, before = axes
    rows = jnp.expand_dims(v_row, last)
    columns = jnp.expand_dims(v_col, before)
    middle = root(jnp.mean(rows, before, keepdims=True))
    return x * (middle * inverse_root(rows)) * inverse_root(columns)


def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: Hyperparameter = 0.8,
    step_offset: Hyperparameter = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: Hyperparameter = 1e-30,
    decay_rate_fn: Callable[..., Any] = decay_rate_pow,
) -> GradientTransformation:
    """Divides each gradient by the root of its squares' mean, kept by row and column.

        d     = 1 - (t - step_offset)**-decay_rate            (0 up to step_offset + 1)
        v_row <- d * v_row + (1 - d) * mean(|g|**2 + epsilon) over columns
        v_col <- d * v_col + (1 - d) * mean(|g|**2 + epsilon) over rows
        u     = g / sqrt(v_row * v_col / mean(v_row))

    The two largest axes are factored if both are large enough; of other parameters
    all of `v <- d * v + (1 - d) * (|g|**2 + epsilon)` is kept, and `u = g / sqrt(v)`.

    Args:
        factored: whether any parameter is factored.
        decay_rate: how fast the past gains weight, at least 0.
        step_offset: the count at which the weights begin anew, such as that of a
            restored state.
        min_dim_size_to_factor: least size of the two largest axes.
        epsilon: added to each square, at least 0.
        decay_rate_fn: from the count since `step_offset`, and `decay_rate`, to the
            weight `d` of the past.

    Returns:
        A transformation with `FactoredState(count, v_row, v_col, v)`, one number for
        each row and each column.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Shazeer and Stern 2018, arXiv 1804.04235. Optax's `d` is nan before
    `step_offset` and float32 always; it needs `params`, and keeps a bfloat16
    parameter's means in bfloat16.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_factored_rms(min_dim_size_to_factor=2)
        >>> g = jnp.array([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u.round(6)
        Array([[1., 1., 1.],
               [1., 1., 1.]], dtype=float32)
        >>> state.v_row.shape, state.v_col.shape, state.v.shape
        ((2,), (3,), (1,))
    """
    if not isinstance(min_dim_size_to_factor, int) or min_dim_size_to_factor < 0:
        raise ValueError(
            f"min_dim_size_to_factor is {min_dim_size_to_factor!r}; expected an "
            f"integer, at least 0."
        )
    return leafwise(
        ScaleByFactoredRms(
            factored,
            decay_rate,
            step_offset,
            min_dim_size_to_factor,
            epsilon,
            decay_rate_fn,
        )
    )
