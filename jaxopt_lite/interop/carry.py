"""Optimizers and their states between this library and Optax."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.combine.accumulation import MultiStepsState
from jaxopt_lite.core import checks
from jaxopt_lite.core.links import placed_like
from jaxopt_lite.core.transformation import as_transformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, PyTree, State
from jaxopt_lite.interop.codes import coded, decoded, uncoded
from jaxopt_lite.interop.derived import DERIVED, completed
from jaxopt_lite.interop.places import Place, are_one, matched, places


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
    """The state of an optimizer with what another run has saved, such as Optax's.

    Each array is found by its parameter's path and the name of its field, wherever it
    stands: in Optax's NamedTuples, in ours, or in the dicts and lists that a checkpoint
    is without a target. So a run goes on with an optimizer that has a clip more, or a
    schedule in the place of a number.

    Args:
        state: what was saved.
        tx: the optimizer to go on with.
        params: the parameters, of the same paths and shapes.

    Returns:
        The state of `tx`, in its dtypes, and where `tx.init(params)` would lie. What
        `store_state` wrote is read, and slots that it codes are coded.

    Raises:
        TypeError: if `tx` is no transformation; if a state, or the parameters, are
            shapes.
        ValueError: if nothing fits, arrays are of other shapes than the state's, or
            codes are of a codec without a name.

    Warns:
        UserWarning: of fields that begin anew, were saved and are not used, were saved
            in a wider dtype, or are converted from or to codes.

    Counts that were not saved, such as those of a new schedule, are the one that was
    saved, if all saved are one. Fields that stand several times for one parameter are
    told apart by the fields beside them, and taken in their order. `products_memory` of
    L-BFGS, which Optax has not, is computed from the differences that it keeps.

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
    return _carried("from_optax", state, tx, params)


def to_optax_state(state: State, tx: Any, params: Params) -> Any:
    """The state of an Optax optimizer with what an optimizer of ours has kept.

    Args:
        state: the state of ours.
        tx: the optimizer of Optax to go on with.
        params: the parameters.

    Returns:
        The state of `tx`; it is found as by `from_optax`.

    Raises:
        TypeError: as `from_optax`.
        ValueError: as `from_optax`.

    Warns:
        UserWarning: as `from_optax`.

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
    return _carried("to_optax_state", _cleared(state), tx, params)


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


def _carried(where: str, saved: PyTree, tx: Any, params: Params) -> Any:
    """The state of a transformation with the arrays that were saved for it."""
    made = as_transformation(tx, f"{where}: the optimizer")
    given, target = Flat(params), Flat(made.mapped(uncoded).init(params))
    known = dict(zip(given.paths, given.leaves, strict=True))
    wanted = [x for x in places(target.tree, known) if not is_end(x.array)]
    found = [x for x in places(saved, known) if not is_end(x.array)]
    _refuse_shapes(where, "what was saved", found)
    _refuse_shapes(where, "the state of these parameters", wanted)
    found, read = decoded(where, found, known)
    taken = matched(wanted, found)
    chosen = [None if j is None else found[j] for j in taken]
    pairs = list(zip(wanted, chosen, strict=True))
    if wanted and not any(chosen):
        raise ValueError(
            f"{where}: nothing of what was saved is of this optimizer and these "
            f"parameters: found {_listed(found)}; expected {_listed(wanted)}."
        )
    _check_shapes(where, pairs)
    new = {x.at: _in_place_of(x.array, y.array) for x, y in pairs if y is not None}
    derived = {x.at: None for x, y in pairs if y is None and x.key.field in DERIVED}
    rebuilt = map((derived | new).get, target.paths, target.leaves)
    state, written = coded(made, completed(target.rebuild(rebuilt)), params)
    carried = {x.key for x, y in pairs if y is not None}
    said = {
        "begin anew": [x for x, y in pairs if y is None and x.at not in derived],
        "were saved and are not used": _unused(found, taken),
        "were saved in a wider dtype": [
            x for x, y in pairs if y is not None and _is_narrower(x.array, y.array)
        ],
        "are converted": [x for x in wanted if x.key in (read | written) & carried],
    }
    parts = [f"{_listed(xs)} {what}" for what, xs in said.items() if xs]
    if parts:
        warnings.warn(f"{where}: {'; '.join(parts)}.", UserWarning, stacklevel=3)
    return state


def _listed(found: Sequence[Place]) -> str:
    return checks.listed([*dict.fromkeys(map(str, found))])


def _refuse_shapes(where: str, what: str, found: Sequence[Place]) -> None:
    shapes = [str(x) for x in found if isinstance(x.array, jax.ShapeDtypeStruct)]
    if shapes:
        raise TypeError(
            f"{where}: {what} has shapes at {checks.listed(shapes)}; expected arrays."
        )


def _unused(found: Sequence[Place], taken: Sequence[int | None]) -> list[Place]:
    """What was saved for nothing here.

    Of counts that are one none is missed, nor what can be made anew.
    """
    used, is_one = {*taken}, are_one(found)
    return [
        x
        for j, x in enumerate(found)
        if j not in used and not (x.is_count and is_one) and x.key.field not in DERIVED
    ]


def _raw(x: Any) -> Any:
    """An array, of random keys the numbers that they are."""
    dtype = getattr(x, "dtype", None)
    is_key = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    return jax.random.key_data(x) if is_key else x


def _in_place_of(old: Any, new: Any) -> Any:
    """An array in the dtype of another, where that lies; it shares no memory."""
    raw = _raw(old)
    placed = placed_like(raw, jnp.array(_raw(new), raw.dtype, copy=True))
    if raw is old:
        return placed
    return jax.random.wrap_key_data(placed, impl=jax.random.key_impl(old))


def _is_narrower(old: Any, new: Any) -> bool:
    """Whether an array does not hold all that another may."""
    dtype = _raw(old).dtype
    return jnp.result_type(_raw(new), dtype) != dtype


def _check_shapes(where: str, pairs: Sequence[tuple[Place, Place | None]]) -> None:
    problems = []
    for x, y in pairs:
        expected = np.shape(_raw(x.array))
        if y is not None and np.shape(_raw(y.array)) != expected:
            text = f"{list(np.shape(_raw(y.array)))}, {list(expected)} here"
            field, path = x.key
            problems.append((path or x.at, f"{field} {text}"))
    if problems:
        checks.fail(
            f"{where}: {checks.plural(len(problems), 'array is', 'arrays are')} of "
            f"another shape than what was saved.",
            problems,
            "Expected the state of the same parameters and arguments.",
            ValueError,
        )
