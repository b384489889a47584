"""`state_sharding` and `init_state`: the state beside the parameters."""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_lite.core.transformation import as_transformation
from jaxopt_lite.core.types import Params, PyTree, State
from jaxopt_lite.sharding.layout import Layout, as_shardings, find, shapes_of


def state_sharding(
    tx: Any,
    params: Params,
    params_sharding: PyTree,
    *,
    zero_axis: str | tuple[str, ...] | None = None,
) -> PyTree:
    """Says where each array of a state lies, from where the parameters lie.

    What has the shape of its parameter lies as that does; so do codes, and their scales
    if the blocks of each device are whole. Of what is factored or reduced each axis
    that is one of the parameter's is split as that one. What belongs to no parameter,
    such as counts, lies whole on every device. Nothing is allocated.

    With `zero_axis` every array of the state is split over that axis of the mesh as
    well, along its first axis that divides by it, one that is not yet split if there
    is one. A parameter that is split over it already (FSDP), or has no such axis,
    leaves its state where it was.

    Args:
        tx: a transformation.
        params: the parameters, or their shapes.
        params_sharding: a `NamedSharding` for each parameter: a tree like them or a
            prefix of it (one for all is one), `by_path`, or a function from the
            parameters to such a tree. All are of one mesh.
        zero_axis: the axis of the mesh, or several, over which the parameters are
            copied and their state is to be split.

    Returns:
        A tree with the structure of `tx.init(params)` and a `NamedSharding` for each
        array: for `jax.jit(…, out_shardings=…)`, `jax.device_put`, and to restore a
        checkpoint onto these devices.

    Raises:
        TypeError: if `tx` is no transformation, or a sharding no `NamedSharding`.
        ValueError: if a parameter has no sharding, or one that does not fit its shape,
            if there are several meshes, or the mesh has no `zero_axis`.

    Example:
        >>> import jax
        >>> import jaxopt_lite as jl
        >>> mesh = jax.make_mesh((1,), ("data",))
        >>> split = jax.NamedSharding(mesh, jax.P(None, "data"))
        >>> params = {"kernel": jax.ShapeDtypeStruct((256, 512), "float32")}
        >>> places = jl.sharding.state_sharding(jl.adafactor(), params, split)
        >>> factors = places[0].v_row["kernel"], places[0].v_col["kernel"]
        >>> [tuple(place.spec) for place in factors]
        [(), ('data',)]
    """
    tx = as_transformation(tx, "state_sharding: the optimizer")
    given = as_shardings("state_sharding", params_sharding)
    layout = find("state_sharding", params, given, zero_axis)
    shapes = shapes_of(params)
    return layout.of_state(tx.init, jax.eval_shape(tx.init, shapes), shapes)


def init_state(
    tx: Any,
    params: Params,
    params_sharding: PyTree,
    *,
    zero_axis: str | tuple[str, ...] | None = None,
) -> State:
    """Makes the state of a transformation where it is to lie, each part on its device.

    `jax.jit(tx.init)` leaves it whole on every device, unless the mesh is explicit.

    Args:
        tx: a transformation.
        params: the parameters; of shapes the shapes of the state are returned, with
            their shardings, as Orbax wants them to restore a checkpoint.
        params_sharding: as in `state_sharding`.
        zero_axis: as in `state_sharding`.

    Returns:
        What `tx.init(params)` gives, lying as `state_sharding` says.

    Raises:
        TypeError: as `state_sharding`.
        ValueError: as `state_sharding`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> mesh = jax.make_mesh((1,), ("data",))
        >>> everywhere = jax.NamedSharding(mesh, jax.P())
        >>> params = {"w": jnp.zeros((8, 4))}
        >>> state = jl.sharding.init_state(
        ...     jl.adam(0.1), params, everywhere, zero_axis="data"
        ... )
        >>> tuple(state[0].mu["w"].sharding.spec)
        ('data',)
    """
    tx = as_transformation(tx, "init_state: the optimizer")
    given = as_shardings("init_state", params_sharding)
    return made(tx.init, params, find("init_state", params, given, zero_axis))


def made(init: Callable[..., Any], params: Params, layout: Layout) -> State:
    """The state before the first step, in its places; of shapes only shapes."""
    shapes = shapes_of(params)
    state = jax.eval_shape(init, shapes)
    shardings = layout.of_state(init, state, shapes)
    if any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(params)):
        return jax.tree.map(
            lambda x, y: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=y),
            state,
            shardings,
        )
    return jax.jit(init, out_shardings=shardings)(params)
