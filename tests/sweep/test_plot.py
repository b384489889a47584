"""Pictures show what was asked for; axes are logarithmic where the space was."""

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxopt_lite import sweep
from jaxopt_lite.sweep import plot
from tests.sweep.training import message

KEY = jax.random.key(7)
RATES, B1 = np.logspace(-3, 0, 4), np.array([0.1, 0.5, 0.9])


def train(hyperparams, key):
    rate, b1 = hyperparams["rate"], hyperparams["b1"]
    loss = (jnp.log10(rate) + 2) ** 2 + b1
    loss = loss + (0.0 if hyperparams["kind"] == "x" else 1.0)
    return {"loss": loss, "losses": loss * jnp.array([4.0, 2.0, 1.0])}


@pytest.fixture(scope="module")
def result():
    space = sweep.grid(rate=RATES, b1=B1, kind=["y", "x"])
    return sweep.run(train, space, key=KEY, seeds=2, progress=False)


@pytest.fixture
def drawn(monkeypatch):
    """The axes of the last picture that was saved."""
    figures = []
    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda self, *a, **k: figures.append(self) or savefig(self, *a, **k),
    )
    return lambda: figures[-1].axes[0]


def test_a_line_over_one_axis_has_the_best_of_the_others(result, drawn, tmp_path):
    result.plot(tmp_path / "x.png", over="rate")
    axes = drawn()
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == (
        "log",
        "rate",
        "loss",
    )
    x, y = axes.lines[0].get_data(orig=False)
    np.testing.assert_allclose(x, RATES)
    np.testing.assert_allclose(y, (np.log10(RATES) + 2) ** 2 + 0.1, rtol=1e-5)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    result.plot(tmp_path / "x.png", over="rate", maximize=True)
    y = drawn().lines[0].get_ydata()
    np.testing.assert_allclose(y, (np.log10(RATES) + 2) ** 2 + 1.9, rtol=1e-5)


def test_values_that_are_no_numbers_stand_side_by_side(result, drawn, tmp_path):
    result.plot(tmp_path / "x.svg", over="kind")
    axes = drawn()
    assert axes.get_xscale() == "linear"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["y", "x"]
    np.testing.assert_allclose(
        dict(zip(*axes.lines[0].get_data(orig=False), strict=True))[1], 0.1, atol=1e-6
    )


def test_static_values_of_one_name_are_apart(drawn, tmp_path):
    space = sweep.grid(kind=[lambda: 1.0, lambda: 2.0])
    train = lambda h, key: {"loss": h["kind"]()}  # noqa: E731
    sweep.run(train, space, key=KEY, progress=False).plot(tmp_path / "x.png")
    np.testing.assert_allclose(drawn().lines[0].get_ydata(orig=False), [1, 2])
    labels = [label.get_text() for label in drawn().get_xticklabels()]
    assert [label[-2:] for label in labels] == ["#1", "#2"]


def test_a_map_over_two_axes(result, drawn, tmp_path):
    result.plot(tmp_path / "x.png", over=("rate", "b1"))
    axes = drawn()
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rate", "b1")
    (mesh,) = axes.collections
    expected = (np.log10(RATES) + 2) ** 2 + B1[:, None]
    np.testing.assert_allclose(mesh.get_array(), expected, rtol=1e-5)
    corners = mesh.get_coordinates()
    np.testing.assert_allclose(
        np.log10(corners[0, :, 0]), [-3.5, -2.5, -1.5, -0.5, 0.5]
    )
    np.testing.assert_allclose(corners[:, 0, 1], [-0.1, 0.3, 0.7, 1.1])


def test_samples_are_points(drawn, tmp_path):
    space = sweep.sample(
        KEY,
        9,
        rate=sweep.log_uniform(1e-3, 1),
        b1=sweep.uniform(0, 1),
        kind=sweep.choice(["x"]),
    )
    result = sweep.run(train, space, key=KEY, progress=False)
    result.plot(tmp_path / "x.png")
    (points,) = drawn().collections
    pairs = zip(space.column("rate"), space.column("b1"), strict=True)
    assert {*map(tuple, points.get_offsets().tolist())} == {*pairs}
    assert drawn().get_xscale() == "log"


def test_curves_of_the_best(result, drawn, tmp_path):
    result.plot(tmp_path / "x.png", "losses", over="step")
    axes = drawn()
    assert len(axes.lines) == plot.CURVES
    assert axes.lines[0].get_label() == "rate=0.01, b1=0.1, kind=x"
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.4, 0.2, 0.1], rtol=1e-5)
    assert (axes.get_xlabel(), axes.get_yscale()) == ("step", "log")


def test_a_single_value_and_those_that_diverged_are_drawn(drawn, tmp_path):
    def train(hyperparams, key):
        x = hyperparams["x"]
        return {
            "loss": jnp.where(x > 1, jnp.nan, x),
            "losses": jnp.array([x, 1 / (x - 1)]),
        }

    def run(*x):
        return sweep.run(train, sweep.grid(x=[*x], y=[0.0]), key=KEY, progress=False)

    run(1.0, 2.0).plot(tmp_path / "x.png")
    run(1.0, 2.0).plot(tmp_path / "x.png", over=("x", "y"))
    run(0.5).plot(tmp_path / "x.png", over="x")
    run(0.5, 3.0).plot(tmp_path / "x.png", "losses", over="step")
    assert drawn().get_yscale() == "linear"


def test_the_screen_is_left_alone(result, tmp_path):
    before = matplotlib.get_backend(auto_select=False)
    result.plot(tmp_path / "x.pdf", over="b1")
    assert matplotlib.get_backend(auto_select=False) == before


@pytest.mark.parametrize(
    ("error", "arguments", "text"),
    [
        (
            KeyError,
            {"metric": "los"},
            "sweep: no metric is named 'los'; expected one of 'loss', 'losses'. Did "
            "you mean 'loss'?",
        ),
        (
            KeyError,
            {"over": "rte"},
            "sweep: no axis is named 'rte'; expected one of 'rate', 'b1', 'kind'. Did "
            "you mean 'rate'?",
        ),
        (
            KeyError,
            {"over": ("rate", "step")},
            "sweep: no axis is named 'step'; expected one of 'rate', 'b1', 'kind'.",
        ),
        (
            ValueError,
            {},
            "plot: 3 axes have several values; expected `over` to name one, a pair of "
            "them, or 'step': 'rate', 'b1', 'kind'.",
        ),
        *(
            (
                ValueError,
                {"over": over},
                f"plot: over is {over!r}; expected the name of an axis, a pair of "
                f"them, or 'step': 'rate', 'b1', 'kind'.",
            )
            for over in [("rate", "b1", "kind"), ("rate", "rate"), (), 3, ["rate", 3]]
        ),
        (
            ValueError,
            {"over": "step"},
            "plot: 'loss' is a single number for each lane; expected a curve to draw "
            "over the steps: 'losses'.",
        ),
    ],
)
def test_what_cannot_be_drawn(result, error, arguments, text, tmp_path):
    path = tmp_path / "x.png"
    assert message(error, result.plot, path, **arguments) == text
    assert not path.exists()
