"""Optimizers and their states between this library and Optax."""

import collections
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.codec import Coded
from jaxopt_lite.core.links import placed_like
from jaxopt_lite.core.transformation import as_transformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, PyTree, State
from jaxopt_lite.interop.derived import DERIVED, completed
from jaxopt_lite.storage.store import store_state


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
        The state of `tx`, in its dtypes, and where `tx.init(params)` would lie. Slots
        that `store_state` codes are float32 until the next update.

    Raises:
        TypeError: if `tx` is no transformation; if what was saved is of codes.
        ValueError: if nothing fits, or arrays are of other shapes than the state's.

    Warns:
        UserWarning: of fields that begin anew, were saved and are not used, or were
            saved in a wider dtype.

    Counts that were not saved, such as those of a new schedule, are the one that was
    saved, if there is one. Fields that stand several times for one parameter are taken
    in their order. `products_memory` of L-BFGS, which Optax has not, is computed from
    the differences that it keeps.

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
    made = as_transformation(tx, "from_optax: the optimizer")
    target = made.init(params)
    if _coded(target):
        target = store_state(made, "float32").init(params)
    return _carried("from_optax", state, target, params)


def to_optax_state(state: State, tx: Any, params: Params) -> Any:
    """The state of an Optax optimizer with what an optimizer of ours has kept.

    Args:
        state: the state of ours.
        tx: the optimizer of Optax to go on with.
        params: the parameters.

    Returns:
        The state of `tx`; it is found as by `from_optax`.

    Raises:
        TypeError: if the state is of codes: update it once with
            `store_state(tx, "float32")` before.
        ValueError: if nothing fits, or arrays are of other shapes.

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
    return _carried("to_optax_state", state, tx.init(params), params)


class _Key(NamedTuple):
    """What an array of a state is: the name of a field, and of which parameter."""

    field: str
    path: str | None

    def __str__(self) -> str:
        return self.field if self.path is None else f"{self.field} of {self.path!r}"


def _carried(where: str, saved: PyTree, target: State, params: Params) -> Any:
    """The target with the arrays that were saved for it."""
    if _coded(saved):
        raise TypeError(
            f"{where}: the state holds codes of `store_state`; expected arrays. Update "
            f'it once by the same optimizer in `store_state(…, "float32")`.'
        )
    known = set(Flat(params).paths)
    found, flat = _by_key(Flat(saved), known), Flat(target)
    keys = [None if is_end(x) else key for key, x in _keyed(flat, known)]
    wanted = collections.Counter(key for key in keys if key is not None)
    taken = {key: iter(_chosen(key, n, found)) for key, n in wanted.items()}
    pairs = [
        (key, old, None if key is None else next(taken[key]))
        for key, old in zip(keys, flat.leaves, strict=True)
    ]
    if wanted and all(new is None for _, _, new in pairs):
        raise ValueError(
            f"{where}: nothing of what was saved is of this optimizer and these "
            f"parameters: found {checks.listed([*map(str, found)])}; expected "
            f"{checks.listed([*map(str, wanted)])}."
        )
    _check_shapes(where, pairs)
    _report(where, pairs, found, wanted)
    return completed(flat.rebuild(_taken(*pair) for pair in pairs))


def _taken(key: _Key | None, old: Any, new: Any) -> Any:
    """What was saved, else what the target has; None where it is to be made."""
    if new is not None:
        return placed_like(old, jnp.array(new, old.dtype, copy=True))
    return None if key is not None and key.field in DERIVED else old


def _coded(state: State) -> bool:
    """Whether a state holds codes and scales."""
    parts = jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, Coded))
    return any(isinstance(x, Coded) for x in parts)


def _keyed(flat: Flat, known: set[str]) -> Iterator[tuple[_Key, Any]]:
    for path, x in zip(flat.paths, flat.leaves, strict=True):
        below = path.split("/")
        owner = next(
            (i for i in range(len(below)) if "/".join(below[i:]) in known), None
        )
        if owner:
            yield _Key(below[owner - 1], "/".join(below[owner:])), x
        else:
            yield _Key(below[-1], None), x


def _by_key(flat: Flat, known: set[str]) -> dict[_Key, list[Any]]:
    found: dict[_Key, list[Any]] = {}
    for key, x in _keyed(flat, known):
        if not is_end(x):
            found.setdefault(key, []).append(x)
    return found


def _chosen(key: _Key, n: int, found: dict[_Key, list[Any]]) -> list[Any]:
    """What was saved for `n` arrays that are alike, None for the rest of them."""
    there = found.get(key, [])
    if key.field == "count" and len({int(x) for x in there}) == 1:
        return there[:1] * n
    return [*there, *[None] * n][:n]


def _check_shapes(where: str, pairs: Sequence[tuple[Any, Any, Any]]) -> None:
    problems = [
        (key.path or "", f"{key.field} {list(np.shape(new))}, {list(old.shape)} here")
        for key, old, new in pairs
        if new is not None and np.shape(new) != old.shape
    ]
    if problems:
        checks.fail(
            f"{where}: {checks.plural(len(problems), 'array is', 'arrays are')} of "
            f"another shape than what was saved.",
            problems,
            "Expected the state of the same parameters and arguments.",
            ValueError,
        )


def _report(
    where: str,
    pairs: Sequence[tuple[Any, Any, Any]],
    found: dict[_Key, list[Any]],
    wanted: collections.Counter[_Key],
) -> None:
    """Warns of all that was not carried over as it was."""
    silent = {"count", *DERIVED}
    new = [
        key
        for key, _, x in pairs
        if key is not None and x is None and key.field not in DERIVED
    ]
    unused = [
        key
        for key, x in found.items()
        if len(x) > wanted[key] and key.field not in silent
    ]
    narrower = [
        key
        for key, old, x in pairs
        if x is not None and jnp.result_type(x, old.dtype) != old.dtype
    ]
    said = {"begin anew": new, "were saved and are not used": unused}
    said["were saved in a wider dtype"] = narrower
    parts = [
        f"{checks.listed([*dict.fromkeys(map(str, keys))])} {what}"
        for what, keys in said.items()
        if keys
    ]
    if parts:
        warnings.warn(f"{where}: {'; '.join(parts)}.", UserWarning, stacklevel=4)
