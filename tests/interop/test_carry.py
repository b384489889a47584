"""Runs that begin in Optax and go on here, and the other way."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx, serialization

import jaxopt_lite as jl
from jaxopt_lite.interop import from_optax, to_optax, to_optax_state
from jaxopt_lite.testing.compare import same_bits
from tests.helpers import assert_close, at, trajectory

LIKE = {
    "dense": {"kernel": np.zeros((4, 3)), "bias": np.zeros(3)},
    "scale": np.zeros(2),
}
PARAMS = jax.tree.map(jnp.float32, at(trajectory(LIKE, seed=1, steps=1), 0))
GRADIENTS = jax.tree.map(jnp.float32, trajectory(LIKE, seed=2, steps=10))


def labels(params):
    return jax.tree.map(lambda p: "matrix" if p.ndim > 1 else "other", params)


BUILDS = {
    "adamw": lambda lib: lib.adamw(0.1, weight_decay=0.1),
    "scheduled": lambda lib: lib.adamw(lib.cosine_decay_schedule(0.1, 12)),
    "sgd": lambda lib: lib.sgd(0.1, momentum=0.9, nesterov=True),
    "lion": lambda lib: lib.lion(0.01),
    "adafactor": lambda lib: lib.adafactor(0.01, min_dim_size_to_factor=2),
    "MultiSteps": lambda lib: lib.MultiSteps(
        lib.adamw(0.1), 2
    ).gradient_transformation(),
    "inject_hyperparams": lambda lib: lib.inject_hyperparams(lib.adamw)(0.1),
    "masked": lambda lib: lib.masked(
        lib.adam(0.1), lambda p: jax.tree.map(lambda x: x.ndim > 1, p)
    ),
    "partition": lambda lib: lib.partition(
        {"matrix": lib.adamw(0.1), "other": lib.sgd(0.1, momentum=0.9)}, labels
    ),
}


def steps(tx, params, state, first, last):
    update = jax.jit(tx.update)
    for i in range(first, last):
        updates, state = update(at(GRADIENTS, i), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def half(tx, n=5):
    """Parameters and state after the first steps."""
    return steps(tx, PARAMS, tx.init(PARAMS), 0, n)


@pytest.mark.parametrize("name", BUILDS)
def test_a_run_goes_on_here_and_back(name):
    """After 5 steps there, 3 here and 2 there, as if nothing had happened."""
    theirs, ours = BUILDS[name](optax), BUILDS[name](jl)
    expected, _ = half(theirs, 10)
    params, state = half(theirs)
    params, state = steps(ours, params, from_optax(state, ours, params), 5, 8)
    state = to_optax_state(state, theirs, params)
    assert jax.tree.structure(state) == jax.tree.structure(theirs.init(PARAMS))
    params, _ = steps(theirs, params, state, 8, 10)
    assert_close(params, expected, 1e-6)


@pytest.mark.parametrize("name", BUILDS)
def test_a_checkpoint_without_a_target_is_read(name):
    """As dicts, in which tuples have their indices as names."""
    theirs, ours = BUILDS[name](optax), BUILDS[name](jl)
    params, state = half(theirs, 1)
    restored = serialization.to_state_dict(state)
    assert isinstance(restored, dict)
    expected = from_optax(state, ours, params)
    found = from_optax(jax.tree.map(np.asarray, restored), ours, params)
    assert jax.tree.structure(found) == jax.tree.structure(ours.init(PARAMS))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_clip_and_a_schedule_may_be_new():
    theirs = optax.adamw(0.1)
    _, state = half(theirs)
    rate = jl.cosine_decay_schedule(0.1, 12)
    tx = jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(rate))
    found = from_optax(state, tx, PARAMS)
    assert [int(x) for _, x in jl.tree.get_all_with_path(found, "count")] == [5, 5]
    jax.tree.map(np.testing.assert_array_equal, found[1][0].mu, state[0].mu)


CODED = "\"mu of 'dense/kernel'\", \"nu of 'dense/kernel'\" are converted."


def test_codes_go_on_here_and_back():
    theirs = optax.adam(0.1)
    params, state = half(theirs)
    tx = jl.store_state(jl.adam(0.1), "int8", where=lambda p: jl.weights_only(p))
    with pytest.warns(UserWarning) as caught:
        kept = from_optax(state, tx, params)
    assert [str(x.message) for x in caught] == [f"from_optax: {CODED}"]
    assert jax.tree.map(jax.typeof, kept) == jax.tree.map(jax.typeof, tx.init(params))
    np.testing.assert_array_equal(kept[0].nu.codes["scale"], state[0].nu["scale"])
    clipped = jl.chain(jl.clip(1.0), tx)
    restored = jax.tree.map(np.asarray, serialization.to_state_dict(kept))
    for saved in (kept, restored):
        again = from_optax(saved, clipped, params)
        with pytest.warns(UserWarning, match="are converted") as caught:
            back = to_optax_state(saved, theirs, params)
        assert [str(x.message) for x in caught] == [f"to_optax_state: {CODED}"]
        assert list(same_bits("", again[1], kept)) == []
        assert jax.tree.structure(again) == jax.tree.structure(clipped.init(params))
        assert jax.tree.structure(back) == jax.tree.structure(state)
        assert back[0].count == again[1][0].count == 5
        np.testing.assert_array_equal(back[0].nu["scale"], state[0].nu["scale"])
        # A code is one of the two beside an element.
        for name, scale in (("mu", 0.03), ("nu", 0.03)):
            x, y = (getattr(s[0], name)["dense"]["kernel"] for s in (back, state))
            assert 0 < np.max(np.abs(x - y)) < scale * np.max(np.abs(y))


def test_codes_of_a_parameter_that_is_gone_are_said():
    one = jl.store_state(jl.trace(0.9), "int8", where=lambda p: True)
    state = one.init(jnp.ones((4, 8)))
    with pytest.raises(ValueError, match="found '0/trace'; expected \"trace of"):
        to_optax_state((state.inner_state,), optax.trace(0.9), {"w": jnp.ones((4, 8))})


def test_codes_of_another_form_are_refused():
    params = {"w": jnp.ones((4, 8))}
    block = jl.Blocks(block=4)
    state = jl.store_state(jl.trace(0.9), block, where=lambda p: True).init(params)
    with pytest.raises(ValueError) as error:
        to_optax_state(state, optax.trace(0.9), params)
    assert str(error.value) == (
        "to_optax_state: the codes of 1 array are those of no codec of the package for "
        "the parameter.\n"
        "  'w': trace int8[4,8] with scales bfloat16[4,2]\n"
        "Expected the state of parameters of these shapes: one that a codec of your "
        "own has written goes on with `store_state(tx, codec)`."
    )


def test_a_sum_that_is_complete_is_cleared():
    """Optax adds to it; here it begins anew with the next gradient."""

    def sums(lib):
        inner = lib.MultiSteps(lib.sgd(0.1), 2, use_grad_mean=False)
        return lib.MultiSteps(inner, 1).gradient_transformation()

    _, state = half(sums(jl), 2)
    assert state.inner_opt_state.acc_grads["scale"].any()
    found = to_optax_state(state, sums(optax), PARAMS)
    assert not found.inner_opt_state.acc_grads["scale"].any()
    _, state = half(sums(jl), 3)
    found = to_optax_state(state, sums(optax), PARAMS)
    assert_close(found.inner_opt_state.acc_grads, at(GRADIENTS, 2), 1e-6)


def test_counts_are_told_apart():
    """By the fields beside them; a new one is none of several."""
    once = optax.scale_by_schedule(lambda step: 1.0)
    inner = optax.conditionally_mask(optax.scale_by_adam(), lambda step: step < 2)
    _, state = half(optax.chain(once, inner))
    with pytest.warns(UserWarning, match=r"from_optax: '0/count', '1/step' were saved"):
        assert from_optax(state, jl.scale_by_adam(), PARAMS).count == 2
    tx = jl.chain(jl.scale_by_adam(), jl.scale_by_schedule(lambda step: 1.0), jl.ema(0))
    with pytest.warns(UserWarning, match=r"'2/count', \"ema of 'dense/bias'\".* begin"):
        found = from_optax(state, tx, PARAMS)
    assert [int(x) for _, x in jl.tree.get_all_with_path(found, "count")] == [2, 5, 0]


def test_names_of_parameters_are_no_fields():
    params = {"mu": {"w": jnp.ones(2)}, "w": 2 * jnp.ones(2), "nu": 3 * jnp.ones(2)}
    theirs = optax.scale_by_adam()
    _, state = theirs.update(params, theirs.init(params), params)
    found = from_optax(state, jl.chain(jl.clip(1.0), jl.scale_by_adam()), params)
    jax.tree.map(np.testing.assert_array_equal, tuple(found[1]), tuple(state))


def test_arrays_of_each_axis_are_of_their_parameter():
    params = {"a": jnp.ones(3), "b": 2 * jnp.ones(3)}
    theirs = optax.scale_by_sm3()
    _, state = theirs.update(params, theirs.init(params), params)
    tx = jl.masked(jl.scale_by_sm3(), {"a": False, "b": True})
    with pytest.warns(UserWarning, match="\"mu/0 of 'a'\", \"nu of 'a'\" were saved"):
        found = from_optax(state, tx, params).inner_state
    np.testing.assert_array_equal(found.mu["b"][0], state.mu["b"][0])


def test_keys_are_numbers_here():
    theirs = optax.add_noise(0.1, 0.5, jax.random.key(3))
    _, state = half(theirs, 1)
    found = from_optax(state, jl.add_noise(0.1, 0.5, 1), PARAMS)
    np.testing.assert_array_equal(found.rng_key, jax.random.key_data(state.rng_key))
    assert to_optax_state(found, theirs, PARAMS).rng_key == state.rng_key


def test_states_that_are_traced_are_carried():
    theirs, tx = optax.adamw(lambda step: 0.1), jl.adamw(lambda step: 0.1)
    _, state = half(theirs, 1)
    both = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), state)
    found = jax.jit(jax.vmap(lambda s: from_optax(s, tx, PARAMS)))(both)
    np.testing.assert_array_equal(found[0].count, [1, 2])
    np.testing.assert_array_equal(found[0].nu["scale"], both[0].nu["scale"])
    with pytest.raises(ValueError, match=r"'0/count': count \[2\], \[\] here"):
        from_optax(both, tx, PARAMS)


def test_what_is_no_state_is_refused():
    _, state = half(optax.adam(0.1), 1)
    shapes = jax.eval_shape(lambda: (state, PARAMS))
    for given, text in [
        ((jl.adam(0.1), state, PARAMS), "from_optax: the optimizer is a tuple; expect"),
        ((shapes[0], jl.adam(0.1), PARAMS), "from_optax: what was saved has shapes at"),
        ((state, jl.adam(0.1), shapes[1]), "the state of these parameters has shapes"),
    ]:
        with pytest.raises(TypeError, match=text):
            from_optax(*given)
    with pytest.raises(TypeError, match="to_optax_state: the optimizer is 'adam', a s"):
        to_optax_state(state, "adam", PARAMS)


def test_what_is_not_carried_over_is_said():
    _, state = half(optax.sgd(0.1, momentum=0.9))
    with pytest.warns(UserWarning) as caught:
        found = from_optax(state, jl.chain(jl.trace(0.9), jl.ema(0.9)), PARAMS)
    (text,) = (str(x.message) for x in caught)
    assert text == (
        "from_optax: '1/count', \"ema of 'dense/bias'\", \"ema of 'dense/kernel'\", "
        "\"ema of 'scale'\" begin anew."
    )
    assert_close(found[0].trace, state[0].trace, 0)
    _, state = half(optax.chain(optax.trace(0.9), optax.ema(0.9)))
    with pytest.warns(UserWarning, match="\"ema of 'scale'\" were saved and are not"):
        from_optax(state, jl.trace(0.9), PARAMS)


def test_what_was_saved_in_a_wider_dtype_is_said():
    _, state = half(optax.sgd(0.1, momentum=0.9))
    tx = jl.sgd(0.1, momentum=0.9, accumulator_dtype=jnp.bfloat16)
    with pytest.warns(UserWarning, match="'scale'\" were saved in a wider dtype"):
        found = from_optax(state, tx, PARAMS)
    assert found[0].trace["scale"].dtype == jnp.bfloat16


def test_every_shape_that_does_not_fit_is_named():
    _, state = half(optax.sgd(0.1, momentum=0.9))
    other = jax.tree.map(lambda p: p[:1], PARAMS)
    with pytest.raises(ValueError) as error:
        from_optax(state, jl.sgd(0.1, momentum=0.9), other)
    assert str(error.value) == (
        "from_optax: 3 arrays are of another shape than what was saved.\n"
        "  'dense/bias': trace [3], [1] here\n"
        "  'dense/kernel': trace [4, 3], [1, 3] here\n"
        "  'scale': trace [2], [1] here\n"
        "Expected the state of the same parameters and arguments."
    )


def test_what_has_nothing_in_common_is_refused():
    _, state = half(optax.sgd(0.1, momentum=0.9))
    with pytest.raises(ValueError, match="nothing of what was saved is of this optim"):
        from_optax(state, jl.scale_by_rms(), PARAMS)


def test_it_lies_where_the_parameters_lie():
    mesh = jax.sharding.Mesh(jax.devices()[:2], "d")
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None, "d"))
    params = {"w": jax.device_put(jnp.ones((2, 4)), spread)}
    tx = jl.trace(0.9)
    saved = jax.tree.map(np.asarray, tx.init({"w": jnp.ones((2, 4))}))
    assert from_optax(saved, tx, params).trace["w"].sharding == spread


def test_what_is_carried_shares_no_memory():
    _, state = half(optax.trace(0.9), 1)
    found = from_optax(state, jl.trace(0.9), PARAMS)
    jax.tree.map(lambda x: x.delete(), state)
    assert np.isfinite(found.trace["scale"]).all()


def test_codes_lie_where_zero1_puts_them():
    mesh = jax.sharding.Mesh(jax.devices()[:2], "data")
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    params = jax.device_put({"w": jnp.ones((4, 64))}, everywhere)
    inner = jl.store_state(jl.scale_by_adam(), "int8", where=lambda p: True)
    tx = jl.sharding.zero1(inner, everywhere)
    with pytest.warns(UserWarning, match="are converted"):
        found = from_optax(optax.scale_by_adam().init(params), tx, params)
    expected = tx.init(params)
    for x, y in zip(found.nu, expected.nu, strict=True):
        assert x["w"].sharding.is_equivalent_to(y["w"].sharding, 2)
        assert not x["w"].is_fully_replicated


def test_an_optimizer_of_nnx_goes_on():
    model = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    grads = jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param))
    theirs = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
    theirs.update(model, grads)
    tx = jl.chain(jl.clip(9.0), jl.adam(0.1))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    state = from_optax(theirs.opt_state, tx, nnx.state(model, nnx.Param))
    boxes = jax.tree.structure(optimizer.opt_state)
    optimizer.opt_state = jax.tree.unflatten(boxes, jax.tree.leaves(state))
    optimizer.update(model, grads)
    assert optimizer.opt_state[1][0].count[...] == 2
    assert_close(optimizer.opt_state[1][0].mu["bias"][...], jnp.array([0.19]), 1e-6)


def test_boxes_are_no_part_of_the_path():
    boxed = {"w": nn.Partitioned(jnp.ones((2, 4)), (None, "d"))}
    _, state = optax.adam(0.1).update(boxed, optax.adam(0.1).init(boxed), boxed)
    saved = serialization.to_state_dict(state)
    assert saved["0"]["mu"]["w"].keys() == {"value"}
    tx = jl.store_state(jl.adam(0.1), "int8", where=lambda p: True)
    with pytest.warns(UserWarning, match="\"nu of 'w'\" are converted"):
        coded = from_optax(saved, tx, boxed)
    assert jax.tree.structure(coded) == jax.tree.structure(tx.init(boxed))
    found = from_optax(serialization.to_state_dict(coded), tx, nn.unbox(boxed))
    assert jax.tree.structure(found) == jax.tree.structure(tx.init(nn.unbox(boxed)))
    assert list(same_bits("", found, nn.unbox(coded))) == []


@pytest.mark.skipif(not hasattr(jax, "memory"), reason="this JAX knows no host memory")
def test_what_lay_on_the_host_lies_on_the_device():
    params = {"w": jnp.ones((2, 4))}
    state = jl.offload_state(jl.adam(0.1), where=lambda p: True).init(params)
    found = to_optax_state(state, optax.adam(0.1), params)
    own = jax.tree.map(lambda x: x.sharding, optax.adam(0.1).init(params))
    assert jax.tree.map(lambda x: x.sharding, found) == own


WRAPPERS = {
    "chain": lambda tx: optax.chain(optax.identity(), tx),
    "masked": lambda tx: optax.masked(tx, True),
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 1).gradient_transformation(),
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 3),
    "partition": lambda tx: optax.partition({"a": tx}, "a"),
    "inject_hyperparams": lambda tx: optax.inject_hyperparams(
        lambda size: optax.chain(tx, optax.scale(size))
    )(size=1.0),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_keywords_pass_through_optax(name):
    inner = to_optax(jl.polyak_sgd())
    assert isinstance(inner, optax.GradientTransformationExtraArgs)
    tx = WRAPPERS[name](inner)
    g = jnp.array([0.5])
    updates, _ = tx.update(g, tx.init(g), g, value=jnp.float32(0.1))
    assert_close(updates, jnp.array([-0.2]), 1e-6)


def test_the_states_of_both_are_one():
    tx = jl.adamw(0.1)
    expected, _ = half(tx)
    found, _ = half(to_optax(tx))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
