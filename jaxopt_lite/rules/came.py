"""Factored second moments, and factored doubts about the mean of the steps: CAME."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import abs_sq, inverse_root, moving_mean, real
from jaxopt_lite.core.ranges import Bound, Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Exact, Hyperparameter, Signed, Tensor
from jaxopt_lite.rules.factored import over_factored_root
from jaxopt_lite.rules.unitwise import clipped_by_rms


class ScaleByCAMEState(NamedTuple):
    """The mean of the scaled gradients, and the means of two kinds of squares.

    Of a parameter with two axes or more the rows and columns count, of another `v`;
    what does not count is one zero.
    """

    mu: Signed
    v_row: Exact
    v_col: Exact
    v: Exact
    r_row: Exact
    r_col: Exact


class ScaleByCAME(Rule):
    """CAME."""

    b1: Decay
    b2: Decay
    b3: Decay
    eps: Magnitude
    eps_instability: Magnitude
    clipping_threshold: Bound
    Slots = ScaleByCAMEState

    def init(self, p: Tensor) -> ScaleByCAMEState:
        def zeros(shape: tuple[int, ...]) -> Tensor:
            return jnp.zeros(shape, real(p.dtype))

        one: tuple[int, ...] = (1,)
        row, column, whole = one, one, p.shape
        if _is_factored(p):
            row, column, whole = p.shape[:-1], p.shape[:-2] + p.shape[-1:], one
        means = map(zeros, (row, column, whole, row, column))
        return ScaleByCAMEState(jnp.zeros_like(p), *means)

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> ScaleByCAMEState:
        square = abs_sq(g) + self.eps
        if not _is_factored(g):
            v = moving_mean(slots.v, square, self.b2)
            u = clipped_by_rms(g * inverse_root(v), self.clipping_threshold)
            return slots._replace(mu=moving_mean(slots.mu, u, self.b1), v=v)
        v_row, v_col = _moved(slots.v_row, slots.v_col, square, self.b2)
        u = over_factored_root(g, v_row, v_col, _AXES)
        u = clipped_by_rms(u, self.clipping_threshold)
        mu = moving_mean(slots.mu, u, self.b1)
        doubt = abs_sq(u - mu) + self.eps_instability
        r_row, r_col = _moved(slots.r_row, slots.r_col, doubt, self.b3)
        return ScaleByCAMEState(mu, v_row, v_col, slots.v, r_row, r_col)

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        if not _is_factored(g):
            return slots.mu
        return over_factored_root(slots.mu, slots.r_row, slots.r_col, _AXES)


_AXES = (-1, -2)
"""Over the first a row is a mean, over the second a column."""


def _is_factored(x: Tensor) -> bool:
    return x.ndim >= 2 and x.size > 0


def _moved(row: Tensor, column: Tensor, x: Tensor, b: Any) -> tuple[Tensor, Tensor]:
    """The moving means by row and by column after one more array."""
    rows, columns = (jnp.mean(x, axis) for axis in _AXES)
    return moving_mean(row, rows, b), moving_mean(column, columns, b)


def scale_by_came(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    b3: Hyperparameter = 0.9999,
    eps: Hyperparameter = 1e-30,
    eps_instability: Hyperparameter = 1e-16,
    clipping_threshold: Hyperparameter = 1.0,
    mu_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Adafactor's steps in their mean, the longer the less they lie apart from it.

        v_row <- b2 * v_row + (1 - b2) * mean(|g|**2 + eps) over columns
        v_col <- b2 * v_col + (1 - b2) * mean(|g|**2 + eps) over rows
        d     = g / sqrt(v_row * v_col / mean(v_row))
        d     = d * min(1, clipping_threshold / sqrt(mean |d|**2))
        mu    <- b1 * mu + (1 - b1) * d
        s     = |d - mu|**2 + eps_instability
        r_row <- b3 * r_row + (1 - b3) * mean(s) over columns
        r_col <- b3 * r_col + (1 - b3) * mean(s) over rows
        u     = mu / sqrt(r_row * r_col / mean(r_row))

    Rows and columns are the last two axes; those before count matrices. Of scalars and
    vectors all of `v <- b2 * v + (1 - b2) * (|g|**2 + eps)` is kept, `d = g / sqrt(v)`,
    and `u = mu`.

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean squares, per step, in [0, 1).
        b3: weight of the past instability, per step, in [0, 1).
        eps: added to each square, at least 0.
        eps_instability: added to each square of a distance from the mean, at least 0.
        clipping_threshold: largest root mean square of one array of `d`, at least 0;
            infinity for no bound.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.

    Returns:
        A transformation with `ScaleByCAMEState(mu, v_row, v_col, v, r_row, r_col)`: a
        slot like the parameter, and two numbers for each row and each column.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Luo et al. 2023, arXiv 2307.02047, and github.com/yangluo7/CAME, whose pair
    `eps` is two numbers here. No mean is debiased: first steps are about
    `(1 - b1) / b1 / sqrt(1 - b3)` long, 11 by default.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_came(b1=0.5, b3=0.0)
        >>> g = jnp.array([[1.0, -2.0, 4.0], [2.0, 4.0, 8.0]])
        >>> u, state = tx.update(g, tx.init(g))
        >>> u.round(4)
        Array([[ 1., -1.,  1.],
               [ 1.,  1.,  1.]], dtype=float32)
        >>> state.v_row.shape, state.v_col.shape, state.v.shape
        ((2,), (3,), (1,))
    """
    rule = ScaleByCAME(b1, b2, b3, eps, eps_instability, clipping_threshold)
    return leafwise(rule, keep(mu=mu_dtype))
