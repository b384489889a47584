"""Any optimizer's slots in few bytes: what is kept, where, and what a step costs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxopt_lite as jl
from benchmarks import trees
from jaxopt_lite.core.codec import Coded
from tests.test_bytes import of_step
from tests.test_errors import message

NAMES = ["float32", "bfloat16", "int8", "int4"]
each_codec = pytest.mark.parametrize("codec", NAMES)
RANDOM = ["bfloat16", "int8", "int4"]
SHAPES = {"kernel": (64, 96), "bias": (96,), "small": (8, 8)}


def tree(seed, shapes=SHAPES):
    random = np.random.default_rng(seed)
    return {
        k: jnp.asarray(random.normal(size=s), jnp.float32) for k, s in shapes.items()
    }


def after(tx, steps, params, like=lambda x: x):
    """The updates and the state after some steps, jitted."""
    state, update = tx.init(params), jax.jit(tx.update)
    for i in range(steps):
        u, state = update(like(tree(i + 1)), state, params)
    assert update._cache_size() == 1
    return u, state


def assert_same_bits(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for x, y in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert x.dtype == y.dtype
        assert np.array_equal(np.asarray(x), np.asarray(y), equal_nan=True)


BYTES = {
    "adamw": (lambda: jl.adamw(1e-3), {"bfloat16": 4.05, "int8": 2.2, "int4": 1.3}),
    "lion": (lambda: jl.lion(1e-4), {"bfloat16": 2.03, "int8": 1.1, "int4": 0.65}),
    "sgd": (lambda: jl.sgd(0.1, 0.9), {"bfloat16": 2.03, "int8": 1.1, "int4": 0.65}),
    "ademamix": (
        lambda: jl.ademamix(1e-3),
        {"bfloat16": 6.05, "int8": 3.25, "int4": 1.95},
    ),
    "muon": (lambda: jl.muon(0.02), {"bfloat16": 2.7, "int8": 1.5, "int4": 0.9}),
    "prodigy": (lambda: jl.prodigy(), {"bfloat16": 12.1, "int8": 10.2, "int4": 9.3}),
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_of_gpt2(name):
    make, bounds = BYTES[name]
    params = trees.gpt2()
    for codec, bound in bounds.items():
        tx = jl.store_state(make(), codec)
        counted = trees.nbytes(jax.eval_shape(tx.init, params))
        assert counted / trees.size(params) <= bound
        assert jl.summary(tx, params).total.state_bytes == counted


def test_float32_is_as_without(capsys):
    found = jl.summary(jl.store_state(jl.adamw(1e-3), "float32"), trees.gpt2())
    assert found.total.state_bytes == jl.summary(jl.adamw(1e-3), trees.gpt2()).total[-1]


def test_large_matrices_are_coded():
    _, state = after(jl.store_state(jl.adam(0.1), "int8"), 2, tree(0))
    mu, nu = state[0].mu, state[0].nu
    assert {k: x.dtype.name for k, x in mu.codes.items()} == {
        "kernel": "int8",
        "bias": "float32",
        "small": "float32",
    }
    assert nu.codes["kernel"].dtype == jnp.uint8
    assert nu.scales["kernel"].shape == (64, 3)
    assert isinstance(nu.scales["bias"], tuple)


def test_which_are_coded_where_nothing_is_said():
    shapes = {"vector": (5000,), "least": (64, 64), "less": (63, 65), "cube": (16,) * 3}
    params = {k: jax.ShapeDtypeStruct(s, jnp.float32) for k, s in shapes.items()}
    params["complex"] = jax.ShapeDtypeStruct((64, 64), jnp.complex64)
    tx = jl.store_state(jl.trace(0.9), "int8")
    codes = jax.eval_shape(tx.init, params).inner_state.trace.codes
    assert {k for k, x in codes.items() if x.dtype == jnp.int8} == {"least", "cube"}


def test_what_keeps_nothing_is_as_it_was():
    tx = jl.sgd(0.1)
    assert jl.store_state(tx, "int8") == jl.offload_state(tx) == tx


def test_codecs_by_path():
    codec = jl.by_path({"kernel": "int4", "bias": jl.Bfloat16(), "*": "float32"})
    tx = jl.store_state(jl.trace(0.9), codec, where=lambda p: True)
    _, state = after(tx, 2, tree(0))
    codes = state.inner_state.trace.codes
    assert [codes[k].dtype.name for k in SHAPES] == ["int8", "bfloat16", "float32"]
    assert codes["kernel"].shape == (64, 48)


@each_codec
def test_updates_are_those_of_float32_but_for_the_rounding(codec):
    bound = {"float32": 0.0, "bfloat16": 0.01, "int8": 0.06, "int4": 0.6}[codec]
    expected, _ = after(jl.adam(0.1), 8, tree(0))
    found, _ = after(jl.store_state(jl.adam(0.1), codec), 8, tree(0))
    error = jnp.linalg.norm(found["kernel"] - expected["kernel"])
    assert error <= bound * jnp.linalg.norm(expected["kernel"])
    assert jnp.array_equal(found["bias"], expected["bias"])


@pytest.mark.parametrize("codec", RANDOM)
def test_chance_differs_between_steps_and_leaves(codec):
    tx = jl.store_state(jl.trace(1.0), codec)
    params = dict.fromkeys("ab", jnp.zeros((64, 96)))
    g = jax.tree.map(lambda p: p + jnp.float32(np.pi), params)
    seen = []
    state = tx.init(params)
    for _ in range(2):
        u, state = tx.update(g, tx.init(params)._replace(count=state.count), params)
        seen += [u["a"], u["b"]]
    for i, x in enumerate(seen):
        assert not any(jnp.array_equal(x, y) for y in seen[i + 1 :])
    again, _ = tx.update(g, tx.init(params), params)
    assert jnp.array_equal(again["a"], seen[0])


@pytest.mark.parametrize("axes", ["Auto", "Explicit"])
@each_codec
def test_on_eight_devices_the_codes_are_those_of_one(codec, axes):
    tx = jl.store_state(jl.chain(jl.clip(0.5), jl.adamw(0.1)), codec)
    kinds = (getattr(AxisType, axes),) * 2
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=kinds)
    places = {
        "kernel": PartitionSpec("data", "model"),
        "bias": PartitionSpec("model"),
        "small": PartitionSpec(None, None),
    }

    def placed(tree):
        return jax.device_put(tree, {k: NamedSharding(mesh, places[k]) for k in tree})

    def states(params, place):
        state, update = tx.init(params), jax.jit(tx.update)
        for i in range(3):
            _, state = update(place(tree(i + 1)), state, params)
        return state

    found = states(placed(tree(0)), placed)
    assert_same_bits(found, states(tree(0), lambda x: x))
    held = found[1][0].nu
    codes = held.codes["kernel"] if isinstance(held, Coded) else held["kernel"]
    if codec != "int4":  # whose codes have another shape
        assert codes.sharding.spec == places["kernel"]


class OneScale(jl.Codec):
    """Bytes, relative to the largest magnitude of the whole array."""

    has_scales = True

    def encode(self, x, kind, bits):
        scale = jnp.max(jnp.abs(x), initial=1e-30)
        return Coded(jnp.round(127 * x / scale).astype(jnp.int8), scale)

    def decode(self, kept, kind, shape):
        return kept.codes.astype(jnp.float32) * (kept.scales / 127)


def test_scalars_in_an_explicit_mesh():
    tx = jl.store_state(jl.trace(0.9), OneScale())
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Explicit,))
    params = {"kernel": tree(0)["kernel"], "scalar": jnp.ones(())}
    places = {"kernel": PartitionSpec("data"), "scalar": PartitionSpec()}
    spread = jax.device_put(params, {k: NamedSharding(mesh, places[k]) for k in params})
    found, expected = (tx.update(p, tx.init(p), p)[1].trace for p in (spread, params))
    assert_same_bits(found, expected)
    assert found.codes["kernel"].sharding.spec[0] == "data"


@each_codec
def test_a_skipped_step_leaves_every_bit(codec):
    tx = jl.apply_if_finite(jl.store_state(jl.adamw(0.1), codec), 9)
    params = tree(0)
    _, state = after(tx, 3, params)
    for bad in (jnp.nan, jnp.inf):
        g = tree(9)
        g["kernel"] = g["kernel"].at[3, 5].set(bad)
        u, skipped = jax.jit(tx.update)(g, state, params)
        assert not jnp.any(u["kernel"])
        assert_same_bits(skipped.inner_state, state.inner_state)


@pytest.mark.parametrize("before", [None, *NAMES])
@each_codec
def test_goes_on_with_the_state_of_another_codec(before, codec):
    def of(name, tx):
        return tx if name is None else jl.store_state(tx, name)

    for make in (lambda: jl.adam(0.1), lambda: jl.trace(0.9)):
        old, new = of(before, make()), of(codec, make())
        params = tree(0)
        expected, state = after(old, 3, params)
        expected, _ = old.update(tree(4), state, params)
        update = jax.jit(new.update)
        found, converted = update(tree(4), state, params)
        assert jax.tree.structure(converted) == jax.tree.structure(new.init(params))
        shapes = jax.tree.map(lambda x: (x.shape, x.dtype), converted)
        assert shapes == jax.tree.map(lambda x: (x.shape, x.dtype), new.init(params))
        bound = 0.6 if "int4" in (before, codec) else 0.06
        error = jnp.linalg.norm(found["kernel"] - expected["kernel"])
        assert error <= bound * jnp.linalg.norm(expected["kernel"])
        update(tree(5), converted, params)
        update(tree(6), converted, params)
        assert update._cache_size() == (1 if codec == before else 2) or before is None


STEPS = {
    "float32": (40, 0),
    "bfloat16": (28, 0),
    "int8": (34.25, 0.63),
    "int4": (34.5, 1.8),
}


@each_codec
def test_a_step_moves_fewer_bytes(codec):
    accessed, temporaries = STEPS[codec]
    tx = jl.store_state(jl.adamw(1e-3), codec)
    plain, _ = of_step(tx, {})
    assert plain.accessed <= accessed + 0.3
    assert plain.temporaries <= temporaries + 0.05
    both = jl.apply_if_finite(jl.chain(jl.clip_by_global_norm(1.0), tx), 3)
    guarded, _ = of_step(both, {})
    # Codes that are not to change are read again, those of int4 not in one go.
    assert guarded.accessed <= accessed + (6.1 if codec == "int4" else 4.6)


def test_errors():
    assert message(ValueError, jl.store_state, jl.adam(0.1), "int9") == (
        "store_state: the codec is 'int9'; expected one of 'float32', 'bfloat16', "
        "'int8', 'int4', or a `Codec`. Did you mean 'int8'?"
    )
    assert message(TypeError, jl.store_state, jl.adam(0.1), jnp.int8) == (
        "store_state: the codec is <class 'jax.numpy.int8'>, a _ScalarMeta; expected a "
        "name (float32, bfloat16, int8, int4) or a `Codec`."
    )
    text = message(TypeError, jl.store_state, jl.chain(optax.adam(0.1)), "int8")
    assert text.endswith("Give `store_state` those that are, and `chain` the rest.")
    everything = jl.store_state(jl.adam(0.1), "int8", where=jl.by_path({"*": True}))
    params = {"scalar": jnp.ones(()), "complex": jnp.ones(3, jnp.complex64)}
    assert message(TypeError, everything.init, params) == (
        "ScaleByAdam: the state of 2 parameters cannot be kept so.\n"
        "  'complex': complex64[3] is complex, Blocks(bits=8, block=32, "
        "signed_power=4, non_negative_power=8)\n"
        "  'scalar': float32[] has no axis to take blocks along, Blocks(bits=8, "
        "block=32, signed_power=4, non_negative_power=8)\n"
        "Expected real arrays with an axis: leave these out of `where` in "
        "`store_state`."
    )
    uncovered = jl.store_state(jl.adam(0.1), jl.by_path({"bias": "int8"}))
    text = message(ValueError, uncovered.init, tree(0))
    assert "'kernel': matches no pattern" in text


@pytest.mark.parametrize("wrapper", ["store_state", "offload_state"])
def test_what_is_no_mask_is_refused(wrapper):
    def made(where):
        if wrapper == "store_state":
            return jl.store_state(jl.trace(0.9), "int8", where)
        return jl.offload_state(jl.trace(0.9), where)

    assert message(ValueError, made("kernel").init, {"kernel": jnp.ones(3)}) == (
        f"Trace: where of {wrapper}: the mask is no flag for 1 parameter.\n"
        f"  'kernel': 'kernel', a str\n"
        f"Expected True or False for each parameter: write by_path({{'*bias': False, "
        f"'*': True}}) to choose by path."
    )
    text = message(ValueError, made(["kernel"]).init, {"kernel": jnp.ones(3)})
    assert text.startswith(f"Trace: where of {wrapper}: a mask or tree of labels has 1")


def test_patterns_that_match_nothing():
    misspelt = jl.by_path({"kernal": "int8", "*": "float32"})
    for tx, what in (
        (jl.store_state(jl.trace(0.9), misspelt), "store_state: codec"),
        (jl.store_state(jl.trace(0.9), "int8", misspelt), "store_state: where"),
        (jl.offload_state(jl.trace(0.9), misspelt), "offload_state: where"),
    ):
        with pytest.raises(UserWarning, match=f"{what}: by_path has(.|\n)*'kernal'"):
            tx.init(tree(0))
    where = jl.by_path({"kernel": True, "*": False})
    jl.offload_state(jl.flatten(jl.trace(0.9)), where).init(tree(0))  # one array


def test_a_state_that_no_codec_gives():
    tx = jl.store_state(jl.trace(0.9), "int8")
    _, state = after(tx, 1, tree(0))
    trace = state.inner_state.trace
    scales = {**trace.scales, "kernel": jnp.ones((64, 7), jnp.bfloat16)}
    broken = state._replace(inner_state=jl.TraceState(trace._replace(scales=scales)))
    assert message(ValueError, tx.update, tree(0), broken, tree(0)) == (
        "Trace: state.trace of 1 parameter is not kept as it was.\n"
        "  'kernel': found int8[64,96] with scales bfloat16[64,7], expected "
        "int8[64,96] with scales bfloat16[64,3] of Blocks(bits=8, block=32, "
        "signed_power=4, non_negative_power=8)\n"
        "Expected the state of this transformation: one that another codec wrote is "
        "read by `store_state(tx, ...)` with any codec of the package."
    )
    text = message(ValueError, jl.trace(0.9).update, tree(0), state, tree(0))
    assert (
        "'kernel': found int8[64,96] with scales bfloat16[64,3], expected float32"
        in text
    )
