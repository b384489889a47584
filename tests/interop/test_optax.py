"""`from jaxopt_lite.interop import optax` is the one line to change."""

import importlib
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from jaxopt_lite.interop import optax as ours
from jaxopt_lite.interop.optax.names import LEFT_OUT
from tests.test_optax_parity import ADDED

NAMESPACES = [
    "",
    "contrib",
    "transforms",
    "schedules",
    "tree",
    "tree_utils",
    "projections",
]


def names(namespace):
    """The public names of one of Optax's modules, and what they stand for."""
    module = getattr(optax, namespace) if namespace else optax
    held = {n: getattr(module, n) for n in dir(module) if not n.startswith("_")}
    return {
        n: x
        for n, x in held.items()
        if not isinstance(x, ModuleType) or x.__name__.startswith("optax.")
    }


def in_ours(namespace):
    return getattr(ours, namespace) if namespace else ours


def test_what_is_missing_is_in_the_table_with_its_reason():
    missing = {
        name
        for namespace in NAMESPACES
        for name in names(namespace)
        if not hasattr(in_ours(namespace), name)
    }
    assert sorted(missing - set(LEFT_OUT)) == [], "neither here nor in the table"
    assert sorted(set(LEFT_OUT) - missing) == [], "in the table and here"
    assert all(LEFT_OUT.values())


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_states_have_the_fields_of_optax(namespace):
    differing = {}
    for name, theirs in names(namespace).items():
        fields = getattr(theirs, "_fields", None)
        mine = getattr(in_ours(namespace), name, None)
        if name.endswith("State") and isinstance(fields, tuple) and mine is not None:
            if getattr(mine, "_fields", None) != fields + ADDED.get(name, ()):
                differing[name] = (mine, fields)
    assert differing == {}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_says_where_it_is(name):
    with pytest.raises(AttributeError, match="use"):
        getattr(ours, name)


def test_a_name_misspelt_is_told_the_nearest():
    for module, name, near in ((ours, "adamm", "adam"), (ours.tree, "nrom", "norm")):
        with pytest.raises(AttributeError, match=f"nearest name is '{near}'"):
            getattr(module, name)


def test_an_unknown_name_is_refused():
    for module in (ours, *(in_ours(n) for n in NAMESPACES)):
        for name in ("no_such_name", "core", "__no_dunder__"):
            assert not hasattr(module, name)


@pytest.mark.parametrize("namespace", NAMESPACES[1:])
def test_namespaces_are_modules(namespace):
    module = importlib.import_module(f"jaxopt_lite.interop.optax.{namespace}")
    assert module is getattr(ours, namespace)
    assert set(dir(module)) & set(names(namespace))
    assert all(hasattr(module, name) for name in dir(module))


def test_every_public_name_of_the_package_is_there():
    public = {n for n in dir(jl) if not n.startswith("_")}
    assert {n for n in public if not hasattr(ours, n)} <= {
        n for n in public if isinstance(getattr(jl, n), ModuleType)
    }


SCRIPT = """
from optax import contrib, tree_utils as otu
from optax.schedules import warmup_cosine_decay_schedule
import jax, jax.numpy as jnp
import optax

def loss_fn(params: optax.Params, x: jax.Array) -> jax.Array:
    return jnp.sum((x @ params["w"] + params["b"] - 1.0) ** 2)

def make(schedule: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(schedule, mask=lambda p: jax.tree.map(lambda x: x.ndim > 1, p)),
        optax.multi_transform(
            {"fast": optax.scale(1.0), "slow": optax.scale(0.5)},
            {"w": "fast", "b": "slow"},
        ),
    )

schedule = warmup_cosine_decay_schedule(0.0, 0.1, 3, 20)
assert callable(contrib.split_real_and_imaginary)
tx = make(schedule)
params = {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}
average = params
state = tx.init(params)
x = jnp.arange(12.0).reshape(4, 3) / 12

@jax.jit
def step(params, state):
    grads = jax.grad(loss_fn)(params, x)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state, optax.tree.norm(updates)

for i in range(20):
    params, state, norm = step(params, state)
    average = optax.incremental_update(params, average, step_size=0.1)

adam: optax.ScaleByAdamState = optax.tree_utils.tree_get(state, "ScaleByAdamState")
missing = otu.tree_get(state, "learning_rate")
zeros = optax.tree_map_params(tx, jnp.zeros_like, state)
box = optax.projections.projection_box(average["w"], 0.0, 0.5)
hand = optax.GradientTransformationExtraArgs(
    optax.init_empty_state, lambda u, s, p=None, **extra: (otu.tree_scale(-1.0, u), s)
)
flipped = hand.update(params, hand.init(params), value=1.0)[0]
result = params, average, adam, norm, zeros[1][0].mu, box, flipped
count = optax.safe_int32_increment(adam.count)
"""


def test_a_script_runs_as_it_stands_with_the_numbers_of_optax(x64):
    results = []
    for script in (SCRIPT, with_one_name_changed(SCRIPT)):
        held: dict = {}
        exec(script, held)
        assert held["missing"] is None and held["count"] == 21
        results.append(jax.tree.leaves(held["result"]))
    for theirs, mine in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def with_one_name_changed(script):
    script = script.replace("from optax", "from jaxopt_lite.interop.optax")
    return script.replace("import optax", "from jaxopt_lite.interop import optax")


def test_a_learning_rate_in_the_state_is_read_and_written():
    tx = optax.inject_hyperparams(jl.sgd)(learning_rate=0.5)
    state = tx.init(jnp.ones(2))
    assert ours.tree.get(state, "learning_rate") == 0.5
    new = ours.tree.set(state, learning_rate=0.25)
    np.testing.assert_array_equal(tx.update(jnp.ones(2), new)[0], -0.25)
