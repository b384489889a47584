"""Linen, nnx, Equinox and Haiku: their trees, their loops, their paths."""

import functools

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import jaxopt_lite as jl
from tests.helpers import assert_close, count_traces

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (8, 4))
Y = jnp.sum(X, axis=1, keepdims=True)
STEPS = 5


RATES = jl.by_path({"*norm*": 0.01, "*": 0.02})


def build():
    return jl.chain(
        jl.clip_by_global_norm(10.0),
        jl.adamw(RATES, weight_decay=0.1, mask=jl.weights_only),
    )


def reference():
    """The same in Optax's words."""

    def step(updates, params):
        return jax.tree.map(lambda u, rate: -rate * u, updates, RATES(updates))

    return optax.chain(
        optax.clip_by_global_norm(10.0),
        optax.scale_by_adam(),
        optax.add_decayed_weights(0.1, mask=jl.weights_only.__call__),
        optax.stateless(step),
    )


def squared(prediction):
    return jnp.mean((prediction - Y) ** 2)


class Linen(nn.Module):
    """A small network."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.LayerNorm()(nn.Dense(8)(x)))


class Boxed(nn.Module):
    """The same, each kernel in a box."""

    @nn.compact
    def __call__(self, x):
        init = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))
        x = nn.Dense(8, kernel_init=init)(x)
        return nn.Dense(1)(nn.LayerNorm()(x))


class Scanned(nn.Module):
    """Layers stacked by scan."""

    @nn.compact
    def __call__(self, x):
        class Layer(nn.Module):
            @nn.compact
            def __call__(self, x, _):
                return nn.LayerNorm()(nn.Dense(4)(x)), None

        layers = nn.scan(Layer, {"params": 0}, split_rngs={"params": True}, length=3)
        return layers()(x, None)[0]


class Nnx(nnx.Module):
    """A small network."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.layers = nnx.List([nnx.Linear(4, 8, rngs=rngs)])
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.head = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.head(self.norm(self.layers[0](x)))


class Equinox(eqx.Module):
    """A small network."""

    layers: list
    norm: eqx.nn.LayerNorm
    activation: object

    def __init__(self):
        self.layers = [eqx.nn.Linear(4, 8, key=KEY), eqx.nn.Linear(8, 1, key=KEY)]
        self.norm = eqx.nn.LayerNorm(8)
        self.activation = jax.nn.relu

    def __call__(self, x):
        return self.layers[1](self.norm(self.layers[0](x)))


@hk.without_apply_rng
@hk.transform
def haiku(x):
    x = hk.LayerNorm(-1, create_scale=True, create_offset=True)(hk.nets.MLP([8])(x))
    return hk.Linear(1)(x)


@functools.cache
def linen_params(module):
    return jax.jit(module.init)(KEY, X)["params"]


def linen_shapes(module):
    return jax.eval_shape(module.init, KEY, X)["params"]


# Paths


def paths(params):
    """The canonical paths and, of each, whether it decays."""
    decays = jl.weights_only(params)
    flat, _ = jax.tree.flatten_with_path(decays)
    return {jax.tree_util.keystr(k, simple=True, separator="/"): v for k, v in flat}


LINEN_PATHS = {
    "Dense_0/bias": False,
    "Dense_0/kernel": True,
    "Dense_1/bias": False,
    "Dense_1/kernel": True,
    "LayerNorm_0/bias": False,
    "LayerNorm_0/scale": False,
}
NNX_PATHS = {
    "head/bias": False,
    "head/kernel": True,
    "layers/0/bias": False,
    "layers/0/kernel": True,
    "norm/bias": False,
    "norm/scale": False,
}


def test_paths_of_linen():
    assert paths(linen_shapes(Linen())) == LINEN_PATHS
    assert paths(linen_shapes(Boxed())) == LINEN_PATHS


def test_paths_of_linen_under_scan():
    params = linen_shapes(Scanned())
    (layers,) = params.values()
    assert layers["Dense_0"]["bias"].ndim == 2
    assert {k.partition("/")[2]: v for k, v in paths(params).items()} == {
        "Dense_0/bias": False,
        "Dense_0/kernel": True,
        "LayerNorm_0/bias": False,
        "LayerNorm_0/scale": False,
    }


def test_paths_of_nnx_at_init_and_at_update():
    state = nnx.state(nnx.eval_shape(Nnx), nnx.Param)
    assert paths(state) == NNX_PATHS
    assert paths(nnx.as_pure(state)) == NNX_PATHS
    assert paths(nnx.to_pure_dict(state)) == NNX_PATHS


def test_paths_of_equinox():
    assert paths(eqx.filter(Equinox(), eqx.is_array)) == {
        "layers/0/weight": True,
        "layers/0/bias": False,
        "layers/1/weight": True,
        "layers/1/bias": False,
        "norm/weight": False,
        "norm/bias": False,
    }


def test_paths_of_haiku():
    assert paths(jax.eval_shape(haiku.init, KEY, X)) == {
        "layer_norm/offset": False,
        "layer_norm/scale": False,
        "linear/b": False,
        "linear/w": True,
        "mlp/~/linear_0/b": False,
        "mlp/~/linear_0/w": True,
    }


def test_paths_of_lists():
    assert paths([(jnp.ones(1), jnp.ones(1))]) == {"0/0": True, "0/1": True}


# Training: the parameters after some steps are those that Optax's parts give.


def plain_loop(loss, params, tx):
    """The parameters after some steps."""

    @jax.jit
    def step(params, state):
        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    state = tx.init(params)
    for _ in range(STEPS):
        params, state = step(params, state)
    return params


def linen_loss(module):
    return lambda params: squared(module.apply({"params": params}, X))


@pytest.mark.parametrize("module", [Linen(), Boxed()], ids=["bare", "boxed"])
def test_linen_train_state(module):
    loss, params = linen_loss(module), linen_params(module)

    def step(state):
        return state.apply_gradients(grads=jax.grad(loss)(state.params))

    traced = count_traces(step)
    state = TrainState.create(apply_fn=module.apply, params=params, tx=build())
    for _ in range(STEPS):
        state = traced(state.replace(tx=build()))
    assert traced.traces == 1
    assert jax.tree.structure(state.params) == jax.tree.structure(params)
    expected = plain_loop(loss, nn.unbox(params), reference())
    assert_close(nn.unbox(state.params), expected, 1e-4)
    assert loss(state.params) < loss(params)


def test_linen_train_state_eager():
    module = Linen()
    params, gradient = linen_params(module), jax.jit(jax.grad(linen_loss(module)))
    jitted = eager = TrainState.create(apply_fn=module.apply, params=params, tx=build())
    step = jax.jit(lambda state, grads: state.apply_gradients(grads=grads))
    for _ in range(STEPS):
        grads = gradient(eager.params)
        jitted, eager = step(jitted, grads), eager.apply_gradients(grads=grads)
    assert_close(eager.params, jitted.params, 1e-6)


def test_a_static_tx_with_an_array_is_no_error_but_another_trace():
    module, params = Linen(), linen_params(Linen())
    step = count_traces(lambda state: state.apply_gradients(grads=state.params))
    tx = jl.adamw(jnp.array(0.1))
    state = TrainState.create(apply_fn=module.apply, params=params, tx=tx)
    state = step(step(state))
    assert step.traces == 1
    step(state.replace(tx=jl.adamw(jnp.array(0.1))))
    assert step.traces == 2


def test_boxed_slots_carry_the_partitioning_of_the_parameter():
    params, tx = linen_shapes(Boxed()), build()
    state = jax.eval_shape(tx.init, params)
    adam = nn.get_partition_spec(state)[1][0]
    assert adam.mu["Dense_0"]["kernel"] == jax.sharding.PartitionSpec(None, "model")
    assert adam.nu["Dense_0"]["kernel"] == jax.sharding.PartitionSpec(None, "model")
    _, after = jax.eval_shape(tx.update, params, state, params)
    assert jax.tree.structure(after) == jax.tree.structure(state)


@pytest.mark.parametrize("transform", [lambda f: f, nnx.jit], ids=["eager", "jitted"])
def test_nnx_optimizer(transform):
    model = Nnx()
    loss = squared(model(X))
    params = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    optimizer = nnx.Optimizer(model, build(), wrt=nnx.Param)

    @transform
    def step(model, optimizer):
        grads = nnx.grad(lambda model: squared(model(X)))(model)
        optimizer.update(model, grads)

    for _ in range(STEPS):
        step(model, optimizer)
    assert optimizer.opt_state[1][0].count.get_value() == STEPS
    assert squared(model(X)) < loss

    definition, _ = nnx.split(Nnx())

    def pure_loss(params):
        state = nnx.state(Nnx())
        nnx.replace_by_pure_dict(state, params)
        return squared(nnx.merge(definition, state)(X))

    expected = plain_loop(pure_loss, params, reference())
    assert_close(nnx.to_pure_dict(nnx.state(model, nnx.Param)), expected, 1e-4)


def test_a_rebuilt_nnx_optimizer_is_traced_once():
    traces = []

    @nnx.jit
    def step(model, optimizer):
        traces.append(1)
        optimizer.update(model, nnx.grad(lambda model: squared(model(X)))(model))

    for _ in range(3):
        model = Nnx()
        step(model, nnx.Optimizer(model, build(), wrt=nnx.Param))
    assert len(traces) == 1


def test_an_nnx_optimizer_that_holds_tx_as_data_takes_another_array():
    class Optimizer(nnx.Optimizer):
        tx: jl.GradientTransformation = nnx.data()

    traces = []

    @nnx.jit
    def step(model, optimizer):
        traces.append(1)
        grads = jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param))
        optimizer.update(model, grads)

    model = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    optimizer = Optimizer(model, jl.sgd(jnp.array(0.0)), wrt=nnx.Param)
    for rate in (0.1, 0.2):
        before = model.kernel[...]
        optimizer.tx = jl.sgd(jnp.array(rate))
        step(model, optimizer)
        assert_close(before - model.kernel[...], jnp.full((2, 2), rate), 1e-5)
    assert len(traces) == 1


def test_a_number_in_the_state_of_an_nnx_optimizer_changes_without_a_trace():
    traces = []

    @nnx.jit
    def step(model, optimizer):
        traces.append(1)
        grads = jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param))
        optimizer.update(model, grads)

    model = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    tx = jl.inject_hyperparams(jl.sgd)(0.0)
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    for rate in (0.1, 0.2):
        before = model.kernel[...]
        optimizer.opt_state.hyperparams["learning_rate"][...] = rate
        step(model, optimizer)
        assert_close(before - model.kernel[...], jnp.full((2, 2), rate), 1e-5)
    assert len(traces) == 1


def test_nnx_state_of_param_on_both_sides():
    params = nnx.state(nnx.eval_shape(Nnx), nnx.Param)
    state = jax.eval_shape(build().init, params)
    updates, after = jax.eval_shape(build().update, params, state, params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    assert jax.tree.structure(after) == jax.tree.structure(state)


def test_equinox():
    model = Equinox()
    params, static = eqx.partition(model, eqx.is_array)

    def loss(params):
        return squared(jax.vmap(eqx.combine(params, static))(X))

    assert_close(
        plain_loop(loss, params, build()), plain_loop(loss, params, reference()), 1e-4
    )


def test_equinox_filtered_by_hand():
    model = Equinox()
    tx = build()

    @eqx.filter_jit
    def step(model, state):
        grads = eqx.filter_grad(lambda model: squared(jax.vmap(model)(X)))(model)
        updates, state = tx.update(grads, state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), state

    before = squared(jax.vmap(model)(X))
    state = tx.init(eqx.filter(model, eqx.is_array))
    for _ in range(STEPS):
        model, state = step(model, state)
    assert squared(jax.vmap(model)(X)) < before
    assert model.activation is jax.nn.relu


def test_an_unfiltered_equinox_module_is_told_which_leaf_is_no_array():
    with pytest.raises(TypeError, match="'activation': parameter .* a custom_jvp"):
        build().init(Equinox())


def test_haiku():
    params = haiku.init(KEY, X)

    def loss(params):
        return squared(haiku.apply(params, X))

    assert_close(
        plain_loop(loss, params, build()), plain_loop(loss, params, reference()), 1e-4
    )


def test_optax_multi_steps_in_a_train_state():
    params = linen_params(Linen())
    tx = optax.MultiSteps(build(), 2)
    state = TrainState.create(apply_fn=None, params=params, tx=tx)
    step = jax.jit(lambda state: state.apply_gradients(grads=state.params))
    once = step(state)
    twice = step(once)
    assert_close(once.params, params, 0)
    assert np.any(twice.params["Dense_0"]["kernel"] != params["Dense_0"]["kernel"])


def test_the_numbers_of_an_nnx_optimizer_are_arrays_that_stay_as_they_were():
    tx = jl.inject_hyperparams(jl.adamw)(1e-2)
    optimizer = nnx.Optimizer(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), tx, wrt=nnx.Param)
    seen = []
    for rate in (0.1, 0.2):
        held = optimizer.opt_state.hyperparams["learning_rate"]
        held[...] = jnp.float32(rate)
        seen.append(jl.get_hyperparams(tx, optimizer.opt_state)["learning_rate"])
    assert all(isinstance(x, jax.Array) for x in seen)
    assert seen == [jnp.float32(0.1), jnp.float32(0.2)]
