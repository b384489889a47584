"""Both line searches: the criteria, Optax's iterates, and where Optax gets stuck."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax._src import linesearch

import jaxopt_lite as jl
from jaxopt_lite.linesearch.interpolation import cubic_minimum, quadratic_minimum
from jaxopt_lite.linesearch.line import Point
from jaxopt_lite.testing import check_transformation

BACKTRACKING = "scale_by_backtracking_linesearch"
ZOOM = "scale_by_zoom_linesearch"


def rosenbrock(p):
    return 100 * (p["y"] - p["x"] ** 2) ** 2 + (1 - p["x"]) ** 2


def quadratic(p):
    return 0.5 * jnp.sum(10 ** jnp.linspace(0, 2, 6) * p["w"] ** 2) + p["b"] ** 2


def logistic(p):
    rng = np.random.default_rng(0)
    rows, noise = rng.normal(size=(40, 3)), rng.normal(size=40)
    signs = np.sign(rows.sum(1) + noise)
    margins = signs * (rows @ p["w"] + p["b"])
    return jnp.mean(jnp.logaddexp(0, -margins)) + 1e-3 * jnp.sum(p["w"] ** 2)


def valley(p):
    """Flat, then a wall: the minimum along a line is far from the middle."""
    return jnp.sum(jnp.exp(3 * p["x"]) + jnp.exp(-p["x"]))


PROBLEMS = {
    "rosenbrock": (rosenbrock, {"x": np.array(-1.2), "y": np.array(1.0)}),
    "quadratic": (quadratic, {"w": np.ones(6), "b": np.array(1.0)}),
    "logistic": (logistic, {"w": np.zeros(3), "b": np.array(0.0)}),
    "valley": (valley, {"x": np.array(-3.5)}),
    "wavy": (
        lambda p: jnp.cosh(2 * p["x"]) + jnp.sin(3 * p["x"]),
        {"x": np.array(-1.5)},
    ),
    "lifted": (lambda p: valley(p) + 1e9, {"x": np.array(1.0)}),
}

SEARCHES = {
    "backtracking": (BACKTRACKING, {"max_backtracking_steps": 25}),
    "backtracking from the longest": (
        BACKTRACKING,
        {
            "max_backtracking_steps": 30,
            "slope_rtol": 0.3,
            "decrease_factor": 0.5,
            "increase_factor": math.inf,
            "max_learning_rate": 2.0,
            "rtol": 1e-3,
            "atol": 1e-4,
            "store_grad": True,
        },
    ),
    "zoom": (ZOOM, {"max_linesearch_steps": 15}),
    "zoom by strict criteria": (
        ZOOM,
        {
            "max_linesearch_steps": 20,
            "max_learning_rate": 0.5,
            "slope_rtol": 0.01,
            "curv_rtol": 0.1,
            "approx_dec_rtol": None,
            "increase_factor": 3.0,
            "initial_guess_strategy": "one",
        },
    ),
    "zoom that goes on": (
        ZOOM,
        {"max_linesearch_steps": 20, "curv_rtol": 1e-4, "stepsize_precision": 1e-9},
    ),
    "zoom that gives up": (
        ZOOM,
        {
            "max_linesearch_steps": 6,
            "tol": 1e-6,
            "curv_rtol": 0.01,
            "stepsize_precision": 1e-2,
        },
    ),
}


def descend(tx, f, start, steps=30):
    """Values, states and parameters of every step along the negative gradient."""

    def step(carry, _):
        p, state = carry
        value, grad = jax.value_and_grad(f)(p)
        direction = jax.tree.map(jnp.negative, grad)
        u, state = tx.update(direction, state, p, value=value, grad=grad, value_fn=f)
        p = jax.tree.map(lambda p, u: (p + u).astype(p.dtype), p, u)
        return (p, state), (value, state, p)

    start = jax.tree.map(jnp.asarray, start)
    first = (start, tx.init(start))
    return jax.jit(lambda c: jax.lax.scan(step, c, length=steps))(first)[1]


def distances(ours, theirs):
    """How far apart the parameters of each step are, relative to theirs."""
    both = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    far = [np.abs(x - y).reshape(len(x), -1).max(1) for x, y in both]
    size = [np.abs(y).reshape(len(y), -1).max(1) for y in jax.tree.leaves(theirs)]
    return np.max(far, axis=0) / np.max(size, axis=0)


# Where Armijo's criterion alone decides at the minimum, rounding does.
RIGHT_DOWN = {
    "backtracking",
    "backtracking from the longest",
    "zoom by strict criteria",
}
EVERYWHERE = [
    pytest.param(
        problem,
        search,
        marks=() if quick else pytest.mark.full,
        id=f"{problem}-{search}",
    )
    for problem in PROBLEMS
    for search in SEARCHES
    for quick in [problem == "rosenbrock" and "that" not in search]
    if problem not in ("valley", "wavy", "lifted") or search not in RIGHT_DOWN
]


@pytest.mark.parametrize(("problem", "search"), EVERYWHERE)
def test_iterates_are_those_of_optax(problem, search, x64, monkeypatch):
    """With our cubic in both: on a quadratic function Optax's follows rounding."""
    monkeypatch.setattr(linesearch, "_cubicmin", our_cubic)
    f, start = PROBLEMS[problem]
    name, arguments = SEARCHES[search]
    _, ours, p = descend(getattr(jl, name)(**arguments), f, start)
    _, theirs, q = descend(getattr(optax, name)(**arguments), f, start)
    assert np.max(distances(p, q)) < 1e-9
    np.testing.assert_allclose(ours.value, theirs.value, rtol=1e-9)
    np.testing.assert_allclose(ours.learning_rate, theirs.learning_rate, rtol=1e-6)
    np.testing.assert_array_equal(
        ours.info.num_linesearch_steps, theirs.info.num_linesearch_steps
    )
    for error in ("decrease_error", "curvature_error")[: len(ours.info) - 1]:
        found, expected = getattr(ours.info, error), getattr(theirs.info, error)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    if ours.grad is not None:
        for x, y in zip(
            jax.tree.leaves(ours.grad), jax.tree.leaves(theirs.grad), strict=True
        ):
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-9)


def our_cubic(a, fa, slope, b, fb, c, fc):
    """The cubic's minimum under Optax's arguments; of two points no slope is read."""
    return cubic_minimum(Point(a, fa, slope), Point(b, fb, None), Point(c, fc, None))


def test_interpolation_finds_the_minimum(x64):
    def points(f, *places):
        return [Point(*map(jnp.asarray, (x, f(x), jax.grad(f)(x)))) for x in places]

    def parabola(x):
        return (x - 0.7) ** 2 + 5

    def cubic(x):
        return x**3 - 2 * x**2 + 0.3 * x  # its minimum is the larger root of 3x²-4x+0.3

    expected = (4 + math.sqrt(16 - 3.6)) / 6
    assert quadratic_minimum(*points(parabola, 0.1, 2.0)) == pytest.approx(0.7)
    # Only rounding is left in the third coefficient; Optax's form is off by 1e-2 here.
    assert cubic_minimum(*points(parabola, 1e-3, 2.0, 1.0)) == pytest.approx(0.7)
    for places in ((0.2, 3.0, 2.0), (0.5, 1.9, 1.0), (1.5, 0.3, 2.0)):
        assert cubic_minimum(*points(cubic, *places)) == pytest.approx(expected)


def armijo(f, p, direction, slope, eta, tried, decrease=0.8, c=1e-4):
    """The step size that going back ends with, in plain Python."""
    for n in range(tried + 1):
        if f(p + eta * direction) <= f(p) + c * eta * slope or n == tried:
            return eta, n + 1
        eta *= decrease


def test_backtracking_goes_back_as_the_formula_says(x64):
    def f(p):
        return float((p**4).sum() + (p**2).sum())

    p, eta = np.array([1.5, -0.5]), 1.0
    tx = jl.scale_by_backtracking_linesearch(40, max_learning_rate=1.0)
    state = tx.init(jnp.asarray(p))
    for _ in range(6):
        grad = 4 * p**3 + 2 * p
        eta, tried = armijo(f, p, -grad, -grad @ grad, min(1.5 * eta, 1.0), 40)
        u, state = tx.update(
            jnp.asarray(-grad),
            state,
            jnp.asarray(p),
            value=f(p),
            grad=jnp.asarray(grad),
            value_fn=lambda p: jnp.sum(p**4) + jnp.sum(p**2),
        )
        np.testing.assert_allclose(u, -eta * grad, rtol=1e-12)
        assert state.info.num_linesearch_steps == tried
        p = p - eta * grad


def test_zoom_fulfils_its_criteria(x64):
    f, start = PROBLEMS["rosenbrock"]
    tx = jl.scale_by_zoom_linesearch(30, curv_rtol=0.3, approx_dec_rtol=None)
    values, states, p = descend(tx, f, start, steps=10)
    grads = jax.vmap(jax.grad(f))(p)
    slope = sum(
        np.sum((new * old).reshape(9, -1), axis=1)
        for new, old in zip(
            (x[1:] for x in jax.tree.leaves(grads)),
            (x[:-1] for x in jax.tree.leaves(grads)),
            strict=True,
        )
    )
    square = sum(
        np.sum((x[:-1] ** 2).reshape(9, -1), axis=1) for x in jax.tree.leaves(grads)
    )
    eta = np.asarray(states.learning_rate[1:])
    assert np.all(states.info.decrease_error == 0)
    assert np.all(states.info.curvature_error == 0)
    reached = np.asarray(states.value[1:])
    assert np.all(reached <= values[1:] - 1e-4 * eta * square * (1 - 1e-9))
    assert np.all(np.abs(slope) <= 0.3 * square)


LOGARITHM = {"a": np.array([0.1, 5.0])}
"""The negative logarithm is nan where a step goes below zero."""


@pytest.mark.parametrize(
    "tx",
    [
        jl.scale_by_backtracking_linesearch(6, store_grad=True, decrease_factor=0.5),
        jl.scale_by_backtracking_linesearch(6, increase_factor=math.inf),
        jl.scale_by_zoom_linesearch(5),
    ],
    ids=["backtracking", "backtracking from the longest", "zoom"],
)
def test_where_no_value_is_finite_the_next_search_goes_on(tx):
    """Optax's next step size, and all that follow, would be 0, or nan."""

    def f(p):
        return jnp.sum(1e6 * (p["a"] - jnp.log(p["a"])))

    start = jax.tree.map(jnp.float32, LOGARITHM)
    values, states, p = descend(tx, f, start, steps=12)
    longest = getattr(tx, "increase_factor", 1) == math.inf
    tried = np.asarray(states.learning_rate)
    assert np.isinf(states.info.decrease_error[0])
    assert np.all(np.isfinite(p["a"])) and np.all(np.isfinite(states.value))
    assert np.all(tried > 0)
    if longest:  # a bound that is too long is tried again, as it was asked for
        np.testing.assert_array_equal(p["a"][-1], start["a"])
    else:
        assert tried[1] < tried[0]
        assert values[-1] < 0.9 * values[0]
    if states.grad is not None:
        np.testing.assert_allclose(states.grad["a"][0], jax.grad(f)(start)["a"])


@pytest.mark.parametrize("library", [jl, optax])
def test_a_step_size_of_zero_is_left(library):
    """What Optax leaves in a state, Optax cannot leave."""
    tx = library.scale_by_zoom_linesearch(15)

    @jax.jit
    def step(p, learning_rate):
        state = tx.init(p)._replace(learning_rate=learning_rate)
        extra = {"value": 1.0, "grad": 2 * p, "value_fn": lambda p: jnp.sum(p**2)}
        return tx.update(-2 * p, state, p, **extra)[0]

    u = step(jnp.array([1.0]), jnp.zeros(()))
    assert (float(u[0]) != 0) == (library is jl)


@pytest.mark.parametrize("name", [BACKTRACKING, ZOOM])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_not_finite_makes_no_step(name, bad):
    tx = getattr(jl, name)(5)
    p = jnp.array([1.0])
    state = tx.init(p)
    grad = jnp.array([bad])
    u, new = tx.update(
        -grad, state, p, value=bad, grad=grad, value_fn=lambda p: jnp.sum(p**2)
    )
    assert u[0] == 0
    assert new.learning_rate == 1 and new.info.num_linesearch_steps == 0


def test_steps_are_kept_in_float32_for_bfloat16():
    def f(p):
        return jnp.sum((p.astype(jnp.float32) - 0.3) ** 2)

    for name in (BACKTRACKING, ZOOM):
        tx = getattr(jl, name)(10)
        start = jnp.ones(3, jnp.bfloat16)
        values, states, p = descend(tx, f, start, steps=5)
        assert p.dtype == jnp.bfloat16 and states.value.dtype == jnp.float32
        assert states.learning_rate.dtype == jnp.float32
        assert values[-1] < 0.2 * values[0]
        # The value is that of the parameters as they are after rounding.
        np.testing.assert_allclose(states.value, jax.vmap(f)(p), rtol=1e-6)


def test_complex_parameters_descend():
    def f(p):
        return jnp.sum(jnp.abs(p - (1 + 2j)) ** 2 * jnp.array([1.0, 5.0]))

    for name in (BACKTRACKING, ZOOM):
        tx = getattr(jl, name)(20)

        def step(carry, _, tx=tx):
            p, state = carry
            value, grad = jax.value_and_grad(f)(p)
            u, state = tx.update(
                -grad.conj(), state, p, value=value, grad=grad, value_fn=f
            )
            return (p + u, state), state.info.decrease_error

        p = jnp.zeros(2, jnp.complex64)
        (p, _), errors = jax.lax.scan(step, (p, tx.init(p)), length=40)
        np.testing.assert_allclose(p, 1 + 2j, atol=1e-2)
        assert np.all(errors == 0)


@pytest.mark.parametrize("name", [BACKTRACKING, ZOOM])
def test_other_keywords_go_to_the_function_that_takes_them(name):
    seen = []

    def f(p, batch):
        seen.append(batch)
        return jnp.sum((p - batch) ** 2)

    tx = getattr(jl, name)(5)
    p, batch = jnp.zeros(2), jnp.array([1.0, 2.0])
    value, grad = jax.value_and_grad(f)(p, batch)
    extra = {"value": value, "grad": grad, "value_fn": f, "batch": batch}
    u, _ = tx.update(-grad, tx.init(p), p, **extra, commit=True, other="ignored")
    assert jnp.sum((p + u - batch) ** 2) < value
    assert all(x is batch for x in seen)
    with pytest.raises(TypeError, match="batch"):
        tx.update(-grad, tx.init(p), p, value=value, grad=grad, value_fn=f)


@pytest.mark.parametrize("name", [BACKTRACKING, ZOOM])
def test_what_is_missing_or_wrong_is_named(name):
    tx = getattr(jl, name)(5)
    p = {"w": jnp.ones(2)}
    full = {"value": 1.0, "grad": p, "value_fn": lambda p: jnp.sum(p["w"] ** 2)}
    for missing in full:
        rest = {k: x for k, x in full.items() if k != missing}
        with pytest.raises(TypeError, match=f"without `{missing}`.*value_and_grad"):
            tx.update(p, tx.init(p), p, **rest)
    with pytest.raises(ValueError, match="without params"):
        tx.update(p, tx.init(p), **full)
    with pytest.raises(ValueError, match=r"value_fn returns float32\[2\]"):
        vector = {**full, "value_fn": lambda p: p["w"]}
        tx.update(p, tx.init(p), p, **vector)
    with pytest.raises(ValueError, match=r"'w': gradient float32\[3\]"):
        tx.update(p, tx.init(p), p, **{**full, "grad": {"w": jnp.ones(3)}})
    masked = jl.masked(tx, {"w": False})
    with pytest.raises(ValueError, match="'w' is masked.*behind"):
        masked.update(p, masked.init(p), p, **full)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: jl.scale_by_backtracking_linesearch(0), "max_backtracking_steps"),
        (lambda: jl.scale_by_backtracking_linesearch(1.5), "an integer"),
        (
            lambda: jl.scale_by_backtracking_linesearch(3, decrease_factor=1.0),
            r"decrease_factor is 1; expected a number in \(0, 1\)",
        ),
        (
            lambda: jl.scale_by_zoom_linesearch(3, increase_factor=1.0),
            "increase_factor",
        ),
        (
            lambda: jl.scale_by_zoom_linesearch(3, initial_guess_strategy="two"),
            "'two'; expected one of 'keep', 'one'",
        ),
    ],
)
def test_arguments_are_checked(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_numbers_may_be_traced_and_swept():
    """A batch of searches; nothing is compiled for one number anew."""
    p = jnp.array([1.0, -2.0])

    def f(p):
        return jnp.sum(p**4)

    def step(steps, factor):
        tx = jl.scale_by_backtracking_linesearch(steps, decrease_factor=factor)
        value, grad = jax.value_and_grad(f)(p)
        u, state = tx.update(-grad, tx.init(p), p, value=value, grad=grad, value_fn=f)
        return u, state.info.num_linesearch_steps

    _, counts = jax.jit(jax.vmap(step))(
        jnp.array([2, 50, 50]), jnp.array([0.5, 0.5, 0.9])
    )
    alone = [step(2, 0.5)[1], step(50, 0.5)[1], step(50, 0.9)[1]]
    np.testing.assert_array_equal(counts, alone)


@pytest.mark.parametrize("name", [BACKTRACKING, ZOOM])
def test_outside_of_jit_no_loop_is_compiled(name, monkeypatch):
    """Optax compiles one at every step."""

    def refuse(*args):
        raise AssertionError("compiled")

    for function in ("while_loop", "cond"):
        monkeypatch.setattr(jax.lax, function, refuse)
    tx = getattr(jl, name)(20)
    p = jnp.array([1.0, -2.0])
    value, grad = jax.value_and_grad(quartic)(p)
    extra = {"value": value, "grad": grad, "value_fn": quartic}
    u, _ = tx.update(-grad, tx.init(p), p, **extra)
    assert quartic(p + u) < value


def quartic(p):
    return jnp.sum(p**4)


@pytest.mark.parametrize("name", [BACKTRACKING, ZOOM])
def test_the_function_alone_may_be_traced(name):
    tx = getattr(jl, name)(20)
    p = jnp.array([1.0, -2.0])
    grad = 4 * p**3

    def update(factor):
        def f(p):
            return factor * quartic(p)

        extra = {"value": quartic(p), "grad": grad, "value_fn": f}
        return tx.update(-grad, tx.init(p), p, **extra)

    for x, y in zip(
        jax.tree.leaves(jax.jit(update)(1.0)), jax.tree.leaves(update(1.0)), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=1e-5)


@pytest.mark.parametrize("name", [BACKTRACKING, ZOOM])
def test_commit_keeps_the_state(name):
    tx = getattr(jl, name)(5)
    p = jnp.array([1.0, -2.0])
    state = tx.init(p)

    @jax.jit
    def update(commit):
        extra = {"value": jnp.sum(p**2), "grad": 2 * p, "commit": commit}
        return tx.update(-p, state, p, **extra, value_fn=lambda p: jnp.sum(p**2))[1]

    for x, y in zip(
        jax.tree.leaves(update(False)), jax.tree.leaves(state), strict=True
    ):
        np.testing.assert_array_equal(x, y)
    assert update(True).value < jnp.inf


@pytest.mark.parametrize("name", [BACKTRACKING, ZOOM])
def test_verbose_says_what_was_found_after_a_failure(name, capfd):
    tx = getattr(jl, name)(2, verbose=True)
    p = jnp.array([1.0])
    extra = {"value": 1.0, "grad": 2 * p, "value_fn": lambda p: jnp.sum(p**2)}
    tx.update(-p, tx.init(p), p, **extra)
    jax.effects_barrier()
    assert capfd.readouterr().out == ""
    jax.jit(lambda: tx.update(p, tx.init(p), p, **extra)[0])()  # uphill
    jax.effects_barrier()
    assert f"{name} found no good step: value 1.0, slope 2.0" in capfd.readouterr().out


def bowl(params):
    """A function of any tree of any dtypes."""
    away = [jnp.abs(p - 1) for p in jax.tree.leaves(params)]
    wide = [x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in away]
    return sum((jnp.sum(x**2 + x**4 / 10) for x in wide), jnp.zeros((), jnp.float32))


class Alone(jl.GradientTransformation):
    """A line search that needs no keywords, since it has a function of its own."""

    inner: jl.GradientTransformation

    def init(self, params):
        return self.inner.init(params)

    def update(self, updates, state, params=None, **extra):
        known = {}
        if params is not None:
            value, grad = jax.value_and_grad(bowl)(params)
            known = {"value": value, "grad": grad, "value_fn": bowl}
        return self.inner.update(updates, state, params, **known, **extra)


LAWFUL = {
    "backtracking": jl.scale_by_backtracking_linesearch(4),
    "backtracking with arrays": jl.scale_by_backtracking_linesearch(
        4, decrease_factor=np.array(0.5, np.float32), store_grad=True
    ),
    "zoom": jl.scale_by_zoom_linesearch(4),
    "lbfgs": jl.lbfgs(memory_size=2),
}
QUICK = [
    "state_keeps_its_types",
    "updates_have_the_result_type",
    "init_needs_shapes_only",
    "empty_trees",
    "none_leaves",
    "many_steps_compile_once",
    "donation_is_safe",
    "wrong_shape_is_named",
    "missing_leaf_is_named",
    "missing_params_are_named",
]


@pytest.mark.parametrize("name", ["backtracking with arrays", "zoom"])
def test_laws(name):
    check_transformation(Alone(LAWFUL[name]), laws=QUICK)


@pytest.mark.full
@pytest.mark.parametrize("name", LAWFUL)
def test_all_laws(name):
    check_transformation(Alone(LAWFUL[name]))


def test_under_vmap_the_function_is_evaluated_once_per_step_size():
    """Each evaluation of a batch is one for all; nothing is computed to be dropped."""
    count = 0

    def f(p):
        nonlocal count
        count += 1
        return jnp.sum(p**4)

    tx = jl.scale_by_zoom_linesearch(5)

    def step(p):
        u, _ = tx.update(
            -4 * p**3, tx.init(p), p, value=jnp.sum(p**4), grad=4 * p**3, value_fn=f
        )
        return u

    jax.make_jaxpr(jax.vmap(step))(jnp.ones((3, 2)))
    assert count == 1
