"""Gradient descent, momentum, RMSProp, Adam, and what they are made of."""

from tests.variants.common import (
    DECAYS,
    SIZES,
    WEIGHTS,
    Entry,
    falling,
    flags,
    rising,
    rising_far,
    with_rate,
)

_RMS = flags(
    eps=(1e-2,),
    initial_scale=(0.0, 0.5),
    eps_in_sqrt=(True, False),
    bias_correction=(False, True),
)
# Debiased and from zero, the variance at step 1 is the difference of two equal numbers.
_STDDEV = [f for f in _RMS if f["initial_scale"] > 0 or not f["bias_correction"]]
_ADAM = [
    {},
    {"nesterov": True},
    {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4},
    {"b1": 0.0, "b2": 0.0, "eps": 1e-2},
    {"b1": rising, "b2": rising_far},
    {"b1": rising, "b2": rising_far, "nesterov": True},
    {"b1": WEIGHTS, "b2": 0.9, "eps": SIZES, "eps_root": SIZES},
]
_NADAM = [{k: v for k, v in variant.items() if k != "nesterov"} for variant in _ADAM]

TABLE = {
    "scale": [{"step_size": x} for x in (-0.3, falling, SIZES)],
    "scale_by_learning_rate": [*with_rate({}), *with_rate({"flip_sign": False})],
    "scale_by_schedule": [{"step_size_fn": falling}],
    "add_decayed_weights": [{}, *DECAYS],
    "independent_weight_decay": DECAYS,
    "clip": Entry(
        [{"max_delta": x} for x in (0.5, falling, SIZES)],
        excluded={"complex_leaves": "complex numbers have no order to clip by"},
    ),
    "clip_by_global_norm": Entry(
        [{"max_norm": x} for x in (1.0, 10.0, 1e3, falling)], whole_tree=True
    ),
    "trace": flags(decay=(0.9, rising, WEIGHTS), nesterov=(False, True)),
    "ema": flags(decay=(0.9, rising, WEIGHTS), debias=(False, True)),
    "scale_by_rss": [
        {},
        {"initial_accumulator_value": 0.0, "eps": 1e-2},
        {"initial_accumulator_value": {"*bias*": 0.0, "*": 0.5}, "eps": falling},
    ],
    "scale_by_rms": [
        {},
        *_RMS,
        {"decay": rising, "eps": falling, "bias_correction": True},
        {"decay": WEIGHTS, "eps": SIZES, "initial_scale": {"*bias*": 0.0, "*": 0.5}},
    ],
    "scale_by_stddev": [
        {},
        *_STDDEV,
        {"decay": rising, "eps": falling},
        {"decay": WEIGHTS, "eps": SIZES, "initial_scale": {"*bias*": 0.0, "*": 0.5}},
    ],
    "scale_by_adam": _ADAM,
    "sgd": with_rate(
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": rising},
        {"momentum": WEIGHTS, "nesterov": True},
    ),
    "adagrad": with_rate({}, {"initial_accumulator_value": 0.5, "eps": 1e-2}),
    "rmsprop": with_rate(
        {},
        {"momentum": 0.9},
        {"decay": 0.8, "eps": 1e-2, "eps_in_sqrt": False},
        {"centered": True, "initial_scale": 0.5, "bias_correction": True},
        {"centered": True, "momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "nesterov": True, "bias_correction": True},
        {"decay": rising, "momentum": WEIGHTS},
    ),
    "adam": with_rate(*_ADAM),
    "adamw": with_rate({}, {**_ADAM[2], **DECAYS[0], "nesterov": True}, *DECAYS),
    "nadam": with_rate(*_NADAM[1:]),
    "nadamw": with_rate({}, *DECAYS),
}
