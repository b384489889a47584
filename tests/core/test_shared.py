"""Rules whose leaves first agree on a few numbers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from tests.helpers import count_traces

PARAMS = {"kernel": jnp.ones((2, 3)), "bias": jnp.full(3, 2.0), "none": None}
G = {
    "kernel": jnp.full((2, 3), 3.0, jnp.float32),
    "bias": jnp.full(3, 4.0, jnp.float32),
    "none": None,
}
NORM = float(np.sqrt(6 * 9 + 3 * 16))


class Distance(NamedTuple):
    """What `Growing` keeps from step to step."""

    estim_lr: jax.Array
    numerator: jax.Array
    grad_sum: jl.Signed


class Shared(NamedTuple):
    """The numbers that the leaves agree on."""

    estim_lr: Any
    numerator: Any


class Sum(NamedTuple):
    """The one slot."""

    grad_sum: jl.Signed


class Growing(jl.SharedRule):
    """A step size that grows with the agreement of gradients, as in D-Adaptation."""

    d0: Any = 1e-6
    growth: Any = 2.0
    Slots = Sum
    State = Distance

    def begin(self):
        return Shared(self.d0, 0.0)

    def measure(self, g, slots, p, step):
        return jnp.sum(g * slots.grad_sum)

    def settle(self, shared, total, step):
        numerator = shared.numerator + total
        grown = jnp.minimum(self.growth * shared.estim_lr, numerator)
        return Shared(jnp.maximum(shared.estim_lr, grown), numerator)

    def advance(self, g, slots, p, step, *, shared):
        return Sum(slots.grad_sum + g)

    def emit(self, g, slots, p, step, *, shared):
        return -shared.estim_lr * g


def avals(tree):
    """Shapes, dtypes and weak types."""
    return jax.tree.map(lambda x: x.aval, tree)


def equal_bits(a, b):
    same = jax.tree.map(lambda x, y: x.aval == y.aval and np.array_equal(x, y), a, b)
    return all(jax.tree.leaves(same))


def test_shared_numbers_persist():
    tx = jl.leafwise(Growing(d0=0.25))
    state = tx.init(PARAMS)
    rates = []
    for _ in range(4):
        updates, state = tx.update(G, state, PARAMS)
        rates.append(float(state.estim_lr))
        assert updates["bias"].tolist() == [-4 * rates[-1]] * 3
    assert rates == [0.25, 0.5, 1.0, 2.0]
    assert state.numerator == (1 + 2 + 3) * NORM**2
    assert state.grad_sum["bias"].tolist() == [16.0] * 3
    assert state.grad_sum["none"] is None


def test_shared_numbers_keep_dtype_and_weak_type():
    tx = jl.leafwise(Growing())
    state = tx.init(PARAMS)
    _, after = tx.update(G, state, PARAMS)
    assert avals(after) == avals(state)
    step = count_traces(tx.update)
    for _ in range(3):
        _, state = step(G, state, PARAMS)
    assert step.traces == 1


def test_shared_numbers_are_float32_for_bfloat16():
    low = jax.tree.map(lambda x: x.astype(jnp.bfloat16), (PARAMS, G))
    tx = jl.leafwise(Growing(d0=0.25))
    updates, state = tx.update(low[1], tx.init(low[0]), low[0])
    assert state.estim_lr.dtype == state.numerator.dtype == jnp.float32
    assert updates["bias"].dtype == jnp.bfloat16


def test_shared_numbers_share_no_memory_with_the_rule():
    d0 = jnp.array(0.25)
    state = jl.leafwise(Growing(d0=d0)).init(PARAMS)
    assert state.estim_lr.unsafe_buffer_pointer() != d0.unsafe_buffer_pointer()


def test_shared_numbers_are_kept_without_commit():
    tx = jl.chain(jl.leafwise(Growing(d0=0.25)), jl.trace(0.9))
    _, state = tx.update(G, tx.init(PARAMS), PARAMS)
    nan = jax.tree.map(lambda x: x * jnp.nan, G)
    _, after = tx.update(nan, state, PARAMS, commit=jnp.array(False))
    assert equal_bits(after, state)
    _, after = tx.update(G, state, PARAMS, commit=jnp.array(True))
    assert not equal_bits(after, state)


class Begun(NamedTuple):
    """Whether no step was taken yet."""

    is_first: Any


class Factor(NamedTuple):
    """What the leaves of `HalveFirst` share; the factor is not kept."""

    is_first: Any
    factor: Any


class HalveFirst(jl.SharedRule):
    """Halves the first gradient; there is nothing to measure."""

    State = Begun

    def begin(self):
        return Begun(True)

    def settle(self, shared, total, step):
        assert total is None
        return Factor(False, jnp.where(shared.is_first, 0.5, 1.0))

    def emit(self, g, slots, p, step, *, shared):
        return g * shared.factor


class Measured(NamedTuple):
    """How many elements were above the last mean."""

    mean: Any
    above: Any


class CountAboveLastMean(jl.SharedRule):
    """What is measured may depend on the numbers before this step."""

    State = Measured

    def begin(self):
        return Measured(0.0, 0.0)

    def measure(self, g, slots, p, step, *, shared):
        return jnp.sum(g), jnp.sum(g > shared.mean), jnp.float32(g.size)

    def settle(self, shared, total, step):
        return Measured(total[0] / total[2], total[1].astype(jnp.float32))


def test_a_shared_rule_may_have_nothing_to_measure():
    tx = jl.leafwise(HalveFirst())
    state = tx.init(PARAMS)
    assert bool(state.is_first)
    u, state = jax.jit(tx.update)(G, state, PARAMS)
    assert equal_bits(u, jax.tree.map(lambda g: g / 2, G))
    u, state = jax.jit(tx.update)(G, state, PARAMS)
    assert equal_bits(u, G) and not bool(state.is_first)
    assert avals(state) == avals(tx.init(PARAMS))


def test_what_is_measured_may_depend_on_the_last_numbers():
    tx = jl.leafwise(CountAboveLastMean())
    state = tx.init(PARAMS)
    above = []
    for _ in range(2):
        _, state = tx.update(G, state, PARAMS)
        above.append(int(state.above))
    assert above == [9, 3]


def test_a_number_of_a_shared_rule_may_be_a_schedule():
    growth = jl.piecewise_constant_schedule(1.0, {2: 4.0})
    tx = jl.leafwise(Growing(d0=0.25, growth=growth))
    state = tx.init(PARAMS)
    rates = []
    for _ in range(4):
        _, state = tx.update(G, state, PARAMS)
        rates.append(float(state.inner_state.estim_lr))
    assert rates == [0.25, 0.25, 1.0, 4.0]


def test_a_number_to_begin_with_may_be_a_schedule():
    class Doubled(Growing):
        def begin(self):
            return Shared(2 * self.d0, 0.0)

    tx = jl.leafwise(Doubled(d0=jl.constant_schedule(0.25)))
    state = tx.init(PARAMS)
    assert state.inner_state.estim_lr == 0.5
    _, state = tx.update(G, state, PARAMS)
    assert state.inner_state.estim_lr == 0.5


class Named(jl.SharedRule):
    """Names keywords in every method."""

    def measure(self, g, slots, p, step, *, weight):
        return weight * jnp.sum(g)

    def settle(self, shared, total, step, *, value):
        return value * total

    def emit(self, g, slots, p, step, *, shared, offset):
        return 0 * g + shared + offset


def test_every_method_may_name_keywords():
    tx = jl.leafwise(Named())
    given = {"weight": 2.0, "value": 10.0, "offset": 0.5}
    updates, _ = tx.update(G, tx.init(PARAMS), **given)
    assert updates["bias"].tolist() == [2 * 10 * (18 + 12) + 0.5] * 3
    for name in given:
        rest = {key: value for key, value in given.items() if key != name}
        with pytest.raises(TypeError, match=f"Named: .* without `{name}`"):
            tx.update(G, tx.init(PARAMS), **rest)


class Centre(jl.SharedRule):
    """Measures several things, and uses the step and the parameters."""

    weight: Any = 1.0
    reads_step = True
    reads_params = True

    def measure(self, g, slots, p, step):
        return {"sum": jnp.sum(g * p) * step, "size": jnp.float32(g.size)}

    def settle(self, shared, total, step):
        return total["sum"] / total["size"] + step

    def emit(self, g, slots, p, step, *, shared):
        return self.weight * (g - shared)


def test_what_is_measured_may_be_a_tree():
    tx = jl.leafwise(Centre(jl.by_path({"bias": 0.5, "*": 1.0})))
    updates, state = tx.update(G, tx.init(PARAMS), PARAMS)
    shared = (6 * 3 + 3 * 8) / 9 + 1
    assert updates["kernel"] == pytest.approx(np.full((2, 3), 3 - shared))
    assert updates["bias"] == pytest.approx(np.full(3, 0.5 * (4 - shared)))
    assert state.count == 1


def test_a_shared_rule_anywhere_in_a_chain_measures_what_reaches_it():
    tx = jl.chain(jl.scale(10.0), jl.clip_by_global_norm(1.0), jl.scale(2.0))
    updates, _ = tx.update(G, tx.init(PARAMS))
    assert jl.global_norm(updates) == pytest.approx(2.0)
    twice = jl.chain(jl.clip_by_global_norm(1.0), jl.clip_by_global_norm(0.5))
    assert jl.global_norm(twice.update(G, twice.init(G))[0]) == pytest.approx(0.5)


def test_only_leaves_in_sight_are_measured():
    mask = {"kernel": True, "bias": False, "none": False}
    for tx in (
        jl.masked(jl.clip_by_global_norm(1.0), mask),
        jl.chain(jl.masked(jl.clip_by_global_norm(1.0), mask), jl.identity()),
    ):
        updates, _ = tx.update(G, tx.init(PARAMS))
        assert jl.global_norm(updates["kernel"]) == pytest.approx(1.0)
        assert updates["bias"].tolist() == [4.0] * 3


@pytest.mark.parametrize("tree", [{}, {"a": None}, {"a": jnp.zeros((0, 2))}])
def test_there_may_be_nothing_to_agree_on(tree):
    for tx in (jl.clip_by_global_norm(1.0), jl.leafwise(Growing())):
        updates, state = tx.update(tree, tx.init(tree), tree)
        assert jax.tree.structure(updates) == jax.tree.structure(tree)
        assert jax.tree.structure(state) == jax.tree.structure(tx.init(tree))


# The global norm


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("float16", 300.0),
        ("float16", 6e4),
        ("bfloat16", 1e20),
        ("float32", 1e20),
        ("float32", 1.0),
        ("float32", 1e-10),
    ],
)
def test_the_norm_and_the_clip_are_right_at_every_size(dtype, size):
    rng = np.random.default_rng(0)
    g = {str(i): jnp.asarray(size * rng.uniform(0.5, 1, 5), dtype) for i in range(20)}
    exact = exact_norm(g)
    assert jl.global_norm(g).dtype == jnp.float32
    assert jl.global_norm(g) == pytest.approx(exact, rel=1e-6)
    tx = jl.clip_by_global_norm(exact / 2)
    clipped, _ = tx.update(g, tx.init(g))
    rounding = {"float32": 1e-6, "bfloat16": 4e-3, "float16": 1e-3}[dtype]
    assert exact_norm(clipped) == pytest.approx(exact / 2, rel=rounding)


def exact_norm(tree):
    return np.sqrt(sum(np.sum(np.float64(x) ** 2) for x in jax.tree.leaves(tree)))


def test_the_norm_is_taken_in_float64_for_float64(x64):
    g = {"a": jnp.array([3.0, 4.0]), "b": jnp.array(0.1, jnp.float32)}
    exact = np.sqrt(25 + np.float64(np.float32(0.1)) ** 2)
    assert float(jl.global_norm(g)) == pytest.approx(exact, rel=1e-15)


def test_the_norm_of_complex_numbers_is_real():
    assert jl.global_norm(jnp.array([3 + 4j])) == 5
    tx = jl.clip_by_global_norm(1.0)
    updates, _ = tx.update(jnp.array([3 + 4j]), tx.init(jnp.zeros(1, jnp.complex64)))
    assert updates == pytest.approx(np.array([0.6 + 0.8j]), rel=1e-6)


@pytest.mark.parametrize("max_norm", [0.0, 1.0, jnp.array(0.0)])
def test_a_zero_gradient_gives_zero(max_norm):
    zeros = jax.tree.map(jnp.zeros_like, G)
    tx = jl.clip_by_global_norm(max_norm)
    updates, _ = tx.update(zeros, tx.init(zeros))
    assert equal_bits(updates, zeros)
    assert jl.global_norm(zeros) == 0
    assert jl.global_norm({}) == jl.global_norm({"a": None}) == 0


def test_a_small_gradient_passes_bit_for_bit():
    tx = jl.clip_by_global_norm(NORM * 1.01)
    updates, state = tx.update(G, tx.init(PARAMS))
    assert equal_bits(updates, G)
    assert state == jl.EmptyState()


@pytest.mark.parametrize(
    "tx", [jl.clip_by_global_norm(0.1), jl.clip_by_block_rms(0.1)], ids=str
)
def test_what_is_too_small_to_measure_is_not_clipped(tx):
    g = jnp.array([3e-20, 4e-20])
    np.testing.assert_array_equal(tx.update(g, tx.init(g))[0], g)


class Sized(NamedTuple):
    """How much there is."""

    size: Any


class FromTheStart(jl.SharedRule):
    """Multiplies by how large the parameters were that `init` saw."""

    unit: Any = 1.0
    State = Sized

    def measure_init(self, p):
        return jnp.sum(self.unit * p)

    def begin(self, total=-1.0):
        return Sized(total)

    def settle(self, shared, total, step):
        return shared

    def emit(self, g, slots, p, step, *, shared):
        return g * shared.size


@pytest.mark.parametrize("unit", [2.0, jnp.array(2.0)])
def test_shared_numbers_begin_with_what_init_measures(unit):
    tx = jl.leafwise(FromTheStart(unit))
    state = tx.init(PARAMS)
    assert state.size == 2 * (6 * 1 + 3 * 2)
    later = jax.tree.map(lambda p: p + 1, PARAMS)
    updates, after = tx.update(G, state, later)
    assert updates["bias"].tolist() == [24.0 * 4] * 3
    assert equal_bits(after, state)
    assert avals(jax.jit(tx.init)(PARAMS)) == avals(state)


def test_what_init_measures_is_of_the_leaves_that_the_rule_sees():
    seen = {"kernel": True, "bias": False, "none": None}
    state = jl.masked(jl.leafwise(FromTheStart()), seen).init(PARAMS)
    assert state.inner_state.size == 6
    assert jl.leafwise(FromTheStart()).init({"none": None}).size == -1


def test_what_init_measures_is_float32_for_bfloat16():
    low = jax.tree.map(lambda x: x.astype(jnp.bfloat16), PARAMS)
    state = jl.leafwise(FromTheStart(1 + 2**-10)).init(low)
    assert state.size == np.float32(12 * (1 + 2**-10))


def test_init_measures_shapes_as_shapes():
    tx = jl.leafwise(FromTheStart())
    shapes = jax.eval_shape(lambda: PARAMS)
    assert tx.init(shapes) == jax.eval_shape(tx.init, PARAMS)
