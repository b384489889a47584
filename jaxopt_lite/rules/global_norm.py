"""What the rules share that scale all leaves together, by their common norm."""

from typing import Any

from jaxopt_lite.core.numerics import squares_in_units
from jaxopt_lite.core.rule import SharedRule
from jaxopt_lite.core.types import Tensor


class GlobalNormRule(SharedRule):
    """All leaves multiplied by one number, which `settle` finds from their norm.

    Its `total` is the squared norm in units of `UNIT**2`, so that it does not overflow.
    """

    sums = True

    def measure(self, g: Tensor, slots: Any, p: Any, step: Any, *, unit: Any) -> Tensor:
        return squares_in_units(g, unit)

    def emit(self, g: Tensor, slots: Any, p: Any, step: Any, *, shared: Any) -> Tensor:
        return g * shared
