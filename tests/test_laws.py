"""Every transformation of the package keeps the laws, or it is said why it cannot."""

import jax
import jax.numpy as jnp
import pytest

import jaxopt_lite as jl
from jaxopt_lite.interop import pytorch
from jaxopt_lite.testing import LawViolation, check_transformation
from tests.table import CASES, MASK, SIZES, WEIGHTS, falling, rising


def negated(updates, params):
    return jax.tree.map(jnp.negative, updates)


def group(biases, others):
    """Labels for `partition`, or a mask."""
    return jl.by_path({"*bias*": biases, "*": others})


COMBINED = {
    "identity": jl.identity(),
    "set_to_zero": jl.set_to_zero(),
    "stateless": jl.stateless(negated),
    "chain": jl.chain(jl.clip_by_global_norm(1.0), jl.trace(0.9), jl.scale(-0.1)),
    "named_chain": jl.named_chain(("clip", jl.clip(1.0)), ("adam", jl.adam(falling))),
    "nested chain": jl.chain(jl.chain(jl.scale_by_adam(), jl.ema(0.5)), jl.chain()),
    "masked": jl.masked(jl.adam(0.1), jl.by_path(MASK)),
    "masked chain": jl.masked(
        jl.chain(jl.clip_by_global_norm(1.0), jl.sgd(0.1, 0.9)), jl.weights_only
    ),
    "partition": jl.partition(
        {"slow": jl.sgd(0.1, 0.9), "fast": jl.adamw(falling)}, group("slow", "fast")
    ),
    "partition with frozen": jl.partition(
        {"still": jl.set_to_zero(), "on": jl.rmsprop(0.1)}, group("still", "on")
    ),
    "freeze": jl.freeze(group(True, False)),
    "frozen chain": jl.chain(
        jl.clip_by_global_norm(1.0),
        jl.adamw(0.1),
        jl.freeze(group(True, False)),
    ),
    "arrays": jl.adamw(
        jnp.float32(0.1), b1=jnp.float32(0.9), weight_decay=jnp.asarray(0.1)
    ),
    "arrays by path": jl.sgd(jl.by_path({"*bias*": jnp.float32(0.1), "*": falling})),
    "array in a schedule": jl.adam(
        jl.warmup_cosine_decay_schedule(0.0, jnp.float32(0.1), 2, 10)
    ),
    "everything": jl.chain(
        jl.clip_by_global_norm(falling),
        jl.adamw(
            jl.by_path(SIZES),
            b1=jl.by_path(WEIGHTS),
            b2=rising,
            weight_decay=jl.by_path(SIZES),
            mask=jl.weights_only,
            nesterov=True,
        ),
    ),
    "pytorch.sgd": pytorch.sgd(0.1, momentum=0.9, dampening=0.1, weight_decay=0.1),
    "pytorch.adagrad": pytorch.adagrad(0.1, lr_decay=0.1, weight_decay=0.1),
    "pytorch.rmsprop": pytorch.rmsprop(0.1, centered=True, momentum=0.9),
    "pytorch.adam": pytorch.adam(falling, weight_decay=0.1),
    "pytorch.adamw": pytorch.adamw(0.1, weight_decay=0.1),
}
TRANSFORMATIONS = {**{name: case.ours() for name, case in CASES.items()}, **COMBINED}

# What the seven optimizers are made of, in few: run at every change.
REPRESENTATIVE = ["chain", "partition", "arrays", "everything", "pytorch.rmsprop"]
OTHERS = [name for name in TRANSFORMATIONS if name not in REPRESENTATIVE]

PASSED = "where it does nothing, updates pass as they came"
PASSES_ON = {"updates_have_the_result_type": PASSED, "wrong_shape_is_named": PASSED}
ZERO = {
    "sharding_is_preserved": "jitted, a zero is a constant, which has no place",
    "wrong_shape_is_named": "what becomes zero is not looked at",
}
UNORDERED = {"complex_leaves": "complex numbers have no order to clip by"}

EXCLUDED = {
    "identity": {**PASSES_ON, "missing_leaf_is_named": PASSED},
    "stateless": {**PASSES_ON, "missing_leaf_is_named": PASSED},
    "set_to_zero": ZERO,
    "named_chain": UNORDERED,
    "masked": PASSES_ON,
    "masked chain": PASSES_ON,
    "partition with frozen": ZERO,
    "freeze": {**PASSES_ON, **ZERO},
    "frozen chain": ZERO,
}
for name, case in CASES.items():
    if case.name == "clip":
        EXCLUDED[name] = UNORDERED
    elif case.name == "add_decayed_weights" and "mask" in case.arguments:
        EXCLUDED[name] = PASSES_ON


def assert_laws(name):
    """Every law holds but those excluded, which do not."""
    tx = TRANSFORMATIONS[name]
    excluded = EXCLUDED.get(name, {})
    check_transformation(tx, exclude=excluded)
    for law in excluded:
        with pytest.raises(LawViolation):
            check_transformation(tx, laws=[law])


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_laws(name):
    assert_laws(name)


@pytest.mark.full
@pytest.mark.parametrize("name", OTHERS)
def test_laws_of_all(name):
    assert_laws(name)
