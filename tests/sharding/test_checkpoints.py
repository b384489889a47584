"""A state that was saved on one mesh goes on, on another."""

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close
from tests.sharding.meshes import bytes_on_one, mesh, place, specs, tree

SHAPES = {x: (64, 64) for x in ("int8", "int4", "bfloat16", "float32")}
TX = jl.store_state(
    jl.adamw(0.1), jl.by_path({x: x for x in SHAPES}), where=lambda p: True
)


def along(axes, *spec):
    """A mesh of some axes, and the parameters split over it."""
    return dict.fromkeys(SHAPES, place(mesh(**axes), *spec))


# Where the parameters lie, and the axis over which their state is split as well.
MESHES = {
    "4x2": (along({"data": 4, "model": 2}, "data", "model"), None),
    "2x4": (along({"data": 2, "model": 4}, "model", "data"), None),
    "8": (along({"data": 8}), "data"),
    "1": (along({"data": 1}), None),
}


@jax.jit
def step(params, state):
    g = jax.tree.map(lambda p: jnp.sin(3 * p), params)
    updates, state = TX.update(g, state, params)
    return jl.apply_updates(params, updates), state


def two(params, state):
    return step(*step(params, state))


@pytest.mark.parametrize(
    ("before", "after"),
    [("4x2", "2x4"), pytest.param("8", "1", marks=pytest.mark.full)],
)
def test_a_run_goes_on_on_another_mesh(before, after, tmp_path):
    given, zero_axis = MESHES[before]
    params = jax.device_put(tree(SHAPES), given)
    state = jl.sharding.init_state(TX, params, given, zero_axis=zero_axis)
    assert bytes_on_one(state) <= sum(x.nbytes for x in jax.tree.leaves(state)) / 7
    saved = two(params, state)

    given, zero_axis = MESHES[after]
    shapes = jax.tree.map(
        lambda p, s: jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=s), params, given
    )
    like = jl.sharding.init_state(TX, shapes, given, zero_axis=zero_axis)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "run", saved)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "run", (shapes, like))
    assert specs(restored) == specs((shapes, like))
    jax.tree.map(np.testing.assert_array_equal, restored, saved)

    whole = tree(SHAPES)
    params, state = two(*two(whole, TX.init(whole)))
    found_params, found = two(*restored)
    assert_close(found_params, params, 1e-6)
    for x in ("mu", "nu"):
        kept, expected = (getattr(s[0], x) for s in (found, state))
        for name in SHAPES:
            if name.startswith("int"):
                np.testing.assert_array_equal(kept.codes[name], expected.codes[name])
            else:
                assert_close(kept.codes[name], expected.codes[name], 1e-6)
