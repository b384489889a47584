"""The three sequences of schedule-free learning, from the paper."""

import numpy as np

from tests.reference.rules import rule, weight


def _follow(u, y, z, weights, rate, b1, power):
    """The update of `y`, from that of `z`; the state is `(z, weights)`."""
    largest = max(weights[0], rate)
    total = weights[1] + largest**power
    c = largest**power / total if total > 0 else 0
    x = (y - (1 - b1) * z) / b1
    z = z + u
    x = (1 - c) * x + c * z
    return b1 * x + (1 - b1) * z - y, z, (largest, total)


def _rate(learning_rate, warmup_steps, t):
    if warmup_steps is None:
        return learning_rate
    return learning_rate * min(t - 1, warmup_steps) / warmup_steps


@rule
def schedule_free_sgd(
    g,
    p,
    t,
    state,
    learning_rate=1.0,
    warmup_steps=None,
    b1=0.9,
    weight_decay=0.0,
    weight_lr_power=2.0,
):
    z, weights = (p, (0.0, 0.0)) if state is None else state
    rate = _rate(learning_rate, warmup_steps, t)
    u = -rate * (g + weight_decay * p)
    move, z, weights = _follow(u, p, z, weights, rate, b1, weight_lr_power)
    return move, (z, weights)


@rule
def schedule_free_adamw(
    g,
    p,
    t,
    state,
    learning_rate=0.0025,
    warmup_steps=None,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    weight_decay=0.0,
    weight_lr_power=2.0,
):
    z, weights, nu = (p, (0.0, 0.0), 0.0) if state is None else state
    rate = _rate(learning_rate, warmup_steps, t)
    nu = b2 * nu + (1 - b2) * g**2
    direction = g / (np.sqrt(nu / weight(b2, t)) + eps)
    u = -rate * (direction + weight_decay * p)
    move, z, weights = _follow(u, p, z, weights, rate, b1, weight_lr_power)
    return move, (z, weights, nu)
