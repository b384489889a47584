"""The formulas of methods that estimate their step size.

Here `g` and `p` are the whole tree as one vector.
"""

from collections.abc import Iterator

import numpy as np

from tests.reference.rules import (
    Array,
    Number,
    Stream,
    add_decayed_weights,
    rule,
    scale_by_learning_rate,
    weight,
)


@rule
def prodigy(
    g,
    p,
    t,
    state,
    learning_rate=1.0,
    betas=(0.9, 0.999),
    beta3=None,
    eps=1e-8,
    estim_lr0=1e-6,
    estim_lr_coef=1.0,
    weight_decay=0.0,
    safeguard_warmup=False,
):
    """As in the authors' code, with bias correction."""
    b1, b2 = betas
    b3 = np.sqrt(b2) if beta3 is None else beta3
    m, v, s, p0, d, r = (0, 0, 0, p, estim_lr0, 0) if state is None else state
    rate = d * learning_rate * np.sqrt(weight(b2, t)) / weight(b1, t)
    r = b3 * r + d / estim_lr0 * rate * (g @ (p0 - p))
    m = b1 * m + d * (1 - b1) * g
    v = b2 * v + d**2 * (1 - b2) * g**2
    s = b3 * s + d / estim_lr0 * (d if safeguard_warmup else rate) * g
    size = np.sum(np.abs(s))
    d = max(d, estim_lr_coef * r / size) if size > 0 else d
    u = -rate * m / (np.sqrt(v) + d * eps) - weight_decay * rate * p
    return u, (m, v, s, p0, d, r)


@rule
def dadapt_adamw(
    g,
    p,
    t,
    state,
    learning_rate=1.0,
    betas=(0.9, 0.999),
    eps=1e-8,
    estim_lr0=1e-6,
    weight_decay=0.0,
):
    b1, b2 = betas
    c = np.sqrt(b2)
    zero = np.zeros_like(g)
    m, v, s, d, r = (zero, zero, zero, estim_lr0, 0) if state is None else state
    rate = d * learning_rate * np.sqrt(weight(b2, t)) / weight(b1, t)
    r = c * r + (1 - c) * rate * (g @ (s / (np.sqrt(v) + eps)))
    m = b1 * m + rate * (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    s = c * s + rate * (1 - c) * g
    size = (1 - c) * np.sum(np.abs(s))
    d = max(d, r / size) if size > 0 else d
    u = -weight_decay * rate * p - m / (np.sqrt(v) + eps)
    return u, (m, v, s, d, r)


@rule
def scale_by_dog(g, p, t, state, init_step, eps=1e-8):
    kind, number = init_step
    if state is None:
        first = {"heuristic": number * (1 + norm(p)), "distance": number}
        state = p, first.get(kind, 0), 0
    p0, dist, total = state
    dist = max(dist, norm(p - p0))
    total = total + norm(g) ** 2
    rate = dist / np.sqrt(total + eps)
    if kind == "learning_rate" and dist == 0:
        rate = number
    return rate * g, (p0, dist, total)


@rule
def scale_by_dowg(g, p, t, state, init_estim_sq_dist=None, eps=1e-4):
    first = eps if init_estim_sq_dist is None else init_estim_sq_dist
    p0, dist, total = (p, first, 0) if state is None else state
    dist = max(dist, norm(p - p0) ** 2)
    total = total + dist * norm(g) ** 2
    return dist / (np.sqrt(total) + eps) * g, (p0, dist, total)


def norm(x):
    return np.sqrt(x @ x)


def dog(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number = 1.0,
    init_step: tuple[str, float] = ("heuristic", 1e-6),
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
) -> Iterator[Array]:
    u = add_decayed_weights(gradients, parameters, weight_decay=weight_decay)
    u = scale_by_dog(u, parameters, init_step=init_step, eps=eps)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


def dowg(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number = 1.0,
    init_estim_sq_dist: Number | None = None,
    eps: Number = 1e-4,
    weight_decay: Number = 0.0,
) -> Iterator[Array]:
    u = add_decayed_weights(gradients, parameters, weight_decay=weight_decay)
    u = scale_by_dowg(u, parameters, init_estim_sq_dist=init_estim_sq_dist, eps=eps)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


@rule
def scale_by_polyak(
    g, p, t, state, value, f_min=0.0, max_learning_rate=1.0, eps=0.0, variant="sps"
):
    gap = max(value - f_min, 0) if variant == "sps+" else value - f_min
    return g * min(gap / (g @ g + eps), max_learning_rate), None


def polyak_sgd(
    gradients: Stream,
    parameters: Stream,
    value: Number,
    max_learning_rate: Number = 1.0,
    scaling: Number = 1.0,
    f_min: Number = 0.0,
    eps: Number = 0.0,
    variant: str = "sps",
) -> Iterator[Array]:
    u = scale_by_polyak(
        gradients,
        parameters,
        value=value,
        f_min=f_min,
        max_learning_rate=max_learning_rate,
        eps=eps,
        variant=variant,
    )
    return scale_by_learning_rate(u, parameters, learning_rate=scaling)


@rule
def momo(
    g,
    p,
    t,
    state,
    value,
    learning_rate=1.0,
    beta=0.9,
    lower_bound=0.0,
    weight_decay=0.0,
    adapt_lower_bound=False,
):
    """As in the authors' code, without bias correction."""
    d, f, c, lb = (g, value, g @ p, lower_bound) if state is None else state
    d = beta * d + (1 - beta) * g
    f = beta * f + (1 - beta) * value
    c = beta * c + (1 - beta) * (g @ p)
    step = MomoStep(learning_rate, weight_decay, lower_bound, adapt_lower_bound)
    u, lb = step(p, d, d, f, c, lb, 1)
    return u, (d, f, c, lb)


@rule
def momo_adam(
    g,
    p,
    t,
    state,
    value,
    learning_rate=1e-2,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    lower_bound=0.0,
    weight_decay=0.0,
    adapt_lower_bound=False,
):
    d, v, f, c, lb = (0, 0, 0, 0, lower_bound) if state is None else state
    d = b1 * d + (1 - b1) * g
    v = b2 * v + (1 - b2) * g**2
    f = b1 * f + (1 - b1) * value
    c = b1 * c + (1 - b1) * (g @ p)
    ahead = d / (np.sqrt(v / weight(b2, t)) + eps)
    step = MomoStep(learning_rate, weight_decay, lower_bound, adapt_lower_bound)
    u, lb = step(p, d, ahead, f, c, lb, weight(b1, t))
    return u, (d, v, f, c, lb)


class MomoStep:
    """The proximal step on a model of the loss that a lower bound cuts off."""

    def __init__(self, learning_rate, weight_decay, lower_bound, adapts):
        self.rate = learning_rate
        self.decay = learning_rate * weight_decay
        self.lower_bound = lower_bound
        self.adapts = adapts

    def __call__(self, p, d, ahead, f, c, lb, rho):
        k = 1 + self.decay
        if self.adapts:
            cap = k * f + d @ p - k * c
            if cap < k * rho * lb:
                lb = max(cap / (2 * k * rho), self.lower_bound)
        t1 = max(k * (f - rho * lb) + d @ p - k * c, 0) / (d @ ahead)
        tau = min(self.rate / rho, t1)
        if self.adapts:
            lb = max((f + d @ p - c - tau * (d @ ahead) / 2) / rho, self.lower_bound)
        return (p - tau * ahead) / k - p, lb


@rule
def reduce_on_plateau(
    g,
    p,
    t,
    state,
    value,
    factor=0.1,
    patience=10,
    rtol=1e-4,
    atol=0.0,
    cooldown=0,
    accumulation_size=1,
    min_scale=0.0,
):
    scale, best, bad, cool, losses = (1.0, None, 0, 0, []) if state is None else state
    losses = [*losses, value]
    if len(losses) >= accumulation_size:
        mean, losses = np.mean(losses), []
        if best is None or mean < best - rtol * abs(best) - atol:
            best, bad = mean, 0
        else:
            bad += 1
        if cool > 0:
            bad, cool = 0, cool - 1
        elif bad >= patience:
            scale, bad, cool = max(scale * factor, min_scale), 0, cooldown
    return scale * g, (scale, best, bad, cool, losses)
