"""Spaces hold the configurations that were asked for, and say what is wrong."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from jaxopt_lite import sweep
from jaxopt_lite.core.value import short_repr
from tests.sweep.training import message

KEY = jax.random.key(0)
UNIT = sweep.uniform(0, 1)


def test_a_grid_is_all_combinations_and_the_last_axis_is_fastest():
    space = sweep.grid(a=[1.0, 2.0], b=["x", "y"])
    assert [*space] == [
        {"a": 1.0, "b": "x"},
        {"a": 1.0, "b": "y"},
        {"a": 2.0, "b": "x"},
        {"a": 2.0, "b": "y"},
    ]


def test_a_product_is_the_grid_of_its_factors():
    a, b = {"a": [1.0, 2.0, 3.0]}, {"b": ["x", "y"]}
    assert sweep.grid(**a) * sweep.grid(**b) == sweep.grid(**a, **b)


def test_zipped_axes_go_side_by_side_and_share_programs():
    space = sweep.zipped(a=[1.0, 2.0, 2.0], kind=["x", "y", "x"])
    assert space.column("a") == [1.0, 2.0, 2.0]
    assert space.column("kind") == ["x", "y", "x"]
    assert space.programs() == [[0, 2], [1]]


@pytest.mark.parametrize(
    ("values", "is_number"),
    [
        ([0.1, 0.2], True),
        ([0, 0.1], True),
        (np.array([1, 2]), True),
        (jnp.array([0.1]), True),
        ((jnp.float32(0.1), np.float64(0.2)), True),
        ([16, 32], False),
        (range(3), False),
        ([True, False], False),
        (np.array([True]), False),
        (["adam", "sgd"], False),
        ([None, 0.1], False),
        ((jl.adam, jl.sgd), False),
        ([(64,), (64, 64)], False),
    ],
    ids=short_repr,
)
def test_floats_and_arrays_are_numbers_and_all_else_is_static(values, is_number):
    assert sweep.grid(a=values).axis("a").is_number == is_number


def test_numbers_keep_the_digits_they_print():
    assert sweep.grid(a=jnp.array([0.1, 1e-3])).column("a") == [0.1, 1e-3]
    assert sweep.grid(a=[0, 0.5]).column("a") == [0.0, 0.5]
    assert type(sweep.grid(a=[0, 0.5]).column("a")[0]) is float


@pytest.mark.parametrize(
    ("values", "is_logarithmic"),
    [
        (jnp.logspace(-4, -1, 4), True),
        ([1e-4, 3e-4, 1e-3, 3e-3], True),
        ([0.8, 0.85, 0.9], False),
        ([0.0, 1e-4, 1e-2], False),
        ([1e-4, 1e-1], False),
        ([16, 32, 64], False),
    ],
    ids=short_repr,
)
def test_even_logarithms_are_noticed(values, is_logarithmic):
    assert sweep.grid(a=values).axis("a").is_logarithmic == is_logarithmic


def test_samples_follow_their_distributions():
    space = sweep.sample(
        KEY,
        2000,
        rate=sweep.log_uniform(1e-4, 1e-2),
        b1=sweep.uniform(-1, 3),
        k=sweep.integers(2, 5),
        kind=sweep.choice(["x", "y"]),
        eps=sweep.choice([1e-8, 1e-4]),
    )
    rate, b1 = np.array(space.column("rate")), np.array(space.column("b1"))
    assert 1e-4 <= rate.min() and rate.max() < 1e-2
    assert np.mean(rate < 1e-3) == pytest.approx(0.5, abs=0.05)
    assert -1 <= b1.min() and b1.max() < 3
    assert np.mean(b1) == pytest.approx(1, abs=0.1)
    assert set(space.column("k")) == {2, 3, 4}
    assert set(space.column("kind")) == {"x", "y"}
    assert [axis.is_number for axis in space.axes] == [True, True, True, False, True]
    assert [axis.is_logarithmic for axis in space.axes] == [True] + 4 * [False]
    assert abs(np.corrcoef(rate, b1)[0, 1]) < 0.1
    assert len(space.programs()) == 2


@pytest.mark.parametrize("draw", [sweep.sample, sweep.sobol])
def test_one_key_draws_one_space(draw):
    axes = {"a": sweep.uniform(0, 1), "b": sweep.choice([1, 2, 3])}
    assert draw(KEY, 8, **axes) == draw(KEY, 8, **axes)
    assert draw(KEY, 8, **axes) != draw(jax.random.key(1), 8, **axes)


def test_sobol_points_are_even_in_each_axis():
    space = sweep.sobol(KEY, 16, a=sweep.uniform(0, 16), b=sweep.uniform(0, 16))
    for name in "ab":
        assert sorted(map(int, space.column(name))) == [*range(16)]
    assert len(sweep.sobol(KEY, 5, a=sweep.uniform(0, 1))) == 5


def test_sobol_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    text = message(ImportError, sweep.sobol, KEY, 4, a=sweep.uniform(0, 1))
    assert text == (
        "sobol: scipy is not installed; it gives the Sobol points. Install it "
        "(pip install scipy), or take `sample`."
    )


def test_a_space_shows_what_it_is():
    space = sweep.grid(rate=[1e-3, 1e-2, 1e-1], tx=[jl.adam, "sgd"])
    assert repr(space) == (
        "Space(rate: 3 numbers from 0.001 to 0.1, logarithmic; tx: adam, 'sgd'; "
        "6 configurations)"
    )


@pytest.mark.parametrize("make", [sweep.grid, sweep.zipped])
def test_axes_that_are_no_sequences(make):
    axes = {"a": 0.1, "b": "adam", "c": jnp.ones((2, 2)), "d": [1.0]}
    axes["e"] = sweep.uniform(0, 1)
    assert message(TypeError, make, **axes) == (
        f"{make.__name__}: 4 axes are no sequence of values.\n"
        "  'a': 0.1\n"
        "  'b': 'adam'\n"
        "  'c': float32[2,2]\n"
        "  'e': Uniform(low=0.0, high=1.0)\n"
        "Expected a list, a tuple, a range or an array of one dimension. Write one "
        "value x as [x]; a distribution belongs to `sample`."
    )


def test_axes_without_values_or_with_a_nan():
    assert message(ValueError, sweep.grid, a=[], b=[0.1, float("nan")], c=[1]) == (
        "grid: 2 axes cannot be swept.\n"
        "  'a': no value\n"
        "  'b': a nan\n"
        "Expected at least one value, and no nan."
    )


def test_an_empty_space():
    for make in (sweep.grid, sweep.zipped):
        assert message(ValueError, make) == (
            f"{make.__name__}: found no axis; expected at least one, such as "
            f"learning_rate=[1e-3, 1e-2]."
        )
    for draw in (sweep.sample, sweep.sobol):
        assert message(ValueError, draw, KEY, 3).startswith(
            f"{draw.__name__}: found no axis; expected at least one"
        )
        assert message(ValueError, draw, KEY, 0, a=sweep.uniform(0, 1)) == (
            f"{draw.__name__}: n is 0; expected a whole number from 1."
        )


def test_zipped_axes_of_different_lengths():
    assert message(ValueError, sweep.zipped, a=[0.1, 0.2], b=[1.0, 2.0, 3.0]) == (
        "zipped: axes differ in length.\n"
        "  'a': 2 values\n"
        "  'b': 3 values\n"
        "Expected equally many; `grid` makes all combinations."
    )


def test_a_product_with_an_axis_twice():
    text = message(ValueError, lambda: sweep.grid(a=[1.0]) * sweep.grid(a=[2.0]))
    assert text == (
        "sweep: both spaces have the axes 'a'; expected each axis in one of them."
    )


def test_samples_of_what_is_no_distribution():
    assert message(TypeError, sweep.sample, KEY, 2, a=[0.1], b=sweep.uniform(0, 1)) == (
        "sample: 1 axis has no distribution.\n"
        "  'a': [0.1]\n"
        "Expected log_uniform, uniform, integers or choice; `grid` takes lists."
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: sweep.log_uniform(0, 1),
            "log_uniform: the interval goes from 0 to 1; expected 0 < low < high < "
            "inf.",
        ),
        (
            lambda: sweep.uniform(1.0, 1.0),
            "uniform: the interval goes from 1.0 to 1.0; expected -inf < low < high < "
            "inf.",
        ),
        (
            lambda: sweep.integers(3, 2),
            "integers: the interval goes from 3 to 2; expected -4611686018427387904 < "
            "low < high < 4611686018427387904.",
        ),
        (
            lambda: sweep.integers(0, 2**70),
            "integers: the interval goes from 0 to 1180591620717411303424; expected "
            "-4611686018427387904 < low < high < 4611686018427387904.",
        ),
        (lambda: sweep.choice([]), "choice: 1 axis cannot be swept.\n"),
    ],
)
def test_distributions_of_nothing(make, text):
    assert message(ValueError, make).startswith(text)


def test_an_unknown_axis():
    space = sweep.grid(learning_rate=[0.1], b1=[0.9])
    assert message(KeyError, space.column, "learning_rte") == (
        "sweep: no axis is named 'learning_rte'; expected one of 'learning_rate', "
        "'b1'. Did you mean 'learning_rate'?"
    )


@pytest.mark.parametrize("low", [0.5, "1", True, None], ids=str)
def test_integers_are_whole(low):
    text = f"integers: low is {low!r}; expected a whole number."
    assert message(TypeError, sweep.integers, low, 9) == text


@pytest.mark.parametrize("make", [sweep.uniform, sweep.log_uniform])
@pytest.mark.parametrize("high", ["1", None, True, 2j, jnp.ones(2)], ids=short_repr)
def test_the_ends_of_intervals_are_numbers(make, high):
    text = f"{make.__name__}: high is {short_repr(high)}; expected a number."
    assert message(TypeError, make, 0.5, high) == text


def test_the_ends_of_intervals_may_be_of_numpy_or_jax():
    assert sweep.uniform(np.float32(0.5), jnp.array(2)) == sweep.uniform(0.5, 2.0)
    assert sweep.integers(np.int64(1), jnp.array(2)) == sweep.integers(1, 2)


def test_the_widest_intervals():
    b = 1e308
    column = sweep.sobol(KEY, 64, x=sweep.uniform(-b, b)).column("x")
    assert -b <= min(column) < -0.9 * b and 0.9 * b < max(column) < b
    column = sweep.sobol(KEY, 64, x=sweep.log_uniform(1 / b, b)).column("x")
    assert 1 / b <= min(column) < 1e-290 and 1e290 < max(column) < b


def test_the_widest_integers():
    low, high = -(2**62) + 1, 2**62 - 1
    column = sweep.sample(KEY, 50, n=sweep.integers(low, high)).column("n")
    assert low <= min(column) < -(2**60) and 2**60 < max(column) < high


@pytest.mark.parametrize("make", [sweep.grid, sweep.zipped])
def test_keys_and_arrays_of_objects_are_no_values(make):
    keys = jax.random.split(KEY, 2)
    objects = np.array([1, "a"], object)
    text = message(TypeError, make, a=keys, b=[*keys], c=objects, d=[1, 2])
    assert text == (
        f"{make.__name__}: 3 axes cannot be swept.\n"
        "  'a': keys of jax.random\n"
        "  'b': keys of jax.random\n"
        "  'c': an array of objects\n"
        "Expected an array of numbers, or a list of anything but keys; each seed of "
        "`run` has a key of its own."
    )


def test_equal_static_values_share_a_program():
    space = sweep.grid(width=[16, 32, 16], x=[0.1, 0.2])
    assert space.programs() == [[0, 1, 4, 5], [2, 3]]


def test_scalars_of_numpy_in_a_list_are_numbers():
    [axis] = sweep.grid(x=[np.array(0.1), np.float32(0.2), jnp.array(0.3)]).axes
    assert axis.is_number and axis.values == (0.1, 0.2, 0.3)


def test_a_space_is_combined_with_spaces_only():
    with pytest.raises(TypeError, match="unsupported operand"):
        sweep.grid(x=[0.1]) * 3


@pytest.mark.parametrize("draw", [sweep.sample, sweep.sobol])
def test_what_draws_needs_a_key(draw):
    with pytest.raises(TypeError, match="key is 0; expected a key, such as"):
        draw(0, 4, x=sweep.uniform(0, 1))


def alike(x):
    return lambda: x


ONE, TWO = alike(1.0), alike(2.0)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([None, "a", 1, 0.5], [None, "a", 1, 0.5]),
        ([16, 32, 16], [16, 32, 16]),
        ([True, 1, 1.0, 2], ["True", "1", "1.0", 2]),
        ([None, 0.0, -0.0], [None, "0.0", "-0.0"]),
        ([1, "1"], ["1 #1", "1 #2"]),
        ([ONE, jl.sgd, TWO, ONE], ["f #1", "sgd", "f #2", "f #1"]),
        ([[1], [1], [2]], ["[1] #1", "[1] #2", "[2]"]),
        ([1.0, 1.0 + 1e-9, 1], [1.0, 1.0 + 1e-9, 1.0]),
    ],
)
def test_values_that_differ_have_labels_that_differ(values, labels):
    axis = sweep.grid(a=values).axis("a")
    found = [
        x.replace(ONE.__qualname__, "f") if isinstance(x, str) else x
        for x in axis.labels
    ]
    assert [*map(repr, found)] == [*map(repr, labels)]
    loaded = sweep.grid(a=axis.labels).axis("a")  # as from a file
    assert loaded.labels == axis.labels


@pytest.mark.parametrize("draw", [sweep.sample, sweep.sobol])
def test_spaces_are_not_drawn_within_jit(draw):
    text = message(ValueError, jax.jit(lambda key: draw(key, 4, x=UNIT).rows), KEY)
    assert text == (
        f"{draw.__name__}: called within jax.jit or another transformation; expected a "
        f"call outside."
    )
