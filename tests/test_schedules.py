"""Schedules equal their NumPy formulas and Optax, at every count and of any kind."""

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxopt_lite
from tests.helpers import relative_error, rounding
from tests.reference import schedules as reference

COUNTS = (0, 1, 4, 5, 6, 7, 9, 10, 11, 12, 20, 29, 30, 31, 35, 37, 40, 1000)
"""Around every boundary of the schedules below, and far beyond their ends."""

SCHEDULES = {
    "constant_schedule": [{"value": 0.3}],
    "linear_schedule": [
        {"init_value": 0.1, "end_value": 1.0, "transition_steps": 20},
        {
            "init_value": 1.0,
            "end_value": 0.0,
            "transition_steps": 30,
            "transition_begin": 7,
        },
    ],
    "cosine_decay_schedule": [
        {"init_value": 2.0, "decay_steps": 30},
        {"init_value": 2.0, "decay_steps": 31, "alpha": 0.1, "exponent": 1.5},
    ],
    "warmup_cosine_decay_schedule": [
        {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 5, "decay_steps": 30},
        {
            "init_value": 0.1,
            "peak_value": 2.0,
            "warmup_steps": 9,
            "decay_steps": 30,
            "end_value": 0.01,
            "exponent": 1.5,
        },
        {"init_value": 0.1, "peak_value": 1.0, "warmup_steps": 0, "decay_steps": 30},
    ],
    "exponential_decay": [
        {"init_value": 2.0, "transition_steps": 7, "decay_rate": 0.5},
        {
            "init_value": 2.0,
            "transition_steps": 7,
            "decay_rate": 0.5,
            "transition_begin": 4,
            "staircase": True,
        },
        {
            "init_value": 2.0,
            "transition_steps": 7,
            "decay_rate": 0.5,
            "end_value": 0.2,
        },
        {
            "init_value": 0.2,
            "transition_steps": 7,
            "decay_rate": 2.0,
            "end_value": 3.0,
        },
    ],
    "piecewise_constant_schedule": [
        {"init_value": 0.3},
        {"init_value": 1.0, "boundaries_and_scales": {20: 0.5, 10: 0.1, 35: 0.0}},
    ],
}
EACH = [(name, arguments) for name, each in SCHEDULES.items() for arguments in each]
each = pytest.mark.parametrize(("name", "arguments"), EACH)


def joined(library):
    """A warm-up, a plateau, and a decay that counts from its own beginning."""
    return library.join_schedules(
        [
            library.linear_schedule(0.0, 1.0, 5),
            library.constant_schedule(0.7),
            library.exponential_decay(1.0, 3, 0.5),
        ],
        boundaries=[5, 12],
    )


def made(library, name, arguments):
    return getattr(library, name)(**arguments)


def expected(schedule):
    return [schedule(count) for count in COUNTS]


def at_python_ints(schedule):
    return jnp.stack([jnp.asarray(schedule(count)) for count in COUNTS])


def at_traced_counts(schedule):
    counts = jnp.array(COUNTS, jnp.int32)
    return jax.jit(jax.vmap(lambda count: jnp.asarray(schedule(count))))(counts)


evaluated = pytest.mark.parametrize("evaluate", [at_python_ints, at_traced_counts])


@each
@evaluated
def test_equals_reference(name, arguments, evaluate, x64):
    wanted = expected(made(reference, name, arguments))
    assert_values(evaluate(made(jaxopt_lite, name, arguments)), wanted)


@each
@evaluated
def test_equals_reference_in_float32(name, arguments, evaluate):
    wanted = expected(made(reference, name, arguments))
    assert_values(evaluate(made(jaxopt_lite, name, arguments)), wanted)


def assert_values(actual, wanted):
    assert relative_error(actual, wanted) <= rounding(jnp.result_type(float))


@each
@evaluated
def test_equals_optax(name, arguments, evaluate):
    theirs = evaluate(made(optax, name, arguments))
    assert_values(evaluate(made(jaxopt_lite, name, arguments)), theirs)


@evaluated
def test_joined_equals_reference_and_optax(evaluate, x64):
    assert_values(evaluate(joined(jaxopt_lite)), expected(joined(reference)))
    assert_values(at_python_ints(joined(jaxopt_lite)), at_python_ints(joined(optax)))


def test_joined_takes_plain_functions_and_array_boundaries(x64):
    def make(boundary):
        parts = [lambda count: 1.0 - count / 100, lambda count: 0.1 * count]
        return jaxopt_lite.join_schedules(parts, [boundary])

    theirs = optax.join_schedules(make(3).schedules, [3])
    assert_values(at_python_ints(make(jnp.array(3))), at_python_ints(theirs))


def numbers(arguments):
    """The arguments that are one number."""
    return {k: v for k, v in arguments.items() if type(v) in (int, float)}


def subsets():
    """All numbers of each schedule together, and each by itself."""
    for name, arguments in EACH:
        names = list(numbers(arguments))
        yield pytest.param(name, arguments, names)
        for k in names[1:]:
            yield pytest.param(name, arguments, [k], marks=pytest.mark.full)


@pytest.mark.parametrize(("name", "arguments", "which"), list(subsets()))
def test_numbers_may_be_traced(name, arguments, which, x64):
    @jax.jit
    def values(numbers):
        schedule = made(jaxopt_lite, name, arguments | numbers)
        return jnp.stack([jnp.asarray(schedule(count)) for count in COUNTS])

    traced = {k: jnp.asarray(arguments[k]) for k in which}
    assert_values(values(traced), expected(made(reference, name, arguments)))


@each
def test_is_a_pytree_of_its_arrays(name, arguments, x64):
    given = numbers(arguments)
    assert not jax.tree.leaves(made(jaxopt_lite, name, arguments))
    arrays = {k: jnp.asarray(float(v)) for k, v in given.items()}
    schedule = made(jaxopt_lite, name, arguments | arrays)
    assert sorted(jax.tree.leaves(schedule)) == sorted(given.values())
    doubled = jax.tree.map(lambda x: 2 * x, schedule)
    twice = {k: 2 * v for k, v in given.items()}
    assert_values(
        at_traced_counts(doubled), expected(made(reference, name, arguments | twice))
    )


PEAKS = {
    "constant_schedule": "value",
    "warmup_cosine_decay_schedule": "peak_value",
}


@each
def test_vmap_over_a_number_equals_a_loop(name, arguments, x64):
    swept = PEAKS.get(name, "init_value")
    values = [0.0, 0.25, 2.0]
    batch = made(jaxopt_lite, name, arguments | {swept: jnp.array(values)})
    found = jax.vmap(at_traced_counts)(batch)
    for value, row in zip(values, found, strict=True):
        alone = made(reference, name, arguments | {swept: value})
        assert_values(row, expected(alone))


def test_peak_value_may_be_differentiated():
    def rate(peak):
        return jaxopt_lite.warmup_cosine_decay_schedule(0.0, peak, 10, 30)(5)

    assert jax.grad(rate)(3.0) == 0.5


@pytest.mark.parametrize("evaluate", [at_python_ints, at_traced_counts])
@pytest.mark.parametrize("factory", ["linear_schedule", "exponential_decay"])
def test_no_transition_steps_leave_the_first_value(factory, evaluate):
    rest = {"decay_rate": 0.5} if factory == "exponential_decay" else {"end_value": 0.0}
    given = {"init_value": 0.3, "transition_steps": 0, **rest}
    values = evaluate(made(jaxopt_lite, factory, given))
    assert_values(values, [0.3] * len(COUNTS))
    assert_values(values, evaluate(made(optax, factory, given)))


REFUSED = [
    ("linear_schedule", (1.0, 0.0, -1), "transition_steps"),
    ("linear_schedule", (1.0, 0.0, 10, -1), "transition_begin"),
    ("cosine_decay_schedule", (1.0, 0), "decay_steps"),
    ("warmup_cosine_decay_schedule", (0.0, 1.0, 10, 10), "decay_steps"),
    ("exponential_decay", (1.0, 10, 0.0), "decay_rate"),
    ("piecewise_constant_schedule", (1.0, {5: -0.5}), "scale at 5"),
    ("join_schedules", ([lambda count: 1.0], [3]), "boundaries"),
    ("join_schedules", ([lambda count: 1.0] * 3, [5, 3]), "increasing"),
]


@pytest.mark.parametrize(("name", "given", "text"), REFUSED)
def test_refuses_numbers_that_make_no_schedule(name, given, text):
    with pytest.raises(ValueError, match=text):
        getattr(jaxopt_lite, name)(*given)
