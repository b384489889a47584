"""Every lane of a sweep is the training that it stands for."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import jaxopt_lite as jl
from jaxopt_lite import sweep
from jaxopt_lite.sweep import lanes
from tests.sweep.training import descend, message, trainer

NAN = float("nan")
KEY = jax.random.key(7)
run = partial(sweep.run, key=KEY, progress=False)


def assert_lanes_are_single_runs(result, train, **tolerance):
    for i, hyperparams in enumerate(result.space):
        single = jax.jit(partial(train, hyperparams))
        for j in range(result.seeds):
            alone = single(jax.random.fold_in(KEY, j))
            for name, x in alone.items():
                np.testing.assert_allclose(result.metrics[name][i, j], x, **tolerance)


SPACE = sweep.zipped(learning_rate=[1e-4, 1e-3, 1e-2], b1=[0.8, 0.9, 0.0])


def test_lanes_are_single_runs_in_float32():
    train = trainer(10)
    assert_lanes_are_single_runs(run(train, SPACE, seeds=2), train, rtol=1e-5)


def test_lanes_are_single_runs_in_float64(x64):
    train = trainer(10, jnp.float64)
    result = run(train, SPACE, seeds=2)
    assert result.metrics["loss"].dtype == np.float64
    assert_lanes_are_single_runs(result, train, rtol=1e-10)


def test_curves_of_200_steps_are_those_of_single_runs():
    train = trainer(200)
    space = sweep.grid(learning_rate=[1e-4, 3e-4, 1e-3])
    assert_lanes_are_single_runs(run(train, space), train, rtol=1e-5)


@pytest.mark.parametrize("key", [KEY, jax.random.PRNGKey(7)], ids=["typed", "raw"])
def test_a_seed_is_the_folded_key(key):
    result = sweep.run(
        lambda h, key: {"draw": jax.random.uniform(key)},
        sweep.grid(x=[1.0, 2.0]),
        key=key,
        seeds=3,
        progress=False,
    )
    expected = [jax.random.uniform(jax.random.fold_in(key, j)) for j in range(3)]
    np.testing.assert_array_equal(result.metrics["draw"], [expected, expected])


def test_numbers_of_any_kind_cost_one_trace_and_one_compilation():
    traced = []

    def train(hyperparams, key):
        traced.append(hyperparams)
        return {"loss": sum(hyperparams.values())}

    space = sweep.sample(
        KEY, 24, a=sweep.log_uniform(1e-3, 1), b=sweep.integers(0, 9)
    ) * sweep.grid(c=jnp.arange(3), d=[0.5, 1.0])
    result = run(train, space, seeds=2, batch_size=16)
    assert result.compilations == 1
    assert len(traced) == 1
    expected = np.sum([[*h.values()] for h in space], 1)
    np.testing.assert_allclose(result.metrics["loss"][:, 1], expected, rtol=1e-6)
    assert traced[-1]["b"].dtype == traced[-1]["c"].dtype == jnp.int32


def test_xla_compiles_as_often_as_the_result_says():
    events = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: events.append(event)
    )

    def programs(seeds, batch_size):
        events.clear()
        result = run(trainer(3), SPACE, seeds=seeds, batch_size=batch_size)
        compiled = [event for event in events if "backend_compile" in event]
        return len(compiled), result.compilations

    programs(2, 8)  # compiles the small programs around it, too
    assert programs(2, 8) == (1, 1)


def test_static_values_cost_one_compilation_each():
    def train(hyperparams, key):
        tx = hyperparams["optimizer"](hyperparams["learning_rate"])
        p = jnp.ones(hyperparams["width"])
        updates, _ = tx.update(p, tx.init(p), p)
        return {"loss": jnp.sum(p + updates)}

    space = sweep.grid(
        learning_rate=[0.1, 0.2, 0.4], optimizer=[jl.sgd, jl.adam], width=[2, 3]
    )
    result = run(train, space)
    assert result.compilations == 4
    expected = [h["width"] * (1 - h["learning_rate"]) for h in space]
    np.testing.assert_allclose(result.metrics["loss"][:, 0], expected, rtol=1e-5)


def test_static_values_may_be_lists_and_optimizers():
    space = sweep.grid(widths=[[2, 3], [4]], tx=[jl.sgd(0.1), jl.sgd(jnp.ones(()))])
    result = run(lambda h, key: {"loss": jnp.sum(jnp.array(h["widths"]))}, space)
    assert result.compilations == 4
    assert result.metrics["loss"][:, 0].tolist() == [5, 5, 4, 4]


def test_hyperparameters_go_through_jit_and_as_keywords():
    @jax.jit
    def train(hyperparams, key):
        assert dict(hyperparams).keys() == {"a", "kind"}
        return {"loss": (lambda a, kind: 2 * a if kind == "x" else a)(**hyperparams)}

    result = run(train, sweep.grid(a=[1.0, 2.0], kind=["x", "y"]))
    assert result.metrics["loss"][:, 0].tolist() == [2, 1, 4, 2]


@pytest.mark.parametrize("batch_size", [None, 1, 5, 8, 11, 100])
def test_the_size_of_chunks_changes_nothing(batch_size):
    mesh = Mesh(np.array(jax.devices()[:2]), ("lanes",))
    space = sweep.grid(learning_rate=jnp.linspace(0.01, 0.9, 11))
    found = run(descend, space, batch_size=batch_size, mesh=mesh)
    assert found.compilations == 1
    np.testing.assert_allclose(
        found.metrics["losses"], run(descend, space).metrics["losses"], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("count", "at_most", "devices", "size"),
    [
        (100, 64, 1, 50),
        (100, 100, 1, 100),
        (100, 1000, 8, 104),
        (9, 4, 1, 3),
        (9, 5, 4, 4),
        (1, 1, 8, 8),
        (3, 1, 2, 2),
    ],
)
def test_chunks_are_even_and_no_larger_than_asked(count, at_most, devices, size):
    assert lanes.chunk_size(count, at_most, devices) == size


def test_lanes_that_do_not_fit_into_memory_run_in_chunks(monkeypatch):
    train = trainer(5)
    space = sweep.grid(learning_rate=jnp.linspace(1e-4, 1e-2, 64))
    whole = run(train, space)
    monkeypatch.setattr(lanes, "free_memory", lambda mesh: 2048.0)
    sizes, chunk_size = [], lanes.chunk_size
    monkeypatch.setattr(
        lanes, "chunk_size", lambda *args: sizes.append(chunk_size(*args)) or sizes[-1]
    )
    found = run(train, space)
    assert found.compilations == 2
    assert sizes[0] == 64 and 8 <= sizes[1] <= 32
    np.testing.assert_allclose(found.metrics["loss"], whole.metrics["loss"], rtol=1e-5)


def test_free_memory_of_a_host_is_shared_by_its_devices():
    devices = np.array(jax.devices())
    one, all_ = (lanes.free_memory(Mesh(d, ("x",))) for d in (devices[:1], devices))
    assert 0 < all_ < one < 2**50


def test_a_mesh_of_two_axes_takes_uneven_lanes():
    mesh = Mesh(np.array(jax.devices()).reshape(2, 4), ("a", "b"))
    space = sweep.grid(learning_rate=[0.1, 0.2, 0.3])
    result = run(descend, space, seeds=3, mesh=mesh)
    assert result.metrics["losses"].shape == (3, 3, 10)
    assert_lanes_are_single_runs(result, descend, rtol=1e-5)


set_mesh = getattr(jax, "set_mesh", None) or jax.sharding.use_mesh  # as of 0.7


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=str)
def test_a_mesh_that_is_set_changes_nothing(kind):
    mesh = jax.make_mesh((4,), ("x",), axis_types=(kind,), devices=jax.devices()[:4])
    train = trainer(10)
    alone = run(train, SPACE).metrics["loss"]
    for chosen in (None, mesh):
        with set_mesh(mesh):
            rates = jnp.array([1e-4, 1e-3, 1e-2])
            space = sweep.zipped(learning_rate=rates, b1=[0.8, 0.9, 0.0])
            found = run(train, space, key=jax.random.key(7), mesh=chosen)
        np.testing.assert_array_equal(found.metrics["loss"], alone)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=str)
def test_arrays_of_a_mesh_are_refused_and_those_of_numpy_are_not(kind):
    mesh = jax.make_mesh((4,), ("x",), axis_types=(kind,), devices=jax.devices()[:4])
    space = sweep.grid(rate=[0.1, 0.2])

    def loss_of(x):
        train = lambda h, key: {"loss": jnp.mean(h["rate"] * x)}  # noqa: E731
        return run(train, space).metrics["loss"][:, 0]

    with set_mesh(mesh):
        x = jnp.ones((8, 3))
        for spread in (x, jax.device_put(x, NamedSharding(mesh, PartitionSpec("x")))):
            assert message(ValueError, loss_of, spread) == (
                "run: train uses arrays of a mesh: float32[8,3]; expected arrays that "
                "are made outside of jax.set_mesh, or of NumPy, such as np.asarray(x): "
                "each device trains its lanes alone."
            )
        np.testing.assert_allclose(loss_of(np.asarray(x)), [0.1, 0.2])


def test_metrics_may_be_of_any_real_dtype():
    def train(hyperparams, key):
        return {
            "half": jnp.bfloat16(1.5) * jnp.ones(3, jnp.bfloat16),
            "whole": jnp.int32(2),
            "flag": hyperparams["x"] > 1,
            "python": 0.5,
        }

    found = run(train, sweep.grid(x=[1.0, 2.0])).metrics
    assert {name: x.dtype.name for name, x in found.items()} == {
        "flag": "bool",
        "half": "float32",
        "python": "float32",
        "whole": "int32",
    }
    assert found["flag"][:, 0].tolist() == [False, True]


def test_progress_is_shown_on_request(capsys):
    space = sweep.grid(learning_rate=[0.1, 0.2])
    sweep.run(descend, space, key=KEY, seeds=2)
    assert "4/4" in capsys.readouterr().err
    run(descend, space)
    assert capsys.readouterr().err == ""


# Bad input


def test_a_hyperparameter_that_is_no_axis():
    space = sweep.grid(learning_rate=[0.1], b1=[0.9])
    text = message(KeyError, run, lambda h, key: {"loss": h["learning_rat"]}, space)
    assert text == (
        "sweep: no hyperparameter is named 'learning_rat'; expected one of "
        "'learning_rate', 'b1'. Did you mean 'learning_rate'?"
    )


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        (None, "None."),
        ({}, "{}."),
        (np.ones(()), "array(1.)."),
        ((1.0, 2.0), "(1.0, 2.0)."),
        ([jnp.ones(2)], "[float32[2]]."),
    ],
    ids=str,
)
def test_a_training_that_returns_no_dict(returned, found):
    text = message(TypeError, run, lambda h, key: returned, sweep.grid(a=[0.1]))
    assert text.startswith(f"sweep: train returned {found}")
    assert text.endswith(
        "Expected a dict of scalars and curves (one number for each step), such as "
        "{'loss': loss, 'losses': losses}."
    )


def test_metrics_that_are_no_numbers():
    def train(hyperparams, key):
        return {
            "loss": hyperparams["a"],
            "name": "adam",
            "none": None,
            "list": [hyperparams["a"]],
            "matrix": jnp.ones((2, 3)),
            "empty": jnp.ones(0),
            "complex": jnp.ones((), jnp.complex64),
            "key": key,
            3: 1.0,
        }

    assert message(TypeError, run, train, sweep.grid(a=[0.1])) == (
        "sweep: train returned what cannot be kept.\n"
        "  'name': 'adam', a str\n"
        "  'none': None\n"
        "  'list': [float32[]], a list\n"
        "  'matrix': float32[2,3]\n"
        "  'empty': float32[0]\n"
        "  'complex': complex64[]\n"
        "  'key': key<fry>[]\n"
        "  '3': named by a int\n"
        "Expected a dict of scalars and curves (one number for each step), such as "
        "{'loss': loss, 'losses': losses}."
    )


def test_metrics_that_depend_on_static_values():
    def train(hyperparams, key):
        name = hyperparams["kind"]
        return {name: 1.0, "losses": jnp.ones(hyperparams["steps"])}

    space = sweep.zipped(kind=["x", "y"], steps=[3, 4])
    assert message(ValueError, run, train, space) == (
        "sweep: what train returns depends on static values.\n"
        "  'losses': for {'kind': 'y', 'steps': 4} float32[4]; float32[3] for "
        "{'kind': 'x', 'steps': 3}\n"
        "  'x': for {'kind': 'y', 'steps': 4} None; float32[] for "
        "{'kind': 'x', 'steps': 3}\n"
        "  'y': for {'kind': 'y', 'steps': 4} float32[]; None for "
        "{'kind': 'x', 'steps': 3}\n"
        "Expected the same names, shapes and dtypes for every configuration."
    )


@pytest.mark.parametrize(
    ("error", "change", "text"),
    [
        (TypeError, {"train": 3}, "run: train is 3; expected a function of"),
        (
            TypeError,
            {"space": {"a": [1]}},
            "run: space is {'a': [1]}; expected a Space",
        ),
        (TypeError, {"key": 0}, "run: key is 0; expected a key, such as"),
        (ValueError, {"seeds": 0}, "run: seeds is 0; expected a whole number from 1."),
        (ValueError, {"seeds": 1.5}, "run: seeds is 1.5; expected a whole number"),
        (ValueError, {"batch_size": 0}, "run: batch_size is 0; expected a whole"),
        (TypeError, {"mesh": 3}, "run: mesh is 3; expected a jax.sharding.Mesh, such"),
        (
            ValueError,
            {"path": "/nowhere/result.npz"},
            "sweep: path is '/nowhere/result.npz'; expected a file in an existing",
        ),
    ],
)
def test_arguments_of_another_kind(error, change, text):
    arguments = {"train": descend, "space": sweep.grid(a=[0.1]), "key": KEY}
    assert message(error, sweep.run, **{**arguments, **change}).startswith(text)


@pytest.mark.parametrize("key", [KEY, None], ids=["closed over", "given"])
def test_no_run_within_jit(key):
    space = sweep.grid(learning_rate=[0.1])
    within = jax.jit(
        lambda given: run(descend, space, key=given if key is None else key).metrics
    )
    text = message(ValueError, within, KEY)
    assert text.startswith("run: called within jax.jit or another transformation;")


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_keys_whose_numbers_depend_on_the_batch_are_refused(impl):
    text = message(
        ValueError,
        sweep.run,
        descend,
        sweep.grid(learning_rate=[0.1]),
        key=jax.random.key(0, impl=impl),
    )
    assert text.startswith(f"run: key is of {impl}, with which a lane draws other")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([2**32 + 5, 7], "4294967301, which int32 does not hold"),
        ([1.0, 1e60], "1e+60, which float32 does not hold"),
        ([1e-60, 1.0], "1e-60, which float32 takes for 0"),
        ([1.0, -1e-40], "-1e-40, which float32 takes for 0"),
    ],
    ids=["integer", "large", "small", "subnormal"],
)
def test_numbers_that_jax_does_not_hold_are_refused(values, text):
    train = lambda h, key: {"loss": h["x"]}  # noqa: E731
    assert message(ValueError, run, train, sweep.grid(x=np.array(values))) == (
        f"sweep: 'x' has {text}; expected other units, or jax_enable_x64."
    )


def test_subnormal_numbers_are_refused_in_float64(x64):
    train = lambda h, key: {"loss": 2 * h["x"]}  # noqa: E731
    assert message(ValueError, run, train, sweep.grid(x=[1e-310, 1.0])) == (
        "sweep: 'x' has 1e-310, which float64 takes for 0; expected other units."
    )
    least = np.finfo(np.float64).tiny
    found = run(train, sweep.grid(x=[0.0, 1e-40, least, np.inf]))
    assert found.metrics["loss"][:, 0].tolist() == [0, 2e-40, 2 * least, np.inf]


def test_static_values_arrive_as_they_are():
    seen = []

    def train(hyperparams, key):
        seen.append(hyperparams["x"])
        return {"loss": 0.0}

    values = [np.array([2, 3]), [16, 32], (1.0, NAN), {"a": [1]}]
    run(train, sweep.grid(x=values))
    assert all(x is y for x, y in zip(seen, values, strict=True))


def test_seeds_of_numpy_are_numbers_and_flags_are_not():
    space = sweep.grid(learning_rate=[0.1])
    assert run(descend, space, seeds=np.int64(2)).seeds == 2
    text = "run: seeds is True; expected a whole number from 1."
    assert message(ValueError, run, descend, space, seeds=True) == text


def test_narrow_integers_are_kept_in_a_byte():
    train = lambda h, key: {"loss": h["x"].astype(jnp.int4)}  # noqa: E731
    found = run(train, sweep.grid(x=[1.0, 2.0])).metrics["loss"]
    assert found.dtype == np.int8 and found[:, 0].tolist() == [1, 2]
