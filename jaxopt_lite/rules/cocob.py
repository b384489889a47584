"""Steps as bets on the next gradient, without a learning rate: COCOB."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import ratio
from jaxopt_lite.core.ranges import Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Exact,
    Hyperparameter,
    NonNegative,
    Signed,
    Tensor,
)
from jaxopt_lite.rules.rms import filled


class COCOBState(NamedTuple):
    """The first parameters and what the bets on each element have brought."""

    init_particles: Exact
    cumulative_gradients: Signed
    scale: NonNegative
    subgradients: NonNegative
    reward: NonNegative


class ScaleByCocob(Rule):
    """COCOB-Backprop."""

    alpha: Magnitude
    eps: Magnitude
    Slots = COCOBState
    reads_params = True

    def init(self, p: Tensor) -> COCOBState:
        return COCOBState(
            init_particles=p,
            cumulative_gradients=jnp.zeros_like(p),
            scale=filled(p, self.eps),
            subgradients=filled(p, 0.0),
            reward=filled(p, 0.0),
        )

    def advance(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> COCOBState:
        size = jnp.abs(g)
        gain = -jnp.real(jnp.conj(g) * (p - slots.init_particles))
        return COCOBState(
            init_particles=slots.init_particles,
            cumulative_gradients=slots.cumulative_gradients - g,
            scale=jnp.maximum(slots.scale, size),
            subgradients=slots.subgradients + size,
            reward=jnp.maximum(slots.reward + gain, 0.0),
        )

    def emit(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Tensor:
        _, theta, scale, subgradients, reward = slots
        most = jnp.maximum(subgradients + scale, self.alpha * scale)
        bet = ratio(theta, scale) * ratio(scale + reward, most)
        return slots.init_particles - p + bet


def scale_by_cocob(
    alpha: Hyperparameter = 100.0, eps: Hyperparameter = 1e-8
) -> GradientTransformation:
    """Bets on the sign of the next gradient a share of what past bets have brought.

        scale                <- max(scale, |g|)
        subgradients         <- subgradients + |g|
        reward               <- max(reward - g * (p - init_particles), 0)
        cumulative_gradients <- cumulative_gradients - g
        bet = cumulative_gradients * (scale + reward)
              / (scale * max(subgradients + scale, alpha * scale))
        u = init_particles + bet - p

    where `init_particles` are the parameters that `init` saw. The update is the step
    itself: it wants no learning rate behind it.

    Args:
        alpha: how cautious the first bets are, at least 0.
        eps: where `scale` begins, at least 0.

    Returns:
        A transformation with `COCOBState(init_particles, cumulative_gradients, scale,
        subgradients, reward)`, five slots like the parameter.

    Raises:
        ValueError: if an argument is negative; from `update`, without parameters.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Orabona and Tommasi 2017, arXiv 1705.07795, algorithm 2. Optax returns nan
    at a zero gradient in float16, where `eps` is 0. A complex parameter is one bet, on
    the real product of gradient and way.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_cocob(alpha=4.0)
        >>> p = jnp.array([1.0, 1.0])
        >>> tx.update(jnp.array([3.0, -0.1]), tx.init(p), p)[0]
        Array([-0.25,  0.25], dtype=float32)
    """
    return leafwise(ScaleByCocob(alpha, eps))
