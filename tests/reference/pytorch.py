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
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled: bool = False,
) -> Iterator[Array]:
    (b1, b2), m, v = betas, np.zeros_like(p), np.zeros_like(p)
    largest = v
    for t, g, rate in _steps(gradients, lr, maximize):
        if decoupled:
            p = p - rate * weight_decay * p
        else:
            g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        largest = np.maximum(largest, v)
        root = np.sqrt((largest if amsgrad else v) / (1 - b2**t))
        p = p - rate * (m / (1 - b1**t)) / (root + eps)
        yield p


def adamw(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    maximize: bool = False,
) -> Iterator[Array]:
    numbers = (lr, betas, eps, weight_decay, amsgrad, maximize)
    return adam(p, gradients, *numbers, decoupled=True)


def nadam(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> Iterator[Array]:
    (b1, b2), m, v, product = betas, np.zeros_like(p), np.zeros_like(p), 1.0

    def momentum(t: int) -> float:
        return b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    for t, g, rate in _steps(gradients, lr, maximize):
        if decoupled_weight_decay:
            p = p - rate * weight_decay * p
        else:
            g = g + weight_decay * p
        product = product * momentum(t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        present = (1 - momentum(t)) / (1 - product) * g
        past = momentum(t + 1) / (1 - product * momentum(t + 1)) * m
        p = p - rate * (present + past) / (np.sqrt(v / (1 - b2**t)) + eps)
        yield p


def radam(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> Iterator[Array]:
    (b1, b2), m, v = betas, np.zeros_like(p), np.zeros_like(p)
    most = 2 / (1 - b2) - 1
    for t, g, rate in _steps(gradients, lr, maximize):
        if decoupled_weight_decay:
            p = p - rate * weight_decay * p
        else:
            g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        rho = most - 2 * t * b2**t / (1 - b2**t)
        u = m / (1 - b1**t)
        if rho > 5:
            r = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
            u = u * np.sqrt(r * (1 - b2**t)) / (np.sqrt(v) + eps)
        p = p - rate * u
        yield p


def adamax(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 2e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    maximize: bool = False,
) -> Iterator[Array]:
    (b1, b2), m, largest = betas, np.zeros_like(p), np.zeros_like(p)
    for t, g, rate in _steps(gradients, lr, maximize):
        g = g + weight_decay * p
        m = b1 * m + (1 - b1) * g
        largest = np.maximum(b2 * largest, np.abs(g) + eps)
        p = p - rate / (1 - b1**t) * m / largest
        yield p


def adadelta(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0,
    maximize: bool = False,
) -> Iterator[Array]:
    squares, moves = np.zeros_like(p), np.zeros_like(p)
    for _, g, rate in _steps(gradients, lr, maximize):
        g = g + weight_decay * p
        squares = rho * squares + (1 - rho) * g**2
        move = np.sqrt(moves + eps) / np.sqrt(squares + eps) * g
        moves = rho * moves + (1 - rho) * move**2
        p = p - rate * move
        yield p


def adafactor(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-2,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> Iterator[Array]:
    least = np.finfo(np.float64).eps if eps[0] is None else eps[0]
    squares, row, column = np.zeros_like(p), 0.0, 0.0

    def size(x: Array) -> Array:
        return np.sqrt(np.mean(x**2))

    for t, g, rate in _steps(gradients, lr, maximize):
        w = t**beta2_decay
        step = max(eps[1], size(p)) * min(rate, 1 / np.sqrt(t))
        squares = squares + w * (g**2 - squares)
        v = squares
        if p.ndim == 2:
            row = row + w * (np.mean(g**2, axis=1, keepdims=True) - row)
            column = column + w * (np.mean(g**2, axis=0, keepdims=True) - column)
            v = row * column / max(np.mean(row), least)
        u = g / np.sqrt(np.maximum(v, least**2))
        p = (1 - rate * weight_decay) * p - step / max(1, size(u) / d) * u
        yield p


def asgd(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0,
    maximize: bool = False,
) -> Iterator[Array]:
    eta = None
    for t, g, rate in _steps(gradients, lr, maximize):
        eta = rate if eta is None else eta
        g = g + weight_decay * p
        p = (1 - lambd * eta) * p - eta * g
        eta = rate / (1 + lambd * rate * t) ** alpha
        yield p


def rprop(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-2,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50),
    maximize: bool = False,
) -> Iterator[Array]:
    size, last = None, np.zeros_like(p)
    for _, g, rate in _steps(gradients, lr, maximize):
        size = np.full_like(p, rate) if size is None else size
        sign = np.sign(g * last)
        factor = np.select([sign > 0, sign < 0], [etas[1], etas[0]], 1.0)
        size = np.clip(size * factor, *step_sizes)
        last = np.where(sign < 0, 0, g)
        p = p - size * np.sign(last)
        yield p


def muon(
    p: Array,
    gradients: Iterable[Array],
    lr: Rate = 1e-3,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> Iterator[Array]:
    """In float64 throughout, where PyTorch iterates in bfloat16."""
    a, b, c = ns_coefficients
    rows, columns = p.shape
    factor = np.sqrt(max(1, rows / columns))
    if adjust_lr_fn == "match_rms_adamw":
        factor = 0.2 * np.sqrt(max(rows, columns))
    m = np.zeros_like(p)
    for _, g, rate in _steps(gradients, lr, False):
        m = momentum * m + (1 - momentum) * g
        u = (1 - momentum) * g + momentum * m if nesterov else m
        x = u / max(np.linalg.norm(u), eps)
        for _ in range(ns_steps):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        p = (1 - rate * weight_decay) * p - rate * factor * x
        yield p
