"""L-BFGS by its two-loop recursion, of one vector, with a list of pairs for memory."""

import numpy as np

from tests.reference.rules import rule


@rule
def scale_by_lbfgs(g, p, t, state, memory_size=10, scale_init_precond=True):
    """Nocedal and Wright 2006, algorithm 7.4; here `g` is the whole tree as one vector.

    Of the last `memory_size` pairs those with `<s, y> > 0` are used.
    """
    pairs = []
    if state is not None:
        last_g, last_p, pairs = state
        pairs = [*pairs, (p - last_p, g - last_g)][-memory_size:]
    u = direction(g, [(s, y) for s, y in pairs if s @ y > 0], scale_init_precond)
    return u, (g, p, pairs)


def direction(g, pairs, scale_init_precond=True):
    """The BFGS inverse Hessian of some pairs, oldest first, times a vector."""
    q, alphas = g, []
    for s, y in reversed(pairs):
        alphas.append((s @ q) / (s @ y))
        q = q - alphas[-1] * y
    r = first_scale(g, pairs) * q if scale_init_precond else q
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        r = r + (alpha - (y @ r) / (s @ y)) * s
    return r


def first_scale(g, pairs):
    """The multiple of the identity that the recursion starts from."""
    if pairs:
        s, y = pairs[-1]
        return (s @ y) / (y @ y)
    return 1 / max(1.0, np.linalg.norm(g))
