"""Methods that estimate their step size, from the way so far or from the loss."""

from tests.variants.common import Combined, Entry, falling


def wavering(count):
    """A loss that falls on the whole."""
    return 4.0 / (1 + count) + 0.5 * (count % 3)


def stalling(count):
    """A loss that falls, and then no longer does."""
    return 2.0 - 0.1 * count if count < 15 else 0.5 + 0.01 * (count % 4)


LOSS = {"value": wavering}
BETAS = {"betas": (0.8, 0.95), "eps": 1e-3, "estim_lr0": 1e-3, "weight_decay": 0.1}

TABLE = {
    "prodigy": Entry(
        [
            {"estim_lr0": 1e-3},
            {},
            {**BETAS, "beta3": 0.9, "estim_lr_coef": 0.5},
            {**BETAS, "learning_rate": falling, "safeguard_warmup": True},
            {**BETAS, "learning_rate": falling, "eps": falling},
        ],
        whole_tree=True,
    ),
    "dadapt_adamw": Entry(
        [
            {"estim_lr0": 1e-3},
            {},
            {**BETAS, "learning_rate": 0.5},
            {**BETAS, "learning_rate": falling, "eps": falling},
        ],
        whole_tree=True,
    ),
    "scale_by_dog": Entry(
        [
            {"init_step": ("heuristic", 1e-3)},
            {"init_step": ("distance", 0.1), "eps": 1e-2},
            {"init_step": ("learning_rate", 0.1), "eps": falling},
        ],
        whole_tree=True,
    ),
    "dog": Entry(
        [{}, {"weight_decay": 0.1, "learning_rate": falling}], whole_tree=True
    ),
    "scale_by_dowg": Entry(
        [{}, {"init_estim_sq_dist": 0.1, "eps": 1e-2}, {"eps": falling}],
        whole_tree=True,
    ),
    "dowg": Entry(
        [{}, {"weight_decay": 0.1, "learning_rate": falling}], whole_tree=True
    ),
    "scale_by_polyak": Entry(
        [
            {},
            {"f_min": 1.0, "max_learning_rate": 0.02, "eps": 0.1, "variant": "sps+"},
            {"f_min": falling, "max_learning_rate": falling, "eps": falling},
        ],
        whole_tree=True,
        extra=LOSS,
    ),
    "polyak_sgd": Entry(
        [{}, {"f_min": 1.0, "max_learning_rate": 0.02}, {"scaling": falling}],
        whole_tree=True,
        extra=LOSS,
        unlike_optax="Optax scales the gradient before it measures it",
    ),
    "momo": Entry(
        [
            {},
            {"beta": 0.5, "lower_bound": 0.1, "learning_rate": 0.05},
            {"weight_decay": 0.1, "adapt_lower_bound": True},
            {"learning_rate": falling, "weight_decay": falling},
        ],
        whole_tree=True,
        extra=LOSS,
        unlike_optax="Optax does not shrink the step with weight decay",
    ),
    "momo_adam": Entry(
        [
            {},
            {"b1": 0.5, "b2": 0.9, "eps": 1e-2, "lower_bound": 0.1},
            {"b1": 0.5, "eps": 0.1, "weight_decay": 0.1, "adapt_lower_bound": True},
            {"learning_rate": falling, "weight_decay": falling, "eps": falling},
        ],
        whole_tree=True,
        extra=LOSS,
        unlike_optax="Optax does not shrink the step with weight decay",
    ),
    "reduce_on_plateau": Entry(
        [
            {"patience": 3},
            {
                "factor": 0.5,
                "patience": 2,
                "rtol": 0.0,
                "atol": 0.01,
                "cooldown": 2,
                "accumulation_size": 3,
                "min_scale": 0.3,
            },
        ],
        whole_tree=True,
        extra={"value": stalling},
    ),
}

COMBINED = {
    "mechanize": Combined(
        lambda lib: lib.mechanize(lib.adamw(falling), s_init=0.1, num_betas=3)
    ),
    "mechanized momo": Combined(
        lambda lib: lib.chain(lib.mechanize(lib.momo()), lib.scale(0.5)), extra=LOSS
    ),
}
