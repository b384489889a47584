"""Adam's relatives."""

from tests.variants.common import (
    DECAYS,
    SIZES,
    WEIGHTS,
    Entry,
    falling,
    rising,
    rising_far,
    with_rate,
)

SIGN = "a sign has no small error"
DISTANCE = "Optax measures the distance from the mean before the step"
COEFFICIENT = "Optax has 1 - b2 in place of b2"

_ALL = {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4}
_SCHEDULED = {"b1": rising, "b2": rising_far}
_BY_PATH = {"b1": WEIGHTS, "b2": 0.9, "eps": SIZES}
_BELIEF = [{}, _ALL, {**_SCHEDULED, "nesterov": True}, {**_BY_PATH, "eps_root": SIZES}]
_ADAN = [
    {},
    {**_ALL, "b3": 0.9},
    {"b1": rising, "b2": rising, "b3": rising_far},
    {**_BY_PATH, "b2": WEIGHTS, "b3": 0.5},
]
_AMSGRAD = [
    {},
    {**_ALL, "bias_correction_mu": False},
    {**_SCHEDULED, "bias_correction_nu": False},
    _BY_PATH,
]
_RADAM = [
    {},
    {**_ALL, "threshold": 8.0},
    {**_SCHEDULED, "nesterov": True},
    {**_BY_PATH, "b2": {"*bias*": 0.5, "scale": 0.0, "*": 0.9}},
]
_ADOPT = [
    {},
    {"b1": 0.8, "b2": 0.95, "eps": 0.5, "nesterov": True, "clip_value_fn": falling},
    {**_SCHEDULED, "use_clipping": False},
    _BY_PATH,
]
_ADEMAMIX = [
    {},
    {**_ALL, "b3": 0.9, "alpha": 2.0},
    {"b3": rising_far, "alpha": falling},
    {**_BY_PATH, "b3": WEIGHTS, "alpha": SIZES},
]
_SIMPLIFIED = [
    {},
    {**_ALL, "alpha": 2.0},
    {**_SCHEDULED, "alpha": falling},
    {**_BY_PATH, "alpha": SIZES},
]
_ADAM_MINI = [
    {},
    {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "axes": {"*kernel*": 0, "*": ()}},
    {**_SCHEDULED, "eps": falling, "axes": {"*kernel*": (-1, 0), "*": None}},
    {**_BY_PATH, "axes": {"*kernel*": 1, "*": None}},
]

TABLE = {
    "scale_by_belief": _BELIEF,
    "scale_by_acprop": Entry(
        [{}, _ALL, _SCHEDULED, _BY_PATH],
        unlike_optax=DISTANCE,
    ),
    "scale_by_adamax": [
        {},
        {"b1": 0.8, "b2": 0.5, "eps": 1e-2},
        {"b1": rising, "b2": rising},
        {"b1": WEIGHTS, "b2": WEIGHTS, "eps": SIZES},
    ],
    "scale_by_amsgrad": _AMSGRAD,
    "scale_by_yogi": [
        {},
        {**_ALL, "initial_accumulator_value": 0.5},
        _SCHEDULED,
        {**_BY_PATH, "initial_accumulator_value": SIZES},
    ],
    "scale_by_radam": _RADAM,
    "scale_by_adan": Entry(_ADAN, unlike_optax=COEFFICIENT),
    "scale_by_lion": Entry(
        [
            {},
            {"mode": "smooth", "smooth_beta": 2.0, "b2": 0.25},
            {"mode": "refined", "b1": rising},
            {"mode": "refined", "b1": 0.5, "b2": {"*bias*": 0.0, "*": rising}},
        ],
        unlike_float32=SIGN,
    ),
    "scale_by_adopt": _ADOPT,
    "scale_by_ademamix": _ADEMAMIX,
    "scale_by_simplified_ademamix": _SIMPLIFIED,
    "scale_by_adam_mini": _ADAM_MINI,
    "adabelief": with_rate(
        {}, {"nesterov": True}, {"weight_decay": 0.1}, {"weight_decay": SIZES}
    ),
    "acprop": Entry(with_rate({}, DECAYS[2]), unlike_optax=DISTANCE),
    "adamax": with_rate({}),
    "adamaxw": with_rate({}, DECAYS[2]),
    "amsgrad": with_rate({}, _AMSGRAD[1]),
    "yogi": with_rate({}),
    "radam": with_rate({}, _RADAM[2]),
    "adan": Entry(with_rate({}, DECAYS[2]), unlike_optax=COEFFICIENT),
    "lion": Entry(
        with_rate({}, {"b1": 0.5, "b2": 0.25}, DECAYS[2]), unlike_float32=SIGN
    ),
    "adam_mini": with_rate({}, {**_ADAM_MINI[3], **DECAYS[2]}),
    "adopt": with_rate({}, _ADOPT[1]),
    "ademamix": with_rate({}, {**_ADEMAMIX[2], **DECAYS[2]}),
    "simplified_ademamix": with_rate({}, {"alpha": falling, **DECAYS[2]}),
}
