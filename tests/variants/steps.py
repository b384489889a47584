"""Rules on signs and on the sizes of steps, and what is made of them."""

from tests.variants.common import (
    MASK,
    SIZES,
    WEIGHTS,
    Entry,
    falling,
    rising,
    rising_far,
    with_rate,
)

_RPROP = [
    {"learning_rate": 0.03},
    {
        "learning_rate": 0.03,
        "eta_minus": 0.4,
        "eta_plus": 1.3,
        "min_step_size": 0.05,
        "max_step_size": 0.1,
    },
    {"learning_rate": SIZES, "eta_minus": WEIGHTS, "min_step_size": falling},
]
_ROOT = "Optax takes the root of the count in float32"
_LATE = "Optax returns the update of the step before"
_ALPHA = [{"alpha": 0.5, "beta": 2.0}, {"alpha": SIZES, "beta": rising}]
_MADGRAD = [
    {"momentum": 0.0, "eps": 1e-2},
    {"momentum": WEIGHTS, "eps": SIZES},
]
_BETS = {"*bias*": 5.0, "*": 50.0}

TABLE = {
    "scale_by_sign": [{}],
    "sign_sgd": with_rate({}),
    "signum": with_rate({}, {"beta": rising}, {"beta": WEIGHTS}),
    "scale_by_rprop": Entry(_RPROP, unlike_optax=_LATE),
    "rprop": Entry(_RPROP, unlike_optax=_LATE),
    "scale_by_adadelta": [
        {},
        {"rho": rising, "eps": 1e-3},
        {"rho": WEIGHTS, "eps": SIZES},
    ],
    "adadelta": [
        {},
        *with_rate(
            {"rho": 0.8, "eps": 1e-2},
            {"weight_decay": falling, "weight_decay_mask": MASK},
        ),
    ],
    "scale_by_optimistic_gradient": [{}, *_ALPHA],
    "optimistic_gradient_descent": with_rate({}, *_ALPHA),
    "optimistic_adam": [
        {"learning_rate": 0.03},
        {"learning_rate": 0.03, "optimism": 0.5, "b1": 0.8, "nesterov": False},
        {"learning_rate": SIZES, "b2": rising_far},
    ],
    "optimistic_adam_v2": with_rate({}, {**_ALPHA[0], "nesterov": False}, _ALPHA[1]),
    "scale_by_madgrad": Entry(with_rate({}, *_MADGRAD), unlike_optax=_ROOT),
    "madgrad": Entry(
        with_rate({}, {"weight_decay": 0.1, **_MADGRAD[0]}, _MADGRAD[1]),
        unlike_optax=_ROOT,
    ),
    "scale_by_cocob": [
        {},
        {"alpha": 10.0, "eps": 0.5},
        {"alpha": _BETS, "eps": SIZES},
    ],
    "cocob": [
        {},
        {"learning_rate": falling, "weight_decay": 0.1, "mask": MASK},
        {"learning_rate": SIZES, "alpha": _BETS},
    ],
}
