"""Averaging in place of a schedule: the arithmetic of the three sequences."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lite.core.ranges import FIXED, WHOLE_TREE, Magnitude, Within
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.types import Count, Exact, Tensor


class Sequence(NamedTuple):
    """The sequence of the base optimizer."""

    z: Exact


class AverageState(NamedTuple):
    """The sequence `z`, and what the average needs to know."""

    count: Count  # type: ignore[assignment]
    b1: jax.Array
    weight_sum: jax.Array
    max_lr: jax.Array
    z: Exact


class Sums(NamedTuple):
    """The numbers that are kept from step to step."""

    b1: Any
    weight_sum: Any
    max_lr: Any


class Weights(NamedTuple):
    """The same after a step, with the weight of the newest `z` in the average."""

    b1: Any
    weight_sum: Any
    max_lr: Any
    newest: Any


class AverageIterates(SharedRule):
    """Moves `z` by the update, and `p` to between `z` and the average of all `z`."""

    learning_rate: Annotated[Magnitude, WHOLE_TREE]
    b1: Annotated[Any, Within("(0, 1]"), FIXED]
    weight_lr_power: Annotated[Magnitude, WHOLE_TREE]
    Slots = Sequence
    State = AverageState
    reads_params = True

    def init(self, p: Tensor) -> Sequence:
        return Sequence(p)

    def begin(self) -> Sums:
        return Sums(self.b1, 0.0, 0.0)

    def settle(self, shared: Any, total: Any, step: Any) -> Weights:
        max_lr = jnp.maximum(shared.max_lr, self.learning_rate)
        weight = max_lr**self.weight_lr_power
        weights = shared.weight_sum + weight
        newest = jnp.where(weights > 0, weight / jnp.where(weights > 0, weights, 1), 0)
        return Weights(self.b1, weights, max_lr, newest)

    def advance(self, g: Tensor, slots: Any, p: Any, step: Any, *, shared: Any) -> Any:
        return Sequence(slots.z + g)

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any, *, shared: Any) -> Tensor:
        # With x = (p - (1 - b1) (z - g)) / b1 put into b1 x' + (1 - b1) z - p, where
        # x' = x + newest (z - x), the division by b1 falls out.
        stay = (1 - self.b1) * (1 - shared.newest)
        return shared.newest * (slots.z - p) + stay * g
