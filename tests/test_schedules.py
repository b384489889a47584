"""Schedules equal their NumPy formulas and Optax, at every count and of any kind."""

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxopt_lite
from tests.helpers import relative_error, rounding
from tests.reference import schedules as reference

COUNTS = (*range(42), 1000)
"""All steps of the schedules below, and one far beyond their ends."""
FEW = (0, 4, 5, 10, 31, 1000)

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
    "polynomial_schedule": [
        {"init_value": 2.0, "end_value": 0.1, "power": 2, "transition_steps": 20},
        {
            "init_value": 0.1,
            "end_value": 1.0,
            "power": 1.5,
            "transition_steps": 16,
            "transition_begin": 4,
        },
        {"init_value": 2.0, "end_value": 0.1, "power": 0, "transition_steps": 20},
    ],
    "piecewise_interpolate_schedule": [
        {"interpolate_type": "linear", "init_value": 0.3},
        {
            "interpolate_type": "linear",
            "init_value": 2.0,
            "boundaries_and_scales": {20: 0.5, 10: 3, 35: 0.0},
        },
        {
            "interpolate_type": "cosine",
            "init_value": 1,
            "boundaries_and_scales": {0: 0.5, 7: 4.0, 30: 0.1},
        },
    ],
    "linear_onecycle_schedule": [
        {"transition_steps": 20, "peak_value": 2.0},
        {
            "transition_steps": 15,
            "peak_value": 2.0,
            "pct_start": 0.25,
            "pct_final": 0.5,
            "div_factor": 4.0,
            "final_div_factor": 10,
        },
    ],
    "cosine_onecycle_schedule": [
        {"transition_steps": 20, "peak_value": 2.0},
        {
            "transition_steps": 15,
            "peak_value": 2.0,
            "pct_start": 0.5,
            "div_factor": 4.0,
            "final_div_factor": 10,
        },
        {"transition_steps": 3, "peak_value": 2.0},
    ],
    "warmup_constant_schedule": [
        {"init_value": 0.1, "peak_value": 2.0, "warmup_steps": 9},
    ],
    "warmup_exponential_decay_schedule": [
        {
            "init_value": 0.1,
            "peak_value": 2.0,
            "warmup_steps": 9,
            "transition_steps": 7,
            "decay_rate": 0.5,
        },
        {
            "init_value": 0.1,
            "peak_value": 2.0,
            "warmup_steps": 5,
            "transition_steps": 7,
            "decay_rate": 0.6,
            "transition_begin": 4,
            "staircase": True,
            "end_value": 0.7,
        },
        {
            "init_value": 0.1,
            "peak_value": 2.0,
            "warmup_steps": 0,
            "transition_steps": 7,
            "decay_rate": 0.5,
        },
    ],
    "sgdr_schedule": [
        {
            "cosine_kwargs": [
                {
                    "init_value": 0.0,
                    "peak_value": 1.0,
                    "warmup_steps": 5,
                    "decay_steps": 12,
                    "end_value": 0.1,
                }
            ]
        },
        {
            "cosine_kwargs": [
                {
                    "init_value": 0.1 * i,
                    "peak_value": 1.0 / (i + 1),
                    "warmup_steps": 3 - i,
                    "decay_steps": 7 * (i + 1),
                }
                for i in range(3)
            ]
        },
    ],
}
"""The schedules that Optax has, too."""

OWN = {
    "polynomial_schedule": [
        {"init_value": 2.0, "end_value": 0.1, "power": 0.5, "transition_steps": 15},
    ],
    "inverse_sqrt_schedule": [
        {"init_value": 0.1, "peak_value": 2.0, "warmup_steps": 5},
        {"init_value": 0.1, "peak_value": 2.0, "warmup_steps": 5, "timescale": 9},
        {"init_value": 0.1, "peak_value": 2.0, "warmup_steps": 0, "timescale": 9},
    ],
    "cooldown_schedule": [
        {"schedule": 2.0, "total_steps": 30, "cooldown_steps": 9},
        {
            "schedule": 2.0,
            "total_steps": 31,
            "cooldown_steps": 9,
            "end_value": 0.1,
            "shape": "linear",
        },
        {
            "schedule": lambda count: 2.0 / (1 + count),
            "total_steps": 30,
            "cooldown_steps": 0.3,
        },
        {"schedule": 2.0, "total_steps": 30, "cooldown_steps": 0},
    ],
    "warmup_stable_decay_schedule": [
        {"init_value": 0.1, "peak_value": 2.0, "total_steps": 40},
        {
            "init_value": 0.1,
            "peak_value": 2.0,
            "total_steps": 33,
            "warmup_steps": 5,
            "cooldown_steps": 7,
            "end_value": 0.2,
            "shape": "linear",
        },
        {
            "init_value": 0.1,
            "peak_value": 2.0,
            "total_steps": 33,
            "warmup_steps": 0.2,
            "cooldown_steps": 0.25,
            "end_value": 0.2,
        },
    ],
    "warmup_cosine_decay_schedule": [
        {"init_value": 0.1, "peak_value": 1.0, "warmup_steps": 0.2, "decay_steps": 33},
        {
            "init_value": 1.0,
            "peak_value": 0.0,
            "warmup_steps": 5,
            "decay_steps": 20,
            "end_value": 0.5,
        },
    ],
    "warmup_constant_schedule": [
        {"init_value": 0.1, "peak_value": 2.0, "warmup_steps": 0},
    ],
    "linear_onecycle_schedule": [
        {"transition_steps": 1, "peak_value": 2.0},
        {"transition_steps": 100, "peak_value": 2.0, "pct_start": 0.29},
        {"transition_steps": 20, "peak_value": 2.0, "pct_start": 0.5, "pct_final": 0.5},
    ],
    "cosine_onecycle_schedule": [
        {"transition_steps": 20, "peak_value": 2.0, "pct_start": 1.0},
    ],
}
"""Those that it has not, and arguments with which it gives other numbers."""


def pairs(table):
    return [(name, arguments) for name, each in table.items() for arguments in each]


EACH = [*pairs(SCHEDULES), *pairs(OWN)]
each = pytest.mark.parametrize(("name", "arguments"), EACH)
each_name = pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(*pair, marks=pytest.mark.full if pair[0] in names else ())
        for pair, names in zip(
            EACH,
            ({name for name, _ in EACH[:i]} for i in range(len(EACH))),
            strict=True,
        )
    ],
)
"""All, but only the first of each name outside the full tier."""


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


def expected(schedule, counts=COUNTS):
    return [schedule(count) for count in counts]


def at_python_ints(schedule):
    return jnp.stack([jnp.asarray(schedule(count)) for count in FEW])


def at_traced_counts(schedule, counts=COUNTS):
    counts = jnp.array(counts, jnp.int32)
    return jax.jit(jax.vmap(lambda count: jnp.asarray(schedule(count))))(counts)


evaluated = pytest.mark.parametrize(
    ("evaluate", "counts"), [(at_python_ints, FEW), (at_traced_counts, COUNTS)]
)


@each
@evaluated
def test_equals_reference(name, arguments, evaluate, counts, x64):
    wanted = expected(made(reference, name, arguments), counts)
    assert_values(evaluate(made(jaxopt_lite, name, arguments)), wanted)


@each
def test_equals_reference_in_float32(name, arguments):
    wanted = expected(made(reference, name, arguments))
    assert_values(at_traced_counts(made(jaxopt_lite, name, arguments)), wanted)


def assert_values(actual, wanted):
    assert relative_error(actual, wanted) <= rounding(jnp.result_type(float))


@pytest.mark.parametrize(("name", "arguments"), pairs(SCHEDULES))
def test_equals_optax(name, arguments):
    theirs = at_traced_counts(made(optax, name, arguments))
    assert_values(at_traced_counts(made(jaxopt_lite, name, arguments)), theirs)


@evaluated
def test_joined_equals_reference_and_optax(evaluate, counts, x64):
    assert_values(evaluate(joined(jaxopt_lite)), expected(joined(reference), counts))
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
        return at_traced_counts(made(jaxopt_lite, name, arguments | numbers))

    traced = {k: jnp.asarray(arguments[k]) for k in which}
    assert_values(values(traced), expected(made(reference, name, arguments)))


@each_name
def test_is_a_pytree_of_its_arrays(name, arguments, x64):
    given = {k: v for k, v in numbers(arguments).items() if "pct" not in k}
    assert not jax.tree.leaves(made(jaxopt_lite, name, arguments))
    arrays = {k: jnp.asarray(float(v)) for k, v in given.items()}
    schedule = made(jaxopt_lite, name, arguments | arrays)
    assert sorted(jax.tree.leaves(schedule)) == sorted(given.values())
    doubled = jax.tree.map(lambda x: 2 * x, schedule)
    twice = {k: 2 * v for k, v in given.items()}
    assert_values(
        at_traced_counts(doubled), expected(made(reference, name, arguments | twice))
    )


@each_name
def test_derivatives_are_finite(name, arguments):
    def total(numbers):
        schedule = made(jaxopt_lite, name, arguments | numbers)
        return at_traced_counts(schedule, range(42)).sum()

    given = {k: jnp.float32(v) for k, v in numbers(arguments).items()}
    slopes = jax.grad(total)(given)
    assert all(jnp.isfinite(slope) for slope in slopes.values()), slopes


PEAKS = {
    "constant_schedule": "value",
    "warmup_cosine_decay_schedule": "peak_value",
    "linear_onecycle_schedule": "peak_value",
    "cosine_onecycle_schedule": "peak_value",
    "cooldown_schedule": "end_value",
}


@each_name
def test_vmap_over_a_number_equals_a_loop(name, arguments, x64):
    if not numbers(arguments):
        return
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


def test_cycles_may_be_traced(x64):
    for arguments in SCHEDULES["sgdr_schedule"]:
        cycles = arguments["cosine_kwargs"]
        found = jax.jit(lambda x: at_traced_counts(jaxopt_lite.sgdr_schedule(x)))
        wanted = expected(reference.sgdr_schedule(cycles))
        assert_values(found(cycles), wanted)


def test_factors_may_be_traced(x64):
    def values(library, factor):
        return library.piecewise_interpolate_schedule("linear", 2.0, {9: factor})

    found = jax.jit(lambda x: at_traced_counts(values(jaxopt_lite, x)))(0.3)
    assert_values(found, expected(values(reference, 0.3)))


TINY = [
    ("linear_schedule", (1.0, 1e-9, 10)),
    ("polynomial_schedule", (1.0, 1e-9, 2, 10)),
    ("warmup_cosine_decay_schedule", (0.0, 1.0, 2, 10, 1e-9)),
    ("linear_onecycle_schedule", (10, 1.0, 0.3, 0.85, 1e3, 1e6)),
    ("cosine_onecycle_schedule", (10, 1.0, 0.3, 1e3, 1e6)),
    ("cooldown_schedule", (1.0, 10, 5, 1e-9)),
    ("warmup_stable_decay_schedule", (0.0, 1.0, 10, 2, 5, 1e-9)),
]


@pytest.mark.parametrize(("name", "given"), TINY)
def test_ends_at_a_tiny_number_with_all_its_digits(name, given):
    end = getattr(jaxopt_lite, name)(*given)(jnp.int32(10))
    assert end == pytest.approx(1e-9, rel=1e-6)


def test_many_steps_of_decay_keep_their_digits():
    decay = jaxopt_lite.exponential_decay(1.0, 1, 0.9999)
    assert decay(jnp.int32(100_000)) == pytest.approx(0.9999**100_000, rel=2e-6)


def test_a_fraction_is_that_of_the_total(x64):
    def values(*lengths):
        return at_traced_counts(
            jaxopt_lite.warmup_stable_decay_schedule(0.0, 1.0, 40, *lengths)
        )

    assert_values(values(0.25, 0.5), values(10, 20))
    traced = jax.vmap(values)(jnp.array([0.25, 10.0]), jnp.array([20.0, 0.5]))
    assert_values(traced, [values(10, 20)] * 2)


def test_a_cooldown_leaves_the_count_an_integer():
    table = jnp.linspace(1.0, 0.5, 40)
    schedule = jaxopt_lite.cooldown_schedule(lambda count: table[count], 30, 0.1)
    assert_values(at_traced_counts(schedule)[:28], table[:28])


@pytest.mark.parametrize("steps", [41, 47, 55])
def test_a_stair_comes_neither_early_nor_late(steps):
    stairs = jaxopt_lite.exponential_decay(1.0, steps, 0.5, staircase=True)
    found = at_traced_counts(stairs, [steps - 1, steps, 2 * steps - 1, 2 * steps])
    assert_values(found, [1.0, 0.5, 0.5, 0.25])


@pytest.mark.parametrize("factory", ["linear_schedule", "exponential_decay"])
@evaluated
def test_no_transition_steps_leave_the_first_value(factory, evaluate, counts):
    rest = {"decay_rate": 0.5} if factory == "exponential_decay" else {"end_value": 0.0}
    given = {"init_value": 0.3, "transition_steps": 0, **rest}
    values = evaluate(made(jaxopt_lite, factory, given))
    assert_values(values, [0.3] * len(counts))
    assert_values(values, evaluate(made(optax, factory, given)))


REFUSED = [
    ("linear_schedule", (1.0, 0.0, -1), "transition_steps"),
    ("linear_schedule", (1.0, 0.0, 10, -1), "transition_begin"),
    ("cosine_decay_schedule", (1.0, 0), "decay_steps"),
    ("warmup_cosine_decay_schedule", (0.0, 1.0, 10, 10), "decay_steps"),
    ("exponential_decay", (1.0, 10, 0.0), "decay_rate"),
    ("piecewise_constant_schedule", (1.0, {5: -0.5}), "scale at 5"),
    ("piecewise_constant_schedule", (1.0, {-5: 0.5}), "boundary -5"),
    ("piecewise_interpolate_schedule", ("linear", 1.0, {5: -0.5}), "scale at 5"),
    ("piecewise_interpolate_schedule", ("linear", 1.0, {-5: 0.5}), "boundary -5"),
    ("piecewise_interpolate_schedule", ("cubic", 1.0), "interpolate_type"),
    ("polynomial_schedule", (1.0, 0.0, -1, 10), "power"),
    ("linear_onecycle_schedule", (0, 1.0), "transition_steps"),
    ("linear_onecycle_schedule", (10, 1.0, 0.9, 0.5), "pct_final"),
    ("linear_onecycle_schedule", (10, 1.0, 0.3, 1.5), "pct_final"),
    ("cosine_onecycle_schedule", (10, 1.0, 1.5), "pct_start"),
    ("cosine_onecycle_schedule", (10, 1.0, 0.3, 0.0), "div_factor"),
    ("warmup_constant_schedule", (0.0, 1.0, -1), "warmup_steps"),
    ("warmup_exponential_decay_schedule", (0.0, 1.0, 5, 10, 0.0), "decay_rate"),
    ("sgdr_schedule", ([],), "found no cycle"),
    ("inverse_sqrt_schedule", (0.0, 1.0, 0), "warmup_steps"),
    ("inverse_sqrt_schedule", (0.0, 1.0, 0, 0), "timescale"),
    ("cooldown_schedule", (1.0, 0, 5), "total_steps"),
    ("cooldown_schedule", (1.0, 10, 11), "11 steps of cooldown in total_steps=10"),
    ("cooldown_schedule", (1.0, 10, 5, 0.0, "cosine"), "shape"),
    ("warmup_stable_decay_schedule", (0.0, 1.0, 10, 0.5, 6), "5 steps of warmup and 6"),
    ("join_schedules", ([lambda count: 1.0], [3]), "boundaries"),
    ("join_schedules", ([lambda count: 1.0] * 3, [5, 3]), "increasing"),
]


@pytest.mark.parametrize(("name", "given", "text"), REFUSED)
def test_refuses_numbers_that_make_no_schedule(name, given, text):
    with pytest.raises(ValueError, match=text):
        getattr(jaxopt_lite, name)(*given)


@pytest.mark.parametrize("given", [jaxopt_lite.by_path({"*": 1.0}), lambda count: 1.0])
def test_a_number_depends_neither_on_the_path_nor_on_the_step(given):
    with pytest.raises(TypeError, match="peak_value"):
        jaxopt_lite.warmup_cosine_decay_schedule(0.0, given, 5, 10)


def test_factors_that_are_no_dict():
    with pytest.raises(TypeError) as caught:
        jaxopt_lite.piecewise_constant_schedule(1.0, [(5, 0.5)])
    assert str(caught.value) == (
        "boundaries_and_scales is [(5, 0.5)], a list; expected a dict from steps to "
        "factors, such as {1000: 0.1}."
    )


@pytest.mark.parametrize(("rate", "end"), [(0.7, 2.0), (1.3, 0.2)])
def test_a_decay_of_no_steps_has_no_end(rate, end):
    ours = jaxopt_lite.exponential_decay(0.9, 0, rate, end_value=end)
    assert float(ours(3)) == pytest.approx(0.9)
