"""Guards, accumulation, conditions and averages."""

import jaxopt_lite
from tests.variants.common import WEIGHTS, Combined, falling

OWN = "Optax has none"


def some_steps(step):
    return step % 3 != 1


def small_values(step, value):
    return (step % 2 == 0) | (value < 0.1)


def growing(step):
    return 2 + step // 3


def _wide(lib):
    """Optax accumulates float64 in float32 unless told otherwise."""
    return {} if lib is jaxopt_lite else {"accumulator_dtype": "float64"}


COMBINED = {
    "apply_if_finite": Combined(
        lambda lib: lib.apply_if_finite(
            lib.chain(lib.clip_by_global_norm(1.0), lib.adamw(falling)), 2
        )
    ),
    "MultiSteps": Combined(
        lambda lib: lib.MultiSteps(
            lib.adamw(falling), 3, **_wide(lib)
        ).gradient_transformation()
    ),
    "MultiSteps in bfloat16": Combined(
        lambda jl: jl.MultiSteps(
            jl.chain(jl.clip_by_global_norm(1.0), jl.sgd(0.1, 0.9)),
            2,
            should_skip_update_fn=jl.skip_not_finite,
            accumulator_dtype="bfloat16",
        ),
        unlike_optax="Optax rounds what it passes on as well",
    ),
    "MultiSteps of sums": Combined(
        lambda lib: lib.MultiSteps(
            lib.sgd(0.1, momentum=0.9),
            growing,
            use_grad_mean=False,
            **_wide(lib),
        ).gradient_transformation()
    ),
    "conditionally_transform": Combined(
        lambda lib: lib.conditionally_transform(lib.adam(falling), some_steps)
    ),
    "conditionally_mask": Combined(
        lambda lib: lib.conditionally_mask(lib.adamw(0.1), small_values, True),
        extra={"value": falling},
    ),
    "skip_spikes": Combined(
        lambda jl: jl.skip_spikes(jl.adamw(falling), 2, sigmas=3.0), unlike_optax=OWN
    ),
    "skip_spikes of losses": Combined(
        lambda jl: jl.skip_spikes(
            jl.chain(jl.clip_by_global_norm(1.0), jl.sgd(0.1, 0.9)), 3, of="value"
        ),
        extra={"value": falling},
        unlike_optax=OWN,
    ),
    "record": Combined(
        lambda jl: jl.record(
            jl.skip_spikes(jl.chain(jl.clip_by_global_norm(falling), jl.adamw(0.1)), 2),
            by=jl.by_path({"*bias*": "biases", "*": "others"}),
        ),
        unlike_optax=OWN,
    ),
    "unfreeze": Combined(
        lambda jl: jl.unfreeze(jl.adam(falling), jl.by_path({"*bias*": 0, "*": 2})),
        unlike_optax=OWN,
    ),
    "apply_every": Combined(lambda lib: lib.chain(lib.apply_every(3), lib.trace(0.9))),
    "param_ema": Combined(
        lambda jl: jl.chain(jl.sgd(0.1), jl.param_ema(falling), jl.identity()),
        unlike_optax=OWN,
    ),
    "param_ema by path": Combined(
        lambda jl: jl.param_ema(jl.by_path(WEIGHTS), debias=False),
        unlike_optax=OWN,
    ),
    "a guard of a guard": Combined(
        lambda jl: jl.apply_if_finite(
            jl.MultiSteps(
                jl.partition(
                    {
                        "w": jl.chain(jl.adam(0.1), jl.param_ema(0.9)),
                        "b": jl.conditionally_mask(jl.sgd(0.1, 0.9), some_steps),
                    },
                    jl.by_path({"*kernel*": "w", "*": "b"}),
                ),
                2,
            ),
            3,
        ),
        unlike_optax=OWN,
    ),
}
