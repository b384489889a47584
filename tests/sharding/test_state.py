"""Where the arrays of a state lie."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close
from tests.sharding.meshes import (
    KINDS,
    bytes_on_one,
    mesh,
    messages,
    place,
    specs,
    tree,
)
from tests.table import COMBINED, TABLE, Case
from tests.test_errors import message

SHAPES = {"kernel": (64, 64), "bias": (64,), "conv": (3, 3, 16, 64), "odd": (5,)}
SHAPES = SHAPES | {"scale": ()}
OPTIMIZERS = [
    name
    for name in TABLE
    if getattr(jl, name).__module__.startswith("jaxopt_lite.optimizers")
]
MADE = {name: made.make(jl) for name, made in COMBINED.items()}
MADE |= {name: Case(name, TABLE[name].variants[0]).ours() for name in OPTIMIZERS}
MADE |= {"lbfgs": jl.lbfgs(), "sophia": jl.sophia(0.1), "noisy": jl.noisy_sgd(0.1)}


def shapes(like=SHAPES, dtype=np.float32):
    return {k: jax.ShapeDtypeStruct(shape, dtype) for k, shape in like.items()}


def tensor_parallel(kind="Auto"):
    """Two axes, and matrices split over one of them."""
    both = mesh(kind, data=4, model=2)
    split = {"kernel": (None, "model"), "bias": ("model",)}
    return {k: place(both, *split.get(k, ())) for k in SHAPES}


def sharding(tx, params, given, zero_axis=None):
    return specs(jl.sharding.state_sharding(tx, params, given, zero_axis=zero_axis))


def kept(name, codec):
    return MADE[name] if codec is None else jl.store_state(MADE[name], codec)


@pytest.mark.parametrize(
    "codec",
    [None, *(pytest.param(x, marks=pytest.mark.full) for x in ("int8", "bfloat16"))],
)
def test_every_state_has_a_sharding_for_each_array(codec):
    given = tensor_parallel()
    for name in MADE:
        tx = kept(name, codec)
        state = jax.eval_shape(tx.init, shapes())
        plain = jl.sharding.state_sharding(tx, shapes(), given)
        split = jl.sharding.state_sharding(tx, shapes(), given, zero_axis="data")
        for found in (plain, split):
            assert jax.tree.structure(found) == jax.tree.structure(state), name
            for x, y in zip(*map(jax.tree.leaves, (state, found)), strict=True):
                y.shard_shape(x.shape)  # raises where it does not fit
                assert y.mesh == given["kernel"].mesh
        jax.jit(tx.init, out_shardings=split).lower(shapes())


def test_what_is_like_the_parameter_lies_as_it_does():
    found = sharding(jl.adamw(0.1), shapes(), tensor_parallel())
    own = {"kernel": (None, "model"), "bias": ("model",)}
    assert found[0].mu == found[0].nu == dict.fromkeys(SHAPES, ()) | own
    assert found[0].count == ()


def test_over_the_data_axis_the_first_axis_that_fits_is_split():
    found = sharding(jl.trace(0.9), shapes(), tensor_parallel(), "data")
    assert found.trace == {
        "kernel": ("data", "model"),
        "bias": (("model", "data"),),
        "conv": (None, None, "data"),
        "odd": (),
        "scale": (),
    }


def test_what_is_split_over_the_data_axis_stays():
    both = mesh(data=4, model=2)
    given = {"kernel": place(both, "data"), "bias": place(both, ("data", "model"))}
    params = shapes({"kernel": (64, 64), "bias": (64,)})
    found = sharding(jl.trace(0.9), params, given, "data")
    assert found.trace == {"kernel": ("data",), "bias": (("data", "model"),)}
    found = sharding(jl.trace(0.9), params, given, ("data", "model"))
    assert found.trace == {"kernel": ("data", "model"), "bias": (("data", "model"),)}


@pytest.mark.parametrize("shape", [(64, 128), (128, 64), (128, 128)])
def test_factors_are_split_as_the_axis_that_they_keep(shape):
    both = mesh(data=4, model=2)
    tx = jl.adafactor(min_dim_size_to_factor=2)
    found = sharding(tx, jnp.zeros(shape), place(both, "data", "model"))[0]
    # v_row is the mean over the larger axis, of equal ones over the last.
    rows_first = shape[0] <= shape[1]
    assert found.v_row == (("data",) if rows_first else ("model",))
    assert found.v_col == (("model",) if rows_first else ("data",))
    assert found.v == ()


def test_a_square_matrix_and_one_of_three_equal_axes():
    both = mesh(data=4, model=2)
    params = shapes({"square": (64, 64), "cube": (64, 64, 64)})
    given = {"square": place(both, "data", "model"), "cube": place(both, "model")}
    found = sharding(jl.came(0.1), params, given)[0]
    assert found.v_row == {"square": ("data",), "cube": ("model",)}
    assert found.v_col == {"square": ("model",), "cube": ("model",)}
    found = sharding(jl.sm3(0.1), params, given)[0]
    assert found.mu == {
        "square": [("data",), ("model",)],
        "cube": [("model",), (), ()],
    }
    found = sharding(jl.adam_mini(0.1), params, given)[0]
    assert found.nu == {"square": (None, "model"), "cube": ()}


def test_low_rank_moments_follow_the_axis_that_they_keep():
    both = mesh(data=4, model=2)
    params = shapes({"tall": (96, 64), "wide": (64, 96), "square": (64, 64)})
    given = {k: place(both, None, "model") for k in params}
    found = sharding(jl.galore(0.1, rank=8), params, given)[0]
    moment = {"tall": (None, "model"), "wide": (), "square": (None, "model")}
    assert found.base_optimizer_state.mu == moment
    assert found.projector == {"tall": (), "wide": ("model",), "square": ()}
    found = sharding(jl.galore(0.1, rank=8), params, given, "data")[0]
    assert found.base_optimizer_state.mu["tall"] == ("data", "model")
    assert found.projector["tall"] == ("data",)


def test_memories_of_several_steps_are_split_as_each_is():
    params = {"w": jax.ShapeDtypeStruct((10,), np.float32)}
    found = sharding(jl.scale_by_lbfgs(10), params, place(mesh(data=2), "data"))
    assert found.diff_params_memory == {"w": (None, "data")}
    assert found.weights_memory == found.products_memory == ()


@pytest.mark.parametrize(
    ("length", "scales"), [(256, "data"), (512, "data"), (128, None), (1000, None)]
)
def test_scales_are_split_where_each_device_has_whole_blocks(length, scales):
    tx = jl.store_state(jl.trace(0.9), "int8", where=lambda p: True)
    params = jax.ShapeDtypeStruct((64, length), np.float32)
    found = sharding(tx, params, place(mesh(), None, "data")).inner_state.trace
    assert found.codes == (None, "data")
    assert found.scales == ((None, scales) if scales else ())


def test_codes_of_half_a_byte_and_scales_of_low_rank():
    tx = jl.store_state(jl.trace(0.9), "int4", where=lambda p: True)
    params = jax.ShapeDtypeStruct((64, 256), np.float32)
    found = sharding(tx, params, place(mesh(), "data", None)).inner_state.trace
    assert found.codes == found.scales == ("data",)
    tx = jl.store_state(jl.galore(0.1, rank=64), "int8")
    params = jax.ShapeDtypeStruct((256, 64), np.float32)
    found = sharding(tx, params, place(mesh(data=2), None, "data"))[0]
    moments = found.base_optimizer_state  # 64 directions of the long axis
    assert moments.mu.codes == moments.mu.scales == (None, "data")
    found = sharding(tx, params, place(mesh(data=2), "data"))[0]
    assert found.base_optimizer_state.mu.codes == ()
    assert found.projector == ("data",)


def test_one_number_for_a_whole_array_lies_everywhere():
    class Scaled(jl.Codec):
        has_scales = True

        def encode(self, x, kind, bits):
            scale = jnp.max(jnp.abs(x))
            return jl.Coded((x / scale).astype(jnp.bfloat16), scale)

    tx = jl.store_state(jl.trace(0.9), Scaled(), where=lambda p: True)
    found = sharding(tx, shapes({"w": (8, 8)}), place(mesh(), "data"))
    assert found.trace == jl.Coded({"w": ("data",)}, {"w": ()})


def test_what_belongs_to_no_parameter_lies_everywhere():
    tx = jl.chain(jl.flatten(jl.trace(0.9)), jl.muon(0.1))
    found = sharding(tx, shapes({"w": (64, 64)}), place(mesh()), "data")
    assert found[0].trace == ()
    assert found[1].inner_states["muon"].inner_state[0].ns_coeffs == ()


def test_masks_none_and_names_that_look_like_a_state():
    params = {"mu": {"w": np.zeros((8, 16))}, "w": np.zeros((16, 8)), "count": None}
    given = {"mu": place(mesh(), "data"), "w": place(mesh(), None, "data")}
    where = {"mu": {"w": True}, "w": False, "count": True}
    tx = jl.chain(jl.scale_by_adam(), jl.masked(jl.trace(0.9), where))
    found = sharding(tx, params, given | {"w": place(mesh())})
    assert found[0].mu == {"mu": {"w": ("data",)}, "w": (), "count": None}
    trace = found[1].inner_state.trace
    assert trace == {"mu": {"w": ("data",)}, "w": jl.MaskedNode(), "count": None}


def test_another_librarys_state():
    tx = optax.chain(optax.clip(1.0), optax.adafactor(min_dim_size_to_factor=2))
    found = sharding(tx, shapes({"w": (64, 64)}), place(mesh(), "data"))
    assert found[1][0].v_row == {"w": ("data",)}
    assert found[1][0].v_col == {"w": ()}


def test_boxes_hold_the_shardings():
    def init(x):
        kernel = nn.Partitioned(x, names=(None, "model"))
        return {"kernel": kernel, "bias": x[0]}

    boxed = jax.eval_shape(init, jnp.zeros((64, 64)))
    both = mesh(data=4, model=2)
    given = nn.get_sharding(boxed, both)
    tx = jl.chain(jl.scale_by_adam(), jl.scale_by_factored_rms())
    found = jl.sharding.state_sharding(tx, boxed, given, zero_axis="data")
    state = jax.eval_shape(tx.init, boxed)
    assert jax.tree.structure(found) == jax.tree.structure(state)
    assert found[0].mu["kernel"].value.spec == jax.P("data", "model")


def test_shardings_by_path_and_one_for_all():
    by_path = jl.by_path({"kernel": place(mesh(), "data"), "*": place(mesh())})
    params = shapes({"kernel": (8, 8), "bias": (8,)})
    found = sharding(jl.trace(0.9), params, by_path)
    assert found.trace == {"kernel": ("data",), "bias": ()}
    found = sharding(jl.trace(0.9), params, place(mesh()), "data")
    assert found.trace == {"kernel": ("data",), "bias": ("data",)}


# init_state


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_is_made_where_it_is_to_lie(kind):
    given = tensor_parallel(kind)
    params = jax.device_put(tree(SHAPES), given)
    tx = jl.chain(jl.adamw(0.1), jl.param_ema(0.9), jl.adafactor(0.1))
    state = jl.sharding.init_state(tx, params, given, zero_axis="data")
    expected = sharding(tx, params, given, "data")
    assert specs(state) == expected
    assert_close(state, tx.init(tree(SHAPES)), 0)
    if kind == "Auto":  # where `jit` alone leaves it whole
        assert set(jax.tree.leaves(specs(jax.jit(tx.init)(params)[0]))) == set()
        whole = bytes_on_one(jax.jit(tx.init)(params)[0])
        assert bytes_on_one(state[0]) < whole / 4


def test_nothing_is_whole_on_the_way():
    params = jax.device_put(tree({"w": (64, 64)}), place(mesh(), "data"))
    places = jl.sharding.state_sharding(jl.adam(0.1), params, place(mesh(), "data"))
    made = jax.jit(jl.adam(0.1).init, out_shardings=places).lower(params).compile()
    assert not messages(made)
    assert made.memory_analysis().output_size_in_bytes < 64 * 64 * 4


def test_of_shapes_the_shapes_with_their_shardings():
    state = jl.sharding.init_state(
        jl.adam(0.1), shapes({"w": (8, 4)}), place(mesh()), zero_axis="data"
    )
    assert isinstance(state[0].mu["w"], jax.ShapeDtypeStruct)
    assert specs(state)[0].mu == {"w": ("data",)}


def test_under_jit_too():
    params = jax.device_put(tree({"w": (8, 4)}), place(mesh()))

    @jax.jit
    def made(params):
        return jl.sharding.init_state(
            jl.adam(0.1), params, place(mesh()), zero_axis="data"
        )

    assert specs(made(params))[0].mu == {"w": ("data",)}


NO_SCATTER = pytest.mark.skipif(
    not hasattr(jax, "memory"), reason="this JAX cannot scatter there"
)


@pytest.mark.parametrize(
    "tx",
    [
        pytest.param(jl.scale_by_muon(), id="muon"),
        pytest.param(jl.scale_by_galore(4), id="galore"),
        pytest.param(jl.scale_by_lbfgs(3), id="lbfgs", marks=NO_SCATTER),
    ],
)
def test_products_of_matrices_where_types_say_how_arrays_are_split(tx):
    both = mesh("Explicit", data=4, model=2)
    given = {"tall": place(both, "data", "model"), "wide": place(both, None, "data")}
    params, g = (tree({"tall": (16, 8), "wide": (8, 16)}, seed=i) for i in range(2))
    step, split = jax.jit(tx.update), jax.device_put(params, given)
    expected, whole = step(g, tx.init(params), params)
    expected, _ = step(params, whole, g)
    for state in (tx.init(split), jl.sharding.init_state(tx, split, given)):
        _, first = step(jax.device_put(g, given), state, split)
        u, second = step(split, first, jax.device_put(g, given))
        assert specs(u) == specs(given)
        assert jax.tree.map(jax.typeof, second) == jax.tree.map(jax.typeof, first)
        assert_close(u, expected, 1e-5)


# Errors


def test_a_parameter_without_a_sharding():
    params = shapes({"kernel": (8, 8), "bias": (8,)})
    text = message(
        ValueError, sharding, jl.adam(0.1), params, {"kernel": place(mesh())}
    )
    assert text == (
        "state_sharding: the tree of shardings does not cover 1 of 2 parameters.\n"
        "  'bias': not covered\n"
        "Expected a value at each of them or above; found values at 'kernel'."
    )


def test_what_is_no_named_sharding():
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    params = shapes({"kernel": (8, 8), "bias": (8,)})
    text = message(TypeError, jl.sharding.init_state, jl.adam(0.1), params, one)
    lines = text.splitlines()
    assert lines[0] == "init_state: 2 parameters without a NamedSharding."
    assert lines[1].startswith("  'bias': found SingleDeviceSharding(")
    assert lines[-1] == (
        "Expected one for each: of parameters that lie on a mesh they are "
        "jax.tree.map(lambda p: p.sharding, params)."
    )


def test_what_is_no_array():
    params = {"w": jnp.zeros((8, 8)), "activation": jnp.tanh}
    text = message(TypeError, sharding, jl.adam(0.1), params, place(mesh()))
    assert text == (
        f"state_sharding: 1 parameter is no array.\n"
        f"  'activation': parameter {jnp.tanh!r}, a {type(jnp.tanh).__name__}\n"
        f"Expected arrays, or their shapes: filter such leaves out."
    )


def test_a_sharding_that_does_not_fit():
    params = shapes({"odd": (6, 8), "bias": (8,)})
    given = {"odd": place(mesh(), "data"), "bias": place(mesh(), None, "data")}
    assert message(ValueError, sharding, jl.adam(0.1), params, given) == (
        "state_sharding: 2 shardings do not fit the parameter.\n"
        "  'bias': shape [8], split along (None, 'data')\n"
        "  'odd': shape [6, 8], split along ('data',)\n"
        "Expected at most as many axes as the parameter has, each split into equal "
        "parts."
    )


def test_several_meshes_none_and_an_axis_that_is_not_there():
    params = shapes({"a": (8,), "b": (8,)})
    given = {"a": place(mesh()), "b": place(mesh(data=4))}
    text = message(ValueError, sharding, jl.adam(0.1), params, given)
    assert text.startswith("state_sharding: the shardings are of 2 meshes: Mesh(")
    assert text.endswith("expected one. Put all parameters on one mesh.")
    text = message(ValueError, sharding, jl.adam(0.1), {}, {})
    assert text.startswith("state_sharding: the shardings are of 0 meshes: none;")
    text = message(ValueError, sharding, jl.adam(0.1), params, place(mesh()), "fsdp")
    assert text == (
        "state_sharding: the mesh has no axis 'fsdp'; expected one of 'data'."
    )
    text = message(TypeError, sharding, jl.adam(0.1), params, place(mesh()), 3)
    assert text == (
        "state_sharding: the axis is 3, an int; expected the name of an axis of the "
        "mesh, or several."
    )
    twice = sharding(jl.adam(0.1), params, place(mesh()), ("data", "data"))
    assert twice[0].mu == {"a": ("data",), "b": ("data",)}


def test_a_mesh_is_no_sharding():
    for name in ("state_sharding", "init_state", "zero1"):
        call = getattr(jl.sharding, name)
        given = ({}, mesh()) if name != "zero1" else (mesh(),)
        assert message(TypeError, call, jl.adam(0.1), *given) == (
            f"{name}: found a mesh where the shardings of the parameters should be; "
            f"expected a NamedSharding for each, or one for all: to copy them to every "
            f"device NamedSharding(mesh, PartitionSpec())."
        )
