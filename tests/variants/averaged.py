"""Schedule-free learning, sharpness-aware minimization and Sophia."""

from tests.variants.common import Combined, Entry

READ_FROM_ONE = "Optax reads the schedule of the average from step 1"
_WARM = {"learning_rate": 0.3, "warmup_steps": 5, "weight_decay": 0.1}

TABLE = {
    "schedule_free_sgd": Entry(
        [{}, {"b1": 0.5, "weight_lr_power": 0.5}, _WARM], unlike_optax=READ_FROM_ONE
    ),
    "schedule_free_adamw": Entry(
        [{}, {"b1": 0.5, "b2": 0.9, "eps": 1e-3}, _WARM],
        unlike_optax=READ_FROM_ONE,
        unlike_float32="it is a small difference of z and the parameter",
    ),
    "normalize": Entry([{}], whole_tree=True),
}


def _uphill(lib):
    return lib.chain(lib.normalize(), lib.sgd(0.1))


COMBINED = {
    "schedule_free": Combined(
        lambda lib: lib.schedule_free(lib.chain(lib.sgd(0.3)), 0.3, b1=0.8)
    ),
    "sam": Combined(lambda lib: lib.sam(lib.sgd(0.3, momentum=0.9), _uphill(lib))),
    "sam of several steps": Combined(
        lambda lib: lib.sam(
            lib.adam(0.1), lib.sgd(0.1, momentum=0.5), 3, reset_state=False
        )
    ),
}
