"""Numbers in the state: which, in what dtype, and what changing them does."""

import inspect
from typing import Any, NewType

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import jaxopt_lite as jl
from tests.helpers import assert_close
from tests.table import TABLE

PARAMS = {"kernel": jnp.array([[0.5, -1.0], [2.0, 0.25]]), "bias": jnp.ones(2)}
G = jax.tree.map(lambda p: 0.1 * p + 0.3, PARAMS)


def falling(count):
    return 0.5 / (1 + count)


def one_step(tx, state, params=PARAMS, **extra):
    return tx.update(jax.tree.map(jnp.copy, G), state, params, **extra)


def avals(tree):
    return jax.tree.map(lambda x: x.aval, tree)


def test_the_numbers_are_those_of_optax():
    ours = jl.inject_hyperparams(jl.adamw)(1e-3, b1=falling, mask=jl.weights_only)
    theirs = optax.inject_hyperparams(optax.adamw)(1e-3, b1=falling)
    state = ours.init(PARAMS)
    assert state._fields == theirs.init(PARAMS)._fields
    wanted = theirs.init(PARAMS).hyperparams
    assert state.hyperparams == {k: jnp.float32(x) for k, x in wanted.items()}
    assert list(state.hyperparams_states) == ["b1"]


def test_a_state_of_optax_goes_on():
    ours = jl.inject_hyperparams(jl.adamw)(falling)
    theirs = optax.inject_hyperparams(optax.adamw)(falling)
    state = theirs.init(PARAMS)
    for _ in range(3):
        expected, after = one_step(theirs, state)
        u, _ = one_step(ours, state)
        assert_close(u, expected, 1e-5)
        state = after


FACTORIES = sorted(
    name
    for name, entry in TABLE.items()
    if {"learning_rate", "b1", "decay", "weight_decay", "max_norm", "step_size"}
    & set(inspect.signature(getattr(jl, name)).parameters)
)

ROUGH = {"came": 1e-4, "scale_by_came": 1e-4}
"""In float32 `1 - 0.9999` is off by 1.7e-4, which no bias correction takes out."""


def assert_like_plain(name):
    entry = TABLE[name]
    given = entry.variants[0]
    matrix = {"kernel": PARAMS["kernel"]} if "muon" in name else PARAMS
    extra = {k: jnp.float32(f(0)) for k, f in entry.extra.items()}
    factory = getattr(jl, name)

    def train(tx, p):
        state = tx.init(p)
        for _ in range(3):
            g = jax.tree.map(lambda x: 0.1 * x + 0.3, p)
            u, state = tx.update(g, state, p, **extra)
            p = jl.apply_updates(p, u)
        return p

    plain, injected = factory(**given), jl.inject_hyperparams(factory)(**given)
    train_both = jax.jit(lambda p: (train(plain, p), train(injected, p)))
    expected, found = train_both(matrix)
    assert_close(found, expected, ROUGH.get(name, 2e-5))
    numbers = injected.init(matrix).hyperparams
    assert all(x.dtype == jnp.float32 and not x.weak_type for x in numbers.values())


@pytest.mark.parametrize("name", ["adamw", "sgd", "prodigy", "adafactor", "lamb"])
def test_a_factory_makes_what_it_makes_of_plain_numbers(name):
    assert_like_plain(name)


@pytest.mark.full
@pytest.mark.parametrize("name", FACTORIES)
def test_every_factory_makes_what_it_makes_of_plain_numbers(name):
    assert_like_plain(name)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_numbers_are_float32_whatever_the_parameters(dtype):
    params = jax.tree.map(lambda p: p.astype(dtype), PARAMS)
    tx = jl.inject_hyperparams(jl.adamw)(jnp.bfloat16(0.5), b2=0.999)
    state = tx.init(params)
    _, after = jax.jit(tx.update)(params, state, params)
    assert avals(after) == avals(state)
    assert after.hyperparams["b2"] == jnp.float32(0.999)
    assert after.hyperparams["learning_rate"].dtype == jnp.float32


def test_numbers_are_float64_under_x64_and_of_a_dtype_if_that_is_given(x64):
    numbers = jl.inject_hyperparams(jl.sgd)(0.1).init(PARAMS).hyperparams
    assert numbers["learning_rate"] == 0.1
    half = jl.inject_hyperparams(jl.sgd, hyperparam_dtype="bfloat16")(0.1)
    assert half.init(PARAMS).hyperparams["learning_rate"].dtype == jnp.bfloat16


@pytest.mark.parametrize("value", [2.0, 2, np.float64(2), jnp.float32(2)])
def test_what_is_assigned_in_place_takes_effect(value):
    tx = jl.inject_hyperparams(jl.sgd)(0.5)
    state = tx.init(PARAMS)
    _, before = one_step(tx, state)
    state.hyperparams["learning_rate"] = value
    u, after = jax.jit(tx.update)(G, state, PARAMS)
    assert_close(u, jax.tree.map(lambda g: -2 * g, G), 1e-6)
    assert avals(after.hyperparams) == avals(before.hyperparams)
    assert before.hyperparams["learning_rate"] == 0.5


def test_an_array_in_the_place_of_a_number_traces_nothing_anew():
    traces = []
    tx = jl.inject_hyperparams(jl.adamw)(0.5)

    @jax.jit
    def step(state):
        traces.append(1)
        return tx.update(G, state, PARAMS)[1]

    state = tx.init(PARAMS)
    for i in range(4):
        state.hyperparams["learning_rate"] = jnp.float32(i)
        state = step(state)
    assert len(traces) == 1


def test_a_schedule_is_in_force_and_shown():
    tx = jl.inject_hyperparams(jl.sgd)(falling, momentum=jl.linear_schedule(1, 0, 4))
    state = tx.init(PARAMS)
    for i in range(3):
        u, state = one_step(tx, state)
        assert state.hyperparams["learning_rate"] == falling(i)
        assert state.hyperparams["momentum"] == 1 - i / 4
        assert state.hyperparams_states["momentum"].count == i + 1
    assert state.count == 3


class Lowest:
    """As low as the loss has been, times a number."""

    def init(self):
        return jnp.ones(())

    def update(self, state, *, value, **extra):
        return jnp.minimum(state, value)

    def __call__(self, state, **extra):
        return 0.5 * state


def test_a_schedule_may_have_a_state_of_its_own():
    tx = jl.inject_hyperparams(jl.sgd)(Lowest())
    state, rates = tx.init(PARAMS), []
    for value in (0.5, 0.75, 0.25, 1.0):
        _, state = one_step(tx, state, value=value)
        rates.append(float(state.hyperparams["learning_rate"]))
    assert rates == [0.5, 0.25, 0.25, 0.125]


def plainly(rate, k, mask=None, flag=True, name="n"):
    assert (type(k), flag, name) == (int, True, "n")
    return jl.adamw(rate, mask=mask)


def test_without_annotations_the_values_tell():
    def matrices(params):
        return jax.tree.map(lambda p: p.ndim == 2, params)

    tx = jl.inject_hyperparams(plainly)(falling, 3, mask=matrices)
    assert list(tx.init(PARAMS).hyperparams) == ["rate"]
    _, state = one_step(tx, tx.init(PARAMS))
    assert state.hyperparams["rate"] == falling(0)
    assert list(jl.inject_hyperparams(plainly)(0.1, 3).init(PARAMS).hyperparams)


def test_whole_numbers_masks_and_by_path_stay_as_they_are():
    decay = jl.by_path({"*bias": 0.0, "*": falling})
    tx = jl.inject_hyperparams(jl.adamw)(
        1, weight_decay=decay, mask={"bias": False, "kernel": True}
    )
    numbers = tx.init(PARAMS).hyperparams
    assert numbers["learning_rate"] == 1 and "weight_decay" not in numbers
    assert not jl.inject_hyperparams(jl.galore)(0.1, rank=1).init(
        PARAMS
    ).hyperparams.keys() & {"rank"}


def test_arguments_may_be_left_as_they_are():
    tx = jl.inject_hyperparams(jl.adam, static_args=("b1", "eps"))(0.1)
    assert sorted(tx.init(PARAMS).hyperparams) == ["b2", "eps_root", "learning_rate"]
    one = jl.inject_hyperparams(jl.sgd, static_args="learning_rate")(falling)
    assert one.init(PARAMS).hyperparams == {}


def test_factories_take_their_arguments_in_any_way():
    def positional(rate, /, *parts, decay=0.5, **rest):
        return jl.chain(*parts, jl.add_decayed_weights(decay), jl.sgd(rate, **rest))

    make = jl.inject_hyperparams(positional)
    tx = make(0.1, jl.clip(1.0), decay=0.25, momentum=0.5)
    assert sorted(tx.init(PARAMS).hyperparams) == ["decay", "momentum", "rate"]
    plain = positional(0.1, jl.clip(1.0), decay=0.25, momentum=0.5)
    got, _ = one_step(tx, tx.init(PARAMS))
    assert_close(got, one_step(plain, plain.init(PARAMS))[0], 1e-6)


def test_factories_of_optax_are_taken():
    tx = jl.chain(jl.clip(1.0), jl.inject_hyperparams(optax.adamw)(0.1, eps=1e-6))
    plain = jl.chain(jl.clip(1.0), optax.adamw(0.1, eps=1e-6))
    got, state = one_step(tx, tx.init(PARAMS))
    assert_close(got, one_step(plain, plain.init(PARAMS))[0], 1e-5)
    assert state[1].hyperparams["eps"] == jnp.float32(1e-6)


def test_a_batch_of_numbers_is_swept_by_vmap():
    rates = jnp.array([0.1, 0.2, 0.4])

    def train(tx):
        u, state = one_step(tx, tx.init(PARAMS))
        return u, state.hyperparams["learning_rate"]

    tx = jl.inject_hyperparams(jl.sgd)(rates, momentum=0.5)
    u, kept = jax.jit(jax.vmap(train))(tx)
    np.testing.assert_array_equal(kept, rates)
    for i, rate in enumerate(rates):
        expected = jax.tree.map(lambda g, r=rate: -r * g, G)
        assert_close(jax.tree.map(lambda x, i=i: x[i], u), expected, 1e-6)


@pytest.mark.parametrize("commit", [jnp.array(False), False])
def test_without_commit_nothing_moves(commit):
    tx = jl.inject_hyperparams(jl.adamw)(falling, b1=Lowest())
    _, state = one_step(tx, tx.init(PARAMS), value=0.5)
    _, after = one_step(tx, state, value=jnp.nan, commit=commit)
    jax.tree.map(np.testing.assert_array_equal, after, state)


def test_equal_injections_are_one_and_show_what_they_are():
    def make():
        return jl.inject_hyperparams(jl.sgd)(0.5, momentum=falling)

    assert make() == make() and hash(make()) == hash(make())
    assert repr(make()).startswith("inject_hyperparams(sgd)(learning_rate=0.5, ")


def test_a_rate_is_changed_in_an_nnx_optimizer():
    model = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    tx = jl.inject_hyperparams(jl.adamw)(0.5)
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    traces = []

    @nnx.jit
    def step(model, optimizer):
        traces.append(1)
        grads = nnx.grad(lambda m: jnp.sum(m(jnp.ones((1, 2)))))(model)
        optimizer.update(model, grads)

    step(model, optimizer)
    before = jnp.copy(model.kernel[...])
    optimizer.opt_state.hyperparams["learning_rate"][...] = jnp.float32(0.0)
    step(model, optimizer)
    np.testing.assert_array_equal(model.kernel[...], before)
    assert len(traces) == 1


def test_the_numbers_of_an_nnx_optimizer_stay_variables():
    model = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(
        model, jl.inject_hyperparams(jl.adamw)(0.5), wrt=nnx.Param
    )
    before = jax.tree.structure(nnx.state(optimizer))
    optimizer.opt_state = jl.set_hyperparams(optimizer.opt_state, learning_rate=0.25)
    assert jax.tree.structure(nnx.state(optimizer)) == before
    assert float(optimizer.opt_state.hyperparams["learning_rate"][...]) == 0.25


def test_a_rate_is_changed_in_a_train_state():
    tx = jl.inject_hyperparams(jl.adamw)(0.5)
    state = TrainState.create(apply_fn=None, params=PARAMS, tx=tx)
    step = jax.jit(lambda state: state.apply_gradients(grads=G))
    state = step(step(state))  # At first `state.step` is a Python number.
    traces = step._cache_size()
    state.opt_state.hyperparams["learning_rate"] = jnp.float32(0.0)
    assert_close(step(state).params, state.params)
    assert step._cache_size() == traces


def bad(*args: Any, **kwargs: Any) -> Any:
    tx = jl.inject_hyperparams(jl.adamw)(*args, **kwargs)
    return tx.update(G, tx.init(PARAMS), PARAMS)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: bad(learning_rat=0.1),
            TypeError,
            r"adamw has no argument 'learning_rat' \(did you mean 'learning_rate'\?\)",
        ),
        (lambda: bad(), TypeError, "missing a required argument: 'learning_rate'"),
        (
            lambda: jl.inject_hyperparams(jl.adamw, static_args="msk")(0.1),
            TypeError,
            r"no argument 'msk' \(did you mean 'mask'\?\)",
        ),
        (
            lambda: jl.inject_hyperparams(jl.adamw(0.1)),
            TypeError,
            "inner_factory is chain.*expected a function that makes a transformation",
        ),
        (
            lambda: jl.inject_hyperparams(lambda x: x)(0.1).init(PARAMS),
            TypeError,
            "what inner_factory made is .*expected a transformation",
        ),
        (
            lambda: bad(jnp.ones(3)),
            ValueError,
            r"learning_rate is float32\[3\]; expected one number.*jax\.vmap",
        ),
        (lambda: bad(-0.1), ValueError, r"learning_rate is -0\.1; expected a number"),
        (
            lambda: jl.inject_hyperparams(jl.sgd, hyperparam_dtype=int),
            TypeError,
            "the dtype of hyperparam_dtype is",
        ),
        (
            lambda: jl.inject_hyperparams(jl.sgd, hyperparam_dtype="complex64"),
            TypeError,
            "hyperparam_dtype is complex64; expected a floating-point one",
        ),
        (
            lambda: jl.inject_hyperparams(jl.sgd, static_args=3),
            TypeError,
            "static_args is 3; expected the names of arguments",
        ),
        (
            lambda: jl.inject_hyperparams(jl.adamw)(0.1, b1=1.0),
            ValueError,
            r"b1 is 1; expected a number in \[0, 1\)",
        ),
        (
            lambda: jl.inject_hyperparams(jl.sgd)(jnp.array(1j)),
            TypeError,
            r"learning_rate is complex64\[\]; expected a number",
        ),
        (
            lambda: jl.inject_hyperparams(jl.sgd)(jl.linear_schedule),
            TypeError,
            r"learning_rate is a function of \(init_value, end_value, trans",
        ),
        (
            lambda: jl.inject_hyperparams(jl.adamw)(float("nan")),
            ValueError,
            r"^learning_rate is nan; expected a number in \[0, inf\)",
        ),
        (
            lambda: jl.inject_hyperparams(jl.adamw)(0.1, b2=1 - 1e-9),
            ValueError,
            r"b2 is 1; expected a number in \[0, 1\)",
        ),
    ],
)
def test_what_is_wrong_is_said(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_name_that_is_not_there_is_refused_when_it_is_assigned():
    tx = jl.inject_hyperparams(jl.sgd)(0.1)
    state = tx.init(PARAMS)
    state.hyperparams["lr"] = 0.2
    with pytest.raises(ValueError, match=r"holds learning_rate, lr; expected learning"):
        one_step(tx, state)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "missing a required argument: 'step_size'"),
        ({"args": (1, 2)}, "too many positional arguments"),
    ],
)
def test_a_call_that_the_factory_does_not_take_is_explained(arguments, text):
    with pytest.raises(TypeError) as error:
        jl.inject_hyperparams(jl.scale)(*arguments.get("args", ()))
    assert str(error.value) == (
        f"inject_hyperparams: scale cannot be called: {text}. Expected "
        "scale(step_size)."
    )


NO_NUMBERS = ["0.1", True, None, 1j, np.bool_(True), jnp.array(True), jnp.array(1j)]
SCHEDULES = [jl.linear_schedule(1.0, 0.0, 9), lambda count: 1.0, jl.by_path({"*": 1.0})]


@pytest.mark.parametrize("value", NO_NUMBERS + SCHEDULES)
def test_what_is_no_number_is_refused_when_it_is_assigned(value):
    tx = jl.inject_hyperparams(jl.sgd)(0.1)
    state = tx.init(PARAMS)
    state.hyperparams["learning_rate"] = value
    with pytest.raises(TypeError, match=r"learning_rate is .*; expected a number\."):
        one_step(tx, state)


def test_what_a_schedule_gives_stops_no_training():
    tx = jl.inject_hyperparams(jl.sgd)(lambda count: 0.5 - count)
    state = tx.init(PARAMS)
    for rate in (0.5, -0.5):
        u, state = one_step(tx, state)
        assert_close(u, jax.tree.map(lambda g, rate=rate: -rate * g, G))


def test_another_library_keeps_the_dtypes_of_its_state():
    params = jax.tree.map(lambda p: p.astype("bfloat16"), PARAMS)
    tx = jl.inject_hyperparams(optax.adamw)(0.1)
    state = tx.init(params)
    after, _ = jax.lax.scan(
        lambda s, _: (tx.update(params, s, params)[1], None), state, length=2
    )
    assert avals(after) == avals(state)
    assert avals(one_step(tx, state, params)[0]) == avals(params)
    mixed = jl.inject_hyperparams(
        lambda lr: jl.chain(optax.scale(lr), optax.trace(0.9))
    )(0.1)
    state = mixed.init(params)
    assert avals(mixed.update(params, state, params)[1]) == avals(state)


Rate = NewType("Rate", float)


def test_annotations_are_seen_through():
    def factory(a: Rate, b: "Missing", c: "float", d: Any, e: jax.Array):  # noqa: F821
        return jl.scale(a * c * d * e)

    tx = jl.inject_hyperparams(factory)(1, 2, 3, 0.5, 4.0)
    assert list(tx.init(PARAMS).hyperparams) == ["a", "c", "d", "e"]


def test_a_seed_is_no_number():
    make = jl.inject_hyperparams(optax.noisy_sgd)
    for key in (3, jax.random.key(0)):
        tx = make(0.1, key=key)
        state = tx.init(PARAMS)
        assert "key" not in state.hyperparams
        one_step(tx, state)


def test_a_state_shares_no_memory_with_a_schedule():
    class Held(jl.StatefulSchedule):
        start = jnp.float32(0.5)

        def init(self):
            return self.start

        def update(self, state, **extra):
            return state / 2

        def __call__(self, state, **extra):
            return state

    tx = jl.inject_hyperparams(jl.sgd)(Held())
    jax.jit(lambda s: tx.update(G, s)[1], donate_argnums=0)(tx.init(PARAMS))
    assert tx.init(PARAMS).hyperparams["learning_rate"] == 0.5


def test_a_factory_that_does_not_tell_its_arguments():
    with pytest.raises(TypeError) as caught:
        jl.inject_hyperparams(dict)(a=1.0)
    assert str(caught.value) == (
        "inject_hyperparams: inner_factory is <class 'dict'>, whose arguments Python "
        "does not tell; expected a function such as `adamw`."
    )
