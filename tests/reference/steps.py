"""Rules on signs and on the sizes of steps, and what is made of them."""

from collections.abc import Iterator

import numpy as np

from tests.reference.rules import (
    Array,
    Number,
    Stream,
    add_decayed_weights,
    ema,
    rule,
    scale_by_adam,
    scale_by_learning_rate,
)


@rule
def scale_by_sign(g, p, t, state):
    return np.sign(g), None


def sign_sgd(
    gradients: Stream, parameters: Stream, learning_rate: Number
) -> Iterator[Array]:
    u = scale_by_sign(gradients, parameters)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


def signum(
    gradients: Stream, parameters: Stream, learning_rate: Number, beta: Number = 0.9
) -> Iterator[Array]:
    u = ema(gradients, parameters, decay=beta, debias=False)
    return sign_sgd(u, parameters, learning_rate)


@rule
def scale_by_rprop(
    g,
    p,
    t,
    state,
    learning_rate,
    eta_minus=0.5,
    eta_plus=1.2,
    min_step_size=1e-6,
    max_step_size=50.0,
):
    """The gradient itself is remembered, as zero where it has turned."""
    before, size = (np.zeros_like(g), learning_rate) if state is None else state
    eta = np.choose(np.sign(before * g).astype(int) + 1, [eta_minus, 1.0, eta_plus])
    size = np.minimum(np.maximum(size * eta, min_step_size), max_step_size)
    g = np.where(before * g < 0, 0.0, g)
    return size * np.sign(g), (g, size)


def rprop(
    gradients: Stream, parameters: Stream, learning_rate: Number, **numbers: Number
) -> Iterator[Array]:
    steps = scale_by_rprop(
        gradients, parameters, learning_rate=learning_rate, **numbers
    )
    return (-u for u in steps)


@rule
def scale_by_adadelta(g, p, t, state, rho=0.9, eps=1e-6):
    e_g, e_x = (0, 0) if state is None else state
    e_g = rho * e_g + (1 - rho) * g**2
    u = np.sqrt(e_x + eps) / np.sqrt(e_g + eps) * g
    return u, (e_g, rho * e_x + (1 - rho) * u**2)


def adadelta(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number | None = None,
    rho: Number = 0.9,
    eps: Number = 1e-6,
    weight_decay: Number = 0.0,
    weight_decay_mask: bool = True,
) -> Iterator[Array]:
    u = add_decayed_weights(
        gradients, parameters, weight_decay=weight_decay, mask=weight_decay_mask
    )
    u = scale_by_adadelta(u, parameters, rho=rho, eps=eps)
    if learning_rate is None:
        return u
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


@rule
def scale_by_optimistic_gradient(g, p, t, state, alpha=1.0, beta=1.0):
    before = g if state is None else state
    return (alpha + beta) * g - beta * before, g


def optimistic_gradient_descent(
    gradients: Stream, parameters: Stream, learning_rate: Number, **numbers: Number
) -> Iterator[Array]:
    u = scale_by_optimistic_gradient(gradients, parameters, **numbers)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


def optimistic_adam(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    optimism: Number | None = None,
    nesterov: bool = True,
    **numbers: Number,
) -> Iterator[Array]:
    optimism = learning_rate if optimism is None else optimism
    r = scale_by_adam(gradients, parameters, nesterov=nesterov, **numbers)
    u = scale_by_optimistic_gradient(r, parameters, alpha=learning_rate, beta=optimism)
    return (-x for x in u)


def optimistic_adam_v2(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    alpha: Number = 1.0,
    beta: Number = 1.0,
    nesterov: bool = True,
    **numbers: Number,
) -> Iterator[Array]:
    r = scale_by_adam(gradients, parameters, nesterov=nesterov, **numbers)
    return optimistic_gradient_descent(
        r, parameters, learning_rate, alpha=alpha, beta=beta
    )


@rule
def scale_by_madgrad(g, p, t, state, learning_rate, momentum=0.9, eps=1e-6):
    squares, total, start = (0, 0, p) if state is None else state
    weight = (learning_rate + eps) * np.sqrt(t)
    squares = squares + weight * g**2
    total = total + weight * g
    z = start - total / (np.cbrt(squares) + eps)
    return (1 - momentum) * z + momentum * p - p, (squares, total, start)


def madgrad(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    weight_decay: Number = 0.0,
    **numbers: Number,
) -> Iterator[Array]:
    u = add_decayed_weights(gradients, parameters, weight_decay=weight_decay)
    return scale_by_madgrad(u, parameters, learning_rate=learning_rate, **numbers)


@rule
def scale_by_cocob(g, p, t, state, alpha=100.0, eps=1e-8):
    start, theta, largest, total, reward = state or (p, 0, eps, 0, 0)
    largest = np.maximum(largest, np.abs(g))
    total = total + np.abs(g)
    reward = np.maximum(reward - g * (p - start), 0)
    theta = theta - g
    share = theta / (largest * np.maximum(total + largest, alpha * largest))
    u = start + share * (largest + reward) - p
    return u, (start, theta, largest, total, reward)


def cocob(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number = 1.0,
    weight_decay: Number = 0.0,
    mask: bool = True,
    **numbers: Number,
) -> Iterator[Array]:
    u = add_decayed_weights(gradients, parameters, weight_decay=weight_decay, mask=mask)
    u = scale_by_learning_rate(
        u, parameters, learning_rate=learning_rate, flip_sign=False
    )
    return scale_by_cocob(u, parameters, **numbers)
