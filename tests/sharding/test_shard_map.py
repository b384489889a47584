"""The same by hand: each device takes its part of every step itself."""

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

import jaxopt_lite as jl
from tests.helpers import assert_close
from tests.sharding.meshes import how_many, mesh, messages, place, tree

SHAPES = {"w": (16, 32), "b": (32,), "v": (32, 8)}
X = tree({"x": (64, 16)}, seed=1)["x"]


def loss(params, x):
    return jnp.mean(jnp.square(jnp.tanh(x @ params["w"] + params["b"]) @ params["v"]))


def stepper(tx, on, specs):
    """A step as each device takes it, of parameters split along their first axis."""

    def own(p):
        rows = len(p) // on.size
        first = jax.lax.axis_index("data") * rows
        return jax.lax.dynamic_slice_in_dim(p, first, rows)

    def scattered(g):
        return jax.lax.psum_scatter(g, "data", tiled=True) / on.size

    def step(params, state, x):
        g = jax.tree.map(scattered, jax.grad(loss)(params, x))
        parts = jax.tree.map(own, params)
        u, state = tx.update(g, state, parts)
        parts = jl.apply_updates(parts, u)
        return jax.tree.map(
            lambda p: jax.lax.all_gather(p, "data", tiled=True), parts
        ), state

    whole = PartitionSpec()
    return jax.jit(
        jax.shard_map(
            step,
            mesh=on,
            in_specs=(whole, specs, PartitionSpec("data")),
            out_specs=(whole, specs),
            check_vma=False,
        )
    )


def test_one_reduce_scatter_and_one_all_gather_of_each_array():
    on, tx = mesh(), jl.adamw(0.1)
    params = jax.device_put(tree(SHAPES), place(on))
    x = jax.device_put(X, place(on, "data"))
    places = jl.sharding.state_sharding(tx, params, place(on), zero_axis="data")
    state = jl.sharding.init_state(tx, params, place(on), zero_axis="data")
    step = stepper(tx, on, jax.tree.map(lambda x: x.spec, places))
    compiled = step.lower(params, state, x).compile()
    parts = {"f32[2,32]", "f32[4]", "f32[4,8]"}
    whole = {"f32[16,32]", "f32[32]", "f32[32,8]"}
    assert messages(compiled) == (
        {("reduce-scatter", array): 1 for array in parts}
        | {("all-gather", array): 1 for array in whole}
    )
    assert how_many(compiled, "all-reduce") == 0
    expected, plain = tree(SHAPES), tx.init(tree(SHAPES))
    for _ in range(3):
        params, state = compiled(params, state, x)
        u, plain = jax.jit(tx.update)(jax.grad(loss)(expected, X), plain, expected)
        expected = jl.apply_updates(expected, u)
    assert_close(params, expected, 1e-6)
