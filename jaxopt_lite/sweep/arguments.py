"""What the functions of a sweep check of their arguments."""

import operator
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxopt_lite.core.value import short_repr
from jaxopt_lite.sweep.space import Space

THREEFRY = "threefry2x32"


def whole(where: str, name: str, x: Any, least: int) -> int:
    """A whole number, of Python or NumPy.

    Raises:
        ValueError: if it is none, or too small.
    """
    try:
        n = -1 if isinstance(x, bool) else operator.index(x)
    except TypeError:
        n = -1
    if n < least:
        raise ValueError(
            f"{where}: {name} is {x!r}; expected a whole number from {least}."
        )
    return n


def check(where: str, call: str, train: Any, space: Any, key: Any) -> None:
    """Refuses what is no function, no space or no key of use.

    Args:
        where: the function of sweeps that was called.
        call: how it calls `train`: the name of its argument and what this is given.
        train: a function.
        space: the configurations.
        key: a key of `jax.random`.

    Raises:
        TypeError: if one is something else.
        ValueError: if numbers drawn with the key depend on who draws beside.
    """
    if not callable(train):
        name, takes = call.split("(")
        raise TypeError(
            f"{where}: {name} is {short_repr(train)}; expected a function of ({takes}."
        )
    if not isinstance(space, Space):
        raise TypeError(
            f"{where}: space is {short_repr(space)}; expected a Space, such as "
            f"grid(learning_rate=[1e-3, 1e-2])."
        )
    check_key(where, key)
    impl = str(jax.random.key_impl(key))
    if impl != THREEFRY:
        raise ValueError(
            f"{where}: key is of {impl}, with which a lane draws other numbers beside "
            f"other lanes; expected {THREEFRY}: "
            f"jax.random.key(0, impl={THREEFRY!r})."
        )


def one_program(where: str, space: Space) -> None:
    """Refuses static axes of several values.

    Raises:
        ValueError: naming them.
    """
    static = [a.name for a in space.axes if not a.is_number and len(a.values) > 1]
    if static:
        raise ValueError(
            f"{where}: {', '.join(map(repr, static))} has several static values; "
            f"expected numbers, which one program can hold. Call it for each value."
        )


def check_mesh(where: str, mesh: Any) -> None:
    """Refuses what is no mesh of devices.

    Raises:
        TypeError: saying what was found.
    """
    if not isinstance(mesh, Mesh):
        raise TypeError(
            f"{where}: mesh is {short_repr(mesh)}; expected a jax.sharding.Mesh, such "
            f"as jax.make_mesh((jax.device_count(),), ('lanes',))."
        )


def check_key(where: str, key: Any) -> None:
    """Refuses what is no single key, and a call that JAX traces.

    Raises:
        TypeError: saying what was found.
        ValueError: if the numbers of the key are not at hand.
    """
    is_typed = isinstance(key, jax.Array) and jnp.issubdtype(
        key.dtype, jax.dtypes.prng_key
    )
    is_raw = isinstance(key, jax.Array) and key.dtype == jnp.uint32
    if not (is_typed and key.ndim == 0 or is_raw and key.ndim == 1):
        raise TypeError(
            f"{where}: key is {short_repr(key)}; expected a key, such as "
            f"jax.random.key(0)."
        )
    if isinstance(jax.random.key_data(key), jax.core.Tracer):
        raise ValueError(
            f"{where}: called within jax.jit or another transformation; expected a "
            f"call outside."
        )
