"""Optimizers and their states between this library and Optax."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.combine.accumulation import MultiStepsState
from jaxopt_lite.core.transformation import as_transformation
from jaxopt_lite.core.types import Params, PyTree, State
from jaxopt_lite.interop.restoring import carried


def to_optax(tx: Any) -> Any:
    """The same optimizer as one of Optax's own, for code that asks for its type.

    Optax's combinators pass keywords such as `value=` to what is of that type alone;
    here they take any transformation without.

    Args:
        tx: a transformation.

    Returns:
        An `optax.GradientTransformationExtraArgs` with the same state.

    Raises:
        TypeError: if `tx` is no transformation.
        ModuleNotFoundError: if Optax is not installed.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> import optax
        >>> from jaxopt_lite.interop import to_optax
        >>> tx = optax.chain(optax.clip(1.0), to_optax(jl.polyak_sgd()))
        >>> g = jnp.array([0.5])
        >>> updates, state = tx.update(g, tx.init(g), g, value=0.1)
        >>> updates
        Array([-0.2], dtype=float32)
    """
    import optax

    made = as_transformation(tx, "to_optax: the optimizer")
    return optax.GradientTransformationExtraArgs(made.init, made.update)


def from_optax(state: PyTree, tx: Any, params: Params) -> State:
    """The state of an optimizer with what a run of Optax has saved.

    Each array is found as by `restore_state`, by its parameter's path and the name of
    its field, which is Optax's: the optimizer may have a clip more, or a schedule in
    the place of a number.

    Args:
        state: what was saved.
        tx: the optimizer to go on with.
        params: the parameters, of the same paths and shapes.

    Returns:
        The state of `tx`, as `restore_state`. `products_memory` of L-BFGS, which Optax
        has not, is computed from the differences that it keeps.

    Raises:
        TypeError: as `restore_state`.
        ValueError: as `restore_state`.

    Warns:
        UserWarning: as `restore_state`.

    `nnx.Optimizer` keeps a state in boxes. It goes on with another one by

        state = from_optax(saved, tx, nnx.state(model, nnx.Param))
        boxes = jax.tree.structure(optimizer.opt_state)
        optimizer.opt_state = jax.tree.unflatten(boxes, jax.tree.leaves(state))

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> import optax
        >>> from jaxopt_lite.interop import from_optax
        >>> params = {"w": jnp.ones(2)}
        >>> theirs = optax.sgd(0.1, momentum=0.9)
        >>> _, saved = theirs.update(params, theirs.init(params), params)
        >>> tx = jl.chain(jl.clip_by_global_norm(1.0), jl.sgd(0.1, momentum=0.9))
        >>> from_optax(saved, tx, params)[1][0].trace
        {'w': Array([1., 1.], dtype=float32)}
    """
    return carried("from_optax", state, tx, params)


def to_optax_state(state: State, tx: Any, params: Params) -> Any:
    """The state of an Optax optimizer with what an optimizer of ours has kept.

    Args:
        state: the state of ours.
        tx: the optimizer of Optax to go on with.
        params: the parameters.

    Returns:
        The state of `tx`, found as by `restore_state`; codes of `store_state` are read.

    Raises:
        TypeError: as `restore_state`.
        ValueError: as `restore_state`.

    Warns:
        UserWarning: as `restore_state`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> import optax
        >>> from jaxopt_lite.interop import to_optax_state
        >>> params = {"w": jnp.ones(2)}
        >>> tx = jl.adam(0.1)
        >>> _, state = tx.update(params, tx.init(params), params)
        >>> int(to_optax_state(state, optax.adam(0.1), params)[0].count)
        1
    """
    return carried("to_optax_state", _cleared(state), tx, params)


def _cleared(state: State) -> State:
    """The state without means that are complete: Optax would add to their sums."""

    def is_mean(x: Any) -> bool:
        return isinstance(x, MultiStepsState)

    def cleared(x: Any) -> Any:
        if not is_mean(x):
            return x
        kept = jax.tree.map(lambda g: jnp.where(x.mini_step > 0, g, 0), x.acc_grads)
        return x._replace(acc_grads=kept, inner_opt_state=_cleared(x.inner_opt_state))

    return jax.tree.map(cleared, state, is_leaf=is_mean)
