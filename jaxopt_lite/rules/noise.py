"""Noise whose variance falls."""

from typing import Any

from jaxopt_lite.core.numerics import root
from jaxopt_lite.core.ranges import Magnitude
from jaxopt_lite.core.rule import Rule
from jaxopt_lite.core.types import Tensor


class AddAnnealedNoise(Rule):
    """Adds what it is given, scaled to a variance that falls with the steps."""

    eta: Magnitude
    gamma: Magnitude
    reads_step = True
    trees = ("noise",)

    def emit(
        self, g: Tensor, slots: Any, p: Any, step: Tensor, *, noise: Tensor
    ) -> Tensor:
        return g + root(self.eta / step**self.gamma) * noise
