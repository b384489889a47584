"""States are read, replaced and mapped by name."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from jaxopt_lite import tree
from jaxopt_lite.combine.masking import MaskedState
from jaxopt_lite.core.trees import MaskedNode, is_masked
from tests.table import COMBINED, TABLE, Case

PARAMS = {"dense": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}, "n": None}
NAMES = {"dense": {"kernel": "rows", "bias": ("all", "over")}, "n": None}


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Record:
    """A state that is no NamedTuple."""

    count: Any
    inner: Any


def paths(found):
    return [(jax.tree_util.keystr(path), value) for path, value in found]


def both_state(library):
    """A state in which names repeat, nest and stand in dicts."""
    inject = optax.inject_hyperparams(library.adam)
    tx = library.chain(
        library.ema(0.5),
        library.named_chain(("a", library.trace(0.9)), ("b", library.scale_by_adam())),
        inject(learning_rate=lambda count: 0.1),
    )
    return tx.init(PARAMS)


@pytest.mark.parametrize(
    "key",
    ["count", "mu", "learning_rate", "TraceState", "b", "kernel", "ScaleByAdamState"],
)
def test_the_same_is_found_as_by_optax(key):
    state = both_state(jl)
    ours, theirs = (
        paths(lib.tree.get_all_with_path(state, key)) for lib in (jl, optax)
    )
    assert [path for path, _ in ours] == [path for path, _ in theirs] != []
    for (_, a), (_, b) in zip(ours, theirs, strict=True):
        assert jax.tree.all(jax.tree.map(lambda x, y: x is y, a, b))


def test_get_gives_the_one_value():
    state = jl.adamw(0.1).init(PARAMS)
    assert tree.get(state, "mu") is state[0].mu
    assert tree.get(state, "ScaleByAdamState") is state[0]
    assert tree.get(state, "absent", None) is None
    assert tree.get({"hyperparams": {"learning_rate": 0.1}}, "learning_rate") == 0.1
    assert tree.get([Record(1, {"count": 2})], "Record").count == 1


def test_get_filters_by_path():
    state = both_state(jl)

    def is_ema(path, value):
        return any(getattr(key, "tuple_name", "") == "EmaState" for key in path)

    assert tree.get(state, "count", filtering=is_ema) is state[0].count


@pytest.mark.parametrize(
    ("call", "texts"),
    [
        (lambda s: tree.get(s, "count"), ["5 times", "[0]EmaState.count", "filtering"]),
        (lambda s: tree.get(s, "learning_rat"), ["nearest name is 'learning_rate'"]),
        (lambda s: tree.set(s, coutn=1), ["nearest name is 'count'"]),
        (lambda s: tree.set(s, lambda p, x: False, count=1), ["let through"]),
        (lambda s: tree.get((), "count"), ["'count' stands nowhere in the tree."]),
    ],
)
def test_errors_say_what_is_there(call, texts):
    with pytest.raises(KeyError) as caught:
        call(both_state(jl))
    assert all(text in str(caught.value) for text in texts)


def test_set_replaces_everywhere():
    state = both_state(jl)
    new = tree.set(state, count=7)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    counts = tree.get_all_with_path(new, "count")
    assert all(x == 7 and x.dtype == jnp.int32 for _, x in counts)
    assert len(counts) == len(tree.get_all_with_path(state, "count"))
    rest = tree.set(new, count=0)
    assert tree.allclose(rest, state)


def test_set_takes_what_it_is_given():
    state = both_state(jl)
    trace = jl.TraceState(trace=PARAMS)
    new = tree.set(
        state, lambda path, x: isinstance(x, jax.Array | tuple), TraceState=trace
    )
    assert new[1]["a"] is trace
    is_array = tree.set(
        state, lambda path, x: isinstance(x, jax.Array), learning_rate=0.5
    )
    assert is_array[2].hyperparams["learning_rate"] == 0.5
    assert not is_array[2].hyperparams["learning_rate"].weak_type
    record = tree.set({"x": [Record(jnp.int32(1), None)]}, count=4)["x"][0]
    assert isinstance(record, Record) and record.count == 4
    with pytest.raises(ValueError, match="expected a whole number"):
        tree.set(state, count=0.5)


def everything():
    """The first variant of each transformation, and each that is made of others."""
    table = {name: Case(name, entry.variants[0]).ours for name, entry in TABLE.items()}
    combined = {name: functools.partial(c.make, jl) for name, c in COMBINED.items()}
    return table | combined


@pytest.mark.parametrize(
    "make", [pytest.param(m, id=n) for n, m in everything().items()]
)
def test_map_params_finds_what_grows_with_the_parameters(make):
    tx = make()
    one = {**PARAMS, "scale": jnp.ones(())}
    two = {"first": one, "second": one}
    state = tx.init(one)
    marked = tree.map_params(
        tx, lambda x: "slot", state, transform_non_params=lambda x: "other"
    )
    assert jax.tree.structure(marked) == jax.tree.structure(state)
    sizes = [len(jax.tree.leaves(jax.eval_shape(tx.init, p))) for p in (one, two)]
    assert jax.tree.leaves(marked).count("slot") == sizes[1] - sizes[0]


def test_map_params_gives_the_rest_of_the_parameter():
    tx = jl.chain(
        jl.clip_by_global_norm(1.0),
        jl.masked(jl.adam(lambda count: 0.1), jl.by_path({"bias": False, "*": True})),
        jl.partition(
            {"a": jl.trace(0.9), "b": jl.set_to_zero()},
            {"dense": {"kernel": "a", "bias": "b"}, "n": "a"},
        ),
    )
    state = tx.init(PARAMS)
    specs = tree.map_params(
        tx, lambda x, spec: spec, state, NAMES, transform_non_params=lambda x: ()
    )
    masked = {"dense": {"bias": MaskedNode(), "kernel": "rows"}, "n": None}
    assert specs[1] == MaskedState(
        (
            jl.ScaleByAdamState(count=(), mu=masked, nu=masked),
            jl.ScaleByScheduleState(count=()),
        )
    )
    assert specs[2].inner_states["a"] == MaskedState(jl.TraceState(masked))
    kept = tree.map_params(tx, lambda x: x, state)
    assert jax.tree.all(jax.tree.map(lambda a, b: a is b, kept, state))
    assert tree.map_params(tx.init, lambda x, s: s, state, NAMES)[1] is not None


def test_map_params_takes_masked_positions_for_leaves_on_demand():
    tx = jl.masked(jl.trace(0.9), jl.by_path({"bias": False, "*": True}))
    specs = tree.map_params(
        tx, lambda x, spec: spec, tx.init(PARAMS), NAMES, is_leaf=is_masked
    )
    assert specs.inner_state.trace["dense"] == NAMES["dense"]


def test_map_params_of_a_bare_parameter_and_of_scalars_per_parameter():
    class Norms(jl.Rule):
        Slots = jl.TraceState

        def init(self, p):
            return jl.TraceState(jnp.zeros(()))

    tx = jl.chain(jl.leafwise(Norms()), jl.scale_by_adam())
    for params in (jnp.ones(()), {"a": jnp.ones(3), "b": jnp.ones(())}):
        marks = tree.map_params(tx, lambda x: 1, tx.init(params))
        assert marks[0].trace == jax.tree.map(lambda p: 1, params)
        assert marks[1].mu == marks[0].trace
        np.testing.assert_array_equal(marks[1].count, 0)


def test_map_params_works_for_optax():
    def everywhere(params):
        return jax.tree.map(lambda p: True, params)

    for tx in (optax.adamw(0.1), optax.masked(optax.adam(0.1), everywhere)):
        marks = tree.map_params(tx, lambda x: 1, tx.init({"dense": jnp.ones(2)}))
        assert marks == optax.tree.map_params(
            tx, lambda x: 1, tx.init({"dense": jnp.ones(2)})
        )


def test_map_params_refuses_the_state_of_another():
    with pytest.raises(ValueError, match="TraceState"):
        tree.map_params(jl.adam(0.1), lambda x: x, jl.trace(0.9).init(PARAMS))
