"""Rules on the norms of whole arrays, and what is made of them."""

from tests.variants.common import (
    DECAYS,
    MASK,
    SIZES,
    WEIGHTS,
    Entry,
    falling,
    rising,
    rising_far,
    with_rate,
)

_MIN_SCALE = [{}, {"min_scale": 5.0}, {"min_scale": SIZES}]
_NOVOGRAD = [
    {},
    {"b1": 0.8, "b2": 0.5, "eps": 1e-2, "eps_root": 1e-3, "weight_decay": 0.1},
    {"b1": rising, "b2": WEIGHTS, "weight_decay": SIZES},
]

TABLE = {
    "scale_by_trust_ratio": [
        {},
        {"min_norm": 5.0, "trust_coefficient": 0.1, "eps": 0.5},
        {"min_norm": SIZES, "trust_coefficient": falling, "eps": SIZES},
    ],
    "lars": with_rate(
        {},
        {
            "weight_decay": 0.1,
            "weight_decay_mask": MASK,
            "trust_ratio_mask": MASK,
            "eps": 0.1,
            "nesterov": True,
        },
        {"weight_decay": falling, "momentum": WEIGHTS, "trust_coefficient": SIZES},
    ),
    "lamb": with_rate(
        {},
        {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4, **DECAYS[2]},
        {"b1": rising, "b2": rising_far, **DECAYS[4]},
    ),
    "fromage": with_rate({}, {"min_norm": 5.0}),
    "scale_by_novograd": _NOVOGRAD,
    "novograd": with_rate(*_NOVOGRAD),
    "scale_by_param_block_norm": _MIN_SCALE,
    "scale_by_param_block_rms": _MIN_SCALE,
    "centralize": [{}],
    "normalize_by_update_norm": Entry(
        [{}, {"scale_factor": falling, "eps": 0.1}], whole_tree=True
    ),
    "clip_by_block_rms": [{"threshold": x} for x in (1.0, falling, SIZES)],
    "adaptive_grad_clip": [
        {"clipping": 0.1},
        {"clipping": 0.5, "eps": 5.0, "axis": ()},
        {"clipping": SIZES, "eps": falling},
    ],
    "scale_by_distance_over_gradients": Entry(
        [
            {},
            {"reps_rel": 2.0, "eps": 1e-2, "global_scale": -0.5},
            {"reps_rel": SIZES, "eps": falling},
        ],
        unlike_optax="it gives scalars an axis and rounds first parameters to float32",
    ),
}
