"""Every transformation of the package keeps the laws, or it is said why it cannot."""

import jax.numpy as jnp
import pytest

import jaxopt_lite as jl
from jaxopt_lite.testing import LAWS, LawViolation, check_transformation
from tests.table import CASES, COMBINED, TABLE, cases
from tests.variants.combined import PASSES_ON

TRANSFORMATIONS = {
    **{name: case.ours() for name, case in CASES.items()},
    **{name: made.make(jl) for name, made in COMBINED.items()},
}
KNOWN = {name: case.entry for name, case in CASES.items()} | COMBINED

# What the seven optimizers are made of, in few: run at every change.
REPRESENTATIVE = ["chain", "partition", "arrays", "everything", "pytorch.rmsprop"]
OTHERS = [
    name
    for name in [*(str(case.values[0]) for case in cases(0, full=())), *COMBINED]
    if name not in REPRESENTATIVE
]


OF_RULES = {
    "jit_equals_eager",
    "scan_equals_loop",
    "vmap_equals_loop",
    "complex_leaves",
    "sharding_is_preserved",
}
"""Laws of the arithmetic: a rule keeps them where the optimizer made of it does."""


def excluded_laws(name):
    """The laws that cannot apply, with the reasons."""
    reasons = dict(KNOWN[name].excluded)
    if name.startswith("add_decayed_weights") and "mask" in name:
        reasons |= PASSES_ON
    return reasons


def is_part(name):
    """Whether it is the rule of an optimizer that is tried as well."""
    optimizer = name.partition("(")[0].removeprefix("scale_by_")
    return name.startswith("scale_by_") and optimizer in TABLE


def assert_laws(name):
    """Every law holds but those excluded, which do not."""
    tx = TRANSFORMATIONS[name]
    excluded = excluded_laws(name)
    extra = {k: jnp.float32(f(0)) for k, f in KNOWN[name].extra.items()}
    laws = [law for law in LAWS if not (is_part(name) and law in OF_RULES)]
    check_transformation(tx, laws=laws, exclude=excluded, extra=extra)
    for law in excluded:
        with pytest.raises(LawViolation):
            check_transformation(tx, laws=[law], extra=extra)


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_laws(name):
    assert_laws(name)


@pytest.mark.full
@pytest.mark.parametrize("name", OTHERS)
def test_laws_of_all(name):
    assert_laws(name)
