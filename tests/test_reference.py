"""Every transformation equals its NumPy reference in float64 over fifty steps."""

import inspect

import jax
import jax.numpy as jnp
import pytest

import jaxopt_lite
from tests.helpers import TREES, assert_close, by_name, rounding, run, trajectory
from tests.table import VARIANTS, Case, cases, first_match
from tests.variants.common import MASK

pytestmark = [
    pytest.mark.optimized,
    pytest.mark.usefixtures("x64"),
    pytest.mark.filterwarnings("ignore:.*by_path has patterns that match no parameter"),
]

NESTED = TREES["nested"]
TESTED_APART = {
    "orthogonalize_via_newton_schulz": "rules/test_muon.py",
    "scale_by_muon": "rules/test_muon.py, and as part of muon",
    "scale_by_shape": "core/test_matrices.py, and as part of muon",
    "unitwise_norm": "rules/test_norms.py",
    "unitwise_clip": "rules/test_norms.py",
    "lbfgs": "linesearch/test_lbfgs.py",
    "noisy_sgd": "combine/test_noise.py",
    "dpsgd": "combine/test_privacy.py",
    "sophia": "combine/test_sophia.py",
}
"""What needs more than gradients, parameters and numbers, and the test it has."""

OTHER_TREES = [name for name in TREES if name != "nested"]


def test_every_transformation_is_in_the_table():
    families = tuple(
        f"jaxopt_lite.{x}" for x in ("rules", "optimizers", "combine.decay")
    )
    public = inspect.getmembers(jaxopt_lite, inspect.isfunction)
    found = {k for k, f in public if f.__module__.startswith(families)}
    assert found - TESTED_APART.keys() == set(VARIANTS)


@pytest.mark.parametrize("case", cases(0))
def test_equals_reference(case):
    g, p = trajectory(NESTED, 1), trajectory(NESTED, 2)
    assert_close(case.run(g, p).updates, case.reference(g, p))


@pytest.mark.parametrize("like", OTHER_TREES)
@pytest.mark.parametrize("case", cases(full=(0,)))
def test_equals_reference_on_other_trees(case, like):
    g, p = trajectory(TREES[like], 1), trajectory(TREES[like], 2)
    updates = case.run(g, p).updates
    assert {k: x.dtype for k, x in by_name(updates).items()} == {
        k: x.dtype for k, x in by_name(g).items()
    }
    narrowest = min((x.dtype for x in by_name(g).values()), key=lambda x: x.itemsize)
    tolerance = rounding(narrowest) if case.entry.whole_tree else None
    assert_close(updates, case.reference(g, p), tolerance)


@pytest.mark.parametrize("case", cases(full=(-1,)))
def test_masked_equals_reference_where_masked(case):
    g, p = trajectory(NESTED, 1), trajectory(NESTED, 2)
    mask = [first_match(MASK, path) for path in by_name(NESTED)]
    tx = jaxopt_lite.masked(case.ours(), jaxopt_lite.by_path(MASK))
    updates = run(tx, g, p, extra=case.entry.extra).updates
    assert_close(_only(mask, updates), case.reference(_only(mask, g), _only(mask, p)))
    left = [not seen for seen in mask]
    assert by_name(_only(left, updates)).keys() == {"encoder/0/bias", "scale"}
    assert_close(_only(left, updates), _only(left, g), tolerance=0)


def _only(chosen, tree):
    """The tree with None in place of the leaves that are not chosen."""
    leaves, structure = jax.tree.flatten(tree)
    kept = [x if seen else None for x, seen in zip(leaves, chosen, strict=True)]
    return structure.unflatten(kept)


@pytest.mark.parametrize("case", cases(0, full=()))
def test_arrays_as_numbers_equal_reference(case):
    """Numbers that come into `jit` as arguments, as in a sweep."""
    g, p = trajectory(NESTED, 1), trajectory(NESTED, 2)
    numbers = {k: x for k, x in case.arguments.items() if isinstance(x, float)}

    @jax.jit
    def updates(numbers):
        return Case(case.name, case.arguments | numbers).run(g, p).updates

    traced = jax.tree.map(jnp.asarray, numbers)
    assert_close(updates(traced), case.reference(g, p))
