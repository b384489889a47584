"""Directions over the root of the gradient's past squares: AdaGrad and RMSProp."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import (
    abs_sq,
    bias_correction,
    inverse_root,
    moving_mean,
    real,
    root,
)
from jaxopt_lite.core.ranges import Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Count,
    Hyperparameter,
    NonNegative,
    Numeric,
    Signed,
    Tensor,
)


class ScaleByRssState(NamedTuple):
    """The sum of squared gradients."""

    sum_of_squares: NonNegative


class ScaleByRss(Rule):
    """AdaGrad."""

    initial_accumulator_value: Magnitude
    eps: Magnitude
    Slots = ScaleByRssState

    def init(self, p: Tensor) -> ScaleByRssState:
        return ScaleByRssState(filled(p, self.initial_accumulator_value))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> ScaleByRssState:
        return ScaleByRssState(slots.sum_of_squares + abs_sq(g))

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        total = slots.sum_of_squares
        return g * jnp.where(total > 0, inverse_root(total + self.eps), 0.0)


def scale_by_rss(
    initial_accumulator_value: Hyperparameter = 0.1, eps: Hyperparameter = 1e-7
) -> GradientTransformation:
    """Divides each gradient by the root of the sum of its squares so far.

        sum_of_squares <- sum_of_squares + |g|**2
        u = g / sqrt(sum_of_squares + eps)    (0 where sum_of_squares is 0)

    Args:
        initial_accumulator_value: where the sum begins, at least 0.
        eps: added under the root, at least 0.

    Returns:
        A transformation with `ScaleByRssState(sum_of_squares)`, one slot like the
        parameter.

    Raises:
        ValueError: if an argument is negative.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Duchi, Hazan and Singer 2011, JMLR 12. PyTorch adds `eps` to the root and
    begins at 0: see `interop.pytorch.adagrad`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_rss(initial_accumulator_value=0.0)
        >>> tx.update(jnp.array(2.0), tx.init(jnp.array(0.0)))[0]
        Array(1., dtype=float32)
    """
    return leafwise(ScaleByRss(initial_accumulator_value, eps))


class ScaleByRmsState(NamedTuple):
    """The mean of squared gradients."""

    nu: NonNegative


class ScaleByRmsWithCountState(NamedTuple):
    """The mean of squared gradients, and how many were seen."""

    count: Count  # type: ignore[assignment]
    nu: NonNegative


class ScaleByRms(Rule):
    """RMSProp; `eps_in_sqrt` chooses the denominator."""

    decay: Decay
    eps: Magnitude
    initial_scale: Magnitude
    eps_in_sqrt: bool
    Slots = ScaleByRmsState
    Counted = ScaleByRmsWithCountState

    def init(self, p: Tensor) -> ScaleByRmsState:
        return ScaleByRmsState(filled(p, self.initial_scale))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> ScaleByRmsState:
        return ScaleByRmsState(moving_mean(slots.nu, abs_sq(g), self.decay))

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return over_root(g, slots.nu, self.eps, self.eps_in_sqrt)


class DebiasedScaleByRms(ScaleByRms):
    """RMSProp with Adam's bias correction."""

    reads_step = True

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        nu = slots.nu * (1 / bias_correction(self.decay, step))
        return over_root(g, nu, self.eps, self.eps_in_sqrt)


def scale_by_rms(
    decay: Hyperparameter = 0.9,
    eps: Hyperparameter = 1e-8,
    initial_scale: Hyperparameter = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """Divides each gradient by the root of the moving mean of its squares.

        nu <- decay * nu + (1 - decay) * |g|**2
        u   = g / sqrt(nu + eps)              (g / (sqrt(nu) + eps) without eps_in_sqrt)

    Args:
        decay: weight of the past, per step, in [0, 1).
        eps: added to the denominator, at least 0.
        initial_scale: where `nu` begins, at least 0.
        eps_in_sqrt: whether `eps` stands under the root; PyTorch's does not.
        bias_correction: whether `nu` is divided by `1 - decay**t`.

    Returns:
        A transformation with `ScaleByRmsState(nu)`, or with
        `ScaleByRmsWithCountState(count, nu)` under bias correction or a schedule.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Tieleman and Hinton 2012, lecture 6.5 of Neural Networks for Machine
    Learning; Graves 2013, arXiv 1308.0850.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_rms(decay=0.75)
        >>> tx.update(jnp.array(2.0), tx.init(jnp.array(0.0)))[0]
        Array(2., dtype=float32)
    """
    rule = DebiasedScaleByRms if bias_correction else ScaleByRms
    return leafwise(rule(decay, eps, initial_scale, eps_in_sqrt))


class ScaleByRStdDevState(NamedTuple):
    """The mean of gradients and of their squares."""

    mu: Signed
    nu: NonNegative


class ScaleByRStdDevWithCountState(NamedTuple):
    """The mean of gradients and of their squares, and how many were seen."""

    count: Count  # type: ignore[assignment]
    mu: Signed
    nu: NonNegative


class ScaleByStddev(Rule):
    """Centered RMSProp; `eps_in_sqrt` chooses the denominator."""

    decay: Decay
    eps: Magnitude
    initial_scale: Magnitude
    eps_in_sqrt: bool
    Slots = ScaleByRStdDevState
    Counted = ScaleByRStdDevWithCountState

    def init(self, p: Tensor) -> ScaleByRStdDevState:
        return ScaleByRStdDevState(jnp.zeros_like(p), filled(p, self.initial_scale))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> ScaleByRStdDevState:
        return ScaleByRStdDevState(
            mu=moving_mean(slots.mu, g, self.decay),
            nu=moving_mean(slots.nu, abs_sq(g), self.decay),
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        variance = jnp.maximum(slots.nu - abs_sq(slots.mu), 0.0)
        return over_root(g, variance, self.eps, self.eps_in_sqrt)


class DebiasedScaleByStddev(ScaleByStddev):
    """Centered RMSProp with Adam's bias correction."""

    reads_step = True

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        gain = 1 / bias_correction(self.decay, step)
        variance = jnp.maximum(slots.nu * gain - abs_sq(slots.mu * gain), 0.0)
        return over_root(g, variance, self.eps, self.eps_in_sqrt)


def scale_by_stddev(
    decay: Hyperparameter = 0.9,
    eps: Hyperparameter = 1e-8,
    initial_scale: Hyperparameter = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """Divides each gradient by the moving estimate of its standard deviation.

        mu <- decay * mu + (1 - decay) * g
        nu <- decay * nu + (1 - decay) * |g|**2
        u   = g / sqrt(nu - |mu|**2 + eps)    (… / (sqrt(nu - |mu|**2) + eps) without
                                               eps_in_sqrt)

    Args:
        decay: weight of the past, per step, in [0, 1).
        eps: added to the denominator, at least 0.
        initial_scale: where `nu` begins, at least 0.
        eps_in_sqrt: whether `eps` stands under the root; PyTorch's does not.
        bias_correction: whether `mu` and `nu` are divided by `1 - decay**t`.

    Returns:
        A transformation with `ScaleByRStdDevState(mu, nu)`, or with
        `ScaleByRStdDevWithCountState(count, mu, nu)` under bias correction or a
        schedule.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Graves 2013, arXiv 1308.0850. A variance that rounding makes negative counts
    as zero; Optax and PyTorch return nan.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_stddev(decay=0.5)
        >>> tx.update(jnp.array(2.0), tx.init(jnp.array(0.0)))[0]
        Array(2., dtype=float32)
    """
    rule = DebiasedScaleByStddev if bias_correction else ScaleByStddev
    return leafwise(rule(decay, eps, initial_scale, eps_in_sqrt))


def filled(p: Tensor, value: Numeric) -> Tensor:
    """A real array like the parameter, full of one value."""
    return jnp.full_like(p, value, dtype=real(p.dtype))


def over_root(g: Tensor, nu: Tensor, eps: Numeric, eps_in_sqrt: bool) -> Tensor:
    """`g` over the root of `nu`, kept finite by `eps` under the root or beside it."""
    return g * lax.rsqrt(nu + eps) if eps_in_sqrt else g / (root(nu) + eps)
