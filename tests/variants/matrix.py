"""Rules that see a parameter as a matrix, and the optimizers made of them."""

import jax
import optax

import jaxopt_lite
from tests.variants.common import (
    DECAYS,
    MASK,
    SIZES,
    WEIGHTS,
    Combined,
    Entry,
    falling,
    rising,
    rising_far,
    with_rate,
)

FLOAT32_WEIGHTS = "Optax's weights of the past are float32 also for float64 gradients"
FLOAT32_DIRECTIONS = "Optax's directions are float32 also for float64 gradients"
STEEP = "the iteration multiplies rounding: see rules/test_muon.py"
TURNING = "rounding turns the directions of singular values that lie close together"
NO_SCALARS = "Optax fails on scalars"

# Before the offset is passed, only the newest gradient counts.
_FACTORED = [
    {"decay_rate": 0.5, "min_dim_size_to_factor": 2, "step_offset": 3, "epsilon": 1e-2},
    {"factored": False, "decay_rate": falling},
    {"min_dim_size_to_factor": 2, "decay_rate": WEIGHTS, "epsilon": SIZES},
]
_ROWS = {"*kernel*": optax.contrib.MuonDimensionNumbers(1, 0), "*": None}

_CAME = [
    {},
    {
        "b1": 0.8,
        "b2": 0.95,
        "b3": 0.9,
        "eps": 1e-2,
        "eps_instability": 1e-3,
        "clipping_threshold": 0.3,
    },
    {"b1": rising, "b2": rising_far, "b3": rising, "clipping_threshold": falling},
    {"b1": WEIGHTS, "b2": 0.9, "b3": WEIGHTS, "eps": SIZES, "eps_instability": SIZES},
]


def falling_gap(count):
    """A schedule of gaps between refreshed directions."""
    return 7 - count // 10


TABLE = {
    "scale_by_factored_rms": Entry(
        [{"min_dim_size_to_factor": 2}, {}, *_FACTORED], unlike_optax=FLOAT32_WEIGHTS
    ),
    "adafactor": Entry(
        with_rate(
            {"min_dim_size_to_factor": 2},
            {},
            {
                "min_dim_size_to_factor": 2,
                "momentum": 0.9,
                "dtype_momentum": None,
                "weight_decay_rate": 0.1,
                "weight_decay_mask": MASK,
            },
            {
                "min_dim_size_to_factor": 2,
                "decay_offset": 3,
                "multiply_by_parameter_scale": False,
                "clipping_threshold": None,
                "decay_rate": WEIGHTS,
            },
        ),
        unlike_optax=FLOAT32_WEIGHTS,
    ),
    "scale_by_came": _CAME,
    "came": with_rate({}, {**_CAME[1], **DECAYS[2]}, {**_CAME[3], **DECAYS[4]}),
    "scale_by_sm3": Entry(
        [
            {},
            {"b1": rising, "b2": rising_far},
            {"b1": WEIGHTS, "b2": 0.9, "eps": SIZES},
        ],
        unlike_optax=NO_SCALARS,
    ),
    "sm3": Entry(
        with_rate({}, {"momentum": WEIGHTS}),
        unlike_optax=NO_SCALARS,
    ),
    "muon": Entry(
        with_rate(
            {},
            {"preconditioning": "schatten", "ns_steps": 4, "nesterov": False},
            {"preconditioning": "aol", "adaptive": True, "ns_coeffs": "dion"},
            {"beta": rising, "consistent_rms": falling, **DECAYS[0]},
            {
                "preconditioning": "spectral",
                "ns_steps": 3,
                "beta": WEIGHTS,
                "adam_learning_rate": 0.01,
                "adam_b1": 0.8,
                "adam_weight_decay": 0.1,
                "muon_weight_dimension_numbers": _ROWS,
            },
        ),
        unlike_float32=STEEP,
    ),
    "galore": Entry(
        with_rate(
            {"rank": 2, "update_proj_gap": 7},
            {},
            {"rank": 1, "update_proj_gap": falling_gap, "scale": 0.25, **DECAYS[2]},
        ),
        unlike_optax=FLOAT32_DIRECTIONS,
        unlike_float32=TURNING,
    ),
}


def of_ours(params):
    """The last two axes of each parameter that has them."""
    two = jaxopt_lite.MuonDimensionNumbers(-2, -1)
    return jax.tree.map(lambda x: two if x.ndim >= 2 else None, params)


def of_optax(params):
    two = optax.contrib.MuonDimensionNumbers(-2, -1)
    return jax.tree.map(lambda x: two if x.ndim >= 2 else None, params)


COMBINED = {
    "muon by a function": Combined(
        lambda lib: lib.muon(
            0.1,
            muon_weight_dimension_numbers=of_ours if lib is jaxopt_lite else of_optax,
        )
    ),
    "galore of momentum": Combined(
        lambda jl: jl.galore(0.1, rank=2, base_optimizer=jl.trace(0.9)),
        unlike_optax=FLOAT32_DIRECTIONS,
    ),
}
