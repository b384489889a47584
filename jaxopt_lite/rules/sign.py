"""Steps that follow the sign of the gradient alone: signSGD and Rprop."""

from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.ranges import Bound, Magnitude, Within
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import (
    Hyperparameter,
    NonNegative,
    Signed,
    Tensor,
)
from jaxopt_lite.rules.rms import filled


class ScaleBySign(Rule):
    """The sign."""

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return jnp.sign(g)


def scale_by_sign() -> GradientTransformation:
    """Replaces each element of the gradient by its sign.

        u = sign(g)                           (g / |g| where g is complex)

    Zero stays zero.

    Returns:
        A transformation with an `EmptyState`.

    Source: Bernstein et al. 2018, arXiv 1802.04434.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_sign()
        >>> tx.update(jnp.array([-2.0, 0.0, 0.1]), tx.init(jnp.zeros(3)))[0]
        Array([-1.,  0.,  1.], dtype=float32)
    """
    return leafwise(ScaleBySign())


class ScaleByRpropState(NamedTuple):
    """The step size of each element, and the last step taken."""

    step_sizes: NonNegative
    prev_updates: Signed


class ScaleByRprop(Rule):
    """Rprop, which takes no step where the gradient has changed its sign."""

    learning_rate: Magnitude
    eta_minus: Annotated[Any, Within("(0, 1)")]
    eta_plus: Annotated[Any, Within("[1, inf)")]
    min_step_size: Magnitude
    max_step_size: Bound
    Slots = ScaleByRpropState

    def init(self, p: Tensor) -> ScaleByRpropState:
        return ScaleByRpropState(filled(p, self.learning_rate), jnp.zeros_like(p))

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> ScaleByRpropState:
        direction = jnp.sign(g)
        # Of the sign: the product with the gradient itself may underflow to zero.
        agreement = jnp.real(direction * jnp.conj(slots.prev_updates))
        has_turned = agreement < 0
        old, bounds = slots.step_sizes, (self.min_step_size, self.max_step_size)
        grown, kept, shrunk = (
            jnp.clip(old * eta, *bounds) for eta in (self.eta_plus, 1, self.eta_minus)
        )
        # Clipped before the choice: XLA would clip again for each that reads the size.
        sizes = jnp.where(has_turned, shrunk, jnp.where(agreement > 0, grown, kept))
        return ScaleByRpropState(sizes, jnp.where(has_turned, 0.0, sizes * direction))

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return slots.prev_updates


def scale_by_rprop(
    learning_rate: Hyperparameter,
    eta_minus: Hyperparameter = 0.5,
    eta_plus: Hyperparameter = 1.2,
    min_step_size: Hyperparameter = 1e-6,
    max_step_size: Hyperparameter = 50.0,
) -> GradientTransformation:
    """Steps by the gradient's sign, longer while it stays, shorter once it turns.

        a = g * prev_updates
        step_sizes <- clip(step_sizes * eta, min_step_size, max_step_size)
            with eta = eta_plus where a > 0, eta_minus where a < 0, 1 where a = 0
        u = prev_updates <- step_sizes * sign(g)          (0 where a < 0)

    After a turn the next step is taken whatever its sign, and keeps the step size.

    Args:
        learning_rate: the step size to begin with, in units of the parameter, at least
            0. Of a schedule only the first value counts; to make all steps smaller in
            time, put `scale_by_schedule` behind.
        eta_minus: factor of the step size where the sign has turned, in (0, 1).
        eta_plus: factor of the step size where it has stayed, at least 1.
        min_step_size: smallest step size, at least 0.
        max_step_size: largest step size, at least 0; infinity for no bound.

    Returns:
        A transformation with `ScaleByRpropState(step_sizes, prev_updates)`, two slots
        like the parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Riedmiller and Braun 1993; without the step back after a turn, iRprop- of
    Igel and Hüsken 2003. Equal to `torch.optim.Rprop`. Optax returns the step of the
    update before, so that the first is zero, and does not clip the first step size.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_rprop(0.5)
        >>> u, state = tx.update(jnp.array(3.0), tx.init(jnp.array(0.0)))
        >>> u, tx.update(jnp.array(2.0), state)[0]
        (Array(0.5, dtype=float32), Array(0.6, dtype=float32))
    """
    return leafwise(
        ScaleByRprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size)
    )
