"""Every optimizer in every framework's own loop: eager, jitted, scanned and sharded.

One model stands for all, with the same leaves at the same paths, so what an optimizer
compiles for a leaf is compiled once. The plain dict's steps are compared with the
others' in value. Under `jit` and `scan` the others differ in the container alone, which
is shown without running them: the program of `update` is that of the dict, equation by
equation, and `scan` takes the loop, whose carry may change neither tree nor dtype. A
few unlike optimizers are run so all the same.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxopt_lite as jl
from jaxopt_lite.interop.flax import TrainState
from public import entries
from tests.helpers import assert_close
from tests.table import TABLE, VARIANTS, Case

KEY = jax.random.key(0)
WIDTH = 8
LAYERS = ("dense", "head")
X = jnp.ones((1, WIDTH))
RANDOM = np.random.default_rng(0)
SHAPES = [(WIDTH,), (WIDTH, WIDTH)] * len(LAYERS)
VALUES = [jnp.float32(RANDOM.normal(size=shape)) for shape in SHAPES]
GRADS = [jnp.float32(RANDOM.normal(size=shape)) for shape in SHAPES]
set_mesh = getattr(jax, "set_mesh", None) or jax.sharding.use_mesh  # as of 0.7


# Optimizers


class Optimizer(NamedTuple):
    """A transformation, and what its `update` takes beside the parameters."""

    tx: Any
    extra: dict[str, Any] = {}
    batched: bool = False


def objective(params):
    return sum(jnp.sum(jnp.cos(p)) for p in jax.tree.leaves(params))


def in_table(name):
    entry = TABLE[name]
    extra = {k: jnp.float32(f(0)) for k, f in entry.extra.items()}
    return Optimizer(Case(name, VARIANTS[name][0]).ours(), extra)


RECIPES = [
    entry.name
    for entry in entries()
    if entry.module == "jaxopt_lite" and "optimizers" in entry.group.lower()
]
OPTIMIZERS = {
    **{name: in_table(name) for name in RECIPES if name in TABLE},
    "lbfgs": Optimizer(jl.lbfgs(0.1, memory_size=2, linesearch=None)),
    "sophia": Optimizer(jl.sophia(0.1), {"obj_fn": objective}),
    "noisy_sgd": Optimizer(jl.noisy_sgd(0.1)),
    "dpsgd": Optimizer(jl.dpsgd(0.1, 1.0, 0.1, seed=0), batched=True),
    "int8": Optimizer(jl.store_state(jl.adamw(0.1), "int8", where=True)),
    "int4": Optimizer(jl.store_state(jl.adamw(0.1), "int4", where=True)),
    "factored in int8": Optimizer(
        jl.store_state(
            jl.adafactor(0.1, min_dim_size_to_factor=2, momentum=0.9),
            "int8",
            where=True,
        )
    ),
    "groups": Optimizer(
        jl.chain(
            jl.clip_by_global_norm(1.0),
            jl.freeze(jl.by_path({"head/bias": True, "*": False})),
            jl.inject_hyperparams(jl.adamw)(0.1, mask=jl.weights_only),
        )
    ),
    "recorded": Optimizer(jl.record(jl.skip_spikes(jl.adam(0.1)))),
    "MultiSteps": Optimizer(jl.MultiSteps(jl.adam(0.1), 2)),
    "param_ema": Optimizer(jl.chain(jl.sgd(0.1), jl.param_ema(0.5))),
    "master_weights": Optimizer(jl.master_weights(jl.adam(0.1))),
}
FAST = ["momo", "adafactor", "muon", "schedule_free_adamw", "int8", "groups"]


def optimizers(fast=FAST):
    """Their names; those that are not fast run under the mark `full`."""
    return [
        pytest.param(name, marks=() if name in fast else pytest.mark.full)
        for name in OPTIMIZERS
    ]


# Frameworks


class Loop(NamedTuple):
    """A training in a framework's own words.

    `step` is a pure function of what `start` gave; `leaves` are the parameters in it.
    """

    params: Any
    start: Callable[[Any], Any]
    step: Callable[..., Any]
    leaves: Callable[[Any], list[Any]]


def filled(like, values=VALUES):
    """A tree with other leaves."""
    return jax.tree.unflatten(jax.tree.structure(like), values)


def gradients(like, batched):
    return filled(like, [g[None] if batched else g for g in GRADS])


def functional(params, apply_updates):
    """The loop that everyone writes by hand."""

    def step(tx, carry, batched, **extra):
        params, state = carry
        g = gradients(params, batched)
        updates, state = tx.update(g, state, params, **extra)
        return apply_updates(params, updates), state

    def start(tx):
        return params, tx.init(params)

    return Loop(params, start, step, lambda carry: jax.tree.leaves(carry[0]))


def plain():
    return functional(
        {
            name: {"bias": VALUES[2 * i], "kernel": VALUES[2 * i + 1]}
            for i, name in enumerate(LAYERS)
        },
        jl.apply_updates,
    )


class Linen(nn.Module):
    """The model in linen; each array in a box if it is partitioned."""

    partitioned: bool

    @nn.compact
    def __call__(self, x):
        kernel, bias = nn.initializers.ones, nn.initializers.ones
        if self.partitioned:
            kernel = nn.with_partitioning(kernel, ("data", "model"))
            bias = nn.with_partitioning(bias, ("model",))
        for name in LAYERS:
            x = nn.Dense(WIDTH, kernel_init=kernel, bias_init=bias, name=name)(x)
        return x


def linen(partitioned, values=VALUES):
    module = Linen(partitioned)
    params = filled(jax.eval_shape(module.init, KEY, X)["params"], values)

    def start(tx):
        state = TrainState.create(apply_fn=module.apply, params=params, tx=tx)
        return state.replace(step=jnp.int32(0))

    def step(tx, state, batched, **extra):
        g = gradients(state.params, batched)
        return state.apply_gradients(grads=g, **extra)

    return Loop(params, start, step, lambda state: jax.tree.leaves(state.params))


class Nnx(nnx.Module):
    """The model in nnx; each array partitioned if asked for."""

    def __init__(self, partitioned):
        kernel, bias = nnx.initializers.ones, nnx.initializers.ones
        if partitioned:
            kernel = nnx.with_partitioning(kernel, ("data", "model"))
            bias = nnx.with_partitioning(bias, ("model",))
        for name in LAYERS:
            made = nnx.Linear(
                WIDTH, WIDTH, kernel_init=kernel, bias_init=bias, rngs=nnx.Rngs(0)
            )
            setattr(self, name, made)


def in_nnx(partitioned=False, values=VALUES):
    model = Nnx(partitioned)
    nnx.update(model, filled(nnx.state(model, nnx.Param), values))
    params = nnx.state(model, nnx.Param)
    definitions = {}

    def start(tx):
        optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
        definitions[tx], carry = nnx.split((model, optimizer))
        return carry

    def step(tx, carry, batched, **extra):
        model, optimizer = nnx.merge(definitions[tx], carry, copy=True)
        g = gradients(nnx.state(model, nnx.Param), batched)
        optimizer.update(model, g, **extra)
        return nnx.state((model, optimizer))

    return Loop(params, start, step, lambda carry: jax.tree.leaves(carry[0]))


class Dense(eqx.Module):
    """A layer in Equinox, and what is no array."""

    bias: jax.Array
    kernel: jax.Array
    activation: Callable[..., Any]


class Equinox(eqx.Module):
    """The model in Equinox."""

    dense: Dense
    head: Dense


def equinox():
    layers = [Dense(*VALUES[i : i + 2], jnp.tanh) for i in (0, 2)]
    params, static = eqx.partition(Equinox(*layers), eqx.is_inexact_array)

    def apply_updates(params, updates):
        model = eqx.apply_updates(eqx.combine(params, static), updates)
        return eqx.filter(model, eqx.is_inexact_array)

    return functional(params, apply_updates)


class HaikuDense(hk.Module):
    """A layer in Haiku, under the names of the others."""

    def __call__(self, x):
        bias = hk.get_parameter("bias", (WIDTH,), init=jnp.ones)
        return x @ hk.get_parameter("kernel", (WIDTH, WIDTH), init=jnp.ones) + bias


def haiku():
    def model(x):
        for name in LAYERS:
            x = HaikuDense(name)(x)
        return x

    params = filled(jax.eval_shape(hk.transform(model).init, KEY, X))
    return functional(params, optax.apply_updates)


FRAMEWORKS = {
    "linen": lambda: linen(False),
    "boxed linen": lambda: linen(True),
    "nnx": in_nnx,
    "equinox": equinox,
    "haiku": haiku,
}


@functools.cache
def loop(framework):
    return plain() if framework == "plain" else FRAMEWORKS[framework]()


# What a loop does


def step_of(name, loop):
    """One step as a pure function of the carry."""
    tx, extra, batched = OPTIMIZERS[name]
    return lambda carry: loop.step(tx, carry, batched, **extra)


def scanned(step):
    return lambda carry: jax.lax.scan(lambda c, _: (step(c), None), carry, length=2)[0]


def twice(step, carry):
    return step(step(carry))


@functools.cache
def expected(name):
    """The parameters after two steps of the plain dict."""
    plain = loop("plain")
    tx = OPTIMIZERS[name].tx
    return plain.leaves(twice(step_of(name, plain), plain.start(tx)))


def types(carry):
    """The tree of a carry, with all that a leaf is but its numbers."""
    kinds = (
        jax.ShapeDtypeStruct(x.shape, x.dtype, weak_type=jax.typeof(x).weak_type)
        for x in jax.tree.leaves(carry)
    )
    return jax.tree.structure(carry), [*kinds]


def program(name, params):
    """What `update` computes, as the equations that JAX traces."""
    tx, extra, batched = OPTIMIZERS[name]
    bare = nnx.as_pure if isinstance(params, nnx.State) else lambda tree: tree
    state = bare(jax.eval_shape(tx.init, params))
    params = bare(params)
    traced = jax.make_jaxpr(functools.partial(tx.update, **extra))(
        gradients(params, batched), state, params
    )
    return str(traced)


@functools.cache
def plain_program(name):
    return program(name, loop("plain").params)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", optimizers())
def test_two_steps(name, framework):
    here = loop(framework)
    step, carry = step_of(name, here), here.start(OPTIMIZERS[name].tx)
    after = twice(step, carry)
    assert types(after) == types(carry)
    assert_close(here.leaves(after), expected(name), 1e-6)
    assert program(name, here.params) == plain_program(name)
    jax.eval_shape(scanned(step), carry)


def assert_runs(name, framework, run):
    """A compiled run of two steps gives what the plain dict gave, in the same types."""
    here = loop(framework)
    carry = here.start(OPTIMIZERS[name].tx)
    after = run(step_of(name, here), carry)
    assert types(after) == types(carry)
    assert_close(here.leaves(after), expected(name), 1e-5)


@pytest.mark.parametrize("name", optimizers())
def test_two_steps_scanned(name):
    assert_runs(name, "plain", lambda step, carry: jax.jit(scanned(step))(carry))


@pytest.mark.parametrize("framework", ["plain", *FRAMEWORKS])
@pytest.mark.parametrize(
    "name", [x for x in optimizers(["adafactor"]) if x.values[0] in FAST]
)
def test_two_steps_jitted(name, framework):
    assert_runs(name, framework, lambda step, carry: twice(jax.jit(step), carry))
    if framework != "plain":
        assert_runs(name, framework, lambda step, carry: jax.jit(scanned(step))(carry))


# On several devices


def mesh():
    kinds = (AxisType.Auto,) * 2
    return jax.make_mesh((4, 2), ("data", "model"), axis_types=kinds)


PLACES = [PartitionSpec("model"), PartitionSpec("data", "model")] * len(LAYERS)


def placed():
    """The parameters, each where its metadata say."""
    return [
        jax.device_put(x, NamedSharding(mesh(), place))
        for x, place in zip(VALUES, PLACES, strict=True)
    ]


def assert_placed(leaves):
    for x, y in zip(leaves, placed(), strict=True):
        assert x.sharding.is_equivalent_to(y.sharding, x.ndim), x.sharding


def sharded_cells():
    """Every optimizer in nnx, and those of unlike states in linen's boxes."""
    fast = [("adafactor", "nnx"), ("int8", "nnx"), ("muon", "boxed linen")]
    slow = [(name, "nnx") for name in OPTIMIZERS]
    slow += [(name, "boxed linen") for name in [*FAST, "factored in int8"]]
    marks = dict.fromkeys(slow, pytest.mark.full) | dict.fromkeys(fast, ())
    return [pytest.param(*cell, marks=mark) for cell, mark in marks.items()]


@pytest.mark.parametrize(("name", "framework"), sharded_cells())
def test_two_steps_of_sharded_params(name, framework):
    reference = expected(name)
    with set_mesh(mesh()):
        made = {"nnx": in_nnx, "boxed linen": linen}[framework]
        here = made(True, placed())
        step, carry = step_of(name, here), here.start(OPTIMIZERS[name].tx)
        assert_placed(here.leaves(carry))
        for after in (twice(step, carry), twice(jax.jit(step), carry)):
            assert types(after) == types(carry)
            assert_placed(here.leaves(after))
            assert_close(here.leaves(after), reference, 1e-5)


@pytest.mark.parametrize("name", optimizers(fast=OPTIMIZERS))
def test_every_slot_in_a_box_can_be_partitioned_as_the_box_says(name):
    state = jax.eval_shape(OPTIMIZERS[name].tx.init, loop("boxed linen").params)
    shardings = nn.get_sharding(state, mesh())
    bare = nn.unbox(state)
    assert jax.tree.structure(shardings) == jax.tree.structure(bare)
    jax.tree.map(lambda x, s: s.shard_shape(x.shape), bare, shardings)
