"""`store_state`: the slots of any optimizer in few bytes."""

import dataclasses
import difflib
import functools
from typing import Any

from jaxopt_lite.core.checks import article
from jaxopt_lite.core.codec import Codec
from jaxopt_lite.core.leafwise import Leafwise
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.selectors import as_selector
from jaxopt_lite.core.transformation import (
    FromFunctions,
    GradientTransformation,
    as_transformation,
)
from jaxopt_lite.core.types import Mask
from jaxopt_lite.storage.blocks import Blocks
from jaxopt_lite.storage.floats import Bfloat16, Float32

CODECS: dict[str, Codec] = {
    "float32": Float32(),
    "bfloat16": Bfloat16(),
    "int8": Blocks(),
    "int4": Blocks(bits=4, block=16, signed_power=2, non_negative_power=1),
}
"""The codecs that have a name."""


def store_state(
    tx: Any, codec: str | Codec | ByPath, where: Mask | None = None
) -> GradientTransformation:
    """Keeps the slots of a transformation, and of all it is made of, in few bytes.

    The arithmetic stays in float32: a slot is decoded, moved, and the update formed
    from it before it is coded again. Bytes for each parameter of the state of AdamW,
    which are 8 in float32:

    | codec | bytes | kept as |
    |---|---|---|
    | `"bfloat16"` | 4 | bfloat16, rounded by chance |
    | `"int8"` | 2.13 | `Blocks(8)`: a byte, and a scale for 32 |
    | `"int4"` | 1.25 | half a byte, and a scale for 16; coarse |
    | `"float32"` | 8 | float32, as without; reads what the others wrote |

    Slots that are exact (copies of the parameters, statistics of rows) stay as they
    are, and so does what combinators hold themselves, such as accumulated gradients.
    What is drawn by chance depends on the step, the path and the element alone: no key
    is kept, and an array on eight devices draws what it would on one.

    Args:
        tx: a transformation.
        codec: a name, a `Codec`, or `by_path` of them.
        where: which leaves, as a mask; by default the matrices, and arrays of more
            axes, of 4,096 elements or more.

    Returns:
        The same transformation; slots that are coded are `Coded(codes, scales)`, two
        trees like the parameters, or one of bfloat16. `update` takes the state of
        another codec of the package, or that without any, and gives it in its own:
        a checkpoint goes on with another, and a jitted step is traced once more. Not
        told apart are `Blocks` that differ in powers alone, and `"int8"` and `"int4"`
        where the last axis has one element. Derivatives do not pass through codes.

    Raises:
        TypeError: if `tx` is no transformation, or another library's, whose slots do
            not say what they are; if `codec` is none; from `init`, if it cannot hold
            the state of a leaf of `where`.
        ValueError: if there is no codec of a name; from `init`, if `where` is no mask;
            from `update`, if the state is in a form that no codec of the package gives.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.store_state(jl.adam(1e-3), "int8")
        >>> state = tx.init({"kernel": jnp.zeros((64, 64)), "bias": jnp.zeros(64)})
        >>> state[0].nu.codes["kernel"].dtype, state[0].nu.scales["kernel"].shape
        (dtype('uint8'), (64, 2))
        >>> state[0].nu.codes["bias"].dtype
        dtype('float32')
    """
    return _kept(
        "store_state",
        tx,
        dtypes=(),
        codec=_codecs(codec),
        where=None if where is None else as_selector(where),
        readable=tuple(CODECS.values()),
    )


def offload_state(tx: Any, where: Mask | None = None) -> GradientTransformation:
    """Keeps the slots of a transformation in the memory of the host between steps.

    A step fetches the slots of one leaf, moves them and sends them back, and fetches
    those of the next meanwhile. On the device they take the memory of a few leaves.

    Args:
        tx: a transformation; `store_state` makes fewer bytes of what is sent.
        where: which leaves, as a mask; by default the matrices, and arrays of more
            axes, of 4,096 elements or more.

    Returns:
        The same transformation, whose slots lie in `pinned_host`. It is the same on
        the host's own backend, where nothing is gained by it. Put the parameters on
        their device by `jax.device_put` before: else the second step, whose parameters
        lie there, is compiled once more. A step that donates them and the state takes
        both in the order in which it returns them: JAX gives what is donated to the
        first result of its shape, and the process aborts if one of the two lies on the
        host and the other does not.

    Raises:
        TypeError: if `tx` is no transformation, or another library's.
        ValueError: from `init`, if `where` is no mask.
        RuntimeError: from `init`, if the backend has no `pinned_host`, or JAX no
            `jax.memory`, which came after 0.7.0.

    Example:
        >>> import jaxopt_lite as jl
        >>> tx = jl.offload_state(jl.trace(0.9))
        >>> tx
        leafwise(Trace(decay=0.9), keep(on the host))
    """
    mask = None if where is None else as_selector(where)
    return _kept("offload_state", tx, on_host=True, host_where=mask)


def _kept(name: str, tx: Any, **fields: Any) -> GradientTransformation:
    """A transformation with some fields of the storage of its rules replaced."""
    made = as_transformation(tx, f"{name}: the optimizer")
    return made.mapped(functools.partial(_rewritten, name, tuple(fields.items())))


def _rewritten(
    name: str, fields: tuple[tuple[str, Any], ...], tx: GradientTransformation
) -> GradientTransformation:
    """A node of a transformation, its slots kept so."""
    if isinstance(tx, FromFunctions):
        raise TypeError(
            f"{name}: {tx!r} is made of two functions, which do not say what "
            f"their state holds; expected transformations of jaxopt_lite. Give "
            f"`{name}` those that are, and `chain` the rest."
        )
    if not isinstance(tx, Leafwise) or not tx.rule.Slots._fields:
        return tx
    storage = dataclasses.replace(tx.storage, **dict(fields))
    return dataclasses.replace(tx, storage=storage)


def _codecs(given: Any) -> Codec | ByPath:
    """What was given, with codecs in the place of names."""
    if isinstance(given, ByPath):
        return dataclasses.replace(given, values=tuple(map(_codec, given.values)))
    return _codec(given)


def _codec(given: Any) -> Codec:
    if isinstance(given, Codec):
        return given
    if not isinstance(given, str):
        raise TypeError(
            f"store_state: the codec is {given!r}, {article(type(given).__name__)}; "
            f"expected a name ({', '.join(CODECS)}) or a `Codec`."
        )
    if given not in CODECS:
        near = difflib.get_close_matches(given, CODECS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"store_state: the codec is {given!r}; expected one of "
            f"{', '.join(map(repr, CODECS))}, or a `Codec`.{hint}"
        )
    return CODECS[given]
