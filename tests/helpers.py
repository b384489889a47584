"""Random trees, runs through them, and how far two results lie apart."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

STEPS = 50

Tree = Any

TREES: dict[str, Tree] = {
    "nested": {
        "encoder": (
            {"kernel": np.zeros((3, 4)), "bias": np.zeros(4)},
            {"kernel": np.zeros((3, 4)), "bias": None},
            None,
        ),
        "scale": np.zeros(()),
    },
    "bare": np.zeros(5),
    "scalar": np.zeros(()),
    "with an empty leaf": {"kernel": np.zeros((0, 3)), "bias": [np.zeros(2)]},
    "mixed": {
        "kernel": np.zeros((3, 4), np.float32),
        "bias": (np.zeros(4), None),
        "scale": np.zeros((), np.float32),
    },
}
"""The shapes and dtypes that the tests run through."""


def trajectory(like: Tree, seed: int, steps: int = STEPS) -> Tree:
    """Random values of every step, stacked: of either sign, 1e-3 to 10 in magnitude."""
    rng = np.random.default_rng(seed)

    def leaf(x: np.ndarray) -> np.ndarray:
        sign = rng.choice([-1.0, 1.0], size=(steps, *x.shape))
        return (sign * 10 ** rng.uniform(-3, 1, size=sign.shape)).astype(x.dtype)

    return jax.tree.map(leaf, like)


def random_tree(like: Tree, seed: int) -> Tree:
    """One step of a trajectory."""
    return at(trajectory(like, seed, steps=1), 0)


def at(stacked: Tree, step: int) -> Tree:
    """The values of one step."""
    return jax.tree.map(lambda x: x[step], stacked)


class Run(NamedTuple):
    """What a transformation gave: the updates of every step, and the last state."""

    updates: Tree
    state: Tree


def run(
    tx: Any,
    gradients: Tree,
    parameters: Tree,
    start: Tree = None,
    extra: Mapping[str, Callable[[int], Any]] = {},
) -> Run:
    """Takes a transformation, ours or Optax's, through stacked gradients.

    The parameters of every step are given, too: errors do not add up through them.

    Args:
        tx: has `init` and `update`.
        gradients: those of every step, stacked.
        parameters: those of every step, stacked.
        start: the state to begin with; by default that of `tx.init`.
        extra: further keywords of `update`, as functions of the count.
    """

    def step(state: Tree, now: tuple[Tree, Tree, Tree]) -> tuple[Tree, Tree]:
        g, p, keywords = now
        u, state = tx.update(g, state, p, **keywords)
        return state, u

    @jax.jit
    def scan(*stacked: Tree) -> tuple[Tree, Tree]:
        first = tx.init(at(stacked[1], 0)) if start is None else start
        return jax.lax.scan(step, first, stacked)

    steps = range(len(jax.tree.leaves(gradients)[0]))
    keywords = {k: np.array([f(i) for i in steps]) for k, f in extra.items()}
    state, updates = scan(gradients, parameters, keywords)
    return Run(updates, state)


def by_name(tree: Tree) -> dict[str, Any]:
    """The leaves of a tree by path: `encoder/0/kernel`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in leaves
    }


def relative_error(actual: Any, expected: Any) -> float:
    """The largest difference, relative to the largest expected magnitude.

    Over all steps and elements of a leaf at once: an update may pass through zero, and
    a relative error of its own there says nothing about what reaches the parameter.
    """
    expected = np.asarray(expected, np.float64)
    difference = np.max(np.abs(np.asarray(actual, np.float64) - expected), initial=0)
    scale = np.max(np.abs(expected), initial=np.finfo(np.float64).tiny)
    return float(difference / scale)


def relative_errors(actual: Tree, expected: Tree) -> dict[str, float]:
    """The relative error of every leaf, by path."""
    found, wanted = by_name(actual), by_name(expected)
    assert list(found) == list(wanted)
    assert [x.shape for x in found.values()] == [x.shape for x in wanted.values()]
    return {path: relative_error(found[path], wanted[path]) for path in wanted}


def rounding(dtype: Any) -> float:
    """The relative error allowed where two computations differ by rounding alone.

    In float64 some 5,000 roundings, far below any mistake in a formula; in float32 the
    bound that this package holds itself to.
    """
    return 1e-12 if np.dtype(dtype) == np.float64 else 2e-6


def assert_close(actual: Tree, expected: Tree, tolerance: float | None = None) -> None:
    """Asserts a small relative error in every leaf, and names the leaves that fail.

    Without a tolerance, `rounding` of each actual leaf's dtype is allowed.
    """
    errors = relative_errors(actual, expected)
    allowed = {
        path: rounding(x.dtype) if tolerance is None else tolerance
        for path, x in by_name(actual).items()
    }
    wrong = {path: e for path, e in errors.items() if not e <= allowed[path]}
    assert not wrong, wrong


class count_traces:
    """`jax.jit(function)`, which counts in `.traces` how often it is traced."""

    def __init__(self, function: Callable[..., Any], **options: Any):
        self.traces = 0
        self._function = function
        self._jitted = jax.jit(self._traced, **options)

    def _traced(self, *args: Any, **kwargs: Any) -> Any:
        self.traces += 1
        return self._function(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._jitted(*args, **kwargs)
