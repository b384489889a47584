"""A factor that falls when the loss no longer does."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.ranges import WHOLE_TREE, Magnitude, Within
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.transformation import GradientTransformation, select
from jaxopt_lite.core.types import (
    Count,
    Hyperparameter,
    Tensor,
)


class ReduceLROnPlateauState(NamedTuple):
    """The factor; the best loss, and how long ago; the mean of `count` losses."""

    scale: jax.Array
    best_value: jax.Array
    plateau_count: Count
    cooldown_count: Count
    count: Count  # type: ignore[assignment]
    avg_value: jax.Array


class ScheduledPlateauState(NamedTuple):
    """The same, with the number of steps that schedules follow."""

    step: Count
    scale: jax.Array
    best_value: jax.Array
    plateau_count: Count
    cooldown_count: Count
    count: Count  # type: ignore[assignment]
    avg_value: jax.Array


class ScaleOnPlateau(SharedRule):
    """A factor that follows the mean loss."""

    factor: Annotated[Any, Within("(0, 1)"), WHOLE_TREE]
    patience: Annotated[Any, Within("[1, inf)"), WHOLE_TREE]
    rtol: Annotated[Any, Within("[0, 1]"), WHOLE_TREE]
    atol: Annotated[Magnitude, WHOLE_TREE]
    cooldown: Annotated[Magnitude, WHOLE_TREE]
    accumulation_size: Annotated[Any, Within("[1, inf)"), WHOLE_TREE]
    min_scale: Annotated[Any, Within("[0, 1]"), WHOLE_TREE]
    State = ReduceLROnPlateauState
    Counted = ScheduledPlateauState
    counter = "step"

    def begin(self) -> ReduceLROnPlateauState:
        none = jnp.zeros((), jnp.int32)
        return ReduceLROnPlateauState(
            jnp.ones(()), jnp.full((), jnp.inf), none, none, none, jnp.zeros(())
        )

    def settle(
        self, shared: Any, total: Any, step: Any, *, value: Any
    ) -> ReduceLROnPlateauState:
        n = shared.count + 1
        loss = jnp.asarray(value, shared.avg_value.dtype)
        mean = (shared.count * shared.avg_value + loss) / n
        judged = self.judge(shared, mean)
        waiting = shared._replace(count=n, avg_value=mean)
        is_full = n >= self.accumulation_size
        return select(is_full, judged, waiting)

    def judge(self, shared: Any, mean: Any) -> ReduceLROnPlateauState:
        """What follows from one mean loss."""
        best = shared.best_value
        relative = jnp.where(jnp.isfinite(best), self.rtol * jnp.abs(best), 0.0)
        is_better = mean < best - relative - self.atol
        bad = jnp.where(is_better, 0, shared.plateau_count + 1)
        cools = shared.cooldown_count > 0
        reduces = ~cools & (bad >= self.patience)
        lower = jnp.maximum(shared.scale * self.factor, self.min_scale)
        return ReduceLROnPlateauState(
            scale=jnp.where(reduces, lower, shared.scale),
            best_value=jnp.where(is_better, mean, best),
            plateau_count=jnp.where(cools | reduces, 0, bad),
            cooldown_count=jnp.where(
                cools, shared.cooldown_count - 1, jnp.where(reduces, self.cooldown, 0)
            ),
            count=jnp.zeros_like(best),
            avg_value=jnp.zeros_like(best),
        )

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any, *, shared: Any) -> Tensor:
        return g * shared.scale


def reduce_on_plateau(
    factor: Hyperparameter = 0.1,
    patience: Hyperparameter = 10,
    rtol: Hyperparameter = 1e-4,
    atol: Hyperparameter = 0.0,
    cooldown: Hyperparameter = 0,
    accumulation_size: Hyperparameter = 1,
    min_scale: Hyperparameter = 0.0,
) -> GradientTransformation:
    """Multiplies gradients by a number that falls when the loss has stopped falling.

        u = scale * g

    Every `accumulation_size` steps the mean of their losses is compared with the best
    so far. It is better if it is below `best - rtol * |best| - atol`. After `patience`
    means in a row that are not, `scale <- max(factor * scale, min_scale)`, and the next
    `cooldown` means do not count as bad.

    Args:
        factor: what `scale` is multiplied by, in (0, 1).
        patience: after how many bad means, at least 1.
        rtol: how much better is better, relative to the best, in [0, 1].
        atol: the same in units of the loss, at least 0.
        cooldown: how many means to wait after a reduction, at least 0.
        accumulation_size: how many losses make a mean, at least 1.
        min_scale: where `scale` stops falling, in [0, 1].

    Returns:
        A transformation with `ReduceLROnPlateauState(scale, best_value, plateau_count,
        cooldown_count, count, avg_value)`, whose `update` needs the keyword `value`,
        the loss. If a number is a schedule, a field `step` before them
        counts the steps.

    Raises:
        ValueError: if an argument is outside its range, or `rtol` and `atol` are 0.
        TypeError: if one is `by_path`, or no number, array or schedule; from `update`,
            without `value`.

    As in Optax the scale falls with the bad mean that exhausts the patience; in
    PyTorch's ReduceLROnPlateau with the one after it. For a negative loss Optax (and
    PyTorch) ask for a mean below `(1 - rtol) * best`, which is above the best: a loss
    that stands still passes for one that falls.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.reduce_on_plateau(factor=0.5, patience=2)
        >>> state = tx.init(jnp.zeros(1))
        >>> for value in (3.0, 2.0, 2.0, 2.0):
        ...     updates, state = tx.update(jnp.ones(1), state, value=value)
        ...     print(updates)
        [1.]
        [1.]
        [1.]
        [0.5]
    """
    if all(isinstance(x, int | float) and x == 0 for x in (rtol, atol)):
        raise ValueError(
            "rtol and atol are both 0; expected at least one above 0, by which a loss "
            "must fall to count as better."
        )
    return leafwise(
        ScaleOnPlateau(
            factor, patience, rtol, atol, cooldown, accumulation_size, min_scale
        )
    )
