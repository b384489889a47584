"""Adam with a second, slower mean beside the first: AdEMAMix."""

from typing import Any, NamedTuple

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import (
    abs_sq,
    bias_correction,
    moving_mean,
    root,
)
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    DTypeLike,
    Hyperparameter,
    NonNegative,
    Signed,
    Tensor,
)


class ScaleByAdemamixState(NamedTuple):
    """Two counts, the gradient's fast and slow mean, and the mean of its squares.

    The schedules of `b3` and `alpha` follow `count_m2`: who resets it begins them anew.
    """

    count: Count  # type: ignore[assignment]
    count_m2: Count
    m1: Signed
    m2: Signed
    nu: NonNegative


class FastAndSlowMoments(NamedTuple):
    """The gradient's fast and slow mean, and the mean of its squares."""

    m1: Signed
    m2: Signed
    nu: NonNegative


class ScaleByAdemamix(Rule):
    """AdEMAMix."""

    b1: Decay
    b2: Decay
    b3: Decay
    alpha: Magnitude
    eps: Magnitude
    eps_root: Magnitude
    Slots = FastAndSlowMoments
    State = ScaleByAdemamixState
    own_counts = {"b3": "count_m2", "alpha": "count_m2"}

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> FastAndSlowMoments:
        return FastAndSlowMoments(
            m1=moving_mean(slots.m1, g, self.b1),
            m2=moving_mean(slots.m2, g, self.b3),
            nu=moving_mean(slots.nu, abs_sq(g), self.b2),
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        fast = slots.m1 * (1 / bias_correction(self.b1, step))
        nu = slots.nu * (1 / bias_correction(self.b2, step))
        return (fast + self.alpha * slots.m2) / (root(nu + self.eps_root) + self.eps)


def scale_by_ademamix(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    b3: Hyperparameter = 0.9999,
    alpha: Hyperparameter = 6.0,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    mu_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Adam's step, with a mean over many more gradients added to its own.

        m1 <- b1 * m1 + (1 - b1) * g
        m2 <- b3 * m2 + (1 - b3) * g
        nu <- b2 * nu + (1 - b2) * |g|**2
        u   = (m1 / (1 - b1**t) + alpha * m2)
              / (sqrt(nu / (1 - b2**t) + eps_root) + eps)

    The slow mean is not debiased: it fills slowly.

    Args:
        b1: weight of the past in the fast mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        b3: weight of the past in the slow mean, per step, in [0, 1).
        alpha: weight of the slow mean, at least 0.
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0, for those who differentiate
            through the optimizer.
        mu_dtype: dtype in which `m1` and `m2` are kept; by default the parameter's, at
            least float32. In bfloat16 a slow mean stands still.

    Returns:
        A transformation with `ScaleByAdemamixState(count, count_m2, m1, m2, nu)`, three
        slots like the parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Pagliardini, Ablin and Grangier 2024, arXiv 2409.03137. Schedules count from
    0, as in the authors' JAX code; their PyTorch code counts from 1. Optax does not
    keep to `mu_dtype`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_ademamix(b3=0.5, alpha=2.0)
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.zeros(2)))[0].round(6)
        Array([ 2., -2.], dtype=float32)
    """
    return leafwise(
        ScaleByAdemamix(b1, b2, b3, alpha, eps, eps_root),
        keep(m1=mu_dtype, m2=mu_dtype),
    )


class ScaleBySimplifiedAdEMAMixState(NamedTuple):
    """How many gradients were seen, their fading sum, the mean of their squares."""

    t: Count
    m: Signed
    n: NonNegative


class SumAndSquare(NamedTuple):
    """The fading sum of gradients, and the mean of their squares."""

    m: Signed
    n: NonNegative


class ScaleBySimplifiedAdemamix(Rule):
    """Simplified AdEMAMix."""

    b1: Decay
    b2: Decay
    alpha: Magnitude
    eps: Magnitude
    eps_root: Magnitude
    Slots = SumAndSquare
    State = ScaleBySimplifiedAdEMAMixState
    counter = "t"

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> SumAndSquare:
        return SumAndSquare(
            m=self.b1 * slots.m + g, n=moving_mean(slots.n, abs_sq(g), self.b2)
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        n = slots.n * (1 / bias_correction(self.b2, step))
        return (slots.m + self.alpha * g) / (root(n + self.eps_root) + self.eps)


def scale_by_simplified_ademamix(
    b1: Hyperparameter = 0.99,
    b2: Hyperparameter = 0.95,
    alpha: Hyperparameter = 0.0,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
) -> GradientTransformation:
    """Divides a fading sum of gradients and the present one by their size.

        m <- b1 * m + g
        n <- b2 * n + (1 - b2) * |g|**2
        u  = (m + alpha * g) / (sqrt(n / (1 - b2**t) + eps_root) + eps)

    The sum is no mean: updates are some `1 / (1 - b1)` times as large as Adam's.

    Args:
        b1: weight of the past sum, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        alpha: weight of the present gradient, at least 0.
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0, for those who differentiate
            through the optimizer.

    Returns:
        A transformation with `ScaleBySimplifiedAdEMAMixState(t, m, n)`, two slots like
        the parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Morwani et al. 2025, arXiv 2502.02431. Optax squares complex gradients where
    this takes the square of their magnitude.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_simplified_ademamix(alpha=2.0)
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.zeros(2)))[0].round(6)
        Array([ 3., -3.], dtype=float32)
    """
    return leafwise(ScaleBySimplifiedAdemamix(b1, b2, alpha, eps, eps_root))
