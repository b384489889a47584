"""ZeRO-1: what it keeps, what it sends, and that it changes no number."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import jaxopt_lite as jl
from jaxopt_lite.interop import pytorch
from jaxopt_lite.testing import check_transformation
from tests.helpers import assert_close
from tests.sharding.meshes import (
    KINDS,
    bytes_on_one,
    how_many,
    mesh,
    messages,
    messages_in_branches,
    place,
    specs,
    tree,
)
from tests.sharding.test_state import OPTIMIZERS, kept
from tests.table import TABLE
from tests.test_errors import message

SHAPES = {"hidden": (16, 32), "bias": (32,), "head": (32, 8), "odd": (3,)}
LARGE = {"hidden", "bias", "head"}
X = tree({"x": (64, 16)}, seed=1)["x"]


def loss(params, x):
    y = jnp.tanh(x @ params["hidden"] + params["bias"]) @ params["head"]
    return jnp.mean(jnp.square(y - 1)) + jnp.sum(params["odd"] ** 2)


def stepper(tx):
    def step(params, state, x):
        grads = jax.grad(loss)(params, x)
        updates, state = tx.update(grads, state, params)
        return jl.apply_updates(params, updates), state

    return jax.jit(step, donate_argnums=(0, 1))


def train(tx, params, x, steps=5):
    step, state = stepper(tx), tx.init(params)
    for _ in range(steps):
        params, state = step(params, state, x)
    return params, state, step


def batch(on):
    return jax.device_put(X, place(on, "data"))


def everywhere(on, seed=0):
    return jax.device_put(tree(SHAPES, seed), place(on))


def sent(tx, params, x):
    """What the devices send each other in one step of training."""
    return messages(stepper(tx).lower(params, tx.init(params), x).compile())


def gathers(names=LARGE, shapes=SHAPES):
    """One all-gather of each array."""
    texts = [",".join(map(str, shapes[name])) for name in names]
    return {("all-gather", f"f32[{text}]"): 1 for text in texts}


# What it keeps


@pytest.mark.parametrize("kind", KINDS)
def test_of_adamws_state_each_device_keeps_an_eighth(kind):
    params = jax.device_put(tree({"w": (64, 128), "b": (128,)}), place(mesh(kind)))
    tx = jl.adamw(1e-3)
    state = jl.sharding.zero1(tx, place(mesh(kind))).init(params)
    count = 4
    assert bytes_on_one(state) - count == (bytes_on_one(tx.init(params)) - count) / 8
    assert specs(state)[0].mu == {"w": ("data",), "b": ("data",)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codec", [None, "int8"])
def test_training_is_that_of_one_device(kind, codec):
    tx = jl.chain(jl.clip_by_global_norm(0.1), jl.adamw(1e-2))
    if codec:
        tx = jl.store_state(tx, codec, where=jl.by_path({"bias": False, "*": True}))
    on = mesh(kind)
    split = jl.sharding.zero1(tx, place(on))
    found, state, step = train(split, everywhere(on), batch(on))
    expected, whole, _ = train(tx, tree(SHAPES), X)
    assert_close(found, expected, 1e-6)
    assert specs(found) == dict.fromkeys(SHAPES, ())
    assert specs(state) == specs(split.init(everywhere(on)))
    if codec is None:
        assert_close(state, whole, 1e-5)
    if kind == "Auto":
        assert step._cache_size() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_that_are_split_themselves(kind):
    on = mesh(kind, data=4, model=2)
    given = {
        "hidden": place(on, "data", "model"),  # both
        "bias": place(on, "model"),
        "head": place(on, "model"),
        "odd": place(on),
    }

    def loss_there(params, x):
        # A product of arrays that are split says how it is split, where types do.
        whole = jl.apply_updates(params, jax.tree.map(jnp.zeros_like, params))
        return loss(whole, x)

    tx = jl.adamw(1e-2)
    split = jl.sharding.zero1(tx, given)
    params = jax.device_put(tree(SHAPES), given)
    state, plain = split.init(params), tx.init(tree(SHAPES))
    assert specs(state)[0].mu == {
        "hidden": ("data", "model"),
        "bias": (("model", "data"),),
        "head": ("model", "data"),
        "odd": (),
    }
    for seed in range(3):
        g = tree(SHAPES, seed)
        there = jax.device_put(g, given)
        u, state = jax.jit(split.update)(there, state, params)
        expected, plain = jax.jit(tx.update)(g, plain, tree(SHAPES))
        assert_close(u, expected, 1e-6)
        assert specs(u) == specs(given)
    assert specs(state) == specs(split.init(params))


def test_without_jit_and_without_parameters():
    on = mesh()
    tx = jl.sharding.zero1(jl.adam(1e-2), place(on))
    g, state = everywhere(on), tx.init(everywhere(on))
    u, after = tx.update(g, state)
    expected, _ = jax.jit(tx.update)(g, state, everywhere(on, 1))
    assert_close(u, expected, 1e-6)
    assert specs(u) == dict.fromkeys(SHAPES, ())
    assert specs(after) == specs(state)


def test_accumulated_gradients_are_split_too():
    on = mesh()
    tx = jl.sharding.zero1(jl.MultiSteps(jl.adamw(1e-2), 2), place(on))
    params, state, _ = train(tx, everywhere(on), batch(on), 4)
    assert specs(state).acc_grads["hidden"] == ("data",)
    expected, _, _ = train(jl.MultiSteps(jl.adamw(1e-2), 2), tree(SHAPES), X, 4)
    assert_close(params, expected, 1e-6)


def test_inside_other_wrappers():
    on = mesh()
    rates = jl.by_path({"bias": 0.01, "*": 0.1})
    mask = {"hidden": True, "bias": True, "head": False, "odd": True}

    def wrapped(inner):
        tx = jl.chain(jl.masked(inner, mask), jl.scale_by_learning_rate(rates))
        return jl.apply_if_finite(tx, 3)

    split = wrapped(jl.sharding.zero1(jl.scale_by_adam(), place(on)))
    found, state, _ = train(split, everywhere(on), batch(on))
    expected, _, _ = train(wrapped(jl.scale_by_adam()), tree(SHAPES), X)
    assert_close(found, expected, 1e-6)
    assert specs(state).inner_state[0].inner_state.mu["hidden"] == ("data",)


# What it sends. XLA:CPU makes an all-reduce of what other backends scatter.


@pytest.mark.parametrize("kind", KINDS)
def test_adamw_sends_each_gradient_and_each_update_once(kind):
    on = mesh(kind)
    plain, tx = jl.adamw(1e-2), jl.sharding.zero1(jl.adamw(1e-2), place(on))
    before = sent(plain, everywhere(on), batch(on))
    after = sent(tx, everywhere(on), batch(on))
    assert {kind for kind, _ in before} == {"all-reduce"}
    assert after - before == gathers()
    assert not before - after


def updated(tx, params=None, on=None, **extra):
    """A whole update, compiled, of gradients that are on every device."""
    on = on or mesh()
    p = everywhere(on) if params is None else jax.device_put(params, place(on))
    split = jl.sharding.zero1(tx, place(on))
    return jax.jit(split.update).lower(p, split.init(p), p, **extra).compile()


CLIPPED = jl.chain(jl.clip_by_global_norm(1.0), jl.adamw(1e-2))
SCALAR = {("all-reduce", "f32[]"): 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_global_norm_is_one_scalar(kind):
    assert messages(updated(CLIPPED, on=mesh(kind))) == gathers() | SCALAR


@pytest.mark.parametrize(
    "name", ["normalize", "normalize_by_update_norm", "scale_by_polyak"]
)
def test_so_is_that_of_every_rule_that_sums_squares(name):
    extra = dict.fromkeys(TABLE[name].extra, 1.0)
    assert messages(updated(getattr(jl, name)(), **extra)) == gathers() | SCALAR


@pytest.mark.parametrize(
    ("wrapper", "scalars"),
    [
        (lambda tx: jl.apply_if_finite(tx, 3), 2),
        (lambda tx: jl.skip_spikes(tx, 4), 2),
        (lambda tx: jl.record(tx, "gradient"), 3),
    ],
    ids=["apply_if_finite", "skip_spikes", "record"],
)
def test_each_norm_that_is_measured_is_a_scalar_of_one_message(wrapper, scalars):
    compiled = updated(wrapper(CLIPPED))
    assert messages(compiled)["all-reduce", "f32[]"] == scalars
    assert how_many(compiled, "all-reduce") == 1


def test_a_global_norm_is_one_scalar_for_each_set_of_axes():
    on = mesh(data=2, model=2, other=2)
    given = {
        "hidden": place(on, "model", "data"),
        "bias": place(on, ("other", "model")),
        "head": place(on, None, "other"),
        "odd": place(on),
        "short": place(on, "data"),
        "brief": place(on, "model"),
    }
    whole = tree(SHAPES | {"short": (2,), "brief": (2,)})
    tx = jl.sharding.zero1(CLIPPED, given, axis=("data", "other"))
    params = jax.device_put(whole, given)
    step, state = jax.jit(tx.update), tx.init(params)
    found = messages(step.lower(params, state, params).compile())
    # Of the arrays along all three axes, of `head`, of `short` and of `brief`.
    updates = dict.fromkeys(
        [("all-gather", f"f32[{x}]") for x in ("8,16", "8", "32,4")], 1
    )
    assert found == {("all-reduce", "f32[]"): 4} | updates
    u, _ = step(params, state, params)
    expected, _ = jax.jit(CLIPPED.update)(whole, CLIPPED.init(whole), whole)
    assert_close(u, expected, 1e-6)


def test_what_is_complex_empty_or_absent_is_measured():
    tx, on = jl.clip_by_global_norm(1.0), mesh()
    g = {"complex": jnp.full((8, 2), 3j), "empty": jnp.zeros((0, 8)), "none": None}
    split = jl.sharding.zero1(tx, place(on))
    u, _ = jax.jit(split.update)(g, split.init(g))
    expected, _ = tx.update(g, tx.init(g))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), u, expected)


class BySums(jl.SharedRule):
    """Divides by the largest among sums and sums of squares."""

    sums = True

    def measure(self, g, slots, p, step):
        return {"first": jnp.stack([jnp.sum(g), jnp.sum(g**2)]), "size": g.size}

    def settle(self, shared, total, step):
        return jnp.max(total["first"]) / total["size"]

    def emit(self, g, slots, p, step, *, shared):
        return g / shared


class ByNorms(jl.SharedRule):
    """Divides by the sum of the norms of the leaves."""

    def measure(self, g, slots, p, step):
        return jnp.linalg.norm(g)

    def settle(self, shared, total, step):
        return total

    def emit(self, g, slots, p, step, *, shared):
        return g / shared


@pytest.mark.parametrize(
    "tx",
    [
        jl.leafwise(BySums()),
        jl.leafwise(ByNorms()),
        jl.scale_by_galore(2, base_optimizer=jl.clip_by_global_norm(1.0)),
    ],
    ids=["sums", "norms", "of smaller arrays"],
)
def test_what_a_rule_measures_is_that_of_whole_arrays(tx):
    whole = tree(SHAPES)
    expected, _ = tx.update(whole, tx.init(whole))
    on = mesh()
    split = jl.sharding.zero1(tx, place(on))
    u, _ = jax.jit(split.update)(everywhere(on), split.init(everywhere(on)))
    assert_close(u, expected, 1e-6)


MATRICES = {"a": (24, 160), "b": (24, 160), "c": (160,)}
GATHERED = {("all-gather", "f32[24,160]"): 2, ("all-gather", "f32[160]"): 1}


@pytest.mark.parametrize(
    "name", ["lion", "schedule_free_adamw", "cocob", "rprop", "adan", "ademamix"]
)
def test_what_is_elementwise_gathers_the_updates_alone(name):
    assert messages(updated(kept(name, None), tree(MATRICES))) == GATHERED


@pytest.mark.parametrize("name", ["adafactor", "came", "sm3", "adam_mini", "lamb"])
def test_what_is_factored_or_measured_reduces_vectors_and_scalars_alone(name):
    found = messages(updated(kept(name, None), tree(MATRICES)))
    assert {x: n for x, n in found.items() if x[0] == "all-gather"} == GATHERED
    reduced = {array for kind, array in found if kind != "all-gather"}
    assert {kind for kind, _ in found} == {"all-gather", "all-reduce"}
    assert reduced <= {"f32[]", "f32[1]", "f32[160]"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "muon",
    [jl.muon(0.1), jl.muon(0.1, weight_decay=0.1), pytorch.muon(0.1)],
    ids=["", "decay", "pytorch"],
)
def test_muon_gathers_the_mean_of_each_matrix_and_not_its_update(muon, kind):
    """Each singular value depends on the whole matrix; the update is whole then."""
    matrices = {k: MATRICES[k] for k in "ab"}
    compiled = updated(muon, tree(matrices), mesh(kind))
    stacked = {("all-gather", "f32[2,24,160]"): 1}
    assert messages(compiled) == stacked
    assert how_many(compiled, "all-gather") == 1


def test_what_is_whole_is_measured_as_it_lies():
    tx = jl.chain(jl.scale_by_muon(), jl.clip_by_global_norm(1.0))
    compiled = updated(tx, tree({k: MATRICES[k] for k in "ab"}))
    assert messages(compiled) == {("all-gather", "f32[2,24,160]"): 1}


@pytest.mark.parametrize("kind", KINDS)
def test_galore_gathers_matrices_only_where_it_looks_for_directions(kind):
    """Singular vectors are those of the whole matrix."""
    tx = jl.galore(0.1, rank=2, weight_decay=0.1)
    compiled = updated(tx, tree(MATRICES), mesh(kind))
    found = messages(compiled)
    assert "f32[24,160]" not in {array for _, array in found}
    assert found["all-gather", "f32[160,2]"] == 2  # the directions
    rest = messages_in_branches(compiled)
    assert rest["all-gather", "f32[24,160]"] == 2
    assert {array for _, array in rest} == {"f32[24,160]", "f32[2]"}
    _, state = compiled.output_shardings
    places = jl.sharding.state_sharding(
        tx, tree(MATRICES), place(mesh(kind)), zero_axis="data"
    )
    assert specs(state) == specs(places)


# Every optimizer


def cells():
    codecs = [None, "int8", "bfloat16"]
    quick = {("adamw", None), ("adafactor", "int8"), ("muon", "bfloat16")}
    for i, name in enumerate(OPTIMIZERS):
        # Codecs see arrays alone: each optimizer is tried with one of them.
        for codec in (None, codecs[1 + i % 2]):
            mark = () if (name, codec) in quick else pytest.mark.full
            yield pytest.param(name, codec, id=f"{name} {codec}", marks=mark)


@pytest.mark.parametrize(("name", "codec"), list(cells()))
def test_every_optimizer_gives_what_it_gives_on_one_device(x64, name, codec):
    on = mesh()
    tx, extra = kept(name, codec), TABLE[name].extra
    split = jl.sharding.zero1(tx, place(on))
    shapes = {"w": (64, 72), "v": (16, 24), "b": (8,), "odd": (3,)}
    params = tree(shapes, dtype=np.float64)
    state, plain = split.init(jax.device_put(params, place(on))), tx.init(params)
    step, whole = jax.jit(split.update), jax.jit(tx.update)
    for i in range(2):
        g = tree(shapes, i + 1, np.float64)
        keys = {k: jnp.asarray(f(i)) for k, f in extra.items()}
        u, state = step(jax.device_put(g, place(on)), state, params, **keys)
        expected, plain = whole(g, plain, params, **keys)
    assert_close(u, expected, 1e-6)
    assert specs(u) == dict.fromkeys(shapes, ())
    assert step._cache_size() == 1
    assert specs(state) == specs(
        jl.sharding.state_sharding(tx, params, place(on), zero_axis="data")
    )


# Frameworks


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        init = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))
        return nn.Dense(8)(nn.Dense(64, kernel_init=init)(x))


def test_boxed_parameters_in_a_train_state():
    on, module, key = mesh(data=4, model=2), Linen(), jax.random.key(0)

    def init(key):
        return module.init(key, X)["params"]

    def loss_of(params):
        return jnp.mean(jnp.square(module.apply({"params": params}, X)))

    given = nn.get_sharding(jax.eval_shape(init, key), on)
    base = jl.chain(jl.adamw(0.1), jl.scale_by_factored_rms(min_dim_size_to_factor=8))
    kernel = "Dense_0" if "Dense_0" in given else "Dense_1"

    def last(tx, params):
        state = TrainState.create(apply_fn=module.apply, params=params, tx=tx)
        step = jax.jit(lambda s: s.apply_gradients(grads=jax.grad(loss_of)(s.params)))
        return step(step(state))

    params = jax.jit(init, out_shardings=given)(key)
    found = last(jl.sharding.zero1(base, given), params)
    assert_close(nn.unbox(found.params), nn.unbox(last(base, params).params), 1e-5)
    assert specs(nn.unbox(found.params)) == specs(given)
    boxed = [x for x in jax.tree.leaves(given) if x.spec == jax.P(None, "model")]
    assert len(boxed) == 1 and kernel
    mu = specs(nn.unbox(found.opt_state[0][0].mu))
    assert ("data", "model") in [x["kernel"] for x in mu.values()]


class Nnx(nnx.Module):
    def __init__(self):
        init = nnx.with_partitioning(nnx.initializers.lecun_normal(), (None, "model"))
        self.hidden = nnx.Linear(16, 64, kernel_init=init, rngs=nnx.Rngs(0))
        self.head = nnx.Linear(64, 8, rngs=nnx.Rngs(1))

    def __call__(self, x):
        return self.head(self.hidden(x))


EAGER = pytest.param(lambda f: f, id="eager", marks=pytest.mark.full)


@pytest.mark.parametrize("transform", [EAGER, pytest.param(nnx.jit, id="jitted")])
def test_sharded_parameters_in_an_nnx_optimizer(transform):
    on = mesh(data=4, model=2)
    base = jl.adafactor(0.1, min_dim_size_to_factor=8, momentum=0.9)

    def trained(wrapped):
        with jax.set_mesh(on):
            model = Nnx()
            params = nnx.state(model, nnx.Param)
            given = nnx.get_named_sharding(params, on)
            nnx.update(model, jax.device_put(params, given))
            optimizer = nnx.Optimizer(model, wrapped(given), wrt=nnx.Param)

            @transform
            def step(model, optimizer):
                grads = nnx.grad(lambda model: jnp.mean(jnp.square(model(X))))(model)
                optimizer.update(model, grads)

            for _ in range(3):
                step(model, optimizer)
        return nnx.to_pure_dict(params), optimizer.opt_state

    found, state = trained(lambda given: jl.sharding.zero1(base, given))
    expected, _ = trained(lambda given: base)
    assert_close(found, expected, 1e-5)
    assert specs(found)["hidden"]["kernel"] == (None, "model")
    assert specs(nnx.to_pure_dict(state[4].ema))["hidden"]["kernel"] == (
        "data",
        "model",
    )
    assert specs(nnx.to_pure_dict(state[0].v_row))["hidden"]["kernel"] == ("data",)


# The laws of all transformations, and errors

NOT_PICKLED = "a mesh holds devices, which are not pickled"
EXCLUDED = {
    "is_compared_by_value": NOT_PICKLED,
    "rebuilding_compiles_once": NOT_PICKLED,
    "donation_is_safe": "it asks where arrays are in memory, and they are in several",
    "sharding_is_preserved": "it has a mesh of its own",
}


def test_it_keeps_the_laws():
    tx = jl.sharding.zero1(jl.adamw(1e-2), place(mesh(data=2)))
    check_transformation(tx, exclude=EXCLUDED)
    again = jl.sharding.zero1(jl.adamw(1e-2), place(mesh(data=2)))
    assert tx == again and hash(tx) == hash(again)
    assert repr(tx).endswith(", axis='data')")


def test_state_and_parameters_can_be_donated():
    on = mesh()
    params, _, _ = train(
        jl.sharding.zero1(jl.adamw(1e-2), place(on)), everywhere(on), batch(on)
    )
    assert_close(params, train(jl.adamw(1e-2), tree(SHAPES), X)[0], 1e-6)


def test_errors_name_it():
    params = {"w": jnp.ones((8, 4)), "b": jnp.ones(4)}
    assert message(TypeError, jl.sharding.zero1, "adam", place(mesh())) == (
        "zero1: the optimizer is 'adam', a str; expected a transformation with `init` "
        "and `update`, such as `scale(0.1)`."
    )
    tx = jl.sharding.zero1(jl.adam(0.1), {"w": place(mesh())})
    text = message(ValueError, tx.init, params)
    assert text.startswith("zero1: the tree of shardings does not cover 1 of 2")
    tx = jl.sharding.zero1(jl.adam(0.1), place(mesh()), axis="fsdp")
    text = message(ValueError, tx.init, params)
    assert text == "zero1: the mesh has no axis 'fsdp'; expected one of 'data'."
    tx = jl.sharding.zero1(jl.adam(0.1), place(mesh()))
    text = message(ValueError, tx.update, {"w": params["w"]}, tx.init(params), params)
    assert "'b': missing in the gradients" in text
