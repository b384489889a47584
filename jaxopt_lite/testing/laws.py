"""The table of laws, by name."""

from collections.abc import Callable, Iterator

from jaxopt_lite.testing import (
    dtypes,
    errors,
    memory,
    storage,
    transforms,
    trees,
    values,
)
from jaxopt_lite.testing.case import Case
from jaxopt_lite.testing.compare import Problem

LAWS: dict[str, Callable[[Case], Iterator[Problem]]] = {
    law.__name__: law
    for law in (
        transforms.jit_equals_eager,
        transforms.scan_equals_loop,
        transforms.vmap_equals_loop,
        transforms.many_steps_compile_once,
        transforms.other_hyperparameters_compile_once,
        transforms.rebuilding_compiles_once,
        dtypes.state_keeps_its_types,
        dtypes.updates_have_the_result_type,
        dtypes.nothing_is_weakly_typed,
        dtypes.state_holds_arrays_only,
        dtypes.init_needs_shapes_only,
        trees.empty_trees,
        trees.none_leaves,
        trees.scalar_leaves,
        trees.zero_size_leaves,
        trees.complex_leaves,
        trees.zero_gradients_stay_finite,
        memory.inputs_are_not_modified,
        memory.donation_is_safe,
        memory.sharding_is_preserved,
        errors.wrong_shape_is_named,
        errors.missing_leaf_is_named,
        errors.missing_params_are_named,
        storage.state_survives_pickle,
        storage.state_survives_msgpack,
        storage.state_survives_orbax,
        values.is_compared_by_value,
        values.is_a_pytree_of_arrays,
        values.unpacks_to_init_and_update,
    )
}
"""Every law by name: a function of a case that yields what is wrong."""
