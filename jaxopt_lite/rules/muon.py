"""The gradient's mean, made orthogonal: Muon."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.matrices import MatrixAxes, matrix_axes
from jaxopt_lite.core.numerics import bias_correction, moving_mean
from jaxopt_lite.core.placement import as_it_lies
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule, SharedRule
from jaxopt_lite.core.storage import Storage, keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Hyperparameter,
    Signed,
    Tensor,
)
from jaxopt_lite.rules import newton_schulz
from jaxopt_lite.rules.newton_schulz import STANDARD


class MuonDimensionNumbers(NamedTuple):
    """Which axes of a parameter are the rows and columns of a matrix.

    The axes that neither names count matrices: each is made orthogonal on its own.
    """

    reduction_axis: Sequence[int] | int = 0
    output_axis: Sequence[int] | int = 1


class MuonState(NamedTuple):
    """How many gradients were seen, their mean, and the iteration's coefficients."""

    count: Count  # type: ignore[assignment]
    mu: Signed
    ns_coeffs: Tensor


class Momentum(NamedTuple):
    """The mean of the gradients."""

    mu: Signed


class Coefficients(NamedTuple):
    """The coefficients of the iteration, which the state keeps as Optax's does."""

    ns_coeffs: Any


class ScaleByMuon(SharedRule):
    """Muon; its coefficients are the same for all leaves."""

    ns_coeffs: tuple[Any, ...]
    ns_steps: int
    beta: Decay
    eps: Magnitude
    nesterov: bool
    adaptive: bool
    preconditioning: str
    axes: Any
    products: Storage
    Slots = Momentum
    State = MuonState
    mixes = True
    stacks = True

    def begin(self) -> Coefficients:
        return Coefficients(jnp.asarray(self.ns_coeffs))

    def settle(self, shared: Any, total: Any, step: Any) -> Any:
        return shared

    def advance(
        self, g: Tensor, slots: Any, p: Any, step: Any, *, shared: Any
    ) -> Momentum:
        return Momentum(moving_mean(slots.mu, g, self.beta))

    def emit(
        self,
        g: Tensor,
        slots: Any,
        p: Any,
        step: Any,
        *,
        shared: Any,
        whole: Callable[[Tensor], Tensor] = as_it_lies,
    ) -> Tensor:
        # The iteration would bring its products together in every step.
        mean = whole(self.mean(g, slots.mu, step))
        u = newton_schulz.orthogonal(
            mean,
            self.axes,
            shared.ns_coeffs,
            self.ns_steps,
            self.preconditioning,
            self.eps,
            self.products.dtype("ns_dtype", mean),
        )
        return u * self.dual_norm(mean, u) if self.adaptive else u

    def mean(self, g: Tensor, mu: Tensor, step: Any) -> Tensor:
        """The debiased mean of the gradients, one step ahead with `nesterov`."""
        if not self.nesterov:
            return mu * (1 / bias_correction(self.beta, step))
        past = self.beta / bias_correction(self.beta, step + 1)
        present = (1 - self.beta) / bias_correction(self.beta, step)
        return past * mu + present * g

    def dual_norm(self, mean: Tensor, u: Tensor) -> Tensor:
        """How far each matrix reaches in the direction that it was given."""
        reach = self.axes.matrices((mean.conj() * u).real)
        total = jnp.sum(reach, (-2, -1), keepdims=True)
        return self.axes.array(jnp.broadcast_to(total, reach.shape), u.shape)


def scale_by_muon(
    ns_coeffs: Any = STANDARD,
    ns_steps: int = 5,
    beta: Hyperparameter = 0.95,
    eps: Hyperparameter = 1e-8,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: str = "frobenius",
    weight_dimension_numbers: Any = None,
    ns_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Replaces each gradient by its moving mean, made orthogonal.

        mu <- beta * mu + (1 - beta) * g
        m   = beta * mu / (1 - beta**(t+1)) + (1 - beta) * g / (1 - beta**t)
        u   = orthogonalize_via_newton_schulz(m)

    Without `nesterov`, `m = mu / (1 - beta**t)`.

    Args:
        ns_coeffs: `(a, b, c)` of the iteration; or one such triple for each step, and
            `ns_steps` does not count; or `"standard"` or `"dion"`.
        ns_steps: how many steps the iteration has, at least 1.
        beta: weight of the past mean, per step, in [0, 1).
        eps: added to the norm that a matrix is divided by, at least 0.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.
        nesterov: whether to look one step ahead.
        adaptive: whether each matrix is multiplied by `sum(m * u)`, about the sum of
            the singular values of `m`.
        preconditioning: what a matrix is divided by before the iteration:
            `"frobenius"`, `"spectral"`, `"schatten"` or `"aol"`, as in
            `orthogonalize_via_newton_schulz`.
        weight_dimension_numbers: `MuonDimensionNumbers` for all parameters, or for
            each: `by_path`, a tree or a prefix of it, or a function of the parameters.
            None for parameters that are matrices.
        ns_dtype: dtype in which the iteration multiplies; None for that of the
            arithmetic, at least float32. Bfloat16 is faster on accelerators; `u` is
            then off by several percent, as its singular values are anyway.

    Returns:
        A transformation with `MuonState(count, mu, ns_coeffs)`, one slot like the
        parameter. The coefficients are read from the state.

    Raises:
        ValueError: if an argument is outside its range; from `init` and `update`, if a
            parameter is no matrix: give those to another transformation (see `muon`).
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Jordan et al. 2024, github.com/KellerJordan/Muon, which iterates in bfloat16
    and does not debias; adaptive Bernstein and Newhouse 2024, arXiv 2409.20325. Under
    `jit`, matrices of one shape are multiplied together. In a stack of matrices each
    has its own dual norm; Optax sums over all.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_muon()
        >>> g = jnp.diag(jnp.array([3.0, -0.1]))
        >>> tx.update(g, tx.init(g))[0].round(1)
        Array([[ 0.7,  0. ],
               [ 0. , -1.1]], dtype=float32)
    """
    newton_schulz.check(ns_steps, preconditioning)
    rule = ScaleByMuon(
        newton_schulz.coefficients(ns_coeffs),
        ns_steps,
        beta,
        eps,
        nesterov,
        adaptive,
        preconditioning,
        matrix_axes(weight_dimension_numbers),
        keep(ns_dtype=ns_dtype),
    )
    return leafwise(rule, keep(mu=mu_dtype))


class ScaleByShape(Rule):
    """Matrices that change what they act on alike, whatever their shape."""

    axes: Any

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        fan_in, fan_out = self.axes.sizes(g.shape)
        return g * (max(1.0, fan_out / max(1, fan_in)) ** 0.5)


class ScaleToConsistentRms(Rule):
    """Orthogonal matrices whose elements are alike in size, whatever their shape."""

    axes: Any
    consistent_rms: Magnitude

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return g * (max(self.axes.sizes(g.shape)) ** 0.5 * self.consistent_rms)


def scale_by_shape(
    weight_dimension_numbers: Any = None,
    consistent_rms: Hyperparameter | None = None,
) -> GradientTransformation:
    """Multiplies each orthogonal matrix by a number that depends on its shape.

        u = sqrt(max(1, fan_out / fan_in)) * g
        u = consistent_rms * sqrt(max(fan_in, fan_out)) * g   with consistent_rms

    Args:
        weight_dimension_numbers: which axes are a parameter's matrix, as in
            `scale_by_muon`; fan_in is the size of `reduction_axis`, fan_out that of
            `output_axis`.
        consistent_rms: the root mean square that the elements of an orthogonal matrix
            come to, at least 0; 0.2 is Adam's. None for the first formula.

    Returns:
        A transformation with an `EmptyState`.

    Raises:
        ValueError: if `consistent_rms` is negative; from `init` and `update`, if a
            parameter is no matrix.
        TypeError: if it is no number, array, schedule or `by_path`.

    Source: Jordan et al. 2024, github.com/KellerJordan/Muon; consistent_rms Liu et al.
    2025, arXiv 2502.16982.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_shape()
        >>> tx.update(jnp.ones((1, 4)), tx.init(jnp.ones((1, 4))))[0]
        Array([[2., 2., 2., 2.]], dtype=float32)
    """
    axes: MatrixAxes = matrix_axes(weight_dimension_numbers)
    if consistent_rms is None:
        return leafwise(ScaleByShape(axes))
    return leafwise(ScaleToConsistentRms(axes, consistent_rms))
