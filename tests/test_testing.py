"""Every law holds for a sound transformation and fails for one built to break it."""

import dataclasses
import importlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lite.testing import LAWS, LawViolation, check_transformation


class TraceState(NamedTuple):
    count: Any
    mu: Any


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Momentum:
    """Momentum written by hand, without the package, in pieces that can be broken."""

    rate: Any = 0.1

    def init(self, params):
        return TraceState(self.start(), jax.tree.map(self.slot, params))

    def update(self, updates, state, params=None):
        like = state.mu if params is None else params
        self.check(paths(updates), paths(like))
        mu = jax.tree.map(self.mean, state.mu, updates)
        like = updates if params is None else params
        u = jax.tree.map(self.emit, mu, updates, like)
        return u, TraceState(self.following(state.count), mu)

    def start(self):
        return jnp.zeros((), jnp.int32)

    def following(self, count):
        return count + 1

    def slot(self, p):
        return jnp.zeros_like(p, dtype=jnp.promote_types(p.dtype, jnp.float32))

    def mean(self, mu, g):
        return 0.9 * mu + g.astype(mu.dtype)

    def emit(self, mu, g, p):
        return (-self.rate * mu).astype(jnp.result_type(g, p))

    def check(self, found, expected):
        for path in [*expected, *found]:
            if found.get(path) != expected.get(path):
                raise ValueError(f"the gradient {path!r} does not fit")

    def __iter__(self):
        return iter((self.init, self.update))


def paths(tree):
    """The shapes of a tree by path."""
    keyed, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.shape(leaf)
        for path, leaf in keyed
    }


BREAKERS: list[tuple[Any, str, set[str]]] = []


def breaks(law, *others, register=jax.tree_util.register_static, rate=0.1):
    """Names the law that a transformation is built to break, and what falls with it."""

    def registered(cls):
        frozen = register(dataclasses.dataclass(frozen=True)(cls))
        BREAKERS.append((frozen(rate), law, {law, *others}))
        return frozen

    return registered


@breaks("jit_equals_eager", "inputs_are_not_modified")
class LooksAtTracers(Momentum):
    def emit(self, mu, g, p):
        u = super().emit(mu, g, p)
        return u if isinstance(g, jax.core.Tracer) else u * (1 + 1e-9)


@breaks("scan_equals_loop", "state_keeps_its_types", "complex_leaves")
class Drifts(Momentum):
    """A moment that takes the gradient's dtype in the first step."""

    def slot(self, p):
        return jnp.zeros_like(p, dtype=jnp.float32)

    def mean(self, mu, g):
        return 0.9 * mu + g


@breaks("state_keeps_its_types")
class FollowsGradients(Momentum):
    """A moment in the parameter's dtype, then in the gradient's."""

    def slot(self, p):
        return jnp.zeros_like(p)

    def mean(self, mu, g):
        return 0.9 * mu + g


@jax.custom_batching.custom_vmap
def negated(x):
    return -x


@negated.def_vmap
def _(size, batched, x):
    return -x / size, True


@breaks("vmap_equals_loop")
class BatchesWrongly(Momentum):
    """A rule of its own for batches, which is not that of its elements."""

    def emit(self, mu, g, p):
        return negated(mu).astype(jnp.result_type(g, p))


@breaks(
    "many_steps_compile_once",
    "state_keeps_its_types",
    "nothing_is_weakly_typed",
    "empty_trees",
    "none_leaves",
    "scalar_leaves",
    "zero_size_leaves",
    "complex_leaves",
)
class StartsWeak(Momentum):
    """A count that is weakly typed until the first step."""

    def start(self):
        return jnp.asarray(0)

    def following(self, count):
        return (count + 1).astype(jnp.int32)


def with_array(cls):
    """A pytree whose leaf is the rate; compared by identity."""
    jax.tree_util.register_dataclass(cls, data_fields=["rate"], meta_fields=[])
    cls.__eq__, cls.__hash__ = object.__eq__, object.__hash__
    return cls


def with_array_and_value(cls):
    """The same with the value of the array in its structure, too."""
    cls.__eq__, cls.__hash__ = object.__eq__, object.__hash__
    return jax.tree_util.register_pytree_node_class(cls)


@breaks(
    "other_hyperparameters_compile_once",
    "rebuilding_compiles_once",
    "donation_is_safe",
    register=with_array,
    rate=jnp.float32(0.1),
)
class ReadsItsRate(Momentum):
    """Reads an array hyperparameter as a Python number."""

    def emit(self, mu, g, p):
        return (-float(self.rate) * mu).astype(jnp.result_type(g, p))


@breaks(
    "other_hyperparameters_compile_once",
    "is_a_pytree_of_arrays",
    register=with_array_and_value,
    rate=jnp.float32(0.1),
)
class ShowsItsRate(Momentum):
    """Takes a hyperparameter's value into its structure at every flatten."""

    def tree_flatten(self):
        traced = isinstance(self.rate, jax.core.Tracer)
        return (self.rate,), None if traced else float(self.rate)

    @classmethod
    def tree_unflatten(cls, value, children):
        return cls(*children)


@breaks("rebuilding_compiles_once", "is_compared_by_value")
class ComparedByIdentity(Momentum):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


@breaks("updates_have_the_result_type")
class Widens(Momentum):
    def emit(self, mu, g, p):
        return -self.rate * mu


@breaks("updates_have_the_result_type")
class Collapses(Momentum):
    """One number for all elements of a leaf, in the hope that it is broadcast."""

    def emit(self, mu, g, p):
        return jnp.sum(super().emit(mu, g, p))


@breaks("nothing_is_weakly_typed")
class StaysWeak(Momentum):
    def start(self):
        return jnp.asarray(0)


@breaks(
    "state_holds_arrays_only",
    "nothing_is_weakly_typed",
    "init_needs_shapes_only",
    "state_survives_orbax",
)
class CountsInPython(Momentum):
    def start(self):
        return 0


@breaks(
    "state_holds_arrays_only",
    "jit_equals_eager",
    "scan_equals_loop",
    "vmap_equals_loop",
    "zero_size_leaves",
    "complex_leaves",
    "zero_gradients_stay_finite",
    "inputs_are_not_modified",
    "state_survives_pickle",
    "state_survives_msgpack",
    "state_survives_orbax",
)
class HoldsAKey(Momentum):
    def start(self):
        return jax.random.key(0)

    def following(self, count):
        return count


@breaks(
    "init_needs_shapes_only",
    "state_keeps_its_types",
    "updates_have_the_result_type",
    "none_leaves",
    "scalar_leaves",
    "zero_size_leaves",
    "complex_leaves",
)
class ReadsValues(Momentum):
    def slot(self, p):
        return super().slot(p) * float(jnp.sum(jnp.abs(p)))


@breaks("empty_trees")
class AssumesALeaf(Momentum):
    def init(self, params):
        assert jax.tree.leaves(params)[0] is not None
        return super().init(params)


@breaks("none_leaves")
class FillsNone(Momentum):
    def update(self, updates, state, params=None):
        u, state = super().update(updates, state, params)
        fill = lambda x: jnp.zeros(()) if x is None else x  # noqa: E731
        return jax.tree.map(fill, u, is_leaf=lambda x: x is None), state


@breaks("scalar_leaves", "empty_trees")
class JoinsArrays(Momentum):
    def update(self, updates, state, params=None):
        jnp.concatenate([g.ravel() for g in jax.tree.leaves(updates) if g.ndim])
        return super().update(updates, state, params)


@breaks("zero_size_leaves")
class DividesBySize(Momentum):
    """Adds the mean of each gradient, which a leaf of size zero has not."""

    def update(self, updates, state, params=None):
        means = [jnp.mean(g) for g in jax.tree.leaves(updates)]
        u, state = super().update(updates, state, params)
        return jax.tree.map(lambda x: x + sum(means).astype(x.dtype) * 0, u), state


@breaks("complex_leaves")
class Clips(Momentum):
    def emit(self, mu, g, p):
        return super().emit(jnp.clip(mu, -1.0, 1.0), g, p)


@breaks("zero_gradients_stay_finite")
class Normalizes(Momentum):
    def emit(self, mu, g, p):
        return super().emit(mu / jnp.sqrt(jnp.sum(jnp.abs(mu) ** 2)), g, p)


@breaks("inputs_are_not_modified")
class Clears(Momentum):
    """Empties the dict of gradients that it was given."""

    def update(self, updates, state, params=None):
        result = super().update(updates, state, params)
        if isinstance(updates, dict):
            updates.clear()
        return result


@breaks(
    "inputs_are_not_modified",
    "jit_equals_eager",
    "scan_equals_loop",
    "vmap_equals_loop",
)
class Remembers(Momentum):
    """Keeps state where no one sees it."""

    calls = [0]

    def emit(self, mu, g, p):
        self.calls[0] += 1
        return super().emit(mu, g, p) * self.calls[0]


@breaks("donation_is_safe", "init_needs_shapes_only")
class KeepsTheParameters(Momentum):
    def slot(self, p):
        return p.astype(jnp.promote_types(p.dtype, jnp.float32))


@breaks("donation_is_safe", register=with_array, rate=jnp.float32(0.1))
class KeepsItsRate(Momentum):
    """State that is a hyperparameter's own array."""

    def start(self):
        return self.rate


@breaks("sharding_is_preserved")
class LosesItsPlace(Momentum):
    """State that is made from the shape alone."""

    def slot(self, p):
        return jnp.zeros(p.shape, jnp.promote_types(p.dtype, jnp.float32))


@breaks("wrong_shape_is_named")
class Broadcasts(Momentum):
    def check(self, found, expected):
        super().check(dict.fromkeys(found, ()), dict.fromkeys(expected, ()))


@breaks("missing_leaf_is_named")
class TrustsPaths(Momentum):
    def check(self, found, expected):
        shared = {path: expected[path] for path in found if path in expected}
        super().check({path: found[path] for path in shared}, shared)


@breaks("missing_params_are_named")
class TrustsParameters(Momentum):
    """Reads the parameters without a look whether they were given."""

    def update(self, updates, state, params=None):
        self.check(paths(updates), paths(state.mu))
        decayed = jax.tree.map(lambda g, p: g + 0.1 * p, updates, params)
        return super().update(decayed, state, params)


def local_state():
    class LocalState(NamedTuple):
        count: Any
        mu: Any

    return LocalState


LOCAL_STATE = local_state()


@breaks("state_survives_pickle")
class HidesItsState(Momentum):
    """A state of a class that no module knows by name."""

    def init(self, params):
        return LOCAL_STATE(*super().init(params))

    def update(self, updates, state, params=None):
        u, state = super().update(updates, state, params)
        return u, LOCAL_STATE(*state)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class DataclassState:
    count: Any
    mu: Any


@breaks("state_survives_msgpack")
class HasADataclassState(Momentum):
    """A state of a class that Flax was not told of."""

    def init(self, params):
        return DataclassState(*super().init(params))

    def update(self, updates, state, params=None):
        u, state = super().update(updates, state, params)
        return u, DataclassState(*state)


@breaks("state_survives_orbax", "state_holds_arrays_only")
class HoldsNothing(Momentum):
    """A placeholder of size zero."""

    def start(self):
        return jnp.zeros(0)


@breaks("is_compared_by_value")
class ShowsItsAddress(Momentum):
    __repr__ = object.__repr__


@breaks("is_a_pytree_of_arrays", "rebuilding_compiles_once", register=lambda cls: cls)
class IsNoPytree(Momentum):
    pass


@breaks("is_a_pytree_of_arrays", register=with_array, rate=jnp.float32(0.1))
class ChecksItsLeaves(Momentum):
    """Refuses to be rebuilt with a placeholder."""

    def __post_init__(self):
        assert self.rate is not None


@breaks("unpacks_to_init_and_update")
class DoesNotUnpack(Momentum):
    __iter__ = None


def each(breakers):
    names = [f"{type(tx).__name__}-{law}" for tx, law, _ in breakers]
    return pytest.mark.parametrize("tx, law, fallen", breakers, ids=names)


def test_a_sound_transformation_keeps_every_law():
    assert check_transformation(Momentum()) == tuple(LAWS)


@each(BREAKERS)
def test_the_law_fails_where_it_is_broken(tx, law, fallen):
    params = {"dense": {"bias": np.ones(2, np.float32)}, "scale": np.float32(1)}
    with pytest.raises(LawViolation) as violation:
        check_transformation(tx, params=params, laws=[law])
    assert list(violation.value.problems) == [law]


@pytest.mark.full
@each(BREAKERS)
def test_no_other_law_fails(tx, law, fallen):
    with pytest.raises(LawViolation) as violation:
        check_transformation(tx)
    assert set(violation.value.problems) == fallen


def test_every_law_is_broken_once():
    assert {law for _, law, _ in BREAKERS} == set(LAWS)


def test_all_failures_are_reported_together():
    laws = ["state_keeps_its_types", "scan_equals_loop", "jit_equals_eager"]
    with pytest.raises(LawViolation) as violation:
        check_transformation(Drifts(), laws=laws)
    assert list(violation.value.problems) == laws[:2]
    text = str(violation.value)
    assert text.startswith("2 of 3 laws do not hold for Drifts(rate=0.1)\n")
    assert "state_keeps_its_types: Structure, shapes, dtypes" in text
    assert (
        "\n  float64 parameters, float64 gradients, the state after a step, "
        "'mu/dense/kernel': found float64[3,2]; expected float32[3,2]"
    ) in text


def test_an_exception_is_a_failure_of_its_law():
    class Raises(Momentum):
        def init(self, params):
            raise RuntimeError("out of order")

    with pytest.raises(LawViolation, match="found RuntimeError: out of order"):
        check_transformation(Raises(), laws=["empty_trees"])


def test_what_is_excluded_is_not_proven():
    exclude = {"complex_leaves": "complex numbers have no order"}
    laws = ["complex_leaves", "none_leaves"]
    assert check_transformation(Clips(), laws=laws, exclude=exclude) == ("none_leaves",)


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_exclusion_needs_a_reason(reason):
    with pytest.raises(ValueError, match="'complex_leaves'.* without a reason"):
        check_transformation(Momentum(), exclude={"complex_leaves": reason})


@pytest.mark.parametrize("given", [{"laws": ["no_law"]}, {"exclude": {"no_law": "x"}}])
def test_an_unknown_law_is_refused(given):
    with pytest.raises(ValueError, match=r"found \['no_law'\], which are no laws"):
        check_transformation(Momentum(), **given)


@pytest.mark.parametrize(
    "law, library",
    [("state_survives_msgpack", "flax"), ("state_survives_orbax", "orbax")],
)
def test_a_law_without_its_library_is_said_to_be_unproven(law, library, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.warns(UserWarning, match=f"{law} was not proven: {library} is not"):
        assert check_transformation(Momentum(), laws=[law]) == ()


def test_gradients_are_named_where_parameters_are_needed():
    class SaysSo(TrustsParameters):
        def update(self, updates, state, params=None):
            if params is None:
                raise ValueError("pass params, which the decay needs")
            return super().update(updates, state, params)

    assert check_transformation(SaysSo(), laws=["missing_params_are_named"])


def test_extra_arguments_reach_update():
    class ByValue(Momentum):
        def update(self, updates, state, params=None, *, value):
            u, state = super().update(updates, state, params)
            return jax.tree.map(lambda x: x * value, u), state

    laws = ["jit_equals_eager", "scan_equals_loop", "vmap_equals_loop"]
    with pytest.raises(LawViolation, match="'value'"):
        check_transformation(ByValue(), laws=laws)
    assert check_transformation(ByValue(), laws=laws, extra={"value": 2.0})


@pytest.mark.parametrize(
    "params",
    [
        [(np.ones((2, 3), np.float32), np.ones(2, np.float32)), {"b": np.ones(())}],
        {"w": np.ones(4, np.complex64), "none": None, "half": np.ones(2, np.float16)},
    ],
    ids=["nested", "mixed"],
)
def test_other_parameters_can_be_given(params):
    assert check_transformation(Momentum(), params=params) == tuple(LAWS)


def test_the_caller_is_left_with_the_precision_it_had():
    check_transformation(Momentum(), laws=["scan_equals_loop"])
    assert jnp.ones(()).dtype == jnp.float32


def test_a_rounding_error_is_no_failure():
    class Reorders(Momentum):
        def emit(self, mu, g, p):
            u = -self.rate * mu
            if isinstance(g, jax.core.Tracer):
                u = (u / 3) * 3
            return u.astype(jnp.result_type(g, p))

    assert check_transformation(Reorders(), laws=["jit_equals_eager"])


@pytest.mark.full
def test_what_optax_does_not_keep():
    """Its closures have no value, moments follow the gradient, errors name no path."""
    with pytest.raises(LawViolation) as violation:
        check_transformation(optax.adam(1e-3))
    assert set(violation.value.problems) == {
        "rebuilding_compiles_once",
        "state_keeps_its_types",
        "updates_have_the_result_type",
        "wrong_shape_is_named",
        "missing_leaf_is_named",
        "is_compared_by_value",
        "is_a_pytree_of_arrays",
    }
