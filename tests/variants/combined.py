"""Transformations made of others."""

import jax
import jax.numpy as jnp

from jaxopt_lite.interop import pytorch
from tests.variants.common import (
    MASK,
    SIZES,
    WEIGHTS,
    Combined,
    falling,
    rising,
)

OURS = "by_path and arrays as numbers are ours"
PASSED = "where it does nothing, updates pass as they came"
PASSES_ON = {"updates_have_the_result_type": PASSED, "wrong_shape_is_named": PASSED}
ZERO = {
    "sharding_is_preserved": "jitted, a zero is a constant, which has no place",
    "wrong_shape_is_named": "what becomes zero is not looked at",
}
UNORDERED = {"complex_leaves": "complex numbers have no order to clip by"}


def negated(updates, params):
    return jax.tree.map(jnp.negative, updates)


def matrices(tree):
    return jax.tree.map(lambda x: x.ndim == 2, tree)


def _group(jl, biases, others):
    """Labels for `partition`, or a mask."""
    return jl.by_path({"*bias*": biases, "*": others})


def _pytorch(name, *args, **kwargs):
    return Combined(
        lambda jl: getattr(pytorch, name)(*args, **kwargs), unlike_optax="PyTorch's"
    )


COMBINED = {
    "identity": Combined(
        lambda lib: lib.identity(),
        excluded={**PASSES_ON, "missing_leaf_is_named": PASSED},
    ),
    "set_to_zero": Combined(lambda lib: lib.set_to_zero(), excluded=ZERO),
    "stateless": Combined(
        lambda lib: lib.stateless(negated),
        excluded={**PASSES_ON, "missing_leaf_is_named": PASSED},
    ),
    "chain": Combined(
        lambda lib: lib.chain(
            lib.clip_by_global_norm(1.0),
            lib.add_decayed_weights(0.1),
            lib.trace(0.9),
            lib.scale(-0.1),
        )
    ),
    "named_chain": Combined(
        lambda lib: lib.named_chain(
            ("clip", lib.clip(1.0)), ("adam", lib.adam(falling))
        ),
        excluded=UNORDERED,
    ),
    "nested chain": Combined(
        lambda lib: lib.chain(
            lib.chain(lib.scale_by_adam(), lib.ema(0.5)), lib.chain(lib.identity())
        )
    ),
    "masked": Combined(
        lambda lib: lib.masked(lib.sgd(0.1, momentum=0.9), matrices),
        excluded=PASSES_ON,
    ),
    "masked chain": Combined(
        lambda lib: lib.masked(
            lib.chain(lib.clip_by_global_norm(1.0), lib.sgd(0.1, 0.9)), matrices
        ),
        excluded=PASSES_ON,
    ),
    "masked by path": Combined(
        lambda jl: jl.masked(jl.adam(0.1), jl.by_path(MASK)),
        excluded=PASSES_ON,
        unlike_optax=OURS,
    ),
    "partition": Combined(
        lambda jl: jl.partition(
            {"slow": jl.sgd(0.1, 0.9), "fast": jl.adamw(falling)},
            _group(jl, "slow", "fast"),
        ),
        unlike_optax=OURS,
    ),
    "partition by a function": Combined(
        lambda lib: lib.partition(
            {True: lib.rmsprop(1e-2, momentum=0.9), False: lib.set_to_zero()}, matrices
        ),
        excluded=ZERO,
    ),
    "freeze": Combined(
        lambda jl: jl.freeze(_group(jl, True, False)),
        excluded={**PASSES_ON, **ZERO},
        unlike_optax=OURS,
    ),
    "freeze by a function": Combined(
        lambda lib: lib.freeze(matrices), excluded={**PASSES_ON, **ZERO}
    ),
    "frozen chain": Combined(
        lambda jl: jl.chain(
            jl.clip_by_global_norm(1.0),
            jl.adamw(0.1),
            jl.freeze(_group(jl, True, False)),
        ),
        excluded=ZERO,
        unlike_optax=OURS,
    ),
    "arrays": Combined(
        lambda jl: jl.adamw(
            jnp.float32(0.1), b1=jnp.float32(0.9), weight_decay=jnp.asarray(0.1)
        ),
        unlike_optax=OURS,
    ),
    "arrays by path": Combined(
        lambda jl: jl.sgd(jl.by_path({"*bias*": jnp.float32(0.1), "*": falling})),
        unlike_optax=OURS,
    ),
    "inject_hyperparams": Combined(
        lambda lib: lib.chain(
            lib.clip_by_global_norm(1.0),
            lib.inject_hyperparams(lib.adamw)(0.1, b1=rising, weight_decay=falling),
        )
    ),
    "array in a schedule": Combined(
        lambda jl: jl.adam(
            jl.warmup_cosine_decay_schedule(0.0, jnp.float32(0.1), 2, 10)
        ),
        unlike_optax=OURS,
    ),
    "everything": Combined(
        lambda jl: jl.chain(
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
        unlike_optax=OURS,
    ),
    "pytorch.sgd": _pytorch("sgd", 0.1, momentum=0.9, dampening=0.1, weight_decay=0.1),
    "pytorch.adagrad": _pytorch("adagrad", 0.1, lr_decay=0.1, weight_decay=0.1),
    "pytorch.rmsprop": _pytorch("rmsprop", 0.1, centered=True, momentum=0.9),
    "pytorch.adam": _pytorch("adam", falling, weight_decay=0.1),
    "pytorch.adamw": _pytorch("adamw", 0.1, weight_decay=0.1),
}
