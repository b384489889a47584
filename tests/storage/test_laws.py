"""Every optimizer keeps the laws with its slots in few bytes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from jaxopt_lite.core.leafwise import Leafwise
from jaxopt_lite.core.rule import slot_kinds
from jaxopt_lite.core.types import NON_NEGATIVE, SIGNED
from jaxopt_lite.testing import check_transformation
from jaxopt_lite.testing.case import example_params, numbers_like
from tests.table import COMBINED, TABLE, Case
from tests.test_laws import excluded_laws

NOT_COMPLEX = {"complex_leaves": "no codec takes complex arrays"}


def with_axes(params):
    return jax.tree.map(lambda p: jnp.ndim(p) > 0, params)


def coded(tx, codec):
    return jl.store_state(tx, codec, where=with_axes)


def nodes(tx):
    yield tx
    for child in tx.children().values():
        yield from nodes(child)


def has_coded_slots(tx):
    kinds = {
        kind
        for node in nodes(tx)
        if isinstance(node, Leafwise)
        for kind in slot_kinds(node.rule.Slots).values()
    }
    return bool(kinds & {SIGNED, NON_NEGATIVE})


CASES = {str(c): c for c in (Case(name, x.variants[0]) for name, x in TABLE.items())}
MADE = {
    **{name: case.ours() for name, case in CASES.items()},
    **{name: made.make(jl) for name, made in COMBINED.items()},
}
EXTRA = {
    **{name: case.entry.extra for name, case in CASES.items()},
    **{name: made.extra for name, made in COMBINED.items()},
}
CODED = [
    name
    for name, tx in MADE.items()
    if not name.startswith("scale_by_") and has_coded_slots(tx)
]
"""The rules alone are those of the optimizers that are made of them."""

MATRICES = numbers_like(
    jax.tree.map(lambda p: np.zeros((3, 2), np.float32), example_params()), 0
)
UNLIKE_OTHERS = [
    "adamw(learning_rate=0.03)",
    "sm3(learning_rate=0.03)",
    "muon(learning_rate=0.03)",
    "prodigy(estim_lr0=0.001)",
    "MultiSteps",
]
"""Of slots of other kinds, stacked, shared, and held by a combinator."""

EACH = jl.by_path({"*/bias": "bfloat16", "scale": "int4", "*": "int8"})
"""A matrix for each codec, so that one compilation is of all."""


@pytest.mark.parametrize(
    "codec",
    [
        "int8",
        *(
            pytest.param(codec, marks=pytest.mark.full)
            for codec in ("float32", "bfloat16", "int4")
        ),
    ],
)
def test_all_laws(codec):
    tx = coded(jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(1e-2)), codec)
    check_transformation(tx, exclude=NOT_COMPLEX)


def test_every_optimizer_has_its_slots_in_few_bytes():
    """By the bytes of each, on shapes alone."""
    shapes = {"kernel": (64, 96), "bias": (96,), "scale": (96,)}
    params = {k: jax.ShapeDtypeStruct(s, jnp.float32) for k, s in shapes.items()}
    for name in CODED:
        plain, kept = (
            sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
            for state in (
                jax.eval_shape(tx.init, params)
                for tx in (MADE[name], coded(MADE[name], "int8"))
            )
        )
        assert kept < plain or plain < 100, name  # as of a norm


def test_what_is_unlike_others_is_coded():
    assert set(UNLIKE_OTHERS) <= set(CODED)


@pytest.mark.full
@pytest.mark.parametrize("name", CODED)
def test_laws_of_all(name):
    extra = {k: jnp.float32(f(0)) for k, f in EXTRA[name].items()}
    excluded = NOT_COMPLEX | excluded_laws(name)
    if name not in UNLIKE_OTHERS:
        excluded |= {"sharding_is_preserved": "proven for those unlike others"}
    tx = coded(MADE[name], EACH)
    check_transformation(tx, params=MATRICES, exclude=excluded, extra=extra)
