"""Optimizers as arguments: batches of them, and gradients with respect to them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from tests.helpers import assert_close, at, trajectory
from tests.table import CASES, COMBINED, cases

STEPS = 3
LIKE = {"kernel": np.zeros((4, 3)), "bias": np.zeros(3), "scale": np.zeros(())}
PARAMS = {**at(trajectory(LIKE, seed=1, steps=1), 0), "still": np.ones(2)}
GRADIENTS = {**trajectory(LIKE, seed=2, steps=STEPS), "still": np.zeros((STEPS, 2))}
FACTORS = np.array([1.0, 0.9, 0.75])
AT_LEAST_1 = ("accumulation_size", "eta_plus", "patience")

KNOWN = {**{name: case.entry for name, case in CASES.items()}, **COMBINED}
TRANSFORMATIONS = {
    **{str(case.values[0]): case.values[0].ours for case in cases(0, -1, full=())},
    **{name: lambda made=made: made.make(jl) for name, made in COMBINED.items()},
}
NUMBERLESS = [
    "centralize()",
    "freeze",
    "freeze by a function",
    "identity",
    "keep_params_nonnegative()",
    "normalize()",
    "scale_by_lbfgs()",
    "scale_by_lbfgs(memory_size=3, scale_init_precond=False)",
    "scale_by_sign()",
    "set_to_zero",
    "stateless",
    "stateless_with_tree_map",
    "zero_nans()",
]
REPRESENTATIVE = [
    "adamw(learning_rate=by_path, weight_decay=by_path)",
    "inject_hyperparams",
    "partition",
]
OTHERS = [
    name
    for name in [*(str(case.values[0]) for case in cases(0, full=())), *COMBINED]
    if name not in {*REPRESENTATIVE, *NUMBERLESS}
]


class Times(jl.Schedule):
    """A schedule times an array."""

    factor: jax.Array
    schedule: jl.Schedule

    def __call__(self, count):
        return self.factor * self.schedule(count)


def times(x, factor):
    """A number that is an array, whatever it was, times a factor."""
    if isinstance(x, jl.Schedule):
        return Times(factor, x)
    if isinstance(x, jl.WrappedSchedule):
        return jl.WrappedSchedule(Times(factor, x.schedule_fn))
    if hasattr(x, "patterns"):
        rules = zip(x.patterns, x.values, strict=True)
        return jl.by_path({pattern: times(y, factor) for pattern, y in rules})
    return x * factor


def swept(tx, factor):
    """A transformation with all its numbers times a factor, as arrays."""
    own = {
        name: times(x, 1 / factor if name in AT_LEAST_1 else factor)
        for name, x in tx.hyperparams().items()
    }
    children = {name: swept(child, factor) for name, child in tx.children().items()}
    tx = tx.with_hyperparams(own) if own else tx
    return tx.with_children(children) if children else tx


def trained(tx, extra):
    """The parameters after a few steps."""

    def step(carry, now):
        params, state = carry
        g, keywords = now
        updates, state = tx.update(g, state, params, **keywords)
        return (jl.apply_updates(params, updates), state), None

    params = jax.tree.map(jnp.asarray, PARAMS)
    keywords = {
        name: jnp.float32([f(i) for i in range(STEPS)]) for name, f in extra.items()
    }
    carry = params, tx.init(params)
    return jax.lax.scan(step, carry, (GRADIENTS, keywords))[0][0]


def assert_a_batch_is_a_loop(name):
    """A batch of optimizers trains as each of them does."""
    tx, extra = TRANSFORMATIONS[name](), KNOWN[name].extra
    train = jax.jit(lambda tx: trained(tx, extra))
    batch = swept(tx, jnp.asarray(FACTORS))
    axes = jax.tree.map(lambda x: 0 if x.shape == FACTORS.shape else None, batch)
    found = jax.jit(jax.vmap(train, in_axes=(axes,)))(batch)
    each = [train(swept(tx, jnp.asarray(factor))) for factor in FACTORS]
    assert_close(found, jax.tree.map(lambda *xs: np.stack(xs), *each), 1e-10)


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_a_batch_of_optimizers_is_a_loop(name, x64):
    assert_a_batch_is_a_loop(name)


@pytest.mark.full
@pytest.mark.parametrize("name", OTHERS)
def test_a_batch_of_any_optimizers_is_a_loop(name, x64):
    assert_a_batch_is_a_loop(name)


def assert_slopes(name):
    """The gradient with respect to an optimizer is one, of the right numbers."""
    tx, extra = TRANSFORMATIONS[name](), KNOWN[name].extra
    # Some maxima are tied at their defaults; beside them there are slopes.
    tx = jax.tree.map(in_float64, swept(tx, jnp.asarray(FACTORS[1])))

    def end(tx):
        return sum(jnp.sum(x**2) for x in jax.tree.leaves(trained(tx, extra)))

    @jax.jit
    def both(tx):
        def moved(h):
            return end(jax.tree.map(lambda x: x * (1 + h) if is_float(x) else x, tx))

        h = 1e-6
        return jax.grad(end, allow_int=True)(tx), (moved(h) - moved(-h)) / (2 * h)

    slopes, difference = both(tx)
    assert jax.tree.structure(slopes) == jax.tree.structure(tx)
    pairs = zip(jax.tree.leaves(slopes), jax.tree.leaves(tx), strict=True)
    along = [g * x for g, x in pairs if is_float(x)]
    assert np.isfinite(along).all()
    np.testing.assert_allclose(sum(along), difference, rtol=1e-5, atol=1e-6)


def in_float64(x):
    return x.astype(np.float64) if is_float(x) else x


def is_float(x):
    return jnp.issubdtype(x.dtype, jnp.floating)


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_the_gradient_of_an_optimizer_is_one(name, x64):
    assert_slopes(name)


@pytest.mark.full
@pytest.mark.parametrize("name", OTHERS)
def test_the_gradient_of_any_optimizer_is_one(name, x64):
    assert_slopes(name)


@pytest.mark.parametrize("name", NUMBERLESS)
def test_what_has_no_numbers_is_no_batch(name):
    assert not jax.tree.leaves(swept(TRANSFORMATIONS[name](), jnp.ones(3)))


RATES = np.logspace(-4, -1, 32)
FORMS = {
    "array": lambda rate: rate,
    "by_path": lambda rate: jl.by_path({"*bias*": 0.01, "scale": rate / 2, "*": rate}),
    "schedule": lambda rate: jl.cosine_decay_schedule(rate, 5),
    "schedule by path": lambda rate: jl.by_path(
        {"*bias*": rate, "*": jl.linear_schedule(rate, rate / 2, 5)}
    ),
}
"""A learning rate, as an array or made of arrays."""

RECIPES = {
    case.name: case
    for (case,) in (parameter.values for parameter in cases(0, full=()))
    if "learning_rate" in case.arguments
}


def assert_rates_are_swept(name, form):
    """A batch of learning rates trains as each of them does."""
    case = RECIPES[name]

    def built(rate):
        arguments = {**case.arguments, "learning_rate": FORMS[form](rate)}
        return getattr(jl, name)(**arguments)

    train = jax.jit(lambda tx: trained(tx, case.entry.extra))
    found = jax.jit(jax.vmap(train))(built(jnp.asarray(RATES)))
    for i in (0, 11, 31):
        assert_close(at(found, i), train(built(jnp.asarray(RATES[i]))), 1e-10)
    assert len(np.unique(found["kernel"][:, 0, 0])) == 32


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_of_rates_is_a_loop(form, x64):
    assert_rates_are_swept("adamw", form)


@pytest.mark.full
@pytest.mark.parametrize("form", ["array", "schedule by path"])
@pytest.mark.parametrize("name", [name for name in RECIPES if name != "adamw"])
def test_a_batch_of_rates_is_a_loop_for_any_optimizer(name, form, x64):
    assert_rates_are_swept(name, form)
