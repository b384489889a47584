"""One vector, or pairs of real arrays, in place of the parameters."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_lite as jl
from tests.helpers import TREES, assert_close, run, trajectory


def test_flatten_gives_what_the_inner_gives(x64):
    g, p = trajectory(TREES["nested"], 1), trajectory(TREES["nested"], 2)
    assert_close(run(jl.flatten(jl.adamw(0.1)), g, p).updates, run_plain(g, p))


def run_plain(g, p):
    return run(jl.adamw(0.1), g, p).updates


def test_flatten_keeps_the_dtype_of_each_update(x64):
    p = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(1, jnp.float64), "n": None}
    g = jax.tree.map(lambda x: x.astype(jnp.float32), p)
    tx = jl.flatten(jl.trace(0.9))
    u, state = tx.update(g, tx.init(p), p)
    assert [x.dtype.name for x in jax.tree.leaves(u)] == ["float32", "float64"]
    assert state.trace.shape == (3,)


def test_flatten_keeps_real_updates_real_beside_complex_ones():
    p = {"a": jnp.ones(2), "c": jnp.full(1, 3 + 4j)}
    tx = jl.flatten(jl.scale(2.0))
    u, _ = tx.update(p, tx.init(p), p)
    assert u["a"].dtype == jnp.float32 and u["c"][0] == 6 + 8j


def test_flatten_of_nothing_is_nothing():
    tx = jl.flatten(jl.adam(0.1))
    assert tx.update({"n": None}, tx.init({"n": None}))[0] == {"n": None}


def test_complex_parameters_are_pairs_of_real_ones():
    drawn = trajectory({"re": np.zeros((2, 3)), "im": np.zeros((2, 3))}, 1)
    g = {"w": np.complex64(drawn["re"] + 1j * drawn["im"]), "b": drawn["im"]}
    tx = jl.split_real_and_imaginary(jl.adam(0.1))
    u = run(tx, g, g).updates
    pairs = {"w": (g["w"].real, g["w"].imag), "b": g["b"]}
    wanted = run(jl.adam(0.1), pairs, pairs).updates
    assert u["w"].dtype == np.complex64
    assert_close(u["w"].real, wanted["w"][0], 1e-6)
    assert_close(u["w"].imag, wanted["w"][1], 1e-6)
    assert_close(u["b"], wanted["b"], 1e-6)


def test_groups_can_tell_the_parts_apart():
    p = {"w": jnp.ones(1, complex)}
    labels = jl.by_path({"*/real": "on", "*": "off"})
    inner = jl.partition({"on": jl.sgd(1.0), "off": jl.set_to_zero()}, labels)
    tx = jl.split_real_and_imaginary(inner)
    u, _ = tx.update({"w": jnp.full(1, 2 + 3j)}, tx.init(p), p)
    assert u["w"][0] == -2
