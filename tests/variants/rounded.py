"""Parameters in bfloat16 whose steps are not lost."""

from tests.variants.common import Combined

OWN = "Optax has none"
LANDS = {
    "updates_have_the_result_type": "what lands on a bfloat16 is a float32",
}

COMBINED = {
    "stochastic_rounding": Combined(
        lambda jl: jl.stochastic_rounding(jl.adamw(1e-2)),
        excluded=LANDS,
        unlike_optax=OWN,
    ),
    "kahan": Combined(
        lambda jl: jl.kahan(jl.sgd(0.1, momentum=0.9)),
        excluded=LANDS,
        unlike_optax=OWN,
    ),
    "master_weights": Combined(
        lambda jl: jl.master_weights(jl.adam(1e-2)),
        excluded=LANDS,
        unlike_optax=OWN,
    ),
    "master_weights in 16 bits": Combined(
        lambda jl: jl.master_weights(jl.adamw(1e-2), "int16"),
        excluded=LANDS,
        unlike_optax=OWN,
    ),
}
