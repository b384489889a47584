"""Adam whose second moment moves by bounded steps: Yogi."""

from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import abs_sq, moving_mean
from jaxopt_lite.core.ranges import Magnitude
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter, Tensor
from jaxopt_lite.rules.adam import Moments, ScaleByAdam
from jaxopt_lite.rules.rms import filled


class ScaleByYogi(ScaleByAdam):
    """Yogi."""

    initial_accumulator_value: Magnitude

    def init(self, p: Tensor) -> Moments:
        start = self.initial_accumulator_value
        return Moments(mu=jnp.full_like(p, start), nu=filled(p, start))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> Moments:
        square = abs_sq(g)
        change = (1 - self.b2) * jnp.sign(square - slots.nu) * square
        return Moments(moving_mean(slots.mu, g, self.b1), slots.nu + change)


def scale_by_yogi(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-3,
    eps_root: Hyperparameter = 0.0,
    initial_accumulator_value: Hyperparameter = 1e-6,
) -> GradientTransformation:
    """Adam whose second moment moves by no more than the square of the gradient.

        mu <- b1 * mu + (1 - b1) * g
        nu <- nu + (1 - b2) * sign(|g|**2 - nu) * |g|**2
        u   = mu / (1 - b1**t) / (sqrt(nu / (1 - b2**t) + eps_root) + eps)

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: one minus the size of a step of `nu`, in [0, 1).
        eps: added to the root, at least 0.
        eps_root: added under the root, at least 0, for those who differentiate
            through the optimizer.
        initial_accumulator_value: where `mu` and `nu` begin, at least 0.

    Returns:
        A transformation with `ScaleByAdamState(count, mu, nu)`, two slots like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Zaheer et al. 2018, Adaptive Methods for Nonconvex Optimization, NeurIPS.
    As in Optax, `mu` begins where `nu` does and both are debiased; in the paper `mu`
    begins at 0 and neither is.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_yogi(eps=0.0, initial_accumulator_value=0.0)
        >>> tx.update(jnp.array([0.5, -3.0]), tx.init(jnp.zeros(2)))[0].round(6)
        Array([ 1., -1.], dtype=float32)
    """
    return leafwise(ScaleByYogi(b1, b2, eps, eps_root, initial_accumulator_value))
