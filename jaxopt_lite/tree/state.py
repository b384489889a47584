"""Reading, replacing and mapping the parts of an optimizer's state."""

import dataclasses
import difflib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lite.core.trees import is_box, is_end
from jaxopt_lite.core.types import PyTree, State

Path = tuple[Any, ...]
Filter = Callable[[Path, Any], bool]


@dataclasses.dataclass(frozen=True)
class NamedTupleKey:
    """The step of a path into a NamedTuple: its class and the field.

    Example:
        >>> import jaxopt_lite as jl
        >>> state = jl.scale_by_adam().init(None)
        >>> ((path, value),) = jl.tree.get_all_with_path(state, "count")
        >>> path
        (NamedTupleKey(tuple_name='ScaleByAdamState', name='count'),)
    """

    tuple_name: str
    name: str

    def __str__(self) -> str:
        return f"{self.tuple_name}.{self.name}"


def get_all_with_path(
    tree: PyTree, key: Any, filtering: Filter | None = None
) -> list[tuple[Path, Any]]:
    """Every value of a name, wherever it stands in a tree, and its path.

    Args:
        tree: a state, or any other tree.
        key: the name of a field, the key of a dict, or the name of a NamedTuple's or
            dataclass's class, which stands for the whole of it.
        filtering: says of a path and a value whether it counts.

    Returns:
        Pairs of path and value, the outer before the inner. A path is a tuple of JAX's
        keys, with a `NamedTupleKey` for each NamedTuple; `jax.tree_util.keystr` shows
        it.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> state = jl.chain(jl.trace(0.9), jl.ema(0.5)).init(jnp.zeros(1))
        >>> for path, value in jl.tree.get_all_with_path(state, "count"):
        ...     print(jax.tree_util.keystr(path), value)
        [1]EmaState.count 0
    """
    found = _search((), tree, key)
    return [(p, x) for p, x in found if filtering is None or filtering(p, x)]


_RAISE: Any = object()


def get(
    tree: PyTree, key: Any, default: Any = _RAISE, filtering: Filter | None = None
) -> Any:
    """The one value of a name, wherever it stands in a tree.

    Args:
        tree: a state, or any other tree.
        key: the name of a field, the key of a dict, or the name of a NamedTuple's or
            dataclass's class.
        default: what to return if there is none.
        filtering: says of a path and a value whether it counts.

    Raises:
        KeyError: if several stand there, with all paths; if none does and there is no
            `default`, with the nearest name. Optax returns None for it.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> state = jl.adam(0.1).init({"w": jnp.zeros(2)})
        >>> jl.tree.get(state, "mu")
        {'w': Array([0., 0.], dtype=float32)}
    """
    found = get_all_with_path(tree, key, filtering)
    if len(found) > 1:
        paths = ", ".join(jax.tree_util.keystr(path) for path, _ in found)
        raise KeyError(
            f"tree.get: {key!r} stands {len(found)} times: {paths}. Expected one: "
            f"choose with filtering=lambda path, value: ..."
        )
    if found:
        return found[0][1]
    if default is _RAISE:
        raise KeyError(_absent("tree.get", tree, key, filtering))
    return default


def set(tree: PyTree, filtering: Filter | None = None, /, **kwargs: Any) -> PyTree:
    """A tree with other values under the given names, wherever they stand.

    Args:
        tree: a state, or any other tree.
        filtering: says of a path and a value whether it is replaced.
        **kwargs: the name of a field, a key or a class, and the new value. A Python
            number in the place of an array becomes an array of its dtype, so that
            nothing is traced anew.

    Raises:
        KeyError: if a name stands nowhere, with the nearest one.
        ValueError: if a number would lose its fraction in an integer.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> state = jl.scale_by_adam().init(jnp.zeros(1))
        >>> jl.tree.set(state, count=7).count
        Array(7, dtype=int32)
    """
    for key in kwargs:
        if not get_all_with_path(tree, key, filtering):
            raise KeyError(_absent("tree.set", tree, key, filtering))
    return _replaced((), tree, kwargs, filtering)


@jax.tree_util.register_static
class Parameters:
    """Stands for all parameters at once: a tree without leaves.

    What `init` makes of it shows where a state mirrors the parameters.
    """


def map_params(
    initable: Any,
    f: Callable[..., Any],
    state: State,
    /,
    *rest: PyTree,
    transform_non_params: Callable[[Any], Any] | None = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> State:
    """Applies a function where a state has something for each parameter.

    Which parts these are is what `init` makes of a tree that has no leaves.

    Args:
        initable: the transformation that the state is of, or its `init`.
        f: takes such a part of the state, and what `rest` has for the parameter.
        state: the state.
        *rest: trees like the parameters, such as their shardings.
        transform_non_params: is applied to the other arrays, such as the step count;
            None leaves them.
        is_leaf: as in `jax.tree.map`. None and masked positions stay as they are,
            unless it takes them for leaves.

    Raises:
        ValueError: if the state is another transformation's, or a tree of `rest` is not
            like the parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.scale_by_adam()
        >>> state = tx.init({"w": jnp.zeros(2)})
        >>> jl.tree.map_params(
        ...     tx,
        ...     lambda slot, name: name,
        ...     state,
        ...     {"w": "rows"},
        ...     transform_non_params=lambda count: "everywhere",
        ... )
        ScaleByAdamState(count='everywhere', mu={'w': 'rows'}, nu={'w': 'rows'})
    """

    def is_kept(x: Any) -> bool:
        return is_end(x) or (is_leaf is not None and is_leaf(x))

    def of_parameter(x: Any, *others: Any) -> Any:
        if is_end(x) and not (is_leaf is not None and is_leaf(x)):
            return x
        return f(x, *others)

    def mapped(place: Any, held: Any) -> Any:
        if isinstance(place, Parameters):
            return jax.tree.map(of_parameter, held, *rest, is_leaf=is_kept)
        if transform_non_params is None:
            return held
        return jax.tree.map(transform_non_params, held)

    form = jax.eval_shape(getattr(initable, "init", initable), Parameters())
    return jax.tree.map(mapped, form, state, is_leaf=is_known)


def is_known(form: Any) -> bool:
    """Whether a part of a state's form stands for all that the state has there.

    A dict without parameters does: its keys may be of groups of them.
    """
    if not isinstance(form, dict):
        return isinstance(form, Parameters)
    held = jax.tree.leaves(form, is_leaf=lambda x: isinstance(x, Parameters))
    return not any(isinstance(x, Parameters) for x in held)


def _is_named_tuple(node: Any) -> bool:
    return isinstance(node, tuple) and hasattr(node, "_fields")


def _children(node: Any) -> list[tuple[Any, Any]]:
    """What a node holds, each with its key; nothing where it is a leaf."""
    if _is_named_tuple(node):
        name = type(node).__name__
        return [(NamedTupleKey(name, f), getattr(node, f)) for f in node._fields]
    if is_box(node):
        return []
    found, _ = jax.tree_util.tree_flatten_with_path(
        node, is_leaf=lambda x: x is not node
    )
    return [(path[0], child) for path, child in found if path]


def _name(key: Any) -> Any:
    """By what a child is looked for; a position in a list is no name."""
    if isinstance(key, jax.tree_util.DictKey):
        return key.key
    return getattr(key, "name", None)


def _class_name(node: Any) -> str | None:
    """The name of a node that has fields."""
    is_record = _is_named_tuple(node) or dataclasses.is_dataclass(node)
    return type(node).__name__ if is_record else None


def _search(path: Path, node: Any, key: Any) -> Iterator[tuple[Path, Any]]:
    """The values of the outermost nodes that have the key, then what these hold."""
    outermost = list(_outermost(path, node, key))
    for at, owner in outermost:
        if _class_name(owner) == key:
            yield at, owner
        else:
            yield from (
                ((*at, k), child) for k, child in _children(owner) if _name(k) == key
            )
    for at, owner in outermost:
        for k, child in _children(owner):
            yield from _search((*at, k), child, key)


def _outermost(path: Path, node: Any, key: Any) -> Iterator[tuple[Path, Any]]:
    children = _children(node)
    if _class_name(node) == key or any(_name(k) == key for k, _ in children):
        yield path, node
    else:
        for k, child in children:
            yield from _outermost((*path, k), child, key)


def _replaced(
    path: Path, node: Any, new: dict[str, Any], filtering: Filter | None
) -> Any:
    """The node with everything replaced that stands under one of the names."""

    def is_meant(name: Any, at: Path, value: Any) -> bool:
        named = isinstance(name, str) and name in new
        return named and (filtering is None or filtering(at, value))

    name = _class_name(node)
    if is_meant(name, path, node):
        return new[str(name)]
    children = _children(node)
    if not children:
        return node
    values = [
        _fitted(_name(k), new[_name(k)], child)
        if is_meant(_name(k), (*path, k), child)
        else _replaced((*path, k), child, new, filtering)
        for k, child in children
    ]
    if _is_named_tuple(node):
        return type(node)(*values)
    structure: Any = jax.tree.structure(node, is_leaf=lambda x: x is not node)
    return structure.unflatten(values)


def _fitted(name: str, new: Any, old: Any) -> Any:
    """A Python number as an array of the dtype that the old one has."""
    if not (isinstance(new, int | float) and isinstance(old, jax.Array)):
        return new
    if jnp.issubdtype(old.dtype, jnp.integer) and new != int(new):
        raise ValueError(
            f"tree.set: {name} is {new}; expected a whole number, since it replaces "
            f"one of {old.dtype}."
        )
    return jnp.asarray(new, old.dtype)


def _absent(where: str, tree: PyTree, key: Any, filtering: Filter | None) -> str:
    """Says that a name stands nowhere, and which one is near."""
    if filtering is not None and get_all_with_path(tree, key):
        return f"{where}: no value of {key!r} is let through by `filtering`."
    names = sorted({str(name) for name in _names(tree)})
    near = difflib.get_close_matches(str(key), names, 1, 0.0)
    nearest = f"; the nearest name is {near[0]!r}" if near else ""
    return f"{where}: {key!r} stands nowhere in the tree{nearest}."


def _names(node: Any) -> Iterator[Any]:
    yield from filter(None, [_class_name(node)])
    for k, child in _children(node):
        if not isinstance(k, jax.tree_util.SequenceKey):
            yield _name(k)
        yield from _names(child)
