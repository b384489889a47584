"""`metrics`: what there is to log of an optimizer at a step."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.inject import InjectHyperparams
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.types import State
from jaxopt_lite.report.hyperparameters import get_hyperparams
from jaxopt_lite.report.names import INNER, below


def metrics(tx: Any, state: State) -> dict[str, Any]:
    """What there is to log: hyperparameters, norms, counts of skipped steps, by name.

    The numbers in force at the next step, as `get_hyperparams` gives them, and what the
    states say:

    - `record`: `gradient_norm`, `update_norm`, `parameter_norm`, of groups too, and
      `clipped_fraction`, the share of the steps that `clip_by_global_norm` clipped;
    - `skip_spikes`: `skipped_steps`; `apply_if_finite`: `notfinite_steps`;
    - `snapshot` and `monitor`: the measurements that are one number;
    - optimizers that share a number among all parameters: that number, such as
      Prodigy's estimate of the distance or the scale of `reduce_on_plateau`.

    Nothing is computed but schedules and one quotient, so it may be called at every
    step, under `jit` as well.

    Args:
        tx: a transformation.
        state: its state, of linen's `TrainState` or `nnx.Optimizer` too.

    Returns:
        A flat dict of scalars: arrays, and Python numbers where the optimizer was made
        with such. Names begin with a path where `get_hyperparams` has one.

    Raises:
        TypeError: if `tx` is no transformation, or the state is another's.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> inner = jl.chain(jl.clip_by_global_norm(1.0), jl.sgd(0.5))
        >>> tx = jl.record(jl.skip_spikes(inner), ["gradient"])
        >>> state = tx.init(jnp.zeros(2))
        >>> for g in (jnp.ones(2), jnp.full(2, 0.5), jnp.full(2, jnp.nan)):
        ...     _, state = tx.update(g, state)
        >>> for name, value in jl.metrics(tx, state).items():
        ...     print(name, value)
        sigmas 6.0
        0/max_norm 1.0
        1/1/learning_rate 0.5
        gradient_norm nan
        clipped_fraction 0.33333334
        skipped_steps 1
    """
    tx = as_transformation(tx, "metrics: the optimizer")
    return get_hyperparams(tx, state) | dict(_said(tx, state, ""))


def _said(
    tx: GradientTransformation, state: State, path: str
) -> Iterator[tuple[str, jax.Array]]:
    """What a state and those inside it say, by name."""
    for name, value in tx.metrics(state).items():
        # What a framework keeps an array in is a node, and changes later.
        leaves = jax.tree.leaves(value)
        if len(leaves) == 1 and jnp.shape(leaves[0]) == ():
            yield path + name, leaves[0]
    if isinstance(tx, InjectHyperparams):
        made = tx.at(tx.given(state))
        yield from _said(made, state.inner_state, path + INNER)
    states = tx.child_states(state)
    for name, child in tx.children().items():
        yield from _said(child, states[name], below(tx, path, name, child))
