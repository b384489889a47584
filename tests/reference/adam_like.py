"""Adam's relatives."""

from collections.abc import Callable, Iterator

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


def mean(past, x, b):
    return b * past + (1 - b) * x


def ahead(mu, g, b1, t, nesterov):
    """Adam's debiased mean, or Nesterov's."""
    if nesterov:
        return b1 * mu / weight(b1, t + 1) + (1 - b1) * g / weight(b1, t)
    return mu / weight(b1, t)


@rule
def scale_by_belief(
    g, p, t, state, b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16, nesterov=False
):
    mu, nu = (0, 0) if state is None else state
    mu = mean(mu, g, b1)
    nu = mean(nu, (g - mu) ** 2, b2) + eps_root
    root = np.sqrt(nu / weight(b2, t))
    return ahead(mu, g, b1, t, nesterov) / (root + eps), (mu, nu)


@rule
def scale_by_acprop(g, p, t, state, b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16):
    mu, nu = (0, 0) if state is None else state
    root = 1 if state is None else np.sqrt(nu / weight(b2, t - 1))
    mu = mean(mu, g, b1)
    return g / (root + eps), (mu, mean(nu, (g - mu) ** 2, b2) + eps_root)


@rule
def scale_by_adamax(g, p, t, state, b1=0.9, b2=0.999, eps=1e-8):
    mu, nu = (0, 0) if state is None else state
    mu, nu = mean(mu, g, b1), np.maximum(b2 * nu, np.abs(g) + eps)
    return mu / weight(b1, t) / nu, (mu, nu)


@rule
def scale_by_amsgrad(
    g,
    p,
    t,
    state,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    eps_root=0.0,
    bias_correction_mu=True,
    bias_correction_nu=True,
):
    mu, nu, largest = (0, 0, 0) if state is None else state
    mu, nu = mean(mu, g, b1), mean(nu, g**2, b2)
    mu_hat = mu / weight(b1, t) if bias_correction_mu else mu
    nu_hat = nu / weight(b2, t) if bias_correction_nu else nu
    largest = np.maximum(largest, nu_hat)
    return mu_hat / (np.sqrt(largest + eps_root) + eps), (mu, nu, largest)


@rule
def scale_by_yogi(
    g,
    p,
    t,
    state,
    b1=0.9,
    b2=0.999,
    eps=1e-3,
    eps_root=0.0,
    initial_accumulator_value=1e-6,
):
    start = initial_accumulator_value
    mu, nu = (start, start) if state is None else state
    mu = mean(mu, g, b1)
    nu = nu - (1 - b2) * np.sign(nu - g**2) * g**2
    root = np.sqrt(nu / weight(b2, t) + eps_root)
    return mu / weight(b1, t) / (root + eps), (mu, nu)


@rule
def scale_by_radam(
    g,
    p,
    t,
    state,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    eps_root=0.0,
    threshold=5.0,
    nesterov=False,
):
    mu, nu = (0, 0) if state is None else state
    mu, nu = mean(mu, g, b1), mean(nu, g**2, b2)
    u = ahead(mu, g, b1, t, nesterov)
    most = 2 / (1 - b2) - 1
    rho = most - 2 * t * b2**t / weight(b2, t)
    if rho >= threshold and rho > 4:
        root = np.sqrt(nu / weight(b2, t) + eps_root)
        variance = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
        u = np.sqrt(variance) * u / (root + eps)
    return u, (mu, nu)


@rule
def scale_by_adan(g, p, t, state, b1=0.98, b2=0.92, b3=0.99, eps=1e-8, eps_root=0.0):
    """In the paper's terms beta is 1 - b; its `1 - beta2` is `b2` here."""
    m, v, n, last = (0, 0, 0, g) if state is None else state
    change = g - last
    m, v = mean(m, g, b1), mean(v, change, b2)
    n = mean(n, (g + b2 * change) ** 2, b3)
    u = m / weight(b1, t) + b2 * v / weight(b2, t)
    return u / (np.sqrt(n / weight(b3, t) + eps_root) + eps), (m, v, n, g)


@rule
def scale_by_lion(g, p, t, state, b1=0.9, b2=0.99, mode="hard", smooth_beta=1.0):
    mu = 0 if state is None else state
    x = mean(mu, g, b1)
    if mode == "smooth":
        u = np.tanh(smooth_beta * x)
    else:
        u = np.where((mode == "refined") & (np.abs(x) < 1), x, np.sign(x))
    return u, mean(mu, g, b2)


@rule
def scale_by_adopt(
    g,
    p,
    t,
    state,
    b1=0.9,
    b2=0.9999,
    eps=1e-6,
    nesterov=False,
    use_clipping=True,
    clip_value_fn=None,
):
    if state is None:
        return np.zeros_like(g), (np.zeros_like(g), g**2)
    mu, nu = state
    x = g / np.maximum(np.sqrt(nu), eps)
    if use_clipping:
        bound = (t - 1) ** 0.25 if clip_value_fn is None else clip_value_fn
        x = np.minimum(np.maximum(x, -bound), bound)
    mu = mean(mu, x, b1)
    return mean(mu, x, b1) if nesterov else mu, (mu, mean(nu, g**2, b2))


@rule
def scale_by_ademamix(
    g, p, t, state, b1=0.9, b2=0.999, b3=0.9999, alpha=6.0, eps=1e-8, eps_root=0.0
):
    fast, slow, nu = (0, 0, 0) if state is None else state
    fast, slow, nu = mean(fast, g, b1), mean(slow, g, b3), mean(nu, g**2, b2)
    root = np.sqrt(nu / weight(b2, t) + eps_root)
    return (fast / weight(b1, t) + alpha * slow) / (root + eps), (fast, slow, nu)


@rule
def scale_by_simplified_ademamix(
    g, p, t, state, b1=0.99, b2=0.95, alpha=0.0, eps=1e-8, eps_root=0.0
):
    m, n = (0, 0) if state is None else state
    m, n = b1 * m + g, mean(n, g**2, b2)
    return (m + alpha * g) / (np.sqrt(n / weight(b2, t) + eps_root) + eps), (m, n)


@rule
def scale_by_adam_mini(g, p, t, state, b1=0.9, b2=0.999, eps=1e-8, axes=None):
    """Blocks one by one; by default the last axis counts them, if there are two."""
    if axes is None:
        axes = range(max(g.ndim - 1, 1)) if g.ndim else ()
    over = {i % g.ndim for i in np.ravel(axes).astype(int)}
    counted = [i for i in range(g.ndim) if i not in over]
    m, n = (np.zeros(g.shape), np.zeros(g.shape)) if state is None else state
    m = mean(m, g, b1)
    for place in np.ndindex(*(g.shape[i] for i in counted)):
        block = [slice(None)] * g.ndim
        for i, where in zip(counted, place, strict=True):
            block[i] = where
        x = g[tuple(block)]
        n[tuple(block)] = mean(n[tuple(block)], np.sum(x**2) / max(x.size, 1), b2)
    return m / weight(b1, t) / (np.sqrt(n / weight(b2, t)) + eps), (m, n)


def recipe(
    scaled: Callable[..., Iterator[Array]],
    weight_decay: Number | None = None,
    **defaults: Number,
) -> Callable[..., Iterator[Array]]:
    """A rule, weight decay and a learning rate, with defaults of their own."""

    def optimizer(
        gradients: Stream,
        parameters: Stream,
        learning_rate: Number,
        weight_decay: Number | None = weight_decay,
        mask: bool = True,
        weight_decay_mask: bool = True,
        **numbers: Number,
    ) -> Iterator[Array]:
        u = scaled(gradients, parameters, **(defaults | numbers))
        if weight_decay is not None:
            decays = {"weight_decay": weight_decay, "mask": mask and weight_decay_mask}
            u = add_decayed_weights(u, parameters, **decays)
        return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)

    return optimizer


adabelief = recipe(scale_by_belief)
acprop = recipe(scale_by_acprop)
adamax = recipe(scale_by_adamax)
adamaxw = recipe(scale_by_adamax, weight_decay=1e-4)
amsgrad = recipe(scale_by_amsgrad)
yogi = recipe(scale_by_yogi)
radam = recipe(scale_by_radam)
adan = recipe(scale_by_adan, eps_root=1e-8)
lion = recipe(scale_by_lion, weight_decay=1e-3)
adopt = recipe(scale_by_adopt)
ademamix = recipe(scale_by_ademamix, alpha=5.0)
simplified_ademamix = recipe(scale_by_simplified_ademamix)
adam_mini = recipe(scale_by_adam_mini)
