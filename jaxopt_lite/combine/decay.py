"""Weight decay of some of the parameters."""

from collections.abc import Sequence

from jaxopt_lite.combine.masking import judge, masked
from jaxopt_lite.core.leafwise import leafwise
from jaxopt_lite.core.selectors import PerLeaf, Selector, flags
from jaxopt_lite.core.transformation import GradientTransformation
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.types import (
    Hyperparameter,
    Mask,
)
from jaxopt_lite.rules.scaling import AddDecayedWeights, IndependentWeightDecay


def add_decayed_weights(
    weight_decay: Hyperparameter = 0.0, mask: Mask | None = None
) -> GradientTransformation:
    """Adds to each gradient a multiple of its parameter.

        u = g + weight_decay * p

    Before an adaptive rule this is the gradient of an L2 penalty; after it, and before
    the learning rate, the decoupled decay of AdamW.

    Args:
        weight_decay: at least 0: a number, an array, a schedule or `by_path`.
        mask: which parameters decay, as in `masked`; `weights_only` leaves out biases
            and norm scales.

    Returns:
        A transformation with an `EmptyState` (`WeightDecaySchedule(count)` with a
        schedule), inside a `MaskedState` if there is a mask.

    Raises:
        ValueError: if the decay is negative; from `update`, without parameters.
        TypeError: if it is none of these.

    Source: Loshchilov and Hutter 2017, arXiv 1711.05101.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.add_decayed_weights(0.1, mask=jl.weights_only)
        >>> params = {"kernel": jnp.full(1, 2.0), "bias": jnp.full(1, 2.0)}
        >>> g = {"kernel": jnp.ones(1), "bias": jnp.ones(1)}
        >>> tx.update(g, tx.init(params), params)[0]
        {'bias': Array([1.], dtype=float32), 'kernel': Array([1.2], dtype=float32)}
    """
    tx = leafwise(AddDecayedWeights(weight_decay))
    return tx if mask is None else masked(tx, mask)


def independent_weight_decay(
    weight_decay: Hyperparameter, mask: Mask | None = None
) -> GradientTransformation:
    """Takes from each parameter a share of it, whatever the learning rate is.

        u = g - weight_decay * p

    It stands behind the learning rate, at the end of a chain, so that a sweep over
    learning rates leaves the decay as it is: `chain(adam(…), independent_weight_decay(
    1e-4))`. `adamw` multiplies its decay by the learning rate, as PyTorch does.

    Args:
        weight_decay: the share that a step takes, at least 0: a number, an array, a
            schedule or `by_path`. To follow a warm-up, give it as a schedule.
        mask: which parameters decay, as in `masked`.

    Returns:
        A transformation with the states of `add_decayed_weights`.

    Raises:
        ValueError: if the decay is negative; from `update`, without parameters.
        TypeError: if it is none of these.

    Source: Loshchilov and Hutter 2017, arXiv 1711.05101, algorithm 2; Wortsman et al.
    2023, arXiv 2309.14322, section 3.3.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.chain(jl.sgd(0.1), jl.independent_weight_decay(0.25))
        >>> p = jnp.full(1, 2.0)
        >>> tx.update(jnp.ones(1), tx.init(p), p)[0]
        Array([-0.6], dtype=float32)
    """
    tx = leafwise(IndependentWeightDecay(weight_decay))
    return tx if mask is None else masked(tx, mask)


class Decays(PerLeaf):
    """Whether each leaf decays, for rules that apply the decay themselves."""

    mask: Selector

    def judge(self, where: str, flat: Flat) -> None:
        judge(self.mask, where, flat)

    def resolve(self, where: str, flat: Flat, seen: Sequence[bool]) -> list[bool]:
        return flags(self.mask, where, flat)

    def __repr__(self) -> str:
        return repr(self.mask)
