"""What a law found beside what it expected."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Of a leaf's largest magnitude, by the bits of the coarsest number in sight. Compiled
# code contracts a*b+c and reorders sums, so each of some dozens of operations in a
# step may differ by an ulp (1e-16, 6e-8, 4e-3, 6e-2). What a law is to find, such as
# a number that went through float32, starts at 6e-8 in a float64.
TOLERANCE = {64: 1e-12, 32: 1e-6, 16: 2e-2, 8: 0.25}


class Problem(NamedTuple):
    """Where a law fails, what was found there, and what was expected."""

    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}found {self.found}; expected {self.expected}"


class Unproven(Exception):
    """A law could not be tried; the text says why."""


def raised(where: str, error: Exception, expected: str = "no error") -> Problem:
    """An exception as a problem."""
    return Problem(where, f"{type(error).__name__}: {shortened(error)}", expected)


def shortened(x: Any, length: int = 240) -> str:
    """The text of `x` on one line of bounded length."""
    text = " ".join(str(x).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def name(path: tuple[Any, ...]) -> str:
    """A path in words: `mu/dense/kernel`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def with_paths(tree: Any) -> list[tuple[str, Any]]:
    """Every leaf and the name of its path."""
    keyed, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(name(path), leaf) for path, leaf in keyed]


def at(where: str, path: str) -> str:
    return f"{where}, {path!r}" if path else where


def describe(x: Any) -> str:
    """A leaf in few words: `float32[3,2]`, `weak int32[]`, `the int 0`."""
    if not isinstance(x, jax.Array | jax.ShapeDtypeStruct | np.ndarray):
        return f"the {type(x).__name__} {shortened(repr(x), 40)}"
    weak = "weak " if getattr(x, "weak_type", False) else ""
    return f"{weak}{x.dtype}[{','.join(map(str, x.shape))}]"


def structure(tree: Any) -> Any:
    """How a tree is built, apart from its leaves."""
    return jax.tree.structure(tree)


def same_structure(where: str, found: Any, expected: Any) -> Iterator[Problem]:
    """Problems where two trees are not built alike."""
    if structure(found) != structure(expected):
        yield Problem(
            where, shortened(structure(found)), shortened(structure(expected))
        )


def same_types(where: str, found: Any, expected: Any) -> Iterator[Problem]:
    """Problems where leaves differ in shape, dtype or weak type."""
    problems = list(same_structure(where, found, expected))
    if problems:
        yield from problems
        return
    pairs = zip(with_paths(found), jax.tree.leaves(expected), strict=True)
    for (path, x), y in pairs:
        if describe(x) != describe(y):
            yield Problem(at(where, path), describe(x), describe(y))


def same_values(where: str, found: Any, expected: Any) -> Iterator[Problem]:
    """Problems where leaves differ by more than rounding explains."""
    problems = list(same_structure(where, found, expected))
    if problems:
        yield from problems
        return
    tolerance = _tolerance(expected)
    pairs = zip(with_paths(found), jax.tree.leaves(expected), strict=True)
    for (path, x), y in pairs:
        bound = tolerance * _largest(y)
        if np.shape(x) != np.shape(y):
            yield Problem(at(where, path), describe(x), describe(y))
        elif not np.allclose(_wide(x), _wide(y), rtol=0, atol=bound, equal_nan=True):
            off = np.max(np.abs(_wide(x) - _wide(y)))
            found = f"{shortened(x)}, off by {off:.1e}"
            yield Problem(at(where, path), found, f"{shortened(y)} within {bound:.1e}")


def same_bits(where: str, found: Any, expected: Any) -> Iterator[Problem]:
    """Problems where leaves are not the same numbers of the same dtype."""
    problems = list(same_structure(where, found, expected))
    if problems:
        yield from problems
        return
    pairs = zip(with_paths(found), jax.tree.leaves(expected), strict=True)
    for (path, x), y in pairs:
        if np.asarray(x).dtype != np.asarray(y).dtype or np.shape(x) != np.shape(y):
            yield Problem(at(where, path), describe(np.asarray(x)), describe(y))
        elif np.asarray(x).tobytes() != np.asarray(y).tobytes():
            yield Problem(at(where, path), shortened(x), shortened(y))


def finite(where: str, tree: Any) -> Iterator[Problem]:
    """Problems where a leaf holds nan or an infinity."""
    for path, x in with_paths(tree):
        if not np.all(np.isfinite(_wide(x))):
            yield Problem(at(where, path), shortened(x), "finite numbers")


def _wide(x: Any) -> np.ndarray:
    return np.asarray(x).astype(np.complex128 if jnp.iscomplexobj(x) else np.float64)


def _largest(x: Any) -> float:
    """The largest magnitude in a floating-point leaf; whole numbers are exact."""
    if not jnp.issubdtype(np.asarray(x).dtype, jnp.inexact):
        return 0.0
    magnitudes = np.abs(_wide(x))
    return float(np.max(magnitudes, where=np.isfinite(magnitudes), initial=0.0))


def _tolerance(tree: Any) -> float:
    dtypes = [np.asarray(x).dtype for x in jax.tree.leaves(tree)]
    bits = [jnp.finfo(d).bits for d in dtypes if jnp.issubdtype(d, jnp.inexact)]
    return TOLERANCE[min(bits, default=64)]
