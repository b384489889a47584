"""`zero1`: the state, and the arithmetic on it, split over the data axis."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxopt_lite.combine.galore import GaLore
from jaxopt_lite.core import checks
from jaxopt_lite.core.leafwise import Leafwise
from jaxopt_lite.core.parts import Parts
from jaxopt_lite.core.placement import Whole, unseen_update
from jaxopt_lite.core.rule import keywords
from jaxopt_lite.core.selectors import Selector
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.types import Params, PyTree, State, Updates
from jaxopt_lite.sharding.layout import Layout, as_shardings, find, shapes_of
from jaxopt_lite.sharding.specs import AnyMesh
from jaxopt_lite.sharding.state import made


class Zero1(GradientTransformation):
    """A transformation whose state is split over devices that copy the parameters."""

    inner: GradientTransformation
    params_sharding: Selector
    axis: str | tuple[str, ...]
    holds = {"inner": ""}

    def init(self, params: Params) -> State:
        return made(self.inner.init, params, self._layout(params))

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        like = updates if params is None else params
        layout = self._layout(like)
        checks.align("zero1", Flat(like), "the gradients", updates, "the parameters")
        g = _moved(updates, layout.of_params(updates, split=True))
        if params is not None and not _brings_together(self.inner):
            params = _moved(params, layout.of_params(params, split=True))
        is_explicit = AxisType.Explicit in layout.mesh.axis_types
        mesh = _unseen(layout.mesh) if is_explicit else layout.mesh
        extra = {
            **extra,
            "whole": Whole(NamedSharding(mesh, PartitionSpec())),
            "device_parts": Parts(dict(mesh.shape), layout.splits()),
        }
        if is_explicit:
            u, new = self._update_unseen(layout, like, g, state, params, extra)
        else:
            u, new = self.inner.update(g, state, params, **extra)
            new = _moved(new, layout.of_state(self.inner.init, new, shapes_of(like)))
        return _moved(u, layout.of_params(u, split=False)), new

    def _layout(self, like: PyTree) -> Layout:
        return find("zero1", like, self.params_sharding, self.axis)

    def _update_unseen(
        self,
        layout: Layout,
        like: PyTree,
        g: Updates,
        state: State,
        params: Params | None,
        extra: Mapping[str, Any],
    ) -> tuple[Updates, State]:
        """The inner update without the types that say how arrays are split."""

        def update(inner: Any, *args: Any, **extra: Any) -> tuple[Updates, State]:
            return inner.update(*args, **extra)

        places = (
            layout.of_params(g, split=False),
            layout.of_state(self.inner.init, state, shapes_of(like)),
        )
        # As in types, where a mesh is abstract.
        typed = jax.tree.map(
            lambda x: NamedSharding(x.mesh.abstract_mesh, x.spec), places
        )
        return unseen_update(update, typed, self.inner, g, state, params, **extra)

    def __repr__(self) -> str:
        return f"zero1({self.inner!r}, axis={self.axis!r})"


def _unseen(mesh: AnyMesh) -> AnyMesh:
    """A mesh whose axes do not stand in types."""
    return mesh.abstract_mesh.update_axis_types(
        dict.fromkeys(mesh.axis_names, AxisType.Auto)
    )


def _brings_together(tx: GradientTransformation) -> bool:
    """Whether something inside asks for whole matrices.

    Their updates are whole then, and would be split again beside split parameters.
    """
    by_rule = isinstance(tx, Leafwise) and "whole" in keywords(type(tx.rule), "emit")
    inner = tx.children().values()
    return by_rule or isinstance(tx, GaLore) or any(map(_brings_together, inner))


def _moved(tree: PyTree, shardings: PyTree) -> PyTree:
    return jax.tree.map(_move, tree, shardings)


def _move(x: Any, sharding: NamedSharding) -> Any:
    """An array elsewhere."""
    if AxisType.Explicit in sharding.mesh.axis_types:
        return jax.sharding.reshard(x, sharding)
    return jax.lax.with_sharding_constraint(x, sharding)


def zero1(
    tx: Any, params_sharding: PyTree, axis: str | tuple[str, ...] = "data"
) -> GradientTransformation:
    """Splits the state of a transformation, and its arithmetic, over the data axis.

        init:   each array of the state is split over `axis`
        update: gradients are reduced and scattered; each device moves its part of the
                state and forms its part of the updates; these are gathered

    where each device has a copy of the parameters and its share of the batch. So one
    reduce-scatter and one all-gather take the place of one all-reduce, and of the state
    each device keeps its share. Parameters that are split over `axis` themselves (FSDP)
    have their state, and their updates, there; those split over another axis (tensor
    parallelism) are split over both. A parameter of which no axis divides by `axis` is
    updated on every device, as without.

    Whatever of a transformation should see its part only stands inside: a global norm
    is then the sum of the parts' squares, one scalar to be reduced. Where a rule needs
    whole matrices (`muon`, `galore`) they are gathered for it.

    Args:
        tx: a transformation.
        params_sharding: as in `state_sharding`.
        axis: the axis of the mesh, or several, over which the parameters are copied.

    Returns:
        A transformation with the state of `tx`, whose updates lie as the parameters do.
        It works under `jit` and without, on automatic and explicit meshes; inside
        `shard_map`, where each device sees its part, scatter and gather by hand. It is
        not pickled, as no mesh is.

    Raises:
        TypeError: if `tx` is no transformation, or what should be shardings a mesh;
            from `init` and `update`, if a sharding is no `NamedSharding`.
        ValueError: from `init` and `update`, as `state_sharding`.

    Source: Rajbhandari et al. 2019, arXiv 1910.02054, its first stage.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> mesh = jax.make_mesh((1,), ("data",))
        >>> everywhere = jax.NamedSharding(mesh, jax.P())
        >>> params = jax.device_put({"w": jnp.zeros((8, 4))}, everywhere)
        >>> tx = jl.sharding.zero1(jl.adamw(1e-3), everywhere)
        >>> updates, state = jax.jit(tx.update)(params, tx.init(params), params)
        >>> [x["w"].is_fully_replicated for x in (updates, state[0].mu)]
        [True, True]
    """
    return Zero1(
        as_transformation(tx, "zero1: the optimizer"),
        as_shardings("zero1", params_sharding),
        axis,
    )
