"""The parameters to evaluate with, where those that are trained are others."""

from typing import Any

import jax

from jaxopt_lite.core.checks import article
from jaxopt_lite.core.types import Params, State


def eval_params(state: State, params: Params) -> Params:
    """The parameters to evaluate, test and publish a model with.

    Some transformations train one set of parameters and mean another to be used:
    `param_ema` a moving average, `lookahead` the slow parameters. Their states say
    which, wherever they stand in the state. Any state can: a NamedTuple with a method
    `eval_params(params)` is asked, and what is nested in it is not.

    Args:
        state: the state of any transformation, however nested.
        params: the parameters that are trained.

    Returns:
        The parameters to evaluate with, in the dtypes of `params`; `params` themselves
        where nothing in the state says otherwise. Of several that say something, the
        last is asked first and the others what to make of its answer, as the updates
        went through them.

    Raises:
        TypeError: if a state is given for the parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.chain(jl.sgd(1.0), jl.param_ema(0.5))
        >>> params = jnp.zeros(1)
        >>> state = tx.init(params)
        >>> for _ in range(2):
        ...     updates, state = tx.update(-jnp.ones(1), state, params)
        ...     params = jl.apply_updates(params, updates)
        >>> params, jl.eval_params(state, params)
        (Array([2.], dtype=float32), Array([1.6666667], dtype=float32))
    """
    if misplaced := _found(params):
        raise TypeError(
            f"eval_params: found {article(type(misplaced[0]).__name__)} among the "
            f"parameters; expected arrays alone. Call eval_params(state, params)."
        )
    for part in reversed(_found(state)):
        params = part.eval_params(params)
    return params


def _found(tree: Any) -> list[Any]:
    """The parts of a state that say what to evaluate with."""
    return list(filter(_answers, jax.tree.leaves(tree, is_leaf=_answers)))


def _answers(part: Any) -> bool:
    """Whether a part of a state says what to evaluate with."""
    return callable(getattr(type(part), "eval_params", None))
