"""L-BFGS on functions, where its pairs mean something, alone and with a line search."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl
from jaxopt_lite.interop import from_optax, to_optax_state
from tests.helpers import assert_close, relative_error
from tests.reference.lbfgs import scale_by_lbfgs as in_numpy
from tests.test_optax_parity import signature

pytestmark = pytest.mark.optimized

STEPS = 50
CURVATURES = 10.0 ** np.linspace(0, 5, 12)


def rosenbrock(p):
    """In a matrix and a vector, so that the leaves must agree."""
    x, y = p["x"].ravel(), p["y"]
    return jnp.sum(100 * (y - x**2) ** 2 + (1 - x) ** 2)


def quadratic(p):
    joined = jnp.concatenate([p["x"].ravel(), p["y"]])
    return 0.5 * jnp.sum(jnp.asarray(CURVATURES, joined.dtype) * joined**2)


PROBLEMS = {
    "rosenbrock": (
        rosenbrock,
        {
            "x": np.array([[-1.2, 0.5], [2.0, -0.7]]),
            "y": np.array([1.0, 0.0, 3.0, -1.0]),
        },
    ),
    "quadratic": (quadratic, {"x": np.ones((2, 4)), "y": -np.ones(4)}),
}
ARGUMENTS = [{}, {"memory_size": 3, "scale_init_precond": False}]


def path(f, start, steps=STEPS):
    """Parameters and gradients of every step of L-BFGS with a line search."""
    tx = optax.lbfgs()

    def step(carry, _):
        p, state = carry
        value, g = jax.value_and_grad(f)(p)
        u, state = tx.update(g, state, p, value=value, grad=g, value_fn=f)
        return (jax.tree.map(jnp.add, p, u), state), (p, g)

    first = (start, tx.init(start))
    return jax.jit(lambda c: jax.lax.scan(step, c, length=steps)[1])(first)


def directions(tx, p, g):
    """The updates and states of every step along a path."""

    def step(state, now):
        p, g = now
        u, state = tx.update(g, state, p)
        return state, (u, state)

    first = tx.init(jax.tree.map(lambda x: x[0], p))
    return jax.jit(lambda s: jax.lax.scan(step, s, (p, g))[1])(first)


def joined(tree):
    return np.concatenate(
        [np.asarray(x, np.float64).reshape(len(x), -1) for x in jax.tree.leaves(tree)],
        1,
    )


def errors(found, expected):
    """The relative error of every step."""
    return [relative_error(x, y) for x, y in zip(found, expected, strict=True)]


@pytest.mark.parametrize(
    ("problem", "arguments"),
    [
        ("rosenbrock", ARGUMENTS[0]),
        ("quadratic", ARGUMENTS[1]),
        pytest.param("rosenbrock", ARGUMENTS[1], marks=pytest.mark.full),
        pytest.param("quadratic", ARGUMENTS[0], marks=pytest.mark.full),
    ],
)
def test_directions_are_those_of_the_recursion(problem, arguments, x64):
    """Of two loops over vectors, in NumPy and in Optax, from which the state is too."""
    f, start = PROBLEMS[problem]
    p, g = path(f, jax.tree.map(jnp.asarray, start))
    # Once the minimum is reached, differences are nothing but rounding.
    n = int(np.argmin(np.max(np.abs(joined(g)), axis=1) > 1e-6)) or STEPS
    p, g = jax.tree.map(lambda x: x[:n], (p, g))
    ours, state = directions(jl.scale_by_lbfgs(**arguments), p, g)
    theirs, expected = directions(optax.scale_by_lbfgs(**arguments), p, g)
    reference = list(in_numpy(joined(g), joined(p), **arguments))
    assert n > 20
    assert max(errors(joined(ours), reference)) < 1e-10
    assert max(errors(joined(ours), joined(theirs))) < 1e-9
    for x, y in zip(state, expected, strict=False):  # but for the products
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9), x, y)


def test_float32_is_no_worse_than_in_optax(x64):
    """On the same float32 path; the reference sees those numbers in float64."""
    f, start = PROBLEMS["rosenbrock"]
    p, g = path(f, jax.tree.map(jnp.asarray, start), steps=20)
    p, g = jax.tree.map(lambda x: x.astype(jnp.float32), (p, g))
    exact = list(in_numpy(joined(g), joined(p)))
    ours, _ = directions(jl.scale_by_lbfgs(), p, g)
    theirs, _ = directions(optax.scale_by_lbfgs(), p, g)
    found, limit = (errors(joined(u), exact) for u in (ours, theirs))
    assert np.median(found) < 1e-6
    assert max(found) <= 2 * max(limit)


def saddle(p):
    return jnp.sum(p**4 / 4 - p**2 / 2)


def test_pairs_of_negative_curvature_are_left_out():
    """Between 0 and 0.5 the slope of the saddle falls; Optax's step goes uphill."""

    p = jnp.array([[0.1], [0.3]])
    g = jax.vmap(jax.grad(saddle))(p)

    def uphill(library):
        u, states = directions(library.scale_by_lbfgs(), p, g)
        return float(g[1, 0] * -u[1, 0]) > 0, states

    is_uphill, states = uphill(jl)
    assert not is_uphill
    assert np.all(states.weights_memory == 0)
    assert np.all(states.diff_params_memory == 0)
    assert uphill(optax)[0]


def test_it_recovers_from_a_gradient_of_nan():
    tx = jl.scale_by_lbfgs(memory_size=3)
    p = jnp.array([1.0, -2.0])
    curvature = jnp.array([1.0, 3.0])

    def step(carry, is_bad):
        p, state = carry
        u, state = tx.update(jnp.where(is_bad, jnp.nan, curvature * p), state, p)
        is_finite = jnp.isfinite(u).all()
        return (p - jnp.where(is_finite, u, 0), state), is_finite

    is_bad = jnp.arange(9) == 3
    (p, _), is_finite = jax.lax.scan(step, (p, tx.init(p)), is_bad)
    np.testing.assert_array_equal(is_finite, ~is_bad)
    np.testing.assert_allclose(p, 0, atol=1e-6)


def test_the_memory_size_is_checked():
    with pytest.raises(ValueError, match="memory_size is 0; expected at least 1"):
        jl.scale_by_lbfgs(0)
    for wrong in (1.5, "3", None):
        with pytest.raises(TypeError, match="memory_size is .*; expected an integer"):
            jl.scale_by_lbfgs(wrong)
    with pytest.raises(TypeError, match="cannot be traced"):
        jax.jit(lambda n: jl.scale_by_lbfgs(n).init(jnp.zeros(1)))(3)
    assert jl.scale_by_lbfgs(np.int64(3)) == jl.scale_by_lbfgs(3)


def test_signature_is_that_of_optax():
    names = ("lbfgs", *(f"scale_by_{x}_linesearch" for x in ("backtracking", "zoom")))
    for name in names:
        ours, theirs = (signature(getattr(lib, name)) for lib in (jl, optax))
        assert [p for p in ours if p[0] != "linesearch"] == [
            p for p in theirs if p[0] != "linesearch"
        ]
    default = inspect.signature(jl.lbfgs).parameters["linesearch"].default
    assert default == jl.scale_by_zoom_linesearch(20, initial_guess_strategy="one")


def minimize(lib, tx, f, start, steps):
    """Values and parameters of every step, value and gradient taken from the state."""
    value_and_grad = lib.value_and_grad_from_state(f)

    def step(carry, _):
        p, state = carry
        value, g = value_and_grad(p, state=state)
        u, state = tx.update(g, state, p, value=value, grad=g, value_fn=f)
        return (jax.tree.map(jnp.add, p, u), state), (value, p)

    start = jax.tree.map(jnp.asarray, start)
    first = (start, tx.init(start))
    return jax.jit(lambda c: jax.lax.scan(step, c, length=steps)[1])(first)


@pytest.mark.parametrize(
    "problem", ["rosenbrock", pytest.param("quadratic", marks=pytest.mark.full)]
)
def test_lbfgs_takes_the_steps_of_optax_down_to_the_minimum(problem, x64):
    f, start = PROBLEMS[problem]
    values, p = minimize(jl, jl.lbfgs(), f, start, steps=300)
    _, q = minimize(optax, optax.lbfgs(), f, start, steps=15)
    assert max(errors(joined(p)[:15], joined(q))) < 1e-9
    assert values[-1] < 1e-9 * values[0]


def test_lbfgs_without_search_and_with_a_rate(x64):
    def falling(count):
        return 1 / (count + 1)

    f, start = PROBLEMS["quadratic"]
    p, g = path(f, jax.tree.map(jnp.asarray, start), steps=10)
    ours, _ = directions(jl.lbfgs(falling, linesearch=None), p, g)
    theirs, _ = directions(optax.lbfgs(falling, linesearch=None), p, g)
    assert max(errors(joined(ours), joined(theirs))) < 1e-9


def test_value_and_gradient_are_computed_once():
    tx = jl.named_chain(("a", jl.identity()), ("b", jl.masked(jl.lbfgs(), True)))
    p = {"w": jnp.array([1.0, 2.0]), "n": None}

    def g(p, scale):
        return scale * jnp.sum(p["w"] ** 2)

    value_and_grad = jl.value_and_grad_from_state(g)
    state = tx.init(p)
    for _ in range(2):
        value, grad = value_and_grad(p, 3.0, state=state)
        wanted = jax.value_and_grad(g)(p, 3.0)
        np.testing.assert_allclose(value, wanted[0], rtol=1e-6)
        np.testing.assert_allclose(grad["w"], wanted[1]["w"], rtol=1e-6)
        u, state = tx.update(
            grad, state, p, value=value, grad=grad, value_fn=g, scale=3.0
        )
        p = jl.apply_updates(p, u)

    def refuse(p):
        raise AssertionError("computed again")

    held = jl.value_and_grad_from_state(refuse)(p, state=state)
    assert jax.tree.structure(held[1]) == jax.tree.structure(p)


def test_a_state_without_value_or_gradient_is_refused():
    value_and_grad = jl.value_and_grad_from_state(jnp.sum)
    p = jnp.ones(2)
    back = jl.scale_by_backtracking_linesearch(5)
    both = jl.chain(jl.lbfgs(), jl.scale_by_zoom_linesearch(5))
    for tx, text in (
        (jl.adam(0.1), "holds 0 line searches"),
        (both, "holds 2 line searches"),
        (jl.chain(jl.sgd(1.0), back), "keeps no gradient.*store_grad=True"),
    ):
        with pytest.raises(ValueError, match=text):
            value_and_grad(p, state=tx.init(p))


@pytest.mark.filterwarnings(
    "ignore:from_optax. .2/info/num_linesearch_steps. were saved in a wider dtype.$"
)
def test_a_state_of_optax_goes_on_and_back(x64):
    """Four steps there, four here, four there, with the products of three pairs."""
    f, start = PROBLEMS["rosenbrock"]

    def stepping(lib):
        tx = lib.lbfgs(memory_size=3)

        def step(carry, _):
            p, state = carry
            value, g = jl.value_and_grad_from_state(f)(p, state=state)
            u, state = tx.update(g, state, p, value=value, grad=g, value_fn=f)
            return (jax.tree.map(jnp.add, p, u), state), None

        return tx, jax.jit(lambda c: jax.lax.scan(step, c, length=4)[0])

    (ours, here), (theirs, there) = stepping(jl), stepping(optax)
    p = jax.tree.map(jnp.asarray, start)
    first = there((p, theirs.init(p)))
    expected, _ = there(there(first))
    p, state = here((first[0], from_optax(first[1], ours, p)))
    found, _ = there((p, to_optax_state(state, theirs, p)))
    assert_close(found, expected, 1e-9)
    with pytest.raises(TypeError, match="LBFGSState without products_memory; expected"):
        ours.update(p, first[1], p, value=1.0, grad=p, value_fn=f)
