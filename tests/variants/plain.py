"""Constraints, noise, measurements and other forms of the parameters."""

import jax
import jax.numpy as jnp

from tests.variants.combined import ZERO
from tests.variants.common import Combined, Entry, falling

KEYS = "the key is kept as raw data, which every checkpoint takes"
FIRST = "measurements stand in the state from the first, as zeros"
ONE_VECTOR = {"sharding_is_preserved": "one vector has one sharding"}

TABLE = {
    "keep_params_nonnegative": Entry([{}]),
    "zero_nans": Entry([{}]),
}


def norm(updates):
    return jnp.sqrt(sum(jnp.sum(jnp.abs(x) ** 2) for x in jax.tree.leaves(updates)))


def is_large(updates):
    return norm(updates) > 1


def shrunk(g, p):
    return 0.5 * g - p


COMBINED = {
    "add_noise": Combined(lambda lib: lib.add_noise(0.1, 0.5, 1), unlike_optax=KEYS),
    "noisy_sgd": Combined(lambda lib: lib.noisy_sgd(falling), unlike_optax=KEYS),
    "snapshot": Combined(
        lambda lib: lib.chain(lib.snapshot("norm", norm), lib.scale(0.5))
    ),
    "monitor": Combined(
        lambda lib: lib.chain(
            lib.monitor(
                {
                    "norm": norm,
                    "mean": lib.measure_with_ema(is_large, 0.9, debias=False),
                }
            ),
            lib.scale(0.5),
        ),
        unlike_optax=FIRST,
    ),
    "flatten": Combined(lambda lib: lib.flatten(lib.adam(0.1)), excluded=ONE_VECTOR),
    "split_real_and_imaginary": Combined(
        lambda lib: lib.split_real_and_imaginary(lib.adam(0.1))
    ),
    "selective_transform": Combined(
        lambda jl: jl.selective_transform(
            jl.adam(0.1), freeze_mask=jl.by_path({"*bias*": True, "*": False})
        ),
        excluded=ZERO,
        unlike_optax="Optax's mask is a tree",
    ),
    "stateless_with_tree_map": Combined(
        lambda lib: lib.stateless_with_tree_map(shrunk),
        excluded={"missing_params_are_named": "what a function needs, it knows"},
    ),
}
