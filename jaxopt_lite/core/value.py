"""Values: frozen dataclasses that are pytrees of the arrays they hold."""

import dataclasses
import enum
import functools
from collections.abc import Iterable
from typing import Any, Self, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lite.core.types import cached


class _Marker(enum.Enum):
    """Stands in the structure of a value where an array stands in the value."""

    ARRAY = enum.auto()


_ARRAY = _Marker.ARRAY


class _Structure:
    """What a value is apart from its arrays: hashable, compared strictly.

    Python takes `1 == 1.0 == True` and `0.0 == -0.0`; two optimizers that differ so
    must not share a trace, so numbers are compared by type and by `repr`.
    """

    __slots__ = ("_hash", "_key", "static")

    def __init__(self, static: tuple[Any, ...]):
        self.static = static
        self._key = tuple(structural_key(x) for x in static)
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, _Structure) and self._key == other._key
        )

    def __repr__(self) -> str:
        return repr(tuple("array" if x is _ARRAY else x for x in self.static))

    def __reduce__(self) -> tuple[Any, ...]:
        # Hashes of strings differ between processes, so the key is made anew.
        return _Structure, (self.static,)


def structural_key(x: Any) -> Any:
    """What stands for `x` in comparisons of structure: equal for equals, hashable."""
    if isinstance(x, bool | int | float | complex):
        return type(x), repr(x)
    if isinstance(x, tuple):
        return type(x), tuple(structural_key(y) for y in x)
    if type(x) is dict:
        return dict, frozenset(structural_key(item) for item in x.items())
    if type(x) is functools.partial:
        keywords = tuple(sorted(x.keywords.items()))
        return x.func, structural_key(x.args), structural_key(keywords)
    try:
        hash(x)
    except TypeError:
        return _ByIdentity(x)
    return x


class _ByIdentity:
    """Compares what it holds by identity, and keeps it alive: ids are used again."""

    __slots__ = ("held",)

    def __init__(self, held: Any):
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and self.held is other.held


def is_array(x: Any) -> bool:
    """Whether `x` is a JAX array, traced or not."""
    return isinstance(x, jax.Array)


def _normalise(x: Any, where: str) -> Any:
    """NumPy scalars become Python numbers, NumPy arrays JAX arrays, lists tuples."""
    if isinstance(x, np.generic):
        x = x.item()
    elif isinstance(x, np.ndarray):
        return jnp.asarray(x)
    elif type(x) in (list, tuple):
        return tuple(_normalise(y, where) for y in x)
    if isinstance(x, float | complex) and x != x:
        raise ValueError(
            f"{where} is nan. A nan is unequal to itself and would be traced anew at "
            f"every call; expected a number."
        )
    return x


class _Mixed(tuple[Any, ...]):
    """The structure of a tuple that holds arrays somewhere."""


def _structure_of(x: Any) -> Any:
    """What is structure in a field, with a marker for each array or value in it."""
    if isinstance(x, Value) or is_array(x):
        return _ARRAY
    if type(x) is tuple:
        parts = _Mixed(map(_structure_of, x))
        if any(part is _ARRAY or type(part) is _Mixed for part in parts):
            return parts
    return x


def _child(x: Any, static: Any) -> Any:
    """The part of a field that is traced; None where all of it is structure."""
    if static is _ARRAY:
        return x
    if type(static) is _Mixed:
        return tuple(map(_child, x, static)) if type(x) is tuple else x
    return None


def _merge(child: Any, static: Any) -> Any:
    """The field again, whatever now stands where its arrays stood."""
    if static is _ARRAY:
        return child
    if type(static) is _Mixed:
        return tuple(map(_merge, child, static)) if type(child) is tuple else child
    return static


@dataclass_transform(frozen_default=True, eq_default=False)
class Value:
    """A frozen dataclass that is a pytree of its array fields.

    Subclassing is all it takes: annotated names become fields. Which fields are
    leaves is decided when the value is made. JAX arrays (traced ones too) and
    values are traced; numbers, flags, strings and functions are structure, so a
    Python `0.9` stays exact inside any trace. The decision survives every
    flatten and unflatten, whatever stands in the leaves, and every field is a child
    (`None` where it is structure), so JAX's own error texts stay readable.

    Equal values have equal types and fields; arrays are compared by identity.

    Raises:
        ValueError: if a field is a Python or NumPy nan.

    Example:
        >>> class Point(Value):
        ...     x: float
        ...     y: float = 0.0
        >>> Point(1.0) == Point(1.0), Point(1) == Point(1.0)
        (True, False)
        >>> jax.tree.leaves(Point(x=jnp.arange(2), y=3.0))
        [Array([0, 1], dtype=int32)]
    """

    _structure: _Structure

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
        jax.tree_util.register_pytree_with_keys(
            cls, _flatten_with_keys, cls._unflatten, _flatten
        )

    def __post_init__(self) -> None:
        static = []
        for name in field_names(type(self)):
            value = _normalise(getattr(self, name), name)
            object.__setattr__(self, name, value)
            static.append(_structure_of(value))
        object.__setattr__(self, "_structure", _Structure(tuple(static)))

    @classmethod
    def _unflatten(cls, structure: _Structure, children: Iterable[Any]) -> Self:
        self = object.__new__(cls)
        for name, child, static in zip(
            field_names(cls), children, structure.static, strict=True
        ):
            object.__setattr__(self, name, _merge(child, static))
        object.__setattr__(self, "_structure", structure)
        return self

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Value)
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        """What equal values have in common: structure, and the very same arrays."""
        leaves, structure = jax.tree.flatten(self)
        return structure, tuple(map(id, leaves))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={short_repr(getattr(self, name))}"
            for name in field_names(type(self))
        )
        return f"{type(self).__name__}({shown})"


@cached
def field_names(cls: type) -> tuple[str, ...]:
    """The names of a value's fields, in order."""
    return tuple(field.name for field in dataclasses.fields(cls))


def _flatten(value: Any) -> tuple[tuple[Any, ...], _Structure]:
    structure = value._structure
    fields = (getattr(value, name) for name in field_names(type(value)))
    return tuple(map(_child, fields, structure.static)), structure


def _flatten_with_keys(value: Any) -> tuple[Any, _Structure]:
    children, structure = _flatten(value)
    keys = map(jax.tree_util.GetAttrKey, field_names(type(value)))
    return tuple(zip(keys, children, strict=True)), structure


def short_repr(x: Any) -> str:
    """`repr`, but an array is shown by dtype and shape and a function by its name."""
    if is_array(x):
        return f"{x.dtype}[{','.join(map(str, x.shape))}]"
    if isinstance(x, tuple):
        inner = ", ".join(map(short_repr, x))
        return f"({inner},)" if len(x) == 1 else f"({inner})"
    if callable(x) and not isinstance(x, Value):
        return getattr(x, "__qualname__", repr(x))
    return repr(x)
