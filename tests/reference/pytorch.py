"""The formulas of torch.optim in NumPy float64, one array at a time.

Every function yields the parameter after each step. A learning rate is a number or a
function of the steps taken before.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

Array = np.ndarray
Rate = float | Callable[[int], float]
Betas = tuple[float, float]


def _steps(
    gradients: Iterable[Array], lr: Rate, maximize: bool
) -> Iterator[tuple[int, Array, float]]:
    """The number of each step (from 1), its gradient to descend, its learning rate."""
    for count, g in enumerate(gradients):
        yield count + 1, -g if maximize else g, lr(count) if callable(lr) else lr


def sgd(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-3,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
    maximize: bool = False,
) -> Iterator[Array]:
    trace = np.zeros_like(p)
    for t, g, rate in _steps(gradients, lr, maximize):
        g = g + weight_decay * p
        weight = 1 - dampening if momentum and t > 1 else 1
        trace = momentum * trace + weight * g
        p = p - rate * (g + momentum * trace if nesterov else trace)
        yield p


def adagrad(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-2,
    lr_decay: float = 0,
    weight_decay: float = 0,
    initial_accumulator_value: float = 0,
    eps: float = 1e-10,
    maximize: bool = False,
) -> Iterator[Array]:
    total = np.full_like(p, initial_accumulator_value)
    for t, g, rate in _steps(gradients, lr, maximize):
        g = g + weight_decay * p
        total = total + g**2
        p = p - rate / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps)
        yield p


def rmsprop(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum: float = 0,
    centered: bool = False,
    maximize: bool = False,
) -> Iterator[Array]:
    mean, mean_square, trace = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for _, g, rate in _steps(gradients, lr, maximize):
        g = g + weight_decay * p
        mean = alpha * mean + (1 - alpha) * g
        mean_square = alpha * mean_square + (1 - alpha) * g**2
        variance = mean_square - mean**2 if centered else mean_square
        trace = momentum * trace + g / (np.sqrt(variance) + eps)
        p = p - rate * trace
        yield p


def adam(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    maximize: bool = False,
    decoupled: bool = False,
) -> Iterator[Array]:
    (b1, b2), m, v = betas, np.zeros_like(p), np.zeros_like(p)
    for t, g, rate in _steps(gradients, lr, maximize):
        if decoupled:
            p = p - rate * weight_decay * p
        else:
            g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        p = p - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        yield p


def adamw(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    maximize: bool = False,
) -> Iterator[Array]:
    return adam(p, gradients, lr, betas, eps, weight_decay, maximize, decoupled=True)
