"""A matrix's nearest orthogonal one, by the Newton-Schulz iteration."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxopt_lite.core.matrices import Axes, matrix_axes
from jaxopt_lite.core.numbers import FINITE, fixed_number
from jaxopt_lite.core.numerics import abs_sq, real, root
from jaxopt_lite.core.storage import arithmetic_dtype
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.types import DTypeLike, Numeric, Tensor
from jaxopt_lite.core.value import short_repr

STANDARD = (3.4445, -4.7750, 2.0315)
PRESETS: dict[str, Any] = {
    "standard": STANDARD,
    "dion": (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ),
}
"""Coefficients by name: Jordan's for every step, Dion's for each of five."""


def orthogonalize_via_newton_schulz(
    x: Tensor,
    ns_coeffs: Any = STANDARD,
    ns_steps: int = 5,
    preconditioning: str = "frobenius",
    eps: Numeric = 1e-8,
    dimension_numbers: Any = None,
) -> Tensor:
    """Moves all singular values of a matrix towards 1.

        X <- x / s
        X <- a * X + (b * X X^H + c * (X X^H)**2) X           ns_steps times

    With Jordan's coefficients they end between about 0.7 and 1.2.

    Args:
        x: a matrix, or an array of them.
        ns_coeffs: `(a, b, c)`; or one such triple for each step, and `ns_steps` does
            not count; or `"standard"` or `"dion"`.
        ns_steps: how many steps, at least 1.
        preconditioning: what `s` is: `"frobenius"`, the root of the sum of squares;
            `"spectral"`, the largest singular value; `"schatten"`, the root of the
            Frobenius norm of `X X^H`; `"aol"`, of the sum of `|X X^H|` in each
            row. All bound the singular values by 1; the last two do so closely and
            cost no product more.
        eps: added to `s` (of the last two, its least value), at least 0.
        dimension_numbers: which axes are the rows and columns, as in
            `MuonDimensionNumbers`; the others count matrices. None for two axes.

    Returns:
        An array like `x`, computed in at least float32; 0 for a matrix of zeros.

    Raises:
        ValueError: if `x` is no matrix, or an argument is outside its range.

    Source: Bernstein and Newhouse 2024, arXiv 2409.20325; Jordan 2024; aol Boissin et
    al. 2025, arXiv 2512.04632; schatten Grishina et al. 2025, arXiv 2506.10935. Optax
    computes in the dtype of `x`; takes `eps` for the least square of `s` where it is
    its least value here, and there always 1e-8, so that small matrices stay small; and
    refuses more triples than `ns_steps`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> x = jl.orthogonalize_via_newton_schulz(jnp.diag(jnp.array([3.0, -0.1])))
        >>> x.round(1)
        Array([[ 0.7,  0. ],
               [ 0. , -1.1]], dtype=float32)
    """
    x = jnp.asarray(x)
    where = "orthogonalize_via_newton_schulz"
    (axes,) = matrix_axes(dimension_numbers).resolve(where, Flat(x), [True])
    wide = x.astype(arithmetic_dtype(x.dtype))
    fixed = jnp.asarray(coefficients(ns_coeffs), real(wide.dtype))
    eps = fixed_number("eps", eps)
    check(ns_steps, preconditioning)
    return orthogonal(wide, axes, fixed, ns_steps, preconditioning, eps).astype(x.dtype)


def check(ns_steps: int, preconditioning: str) -> None:
    """Refuses what the iteration does not know.

    Raises:
        ValueError: if `ns_steps` is no positive integer, or there is no such
            preconditioning.
    """
    if not isinstance(ns_steps, int) or ns_steps < 1:
        raise ValueError(f"ns_steps is {ns_steps!r}; expected an integer, at least 1.")
    if preconditioning not in _PRECONDITIONINGS:
        raise ValueError(
            f"preconditioning is {preconditioning!r}; expected one of "
            f"{', '.join(map(repr, _PRECONDITIONINGS))}."
        )


def coefficients(given: Any) -> tuple[Any, ...]:
    """Coefficients by name, as a triple, or as a triple for each step.

    Raises:
        ValueError: if they are none of these.
    """
    if isinstance(given, str):
        if given not in PRESETS:
            raise ValueError(
                f"ns_coeffs is {given!r}; expected {' or '.join(map(repr, PRESETS))}, "
                f"or numbers."
            )
        given = PRESETS[given]
    if _is_triple(given):
        return tuple(fixed_number("ns_coeffs", x, FINITE) for x in given)
    if not _is_sequence(given) or not len(given) or not all(map(_is_triple, given)):
        raise ValueError(
            f"ns_coeffs is {short_repr(given)}; expected three numbers, or three for "
            f"each step."
        )
    return tuple(map(coefficients, given))


def _is_triple(x: Any) -> bool:
    return _is_sequence(x) and len(x) == 3 and not any(map(_is_sequence, x))


def _is_sequence(x: Any) -> bool:
    return isinstance(x, tuple | list) or getattr(x, "ndim", 0) > 0


def orthogonal(
    x: Tensor,
    axes: Axes,
    ns_coeffs: Tensor,
    ns_steps: int,
    preconditioning: str,
    eps: Numeric,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """The matrices in an array, each made orthogonal, with products in `dtype`."""
    matrices = axes.matrices(x)
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    y = matrices.mT if is_tall else matrices
    y, gram = _PRECONDITIONINGS[preconditioning](y, eps)
    y, gram = y.astype(dtype or y.dtype), gram.astype(dtype or gram.dtype)
    triples = (
        jnp.broadcast_to(ns_coeffs, (ns_steps, 3)) if ns_coeffs.ndim == 1 else ns_coeffs
    ).astype(real(y.dtype))
    y = _improved(y, gram, triples[0])
    # A loop: unrolled, XLA keeps the products of many steps and leaves at once.
    y, _ = lax.scan(lambda y, abc: (_improved(y, _gram(y), abc), None), y, triples[1:])
    return axes.array(y.mT if is_tall else y, x.shape).astype(x.dtype)


def _improved(x: Tensor, gram: Tensor, abc: Tensor) -> Tensor:
    """One step of the iteration."""
    a, b, c = abc
    return a * x + (b * gram + c * gram @ gram) @ x


def _gram(x: Tensor) -> Tensor:
    return x @ x.conj().mT


def _frobenius(x: Tensor, eps: Numeric) -> tuple[Tensor, Tensor]:
    y = x * _inverse(_norm(x) + eps)
    return y, _gram(y)


def _spectral(x: Tensor, eps: Numeric) -> tuple[Tensor, Tensor]:
    norm = jnp.linalg.norm(x, 2, (-2, -1), keepdims=True) if x.size else 1.0
    y = x * _inverse(norm + eps)
    return y, _gram(y)


def _aol(x: Tensor, eps: Numeric) -> tuple[Tensor, Tensor]:
    gram = _gram(x)
    rows = jnp.sum(jnp.abs(gram), -1, keepdims=True)
    s = _inverse(jnp.maximum(root(rows), eps))
    return x * s, gram * s * s.mT


def _schatten(x: Tensor, eps: Numeric) -> tuple[Tensor, Tensor]:
    gram = _gram(x)
    s = _inverse(jnp.maximum(root(_norm(gram)), eps))
    return x * s, gram * s * s


_PRECONDITIONINGS: dict[str, Callable[[Tensor, Numeric], tuple[Tensor, Tensor]]] = {
    "frobenius": _frobenius,
    "spectral": _spectral,
    "aol": _aol,
    "schatten": _schatten,
}


def _norm(x: Tensor) -> Tensor:
    """The Frobenius norm of each matrix."""
    return root(jnp.sum(abs_sq(x), (-2, -1), keepdims=True))


def _inverse(x: Any) -> Tensor:
    """One over `x`, and 0 at 0."""
    x = jnp.asarray(x)
    positive = x > 0
    return jnp.where(positive, 1 / jnp.where(positive, x, 1), 0)
