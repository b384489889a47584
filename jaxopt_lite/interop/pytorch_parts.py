"""What the optimizers of PyTorch are put together from."""

from typing import Any

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.numbers import DECAY, number
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import Hyperparameter
from jaxopt_lite.rules.adam import scale_by_adam
from jaxopt_lite.rules.momentum import trace
from jaxopt_lite.rules.pytorch import DampenedTrace
from jaxopt_lite.rules.pytorch_moments import Amsgrad
from jaxopt_lite.rules.scaling import scale, scale_by_learning_rate

Betas = tuple[Hyperparameter, Hyperparameter]


def descend(
    *parts: GradientTransformation, lr: Hyperparameter, maximize: bool
) -> GradientTransformation:
    """The parts, and at the end a step of size `lr`; `maximize` turns the gradient."""
    return chain(*turned(maximize), *parts, scale_by_learning_rate(number("lr", lr)))


def turned(maximize: bool) -> list[GradientTransformation]:
    """What turns a gradient uphill, where that is wanted."""
    return [scale(-1.0)] if maximize else []


def coupled(weight_decay: Hyperparameter) -> list[GradientTransformation]:
    """Weight decay as the gradient of an L2 penalty, where there is any."""
    return [] if is_zero(weight_decay) else [add_decayed_weights(weight_decay)]


def traced(
    momentum: Hyperparameter, dampening: Hyperparameter = 0, nesterov: bool = False
) -> list[GradientTransformation]:
    """The trace of past steps, where there is any."""
    decay = number("momentum", momentum)
    if is_zero(momentum):
        return []
    if is_zero(dampening):
        return [trace(decay, nesterov)]
    return [leafwise(DampenedTrace(decay, dampening))]


def pair(name: str, given: Any, interval: str = DECAY) -> tuple[Any, Any]:
    """The two numbers of an argument that is a pair, checked.

    Raises:
        TypeError: if it is no pair.
    """
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise TypeError(
            f"{name} is {given!r}; expected a pair of numbers, such as (0.9, 0.999)."
        )
    first, second = (number(f"{name}[{i}]", x, interval) for i, x in enumerate(given))
    return first, second


def moments(betas: Betas, eps: Hyperparameter, amsgrad: bool) -> GradientTransformation:
    """Adam's direction, or AMSGrad's."""
    b1, b2 = pair("betas", betas)
    if amsgrad:
        return leafwise(Amsgrad(b1, b2, eps, 0.0, True, False))
    return scale_by_adam(b1, b2, eps)


def is_zero(x: Any) -> bool:
    """Whether a hyperparameter is the Python number 0: structure, never traced."""
    return isinstance(x, int | float) and x == 0
