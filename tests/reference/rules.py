"""The formulas of the rules, one array at a time.

Each is written as one step, `(g, p, t, state, hyperparameters) -> (update, state)`,
with `t` from 1 and `state` None before the first. `@rule` makes of it a function of
streams: the gradients and the parameters of every step in, the updates of every step
out. A hyperparameter is a number, or a function of how many steps were taken before.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray
Stream = Iterable[Array]
Number = float | Callable[[int], float]


def rule(step: Callable[..., tuple[Array, Any]]) -> Callable[..., Iterator[Array]]:
    """The step, taken once per gradient, with the hyperparameters then in force."""

    @functools.wraps(step)
    def updates(
        gradients: Stream, parameters: Stream, **numbers: Any
    ) -> Iterator[Array]:
        state = None
        for count, (g, p) in enumerate(zip(gradients, parameters, strict=True)):
            now = {k: x(count) if callable(x) else x for k, x in numbers.items()}
            u, state = step(g, p, count + 1, state, **now)
            yield u

    return updates


def weight(b, t):
    """`1 - b**t`, as the sum of what a moving average gives its `t` values.

    The difference itself would lose digits where `b` is close to 1.
    """
    return (1 - b) * np.sum(b ** np.arange(t))


@rule
def scale(g, p, t, state, step_size):
    return step_size * g, None


@rule
def scale_by_schedule(g, p, t, state, step_size_fn):
    return step_size_fn * g, None


@rule
def scale_by_learning_rate(g, p, t, state, learning_rate, flip_sign=True):
    return (-learning_rate if flip_sign else learning_rate) * g, None


@rule
def add_decayed_weights(g, p, t, state, weight_decay=0.0, mask=True):
    return g + weight_decay * p if mask else g, None


@rule
def independent_weight_decay(g, p, t, state, weight_decay, mask=True):
    return g - weight_decay * p if mask else g, None


@rule
def clip(g, p, t, state, max_delta):
    return np.minimum(np.maximum(g, -max_delta), max_delta), None


@rule
def clip_by_global_norm(g, p, t, state, max_norm):
    """Here `g` is the whole tree as one vector."""
    norm = np.sqrt(np.sum(g**2))
    return (g * max_norm / norm if norm > max_norm else g), None


@rule
def trace(g, p, t, state, decay, nesterov=False):
    total = g if state is None else g + decay * state
    return (g + decay * total if nesterov else total), total


@rule
def ema(g, p, t, state, decay, debias=True):
    mean = (1 - decay) * g if state is None else decay * state + (1 - decay) * g
    return (mean / weight(decay, t) if debias else mean), mean


@rule
def scale_by_rss(g, p, t, state, initial_accumulator_value=0.1, eps=1e-7):
    total = (initial_accumulator_value if state is None else state) + g**2
    zero = np.zeros_like(g)
    return np.divide(g, np.sqrt(total + eps), out=zero, where=total > 0), total


@rule
def scale_by_rms(
    g,
    p,
    t,
    state,
    decay=0.9,
    eps=1e-8,
    initial_scale=0.0,
    eps_in_sqrt=True,
    bias_correction=False,
):
    nu = initial_scale if state is None else state
    nu = decay * nu + (1 - decay) * g**2
    nu_hat = nu / weight(decay, t) if bias_correction else nu
    return g / root(nu_hat, eps, eps_in_sqrt), nu


@rule
def scale_by_stddev(
    g,
    p,
    t,
    state,
    decay=0.9,
    eps=1e-8,
    initial_scale=0.0,
    eps_in_sqrt=True,
    bias_correction=False,
):
    mu, nu = (0, initial_scale) if state is None else state
    mu = decay * mu + (1 - decay) * g
    nu = decay * nu + (1 - decay) * g**2
    gathered = weight(decay, t) if bias_correction else 1
    variance = nu / gathered - (mu / gathered) ** 2
    return g / root(variance, eps, eps_in_sqrt), (mu, nu)


def root(x, eps, eps_in_sqrt):
    return np.sqrt(x + eps) if eps_in_sqrt else np.sqrt(x) + eps


@rule
def scale_by_adam(
    g, p, t, state, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, nesterov=False
):
    mu, nu = (0, 0) if state is None else state
    mu = b1 * mu + (1 - b1) * g
    nu = b2 * nu + (1 - b2) * g**2
    if nesterov:
        mu_hat = b1 * mu / weight(b1, t + 1) + (1 - b1) * g / weight(b1, t)
    else:
        mu_hat = mu / weight(b1, t)
    return mu_hat / (np.sqrt(nu / weight(b2, t) + eps_root) + eps), (mu, nu)


@rule
def normalize(g, p, t, state):
    """Here `g` is the whole tree as one vector."""
    return g / np.sqrt(np.sum(g**2)), None
