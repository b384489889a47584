"""The optimizer that trusts steps by row and column, the less they differ."""

from jaxopt_lite.combine.chain import chain
from jaxopt_lite.combine.decay import add_decayed_weights
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.types import DTypeLike, Hyperparameter, Mask
from jaxopt_lite.rules.came import scale_by_came
from jaxopt_lite.rules.scaling import scale_by_learning_rate


def came(
    learning_rate: Hyperparameter,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    b3: Hyperparameter = 0.9999,
    eps: Hyperparameter = 1e-30,
    eps_instability: Hyperparameter = 1e-16,
    clipping_threshold: Hyperparameter = 1.0,
    weight_decay: Hyperparameter = 0.0,
    mask: Mask | None = None,
    mu_dtype: DTypeLike | None = None,
) -> GradientTransformation:
    """Adafactor with momentum, in longer steps where its steps agree with each other.

        p <- p - learning_rate * (mu / sqrt(r) + weight_decay * p)

    with the mean `mu` of Adafactor's clipped steps and the factored mean square `r` of
    their distances from it, as in `scale_by_came`; without `r` for scalars and vectors.

    Args:
        learning_rate: step size, at least 0; the authors advise 0.5 to 0.9 times
            AdamW's.
        b1: weight of the past mean, per step, in [0, 1).
        b2: weight of the past mean squares, per step, in [0, 1).
        b3: weight of the past instability, per step, in [0, 1), above `b2`.
        eps: added to each square, at least 0.
        eps_instability: added to each square of a distance from the mean, at least 0.
        clipping_threshold: largest root mean square of one array's step before the
            mean, at least 0; infinity for no bound.
        weight_decay: decay per unit of learning rate, at least 0.
        mask: which parameters decay, as in `masked`; `weights_only` leaves out biases
            and norm scales.
        mu_dtype: dtype in which `mu` is kept; by default the parameter's, at least
            float32.

    Returns:
        `chain(scale_by_came(…), add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate))`.

    Raises:
        ValueError: if an argument is outside its range.
        TypeError: if one is no number, array, schedule or `by_path`.

    Source: Luo et al. 2023, arXiv 2307.02047, and github.com/yangluo7/CAME.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.came(0.5, b1=0.5)
        >>> params = {"w": jnp.array(1.0)}
        >>> updates, state = tx.update({"w": jnp.array(2.0)}, tx.init(params), params)
        >>> jl.apply_updates(params, updates)
        {'w': Array(0.75, dtype=float32)}
    """
    return chain(
        scale_by_came(
            b1, b2, b3, eps, eps_instability, clipping_threshold, mu_dtype=mu_dtype
        ),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
