"""Rules on the norms of whole arrays, and what is made of them."""

from collections.abc import Iterator

import numpy as np

from tests.reference.rules import (
    Array,
    Number,
    Stream,
    add_decayed_weights,
    rule,
    scale_by_adam,
    scale_by_learning_rate,
    trace,
)


def norm(x, axis=None):
    """`np.linalg.norm` knows two axes at most."""
    return np.sqrt(np.sum(x**2, axis=axis, keepdims=axis is not None))


def rms(x):
    return np.sqrt(np.mean(x**2)) if x.size else 0.0


@rule
def scale_by_trust_ratio(
    g, p, t, state, min_norm=0.0, trust_coefficient=1.0, eps=0.0, mask=True
):
    of_p, of_g = max(norm(p), min_norm), max(norm(g), min_norm)
    if not mask or of_p == 0 or of_g == 0:
        return g, None
    return g * (trust_coefficient * of_p / (of_g + eps)), None


@rule
def scale_by_param_block_norm(g, p, t, state, min_scale=1e-3):
    return g * max(norm(p), min_scale), None


@rule
def scale_by_param_block_rms(g, p, t, state, min_scale=1e-3):
    return g * max(rms(p), min_scale), None


@rule
def centralize(g, p, t, state):
    if g.ndim < 2 or g.size == 0:
        return g, None
    rows = g.reshape(len(g), -1)
    return (rows - rows.mean(axis=1)[:, None]).reshape(g.shape), None


@rule
def normalize_by_update_norm(g, p, t, state, scale_factor=1.0, eps=1e-6):
    """Here `g` is the whole tree as one vector."""
    return scale_factor * g / (norm(g) + eps), None


@rule
def clip_by_block_rms(g, p, t, state, threshold):
    return (g * threshold / rms(g) if rms(g) > threshold else g), None


UNITS = {0: None, 1: None, 2: 0, 3: 0, 4: (0, 1, 2), 5: (0, 1, 2, 3)}


@rule
def adaptive_grad_clip(g, p, t, state, clipping, eps=1e-3, axis=None):
    axes = UNITS[g.ndim] if axis is None else axis
    bound = clipping * np.maximum(norm(p, axes), eps)
    return g * np.minimum(1, bound / np.maximum(norm(g, axes), 1e-6)), None


@rule
def scale_by_novograd(
    g, p, t, state, b1=0.9, b2=0.25, eps=1e-8, eps_root=0.0, weight_decay=0.0
):
    mu, nu = (0, norm(g) ** 2) if state is None else state
    nu = b2 * nu + (1 - b2) * norm(g) ** 2
    mu = b1 * mu + g / (np.sqrt(nu + eps_root) + eps) + weight_decay * p
    return mu, (mu, nu)


@rule
def scale_by_distance_over_gradients(
    g, p, t, state, reps_rel=1e-6, eps=1e-8, global_scale=1.0
):
    farthest, total, start = state or (reps_rel * (1 + norm(p)), 0, p)
    farthest = max(farthest, norm(p - start))
    total = total + norm(g) ** 2
    return global_scale * farthest / np.sqrt(total + eps) * g, (farthest, total, start)


def lars(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    weight_decay: Number = 0.0,
    weight_decay_mask: bool = True,
    trust_coefficient: Number = 0.001,
    eps: Number = 0.0,
    trust_ratio_mask: bool = True,
    momentum: Number = 0.9,
    nesterov: bool = False,
) -> Iterator[Array]:
    u = add_decayed_weights(
        gradients, parameters, weight_decay=weight_decay, mask=weight_decay_mask
    )
    u = scale_by_trust_ratio(
        u,
        parameters,
        trust_coefficient=trust_coefficient,
        eps=eps,
        mask=trust_ratio_mask,
    )
    u = scale_by_learning_rate(u, parameters, learning_rate=learning_rate)
    return trace(u, parameters, decay=momentum, nesterov=nesterov)


def lamb(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-6,
    eps_root: Number = 0.0,
    weight_decay: Number = 0.0,
    mask: bool = True,
) -> Iterator[Array]:
    u = scale_by_adam(gradients, parameters, b1=b1, b2=b2, eps=eps, eps_root=eps_root)
    u = add_decayed_weights(u, parameters, weight_decay=weight_decay, mask=mask)
    u = scale_by_trust_ratio(u, parameters)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


@rule
def fromage(g, p, t, state, learning_rate, min_norm=1e-6):
    ratio = max(norm(p), min_norm) / max(norm(g), min_norm)
    length = np.sqrt(1 + np.float64(learning_rate) ** 2)
    return (p - learning_rate * ratio * g) / length - p, None


def novograd(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    eps: Number = 1e-6,
    **numbers: Number,
) -> Iterator[Array]:
    u = scale_by_novograd(gradients, parameters, eps=eps, **numbers)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)
