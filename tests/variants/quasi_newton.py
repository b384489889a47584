"""L-BFGS."""

from tests.variants.common import Entry

TABLE = {
    "scale_by_lbfgs": Entry(
        [{}, {"memory_size": 3, "scale_init_precond": False}],
        whole_tree=True,
        unlike_float32="differences of random gradients amplify rounding",
        unlike_optax="pairs with <s, y> <= 0, as random gradients make, are left out",
    ),
}
