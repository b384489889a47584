"""Adam that measures each gradient by those before it: ADOPT."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numerics import abs_sq, moving_mean, root
from jaxopt_lite.core.ranges import Bound, Decay, Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.storage import keep
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter, Numeric, Tensor
from jaxopt_lite.rules.adam import Moments, ScaleByAdamState


class ScaleByAdopt(Rule):
    """ADOPT."""

    b1: Decay
    b2: Decay
    eps: Magnitude
    clip_value_fn: Bound
    Slots = Moments
    State = ScaleByAdamState

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any) -> Moments:
        square = abs_sq(g)
        # The mean square begins at the first square: it was zero, as was `mu`.
        past = jnp.where(step == 1, square, slots.nu)
        return Moments(
            mu=moving_mean(slots.mu, self.measured(g, slots, step), self.b1),
            nu=moving_mean(past, square, self.b2),
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        mu: Tensor = slots.mu
        return mu

    def measured(self, g: Tensor, slots: Any, step: Any) -> Tensor:
        """The gradient over the root of the mean square before it, within bounds."""
        ratio = g / jnp.maximum(root(slots.nu), self.eps)
        return jnp.where(step == 1, 0.0, within(ratio, self.clip_value_fn))


class NesterovAdopt(ScaleByAdopt):
    """ADOPT that looks one step ahead."""

    def update(
        self, g: Tensor, slots: Any, p: Any, step: Any
    ) -> tuple[Tensor, Moments]:
        new = self.advance(g, slots, p, step)
        return moving_mean(new.mu, self.measured(g, slots, step), self.b1), new


def within(x: Tensor, bound: Numeric) -> Tensor:
    """Each element clipped to magnitude `bound`."""
    if jnp.iscomplexobj(x):
        size = jnp.abs(x)
        return x * jnp.where(size > bound, bound / jnp.where(size > bound, size, 1), 1)
    return jnp.clip(x, -bound, bound)


def fourth_root(count: jax.Array) -> jax.Array:
    """`count**0.25`, ADOPT's bound."""
    return count**0.25


def scale_by_adopt(
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.9999,
    eps: Hyperparameter = 1e-6,
    mu_dtype: DTypeLike | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[jax.Array], Numeric] = fourth_root,
) -> GradientTransformation:
    """Divides each gradient by the root mean square of those before it, and averages.

        x   = g / max(sqrt(nu), eps), clipped to [-clip_value, clip_value]
        mu <- b1 * mu + (1 - b1) * x
        nu <- b2 * nu + (1 - b2) * |g|**2
        u   = mu                          (b1 * mu + (1 - b1) * x with nesterov)

    The first gradient only starts `nu`, at its square: the first update is zero.

    Args:
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean square, per step, in [0, 1).
        eps: least root mean square, at least 0.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.
        nesterov: whether to look one step ahead.
        use_clipping: whether `x` is clipped.
        clip_value_fn: from the count (0 at the first step) to the bound, at least 0; a
            number, an array or `by_path` will do, too.

    Returns:
        A transformation with `ScaleByAdamState(count, mu, nu)`, two slots like the
        parameter.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Taniguchi et al. 2024, arXiv 2411.02853. Complex elements are clipped in
    magnitude; Optax cannot clip them.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_adopt(b1=0.5)
        >>> g = jnp.array(4.0)
        >>> u, state = tx.update(g, tx.init(g))
        >>> u, tx.update(g, state)[0].round(4)
        (Array(0., dtype=float32), Array(0.5, dtype=float32))
    """
    bound = clip_value_fn if use_clipping else float("inf")
    rule = NesterovAdopt if nesterov else ScaleByAdopt
    return leafwise(
        rule(b1, b2, eps, bound),
        keep(mu=mu_dtype),
    )
