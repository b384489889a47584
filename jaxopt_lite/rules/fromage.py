"""Steps on the sphere, and back to it: Fromage's two factors of the learning rate."""

from typing import Any

import jax.numpy as jnp

from jaxopt_lite.core.ranges import Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.types import Tensor
from jaxopt_lite.rules.scaling import WeightDecaySchedule


class FromageStep(Rule):
    """A step against the gradient, shortened by `1 / sqrt(1 + learning_rate**2)`."""

    learning_rate: Magnitude

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any) -> Tensor:
        return g * (-self.learning_rate / jnp.sqrt(1 + self.learning_rate**2))


class FromageShrinkage(Rule):
    """The parameter, shortened by the same factor."""

    learning_rate: Magnitude
    Counted = WeightDecaySchedule
    reads_params = True

    def emit(self, g: Tensor, slots: Any, p: Tensor, step: Any) -> Tensor:
        # `1 / length - 1`, without the cancellation of small rates in float32.
        length = jnp.sqrt(1 + self.learning_rate**2)
        return g - p * (self.learning_rate**2 / (length * (1 + length)))
