"""What a result says of its lanes, those that diverged too."""

import dataclasses
import io
import json
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import jaxopt_lite as jl
from jaxopt_lite import sweep
from jaxopt_lite.sweep.record import Record
from jaxopt_lite.sweep.result import Result
from tests.sweep.training import descend, message

KEY = jax.random.key(7)
run = partial(sweep.run, key=KEY, progress=False)
NAN, INF = float("nan"), float("inf")


def result(learning_rate=(1e-3, 1e-2, 1e-1), **metrics):
    """A result of given numbers."""
    arrays = {name: np.array(x, np.float64) for name, x in metrics.items()}
    done = np.ones(next(iter(arrays.values())).shape[:2], bool)
    space = sweep.grid(learning_rate=list(learning_rate))
    return Result(Record(space, [0, 7], ["digest"], arrays, done), compilations=1)


def test_means_and_standard_errors_are_those_of_numpy():
    x = np.random.default_rng(0).normal(size=(3, 5))
    found = result(loss=x, losses=np.stack([0 * x, x], -1))
    for name in ("loss", "losses"):
        np.testing.assert_allclose(found.mean(name), x.mean(1), rtol=1e-12)
        np.testing.assert_allclose(
            found.standard_error(name), x.std(1, ddof=1) / np.sqrt(5), rtol=1e-12
        )
    np.testing.assert_allclose(found.curve("losses")[:, 1], x.mean(1), rtol=1e-12)


def test_one_seed_has_no_standard_error():
    found = result(loss=[[3.0], [1.0], [2.0]])
    assert np.isnan(found.standard_error("loss")).all()
    assert found.mean("loss").tolist() == [3, 1, 2]


DIVERGED = {
    "loss": [[1.0, 3.0], [0.0, NAN], [INF, NAN]],
    "losses": [
        [[2.0, 1.0, 1.0], [2.0, 3.0, 3.0]],
        [[0.0, 0.0, 0.0], [0.0, 9.0, NAN]],
        [[1.0, INF, 3.0], [NAN, NAN, NAN]],
    ],
}


def test_lanes_that_diverged_are_counted_and_left_out():
    found = result(**DIVERGED)
    assert found.diverged.tolist() == [[False, False], [False, True], [True, True]]
    assert found.diverged_step.tolist() == [[-1, -1], [-1, 2], [1, 0]]
    np.testing.assert_array_equal(found.mean("loss"), [2.0, 0.0, NAN])
    np.testing.assert_array_equal(found.standard_error("loss"), [1.0, NAN, NAN])
    assert [row.diverged for row in found] == [0, 1, 2]
    assert repr(found) == (
        "Result(3 configurations x 2 seeds; loss, losses; 3 lanes diverged; "
        "1 compilation)"
    )


def test_a_number_without_a_curve_diverges_at_no_step():
    found = result(loss=[[1.0], [NAN], [2.0]])
    assert found.diverged[:, 0].tolist() == [False, True, False]
    assert found.diverged_step[:, 0].tolist() == [-1, -1, -1]


def test_best_is_none_that_diverged():
    found = result(**DIVERGED)
    assert found.best().number == found.best(maximize=True).number == 0
    assert found.ranked() == [0, 1, 2]


def test_a_lane_that_diverges_disturbs_no_other():
    rates = [0.1, 1e6, 0.2, 1e9, 0.3]
    found = run(descend, sweep.grid(learning_rate=rates), seeds=2)
    alone = run(descend, sweep.grid(learning_rate=rates[::2]), seeds=2)
    np.testing.assert_array_equal(found.metrics["losses"][::2], alone.metrics["losses"])
    assert found.diverged[:, 0].tolist() == [False, True, False, True, False]
    curve = found.metrics["losses"][1, 0]
    step = found.diverged_step[1, 0]
    assert 0 < step < 10
    assert np.isfinite(curve[:step]).all() and not np.isfinite(curve[step])


def test_best_of_least_and_greatest():
    found = result(loss=[[3.0], [1.0], [2.0]], accuracy=[[0.9], [0.5], [0.7]])
    assert found.best().hyperparams == {"learning_rate": 1e-2}
    assert found.best("loss").mean == {"loss": 1.0, "accuracy": 0.5}
    assert found.best("accuracy", maximize=True).number == 0
    assert found.ranked("accuracy", maximize=True) == [0, 2, 1]


def test_the_only_metric_decides():
    assert result(error=[[3.0], [1.0], [2.0]]).best().number == 1


def test_the_best_when_all_diverged():
    found = result(loss=[[NAN, 1.0], [INF, 1.0], [1.0, NAN]])
    assert message(ValueError, found.best) == (
        "best: each of 3 configurations has a seed that diverged; expected one "
        "without. Sweep smaller learning rates, or more of them."
    )


def test_unknown_metrics():
    found = result(accuracy=[[1.0]] * 3, error=[[0.0]] * 3)
    text = (
        "sweep: no metric is named 'acuracy'; expected one of 'accuracy', 'error'. Did "
        "you mean 'accuracy'?"
    )
    for method in (found.best, found.mean, found.standard_error, found.table):
        assert message(KeyError, method, "acuracy") == text
    assert message(KeyError, found.best) == (
        "sweep: train returned 'accuracy', 'error'; expected the name of the one that "
        "decides."
    )


def printed(table):
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_a_table_of_the_best():
    found = result(loss=[[3.0, 4.0], [1.0, 2.0], [2.0, NAN]])
    lines = printed(found.table(top=2)).splitlines()
    assert [line.split() for line in lines if "±" in line] == [
        ["│", "0.01", "│", "1.5", "±", "0.5", "│", "│"],
        ["│", "0.001", "│", "3.5", "±", "0.5", "│", "│"],
    ]
    assert "2 of 3 configurations, mean over 2 seeds" in lines[-1]
    assert "1 of 2" in printed(found.table())
    assert "diverged" not in printed(result(loss=[[1.0]] * 3).table())


def test_a_dict_of_everything_is_json():
    found = result(loss=[[3.0, 4.0], [1.0, 2.0], [2.0, 3.0]])
    made = json.loads(json.dumps(found.to_dict()))
    assert made == {
        "hyperparams": {"learning_rate": [1e-3, 1e-2, 1e-1]},
        "mean": {"loss": [3.5, 1.5, 2.5]},
        "standard_error": {"loss": [0.5, 0.5, 0.5]},
        "metrics": {"loss": [[3, 4], [1, 2], [2, 3]]},
        "diverged": [[False, False]] * 3,
        "diverged_step": [[-1, -1]] * 3,
        "compilations": 1,
        "resumed": 0,
    }


@pytest.mark.parametrize(
    ("call", "module"), [("table", "rich"), ("plot", "matplotlib")]
)
def test_what_is_not_installed_is_named(call, module, monkeypatch, tmp_path):
    for name in [*sys.modules, module]:
        if name.partition(".")[0] == module:
            monkeypatch.setitem(sys.modules, name, None)
    arguments = [tmp_path / "x.png"] if call == "plot" else []
    text = message(
        ImportError, getattr(result(loss=[[1.0], [2.0], [3.0]]), call), *arguments
    )
    assert text.startswith(f"{call}: {module} is not installed.")
    assert "jaxopt_lite[sweep]" in text


def test_rows_by_number():
    found = run(lambda h, key: {"loss": h["a"]}, sweep.grid(a=jnp.arange(3)))
    assert [row.number for row in found] == [0, 1, 2]
    assert found[-1].hyperparams == {"a": 2} and found[-1].number == 2
    with pytest.raises(IndexError):
        found[3]


def test_only_the_longest_curves_have_steps():
    long, short = np.ones((3, 1, 100)), np.ones((3, 1, 10))
    long[1, 0, 35:], short[2, 0, 4:] = NAN, NAN
    found = result(losses=long, evaluations=short)
    assert found.diverged[:, 0].tolist() == [False, True, True]
    assert found.diverged_step[:, 0].tolist() == [-1, 35, -1]


def test_a_table_shows_names_as_they_are():
    found = result(**{"acc[test]": [[1.0], [2.0], [3.0]]})
    space = sweep.grid(kind=["[red]", "[/red]", "x"])
    record = dataclasses.replace(found.record, space=space)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(Result(record).table())
    text = console.export_text()
    for name in ("acc[test]", "[red]", "[/red]"):
        assert name in text


def test_a_long_static_value_leaves_room_for_the_metrics():
    def train(hyperparams, key):
        return {"loss": hyperparams["x"]}

    space = sweep.grid(x=[1.5, 2.5], tx=[jl.adamw(1e-3, weight_decay=0.1)])
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(run(train, space).table())
    text = console.export_text()
    assert text.count("1.5") == text.count("2.5") == 2


def test_static_values_that_read_alike_stay_apart(tmp_path):
    space = sweep.grid(x=[lambda: 1.0, lambda: 2.0], y=[None, 1, 1.0, True])
    found = run(lambda h, key: {"loss": h["x"]() + (h["y"] is True)}, space)
    found.save(tmp_path / "sweep.npz")
    for shown in (found, sweep.load(tmp_path / "sweep.npz")):
        columns = shown.to_dict()["hyperparams"]
        assert len({*zip(columns["x"], columns["y"], strict=True)}) == 8
        assert columns["y"][:4] == [None, "1", "1.0", "True"]
        assert len({*printed(shown.table()).splitlines()[3:11]}) == 8
