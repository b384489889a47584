"""Where all parameters lie, and so each array of a state."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
from jax.sharding import NamedSharding, PartitionSpec

from jaxopt_lite.core import checks
from jaxopt_lite.core.parts import Split
from jaxopt_lite.core.selectors import Selector, as_selector
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Params, PyTree, State
from jaxopt_lite.sharding.owners import Owner, origins, owners
from jaxopt_lite.sharding.specs import AnyMesh, Place, Shape, names, size


class Layout(NamedTuple):
    """A mesh, and where on it the parameter at each path lies."""

    mesh: AnyMesh
    places: dict[str, Place]

    def of_params(self, tree: PyTree, *, split: bool) -> PyTree:
        """The sharding of each array of a tree like the parameters.

        With `split` it is that of their state, else their own.
        """
        flat = Flat(tree)

        def of_leaf(path: str, x: Any) -> Any:
            if is_end(x):
                return x
            place = self.places[path]
            return place.split if split else place.sharding

        return flat.rebuild(map(of_leaf, flat.paths, flat.leaves))

    def splits(self) -> dict[str, Split]:
        """How the state of each parameter is split."""
        return {
            path: tuple(zip(x.shape, names(x.split.spec, len(x.shape)), strict=True))
            for path, x in self.places.items()
        }

    def of_state(
        self, init: Callable[..., Any], state: State, params: Params
    ) -> PyTree:
        """The sharding of each array of the state that `init` makes."""
        structure: Any
        arrays, structure = jax.tree.flatten(state)
        owned = owners(init, state, self.places)
        found: list[Any] = list(map(self._of_array, arrays, owned))
        asked = {
            i: owner.path
            for i, owner in enumerate(owned)
            if owner is not None and found[i] is None
        }
        told = origins(init, state, params, asked) if asked else {}
        for i, path in asked.items():
            found[i] = self.places[path].of_slot(arrays[i].shape, told.get(i))
        for i, owner in enumerate(owned):
            if owner is not None and owner.codes is not None:
                codes = Place(arrays[owner.codes].shape, found[owner.codes])
                found[i] = codes.of_blocks(arrays[i].shape)
        return structure.unflatten(found)

    def _of_array(self, x: Any, owner: Owner | None) -> NamedSharding | None:
        """The sharding of an array; None if which axes it has is to be found out."""
        if owner is None or owner.codes is not None:
            return NamedSharding(self.mesh, PartitionSpec())
        place = self.places[owner.path]
        if x.shape == place.shape:
            return place.split
        if owner.is_coded and x.shape[:-1] == place.shape[:-1]:
            return place.of_blocks(x.shape)
        return None


Found: TypeAlias = Sequence[tuple[str, Shape, Any]]
"""The path, the shape and the sharding of each parameter."""


def shapes_of(params: Params) -> Params:
    """Parameters as shapes."""
    return jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype), params)


def as_shardings(where: str, given: Any) -> Selector:
    """The shardings of the parameters, in the form in which they are found by path.

    Raises:
        TypeError: if they are a mesh, which can be called but tells no shardings.
    """
    if isinstance(given, AnyMesh):
        raise TypeError(
            f"{where}: found a mesh where the shardings of the parameters should be; "
            f"expected a NamedSharding for each, or one for all: to copy them to every "
            f"device NamedSharding(mesh, PartitionSpec())."
        )
    return as_selector(given, "the tree of shardings")


def find(
    where: str, params: Params, given: Selector, zero_axis: str | tuple[str, ...] | None
) -> Layout:
    """Where each parameter lies, all of it checked."""
    flat = Flat(params)
    _check_arrays(where, flat)
    found = given.resolve(where, flat)
    there = [
        (path, p.shape, sharding)
        for path, p, sharding in zip(flat.paths, flat.leaves, found, strict=True)
        if not is_end(p)
    ]
    _check_kinds(where, there)
    mesh = _one_mesh(where, there, given)
    _check_fit(where, there)
    axes = _known_axes(where, zero_axis, mesh)
    return Layout(mesh, {path: Place(n, x, axes) for path, n, x in there})


def _check_arrays(where: str, flat: Flat) -> None:
    problems = [
        (path, f"parameter {checks.describe(p)}")
        for path, p in zip(flat.paths, flat.leaves, strict=True)
        if not is_end(p) and not hasattr(p, "dtype")
    ]
    if problems:
        checks.fail(
            f"{where}: {checks.plural(len(problems), 'parameter is', 'parameters are')}"
            f" no array.",
            problems,
            "Expected arrays, or their shapes: filter such leaves out.",
            TypeError,
        )


def _check_kinds(where: str, there: Found) -> None:
    problems = [
        (path, f"found {checks.describe(x)}")
        for path, _, x in there
        if not isinstance(x, NamedSharding)
    ]
    if problems:
        checks.fail(
            f"{where}: {checks.plural(len(problems), 'parameter', 'parameters')} "
            f"without a NamedSharding.",
            problems,
            "Expected one for each: of parameters that lie on a mesh they are "
            "jax.tree.map(lambda p: p.sharding, params).",
            TypeError,
        )


def _one_mesh(where: str, there: Found, given: Selector) -> AnyMesh:
    """The mesh of all shardings; where there is no parameter, of those given."""
    shardings = [x for _, _, x in there] or list(getattr(given, "values", ()))
    meshes = list(dict.fromkeys(x.mesh for x in shardings))
    if len(meshes) != 1:
        listed = "; ".join(map(str, meshes)) or "none"
        raise ValueError(
            f"{where}: the shardings are of {len(meshes)} meshes: {listed}; expected "
            f"one. Put all parameters on one mesh."
        )
    return meshes[0]


def _check_fit(where: str, there: Found) -> None:
    """Refuses shardings of more axes than there are, or that do not divide one."""
    problems = [
        (path, f"shape {list(shape)}, split along {tuple(sharding.spec)}")
        for path, shape, sharding in there
        if not _fits(shape, sharding)
    ]
    if problems:
        checks.fail(
            f"{where}: {checks.plural(len(problems), 'sharding does', 'shardings do')} "
            f"not fit the parameter.",
            problems,
            "Expected at most as many axes as the parameter has, each split into "
            "equal parts.",
            ValueError,
        )


def _fits(shape: Shape, sharding: NamedSharding) -> bool:
    if len(sharding.spec) > len(shape):
        return False
    parts = [size(sharding.mesh, x) for x in names(sharding.spec, len(shape))]
    return not any(n % k for n, k in zip(shape, parts, strict=True))


def _known_axes(where: str, given: Any, mesh: AnyMesh) -> tuple[str, ...]:
    axes = [given] if isinstance(given, str) else given or ()
    if not isinstance(axes, list | tuple):
        raise TypeError(
            f"{where}: the axis is {checks.describe(given)}; expected the name of an "
            f"axis of the mesh, or several."
        )
    for axis in axes:
        if axis not in mesh.axis_names:
            known = ", ".join(map(repr, mesh.axis_names))
            raise ValueError(
                f"{where}: the mesh has no axis {axis!r}; expected one of {known}."
            )
    return tuple(dict.fromkeys(axes))
