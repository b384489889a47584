"""Names, arguments, states, updates are Optax's, but where a table says otherwise."""

import inspect

import jax
import numpy as np
import optax
import pytest

import jaxopt_lite
from tests.differences import DIFFERENCES, outcome
from tests.helpers import STEPS, TREES, assert_close, at, run, trajectory
from tests.table import (
    CASES,
    COMBINED,
    VARIANTS,
    AllOfOptax,
    Case,
    cases,
    in_optax,
    is_in_optax,
)
from tests.test_schedules import SCHEDULES
from tests.variants.common import Combined, falling

pytestmark = pytest.mark.optimized

NESTED = TREES["nested"]


@pytest.mark.parametrize(
    "case", cases(0, full=(-1,), where=lambda case: case.equals_optax)
)
def test_updates_equal_optax(case, x64):
    g, p = trajectory(NESTED, 1), trajectory(NESTED, 2)
    ours, theirs = case.run(g, p), case.run_theirs(g, p)
    assert_close(ours.updates, theirs.updates)
    if case.suits_optax:
        assert_close(ours.state, theirs.state)


PLAIN = [case for case in CASES.values() if case.suits_optax]


IN_THE_NARROWEST = {"prodigy", "dadapt_adamw", "dog", "dowg", "reduce_on_plateau"}
"""Whose numbers of the whole tree Optax keeps in the narrowest dtype of a leaf."""

ANY_DTYPES = [
    case
    for case in PLAIN
    if case.equals_optax and case.entry.unlike_float32 is None
    if case.name not in IN_THE_NARROWEST
]


@pytest.mark.full
@pytest.mark.parametrize("case", ANY_DTYPES, ids=str)
def test_updates_equal_optax_in_mixed_dtypes(case, x64):
    like = TREES["mixed"]
    g, p = trajectory(like, 1), trajectory(like, 2)
    assert_close(case.run(g, p).updates, case.run_theirs(g, p).updates)


NARROW = [
    Case("trace", {"decay": 0.9, "accumulator_dtype": "bfloat16"}),
    Case("ema", {"decay": 0.9, "accumulator_dtype": "bfloat16"}),
    Case("scale_by_adam", {"mu_dtype": "bfloat16"}),
    Case("adam", {"learning_rate": 0.1, "mu_dtype": "bfloat16"}),
    Case("nadamw", {"learning_rate": 0.1, "mu_dtype": "bfloat16"}),
]


OTHERWISE_LAID_OUT = {
    "scale_by_sm3": "Optax fails on scalars: see rules/test_sm3.py",
    "sm3": "Optax fails on scalars",
    "galore": "Optax has arrays without elements: see combine/test_galore.py",
}
LAID_OUT = [case for case in PLAIN if case.name not in OTHERWISE_LAID_OUT]


@pytest.mark.parametrize("case", [*LAID_OUT, *NARROW], ids=str)
def test_state_is_laid_out_as_in_optax(case):
    like = jax.tree.map(lambda x: x.astype(np.float32), NESTED)
    ours = jax.eval_shape(case.ours().init, like)
    assert layout(ours) == layout(jax.eval_shape(case.theirs(like).init, like))


ADDED = {"ScaleByLBFGSState": ("products_memory",)}
"""The fields behind those of Optax; the table of differences says why."""


def layout(state):
    """A state as nested names: NamedTuples and Optax's fields, shapes and dtypes."""
    if hasattr(state, "_fields"):
        name = type(state).__name__
        fields = [k for k in state._fields if k not in ADDED.get(name, ())]
        return name, {k: layout(getattr(state, k)) for k in fields}
    if isinstance(state, tuple | list):
        return [layout(x) for x in state]
    if isinstance(state, dict):
        return {k: layout(x) for k, x in state.items()}
    return state if state is None else (state.shape, state.dtype)


NAMED_TUPLES = [
    name
    for name, value in vars(jaxopt_lite).items()
    if hasattr(value, "_fields") and is_in_optax(name)
]


@pytest.mark.parametrize("name", NAMED_TUPLES)
def test_named_tuple_has_the_fields_of_optax(name):
    expected = in_optax(name)._fields + ADDED.get(name, ())
    assert getattr(jaxopt_lite, name)._fields == expected


NEWER: dict[str, set[str]] = {
    "adabelief": {"weight_decay", "weight_decay_mask"},
    "muon": {"ns_dtype"},
    "prodigy": {"weight_decay_mask"},
    "scale_by_muon": {"ns_dtype"},
}
"""The arguments that the installed Optax has not, by factory."""

PUBLIC = [name for name in VARIANTS if is_in_optax(name)]


@pytest.mark.parametrize("name", [*PUBLIC, *SCHEDULES, "join_schedules"])
def test_signature_is_that_of_optax(name):
    ours, theirs = signature(getattr(jaxopt_lite, name)), signature(in_optax(name))
    if name in ("nadam", "nadamw"):
        assert theirs.pop() == ("nesterov", inspect.Parameter.KEYWORD_ONLY, True)
    assert [p for p in ours if p[0] not in NEWER.get(name, ())] == theirs


def signature(factory):
    """Names, kinds and defaults of the arguments, in order; of functions the type."""
    parameters = inspect.signature(factory).parameters.values()
    return [(p.name, p.kind, _comparable(p.default)) for p in parameters]


def _comparable(default):
    return type(default) if inspect.isfunction(default) else default


LAYERS = {
    "layers": (
        {"kernel": np.zeros((3, 4)), "bias": np.zeros(4)},
        {"kernel": np.zeros((3, 4))},
    ),
    "scale": np.zeros(()),
}
LABELS = {
    "layers": ({"kernel": "adamw", "bias": "sgd"}, {"kernel": "sgd"}),
    "scale": "sgd",
}


MADE_OF_OTHERS = {
    name: made for name, made in COMBINED.items() if made.unlike_optax is None
}
MADE_OF_OTHERS["partition by a tree"] = Combined(
    lambda lib: lib.partition(
        {"adamw": lib.adamw(1e-2), "sgd": lib.sgd(0.1, momentum=0.9)}, LABELS
    )
)


@pytest.mark.parametrize("made", MADE_OF_OTHERS.values(), ids=MADE_OF_OTHERS)
def test_combination_equals_optax(made, x64):
    g, p = trajectory(LAYERS, 1), trajectory(LAYERS, 2)
    ours = run(made.make(jaxopt_lite), g, p, extra=made.extra)
    tx = optax.with_extra_args_support(made.make(AllOfOptax()))
    theirs = run(tx, g, p, extra=made.extra)
    assert_close(ours.updates, theirs.updates)
    assert layout(ours.state) == layout(theirs.state)
    assert_close(ours.state, theirs.state)


@pytest.mark.parametrize("outer", [jaxopt_lite, optax])
def test_nests_with_optax(outer, x64):
    inner = optax if outer is jaxopt_lite else jaxopt_lite
    mixed = outer.chain(
        inner.clip_by_global_norm(1.0), outer.trace(0.9), inner.adam(0.1)
    )
    pure = optax.chain(
        optax.clip_by_global_norm(1.0), optax.trace(0.9), optax.adam(0.1)
    )
    g, p = trajectory(NESTED, 1), trajectory(NESTED, 2)
    assert_close(run(mixed, g, p), run(pure, g, p))


def test_goes_on_from_a_state_of_optax(x64):
    """The two differ in classes only: the leaves of one fill the tree of the other."""
    g, p = trajectory(NESTED, 1), trajectory(NESTED, 2)
    early, late = slice(STEPS // 2), slice(STEPS // 2, None)
    ours, theirs = jaxopt_lite.adamw(falling), optax.adamw(falling)
    midway = run(theirs, at(g, early), at(p, early)).state
    whole = jax.tree.structure(jax.eval_shape(ours.init, NESTED))
    taken = whole.unflatten(jax.tree.leaves(midway))
    updates = run(ours, at(g, late), at(p, late), start=taken).updates
    assert_close(updates, at(run(theirs, g, p).updates, late))


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: d.subject)
def test_differs_from_optax_as_the_table_says(difference):
    assert outcome(difference.probe, jaxopt_lite) == difference.ours
    assert outcome(difference.probe, optax) == difference.optax
