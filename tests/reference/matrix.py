"""Rules that see a parameter as a matrix, and the optimizers made of them.

The Newton-Schulz iteration is a polynomial of the singular values, and is taken so.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from tests.reference.adam_like import recipe
from tests.reference.norms import clip_by_block_rms, scale_by_param_block_rms
from tests.reference.optimizers import adamw
from tests.reference.rules import (
    Array,
    Number,
    Stream,
    add_decayed_weights,
    ema,
    rule,
    scale,
    scale_by_adam,
    scale_by_learning_rate,
    weight,
)


@rule
def scale_by_factored_rms(
    g,
    p,
    t,
    state,
    factored=True,
    decay_rate=0.8,
    step_offset=0,
    min_dim_size_to_factor=128,
    epsilon=1e-30,
):
    new = max(t - step_offset, 1.0) ** -decay_rate
    square = g**2 + epsilon
    if not factored or g.ndim != 2 or min(g.shape) < max(min_dim_size_to_factor, 1):
        v = square if state is None else (1 - new) * state + new * square
        return g / np.sqrt(v), v
    now = square.mean(1), square.mean(0)
    if state is None:
        state = 0, 0
    rows, columns = ((1 - new) * x + new * y for x, y in zip(state, now, strict=True))
    return g / np.sqrt(np.outer(rows, columns) / rows.mean()), (rows, columns)


def adafactor(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: Number = 0.8,
    decay_offset: Number = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Number | None = 1.0,
    momentum: Number | None = None,
    dtype_momentum: None = None,
    weight_decay_rate: Number | None = None,
    eps: Number = 1e-30,
    factored: bool = True,
    weight_decay_mask: bool = True,
) -> Iterator[Array]:
    u = scale_by_factored_rms(
        gradients,
        parameters,
        factored=factored,
        decay_rate=decay_rate,
        step_offset=decay_offset,
        min_dim_size_to_factor=min_dim_size_to_factor,
        epsilon=eps,
    )
    if clipping_threshold is not None:
        u = clip_by_block_rms(u, parameters, threshold=clipping_threshold)
    if learning_rate is not None:
        u = scale(u, parameters, step_size=learning_rate)
    if multiply_by_parameter_scale:
        u = scale_by_param_block_rms(u, parameters)
    if momentum is not None:
        u = ema(u, parameters, decay=momentum, debias=False)
    if weight_decay_rate is not None:
        u = add_decayed_weights(
            u, parameters, weight_decay=weight_decay_rate, mask=weight_decay_mask
        )
    return scale(u, parameters, step_size=-1)


@rule
def scale_by_sm3(g, p, t, state, b1=0.9, b2=1.0, eps=1e-8):
    """The sets of the paper's cover: all elements that share a place on an axis."""
    cover = [
        tuple(slice(None) if j != axis else place for j in range(g.ndim))
        for axis in range(g.ndim)
        for place in range(g.shape[axis])
    ] or [()]
    largest, mean = ([0] * len(cover), 0) if state is None else state
    bound = np.full(g.shape, np.inf)
    for members, x in zip(cover, largest, strict=True):
        bound[members] = np.minimum(bound[members], x)
    total = b2 * bound + (1 if b2 == 1 else 1 - b2) * g**2
    largest = [np.max(total[members], initial=0) for members in cover]
    mean = b1 * mean + (1 - b1) * g / np.sqrt(total + eps)
    return mean, (largest, mean)


def sm3(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    momentum: Number = 0.9,
) -> Iterator[Array]:
    u = scale_by_sm3(gradients, parameters, b1=momentum)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


@rule
def scale_by_came(
    g,
    p,
    t,
    state,
    b1=0.9,
    b2=0.999,
    b3=0.9999,
    eps=1e-30,
    eps_instability=1e-16,
    clipping_threshold=1.0,
):
    v, mu, r = (0, 0), 0, (0, 0)
    if state is not None:
        v, mu, r = state
    is_factored = g.ndim == 2 and g.size

    def moved(means, x, b):
        now = (x.mean(1), x.mean(0)) if is_factored else (x, x)
        return tuple(b * m + (1 - b) * y for m, y in zip(means, now, strict=True))

    def matrix(means):
        rows, columns = means
        return np.outer(rows, columns) / rows.mean() if is_factored else rows

    v = moved(v, g**2 + eps, b2)
    u = g / np.sqrt(matrix(v))
    size = np.sqrt(np.sum(u**2) / max(u.size, 1))
    u = u / max(1, size / clipping_threshold)
    mu = b1 * mu + (1 - b1) * u
    r = moved(r, (u - mu) ** 2 + eps_instability, b3)
    return mu / np.sqrt(matrix(r)) if is_factored else mu, (v, mu, r)


came = recipe(scale_by_came)


STANDARD = (3.4445, -4.7750, 2.0315)
DION = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)


def orthogonalize(
    x, ns_coeffs=STANDARD, ns_steps=5, preconditioning="frobenius", eps=1e-8
):
    """One matrix; its shorter side is taken for the rows."""
    if not x.size:
        return x
    if x.shape[0] > x.shape[1]:
        return orthogonalize(x.T, ns_coeffs, ns_steps, preconditioning, eps).T
    if preconditioning == "aol":
        rows = np.sqrt(np.abs(x @ x.T).sum(1, keepdims=True))
        x = x / np.maximum(rows, eps)
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    match preconditioning:
        case "frobenius":
            s = s / (np.sqrt(np.sum(s**2)) + eps)
        case "spectral":
            s = s / (np.max(s) + eps)
        case "schatten":
            s = s / max(np.sum(s**4) ** 0.25, eps)
    each = ns_coeffs if np.ndim(ns_coeffs) == 2 else [ns_coeffs] * ns_steps
    for a, b, c in each:
        s = a * s + b * s**3 + c * s**5
    return u * s @ vh


@rule
def scale_by_muon(
    g,
    p,
    t,
    state,
    ns_coeffs=STANDARD,
    ns_steps=5,
    beta=0.95,
    eps=1e-8,
    nesterov=True,
    adaptive=False,
    preconditioning="frobenius",
):
    mu = (1 - beta) * g if state is None else beta * state + (1 - beta) * g
    if nesterov:
        mean = beta * mu / weight(beta, t + 1) + (1 - beta) * g / weight(beta, t)
    else:
        mean = mu / weight(beta, t)
    u = orthogonalize(mean, ns_coeffs, ns_steps, preconditioning, eps)
    return (np.sum(mean * u) * u if adaptive else u), mu


@rule
def scale_by_shape(g, p, t, state, axes=(0, 1), consistent_rms=None):
    fan_in, fan_out = (g.shape[i] for i in axes)
    if consistent_rms is not None:
        return consistent_rms * np.sqrt(max(fan_in, fan_out)) * g, None
    return (np.sqrt(max(1, fan_out / fan_in)) * g if g.size else g), None


def muon(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    ns_coeffs="standard",
    ns_steps: int = 5,
    beta: Number = 0.95,
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
    weight_decay_mask: bool = True,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: str = "frobenius",
    adam_b1: Number = 0.9,
    adam_b2: Number = 0.999,
    adam_eps_root: Number = 0.0,
    adam_weight_decay: Number = 0.0,
    adam_learning_rate: Number | None = None,
    muon_weight_dimension_numbers=None,
    consistent_rms: Number | None = None,
) -> Iterator[Array]:
    gradients, first = itertools.tee(gradients)
    if next(first).ndim != 2:
        yield from adamw(
            gradients,
            parameters,
            learning_rate if adam_learning_rate is None else adam_learning_rate,
            adam_b1,
            adam_b2,
            eps,
            adam_eps_root,
            adam_weight_decay,
            nesterov=nesterov,
        )
        return
    u = scale_by_muon(
        gradients,
        parameters,
        ns_coeffs={"standard": STANDARD, "dion": DION}.get(ns_coeffs, ns_coeffs),
        ns_steps=ns_steps,
        beta=beta,
        eps=eps,
        nesterov=nesterov,
        adaptive=adaptive,
        preconditioning=preconditioning,
    )
    axes = muon_weight_dimension_numbers or (0, 1)
    u = scale_by_shape(u, parameters, axes=tuple(axes), consistent_rms=consistent_rms)
    u = add_decayed_weights(
        u, parameters, weight_decay=weight_decay, mask=weight_decay_mask
    )
    yield from scale_by_learning_rate(u, parameters, learning_rate=learning_rate)


@rule
def adam_in_few_directions(g, p, t, state, rank=128, update_proj_gap=200, scale=1.0):
    adam = scale_by_adam.__wrapped__
    basis, moments = (None, None) if state is None else state
    if g.ndim != 2 or not g.size:
        u, moments = adam(g, p, t, moments)
        return u, (basis, moments)
    is_wide = g.shape[0] < g.shape[1]
    if (t - 1) % update_proj_gap == 0:
        u, _, vh = np.linalg.svd(g, full_matrices=False)
        found = (vh.T if is_wide else u)[:, :rank]
        same = basis is None or np.sum(basis * found, 0) >= 0
        basis = np.where(same, found, -found)
    u, moments = adam(g @ basis if is_wide else basis.T @ g, None, t, moments)
    return scale * (u @ basis.T if is_wide else basis @ u), (basis, moments)


def galore(
    gradients: Stream,
    parameters: Stream,
    learning_rate: Number,
    rank: int = 128,
    update_proj_gap: Number = 200,
    scale: Number = 1.0,
    weight_decay: Number = 0.0,
    mask: bool = True,
) -> Iterator[Array]:
    u = adam_in_few_directions(
        gradients,
        parameters,
        rank=rank,
        update_proj_gap=update_proj_gap,
        scale=scale,
    )
    u = add_decayed_weights(u, parameters, weight_decay=weight_decay, mask=mask)
    return scale_by_learning_rate(u, parameters, learning_rate=learning_rate)
