"""States under flat names, and from checkpoints of other optimizers."""

from typing import Any

import jax

from jaxopt_lite.core import checks
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, PyTree, State
from jaxopt_lite.interop.restoring import carried


def flatten_state(state: State) -> dict[str, jax.Array]:
    """The arrays of a state by name, for formats that know no trees.

    A name is the path: `0/mu/dense/kernel`. `restore_state` makes the state of them
    again, in any order.

    Args:
        state: a state, or any other tree of arrays, such as the parameters.

    Returns:
        A dict, for `safetensors.flax.save_file`, `numpy.savez` and the like. The arrays
        are those of the state, not copies.

    Raises:
        ValueError: if two arrays have one name, as of `a/b` and of `b` in `a`.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> from jaxopt_lite.interop import flatten_state, restore_state
        >>> tx, params = jl.adam(0.1), {"w": jnp.ones(2)}
        >>> named = flatten_state(tx.init(params))
        >>> list(named)
        ['0/count', '0/mu/w', '0/nu/w']
        >>> restore_state(named, tx, params)[0].mu
        {'w': Array([0., 0.], dtype=float32)}
    """
    flat = Flat(state)
    checks.distinct("flatten_state", flat.paths)
    pairs = zip(flat.paths, flat.leaves, strict=True)
    return {path: x for path, x in pairs if not is_end(x)}


def restore_state(saved: PyTree, tx: Any, params: Params) -> State:
    """The state of an optimizer from what another run has saved, as far as it fits.

    Each array is found by its parameter's path and the name of its field, wherever it
    stands: in a state, in the dicts and lists that a checkpoint is without a target,
    or under the names of `flatten_state`. So a run goes on with an optimizer that has a
    clip more, a schedule in the place of a number, or another codec.

    Args:
        saved: what was saved.
        tx: the optimizer to go on with.
        params: the parameters, of the same paths and shapes.

    Returns:
        The state of `tx`, in its dtypes, and where `tx.init(params)` would lie: to the
        bit what was saved where that was in the same form; else codes are read and
        written, but by a codec of your own only at the next update.

    Raises:
        TypeError: if `tx` is no transformation; if a state, or the parameters, are
            shapes.
        ValueError: if nothing fits, if arrays are of other shapes than the state's, or
            codes of no codec of the package.

    Warns:
        UserWarning: of fields that begin anew, were saved and are not used, were saved
            in a wider dtype, or are converted.

    Counts that were not saved, such as those of a new schedule, are the one that was
    saved, if all saved are one. Fields that stand several times for one parameter are
    told apart by the fields beside them, and taken in the order of their paths.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> from jaxopt_lite.interop import restore_state
        >>> params = {"w": jnp.ones(2)}
        >>> old = jl.sgd(0.1, momentum=0.9)
        >>> _, saved = old.update(params, old.init(params), params)
        >>> tx = jl.chain(jl.clip_by_global_norm(1.0), jl.sgd(0.1, momentum=0.9))
        >>> restore_state(saved, tx, params)[1][0].trace
        {'w': Array([1., 1.], dtype=float32)}
    """
    return carried("restore_state", saved, tx, params)
