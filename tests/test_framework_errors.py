"""What users of Flax, Equinox and Haiku first do wrong, and what they are told."""

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

import jaxopt_lite as jl
from tests.test_errors import message

X = jnp.ones((3, 2))
TX = jl.adamw(0.1)


class Nnx(nnx.Module):
    """A layer, and what is not trained."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.linear = nnx.Linear(2, 2, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)


class Equinox(eqx.Module):
    """A layer, and what is no array."""

    linear: eqx.nn.Linear
    activation: object
    width: int

    def __init__(self):
        self.linear = eqx.nn.Linear(2, 2, key=jax.random.key(0))
        self.activation = jnp.tanh
        self.width = 2


HAIKU = hk.transform_with_state(lambda x: hk.BatchNorm(True, True, 0.9)(x, True))

FILTER = (
    "Expected floating-point or complex arrays: cast what is to be trained, filter "
    "other leaves out (`eqx.filter(model, eqx.is_inexact_array)`, `nnx.state(model, "
    "nnx.Param)`, Haiku's parameters without its state), or freeze them with "
    "`partition` and `set_to_zero`."
)
NO_GRADIENT = (
    "Expected a gradient for each, found none: pass what `nnx.grad` returned to "
    "`nnx.Optimizer.update`, which keeps nothing of a tree of bare arrays."
)


# Flax nnx


@pytest.mark.parametrize(
    "tx",
    [
        TX,
        jl.sgd(0.1),
        jl.muon(0.1),
        jl.MultiSteps(TX, 2),
        jl.inject_hyperparams(jl.adam)(0.1),
    ],
    ids=["adamw", "sgd", "muon", "MultiSteps", "inject_hyperparams"],
)
@pytest.mark.parametrize("bare", [nnx.to_pure_dict, nnx.as_pure])
def test_gradients_that_are_no_params(tx, bare):
    model = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    grads = bare(nnx.state(model, nnx.Param))
    text = message(ValueError, optimizer.update, model, grads)
    assert text.endswith(NO_GRADIENT)
    assert "\n  'bias': " in text and "\n  'kernel': " in text


def test_no_gradients_against_a_state():
    tx = jl.adam(0.1)
    state = tx.init({"bias": jnp.ones(2)})
    assert message(ValueError, tx.update, {}, state) == (
        "ScaleByAdam: the trees of state.mu and of the gradients do not match: they "
        f"have 1 leaf and 0.\n  'bias': only in state.mu\n{NO_GRADIENT}"
    )


def test_a_param_for_a_number():
    rate = nnx.Param(jnp.array(0.1))
    text = (
        "learning_rate is a Param around float32[]; expected what is in it: take it "
        "out by `param[...]` of nnx or `unbox()` of linen."
    )
    assert message(TypeError, jl.adamw, rate) == text
    for factory in (jl.adamw, optax.adamw):
        assert message(TypeError, jl.inject_hyperparams(factory), rate) == text
    by_path = jl.by_path({"*": nn.Partitioned(jnp.array(0.1), ())})
    boxed = message(TypeError, jl.adamw, by_path)
    assert boxed.startswith("learning_rate['*'] is a Partitioned around float32[]; ")
    assert jax.tree.leaves(jl.adamw(rate[...])) == [jnp.float32(0.1)]


def test_a_whole_nnx_module():
    model = Nnx()
    text = message(TypeError, TX.init, model)
    assert (
        text.endswith(FILTER) and "\n  'dropout/rngs/count': parameter uint32[]" in text
    )
    params = nnx.state(model, nnx.Param)
    assert message(ValueError, TX.update, params, TX.init(params), model) == (
        "ScaleByAdam: the trees of params and of the gradients do not match: they have "
        "4 leaves and 2.\n"
        "  'dropout/rngs/count': only in params\n"
        "  'dropout/rngs/key': only in params\n"
        "Expected the same paths: pass gradients, state and parameters of one model."
    )


def test_params_of_nnx_and_arrays_go_together():
    params = nnx.state(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), nnx.Param)
    bare = nnx.to_pure_dict(params)
    state = TX.init(params)
    for g, p in ((params, bare), (bare, params)):
        u, after = TX.update(g, state, p)
        assert jax.tree.structure(after) == jax.tree.structure(state)
        assert jax.tree.structure(u) == jax.tree.structure(g)
        assert jax.tree.structure(jl.apply_updates(p, u)) == jax.tree.structure(p)


# Flax linen


def test_all_variables_of_linen_where_the_parameters_are_meant():
    variables = nn.Dense(2).init(jax.random.key(0), X)
    params, state = variables["params"], TX.init(variables["params"])
    assert message(ValueError, TX.update, params, state, variables).endswith(
        "\nExpected the same paths: pass what stands at 'params' in params."
    )
    assert message(ValueError, TX.update, variables, state, params).endswith(
        "\nExpected the same paths: pass what stands at 'params' in the gradients."
    )
    assert message(ValueError, TX.update, params, TX.init(variables), params).endswith(
        "\nExpected the same paths: pass what stands at 'params' in state.mu."
    )


def test_a_linen_module():
    text = message(TypeError, TX.init, nn.Dense(2))
    assert "a Dense\n" in text and text.endswith(FILTER)


# Equinox


def test_a_whole_equinox_module():
    text = message(TypeError, TX.init, Equinox())
    assert text.startswith("ScaleByAdam: 2 parameters are not floating-point.\n")
    assert "\n  'activation': parameter " in text
    assert "\n  'width': parameter 2, an int\n" in text
    assert text.endswith(FILTER)


def test_a_whole_equinox_module_beside_filtered_gradients():
    model = Equinox()
    params = eqx.filter(model, eqx.is_inexact_array)
    state = TX.init(params)
    u, after = TX.update(params, state, model)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert jl.apply_updates(model, u).activation is model.activation
    text = message(ValueError, TX.update, model, state, params)
    assert "\n  'width': gradient 2, an int, parameter None\n" in text
    assert text.endswith("or filter it out for `init` as for the gradients.")


# Haiku


def test_the_parameters_of_haiku_with_its_state():
    params, kept = HAIKU.init(jax.random.key(0), X)
    text = message(TypeError, TX.init, (params, kept))
    assert "\n  '1/batch_norm/~/mean_ema/counter': parameter int32[]\n" in text
    assert text.endswith(FILTER)
    both = (params, kept)
    assert message(ValueError, TX.update, params, TX.init(params), both).endswith(
        "\nExpected the same paths: pass what stands at '0' in params."
    )


def test_what_haiku_transforms():
    text = message(TypeError, TX.init, HAIKU)
    assert "\n  'init': parameter <function " in text and text.endswith(FILTER)
