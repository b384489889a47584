"""Adam that trusts its second moment no sooner than it can: RAdam."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.ranges import Magnitude
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Numeric, Tensor
from jaxopt_lite.rules.adam import NesterovAdam, ScaleByAdam


class ScaleByRadam(ScaleByAdam):
    """RAdam."""

    threshold: Magnitude

    def denominator(self, nu: Tensor, step: Any) -> Tensor:
        """Adam's over the rectification; 1 while there is none."""
        rho, most = length(self.b2, step), (1 + self.b2) / (1 - self.b2)
        # Below 4 the variance that is rectified does not exist, whatever the threshold.
        is_long = (rho >= self.threshold) & (rho > 4)
        above = jnp.where(is_long, (most - 4) * (most - 2) * rho, 1.0)
        below = jnp.where(is_long, (rho - 4) * (rho - 2) * most, 1.0)
        rectified = super().denominator(nu, step) * jnp.sqrt(above / below)
        return jnp.where(is_long, rectified, 1.0)


class NesterovRadam(ScaleByRadam, NesterovAdam):
    """RAdam that looks one step ahead."""


def length(b: Numeric, step: jax.Array) -> jax.Array:
    """How many values an average of equal weights would hold: RAdam's `rho`.

    With `h = -log(b) / 2` and Langevin's function `L(z) = coth(z) - 1 / z`

        (1 + b) / (1 - b) - 2 * t * b**t / (1 - b**t)  =  t * (1 - L(h * t)) + L(h),

    of which the left side, in float32, loses four of its digits at b = 0.999.
    """
    if isinstance(b, int | float):
        h = jnp.asarray(-math.log(b) / 2 if b > 0 else math.inf, step.dtype)
        return step * _one_less(h * step) + 1 - _one_less(h)
    h = -jnp.log1p(-(1 - jnp.where(b > 0, b, 0.5))) / 2
    return jnp.where(b > 0, step * _one_less(h * step) + 1 - _one_less(h), 1.0)


def _one_less(z: jax.Array) -> jax.Array:
    """`1 - L(z)` of Langevin's function, for z > 0."""
    small, large = jnp.minimum(z, 1.0), jnp.maximum(z, 1.0)
    rest = jnp.zeros_like(z)
    for odd in range(17, 3, -2):  # Gauss's continued fraction, to 1e-16 up to z = 1
        rest = small * small / (odd + rest)
    faded = jnp.exp(-2 * large)
    beyond = 1 / large - 2 * faded / (1 - faded)
    return jnp.where(z < 1, 1 - small / (3 + rest), beyond)


def scale_by_radam(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    eps_root: Hyperparameter = 0.0,
    threshold: Hyperparameter = 5.0,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam, held back while its second moment is of few gradients.

        rho_inf = 2 / (1 - b2) - 1
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        u   = r * adam                    where rho >= threshold and rho > 4
        u   = mu / (1 - b1**t)            elsewhere
        r   = sqrt((rho - 4) * (rho - 2) * rho_inf
                   / ((rho_inf - 4) * (rho_inf - 2) * rho))

    where `adam` is what `scale_by_adam` gives.

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1); up to 0.6 the second
            moment is never used.
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0, for those who differentiate
            through the optimizer.
        threshold: from which `rho` on the second moment is used, at least 0; what is
            below 4 counts as 4.
        nesterov: whether to look one step ahead, as in `scale_by_adam`.

    Returns:
        A transformation with `ScaleByAdamState(count, mu, nu)`, two slots like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Liu et al. 2019, arXiv 1908.03265, which asks for rho > 4; PyTorch asks for
    more than 5 and adds `eps` before the bias correction. Optax divides by the root of
    a negative number where the threshold lets it, and in float32 loses digits of
    `rho`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_radam()
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.zeros(2)))[0].round(6)
        Array([ 0.5, -3. ], dtype=float32)
    """
    rule = NesterovRadam if nesterov else ScaleByRadam
    return leafwise(rule(b1, b2, eps, eps_root, threshold))
