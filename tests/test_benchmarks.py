"""Benchmarks run, and the figures that no clock decides reach their goals."""

import gc
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from rich.console import Console

import jaxopt_lite as jl
from benchmarks import (
    accelerator,
    memory,
    muon,
    peers,
    pipelines,
    report,
    step,
    sweep,
    timing,
    trace,
    trees,
)
from benchmarks import compile as compiling
from benchmarks.__main__ import BENCHMARKS, main

pytestmark = pytest.mark.optimized


@pytest.mark.parametrize(
    ("name", "leaves", "parameters"),
    [
        ("gpt2", 148, 124_439_808),
        ("thousand", 1_000, 4_556_800),
        ("small", 2_000, 4_160_000),
        ("one", 1, 16_777_216),
        ("resnet50", 161, 25_557_032),
        ("digits", 10, 5_578),
    ],
)
def test_trees_have_the_sizes_of_their_names(name, leaves, parameters):
    tree = trees.TREES[name]()
    assert len(jax.tree.leaves(tree)) == leaves
    assert trees.size(tree) == parameters


@pytest.fixture(scope="module")
def lowered():
    return trace.measure(trees.thousand(), [jl, optax], repeats=0)


@pytest.mark.parametrize("pipeline", [trace.ADAMW, trace.BY_PATH])
def test_a_thousand_leaves_lower_to_a_fifth_of_optax_lines(lowered, pipeline):
    ours, theirs = lowered[pipeline, "jaxopt_lite"], lowered[trace.ADAMW, "optax"]
    assert ours.lines <= theirs.lines / 5


@pytest.mark.parametrize("pipeline", [trace.ADAMW, trace.BY_PATH])
def test_a_thousand_leaves_are_traced_once_per_shape(lowered, pipeline):
    shapes = {leaf.shape for leaf in jax.tree.leaves(trees.thousand())}
    of_the_tree = 3  # the step itself, its number, and the counts
    assert lowered[pipeline, "jaxopt_lite"].functions == len(shapes) + of_the_tree


def test_a_hundred_rates_are_a_hundred():
    rates = trace.rates(trees.thousand())(trees.thousand())
    assert len(set(jax.tree.leaves(rates))) == 100


def test_lowering_is_cold():
    traced = []

    class Counting(jl.Rule):
        def emit(self, g, slots, p, step):
            traced.append(step)
            return g

    run = trace.Lowering(jl, lambda: jl.leafwise(Counting()), trees.one())
    counts = []
    for prepare in (lambda: None, lambda: None, lambda: trace.cool(["jaxopt_lite"])):
        prepare()
        run()
        counts.append(len(traced))
    assert counts == [1, 1, 2]


BY_HAND = [name for name, x in pipelines.PIPELINES.items() if x.by_hand]


@pytest.mark.parametrize("name", BY_HAND)
def test_the_step_by_hand_is_right(name):
    pipeline = pipelines.PIPELINES[name]
    tree = {"dense": trees.linear(8, 4), "norm": trees.norm(4)}
    random = np.random.default_rng(0)
    draw = lambda leaf: jnp.float32(random.normal(size=leaf.shape))  # noqa: E731
    params = theirs = jax.tree.map(draw, tree)
    tx = pipeline.build(optax, jl.weights_only(tree))
    state, reference = pipeline.init(params), tx.init(params)
    their_step = jax.jit(peers.stepper(optax, tx))
    decay = step.decay(tree)
    our_step = jax.jit(lambda p, s, g: pipeline.by_hand(p, s, g, decay=decay))
    for i in range(9):
        grads = jax.tree.map(draw, tree)
        if i == 3 and "finite" in name:
            grads["norm"]["bias"] = grads["norm"]["bias"].at[1].set(jnp.nan)
        params, state = our_step(params, state, grads)
        theirs, reference = their_step(theirs, reference, grads)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6),
        params,
        theirs,
    )


def test_torch_steps_as_we_do():
    torch = pytest.importorskip("torch")
    tree = {"dense": trees.linear(8, 4)}
    tx = peers.adamw(jl, jl.weights_only)
    params = grads = trees.ones(tree)
    state = tx.init(params)
    theirs = peers.TorchAdamW(torch, tree)
    for _ in range(3):
        theirs()
        params, state = peers.stepper(jl, tx)(params, state, grads)
    groups = {g["weight_decay"]: g["params"][0] for g in theirs.optimizer.param_groups}
    for decay, name in ((0.01, "kernel"), (0.0, "bias")):
        found = groups[decay].detach().numpy()
        np.testing.assert_allclose(params["dense"][name], found, rtol=1e-6)


def test_time_until_compiled_holds_that_of_xla():
    found = compiling.measure(trees.one(shrink=64), [jl, optax], repeats=2)
    for times, of_xla in found.values():
        assert len(times) == len(of_xla) == 2
        assert all(x > y > 0 for x, y in zip(times, of_xla, strict=True))


def test_the_memory_of_adamw_is_two_moments_and_four_trees_at_once():
    found = memory.measure(memory.OPTIMIZERS["adamw"], jl, trees.one(shrink=8))
    assert found.state == pytest.approx(8, abs=1e-3)
    assert found.live == pytest.approx(16, abs=1e-2)


@pytest.mark.parametrize("codec", memory.CODECS)
def test_the_state_of_adamw_by_codec_is_as_small_as_its_goal(codec):
    """And a step has nothing of the size of a float32 slot beside it."""
    found = memory.measure(memory.stored("adamw", codec), jl, trees.one(shrink=8))
    assert found.state <= memory.GOALS[codec]
    assert found.live <= 8 + found.state + 3


def test_the_memory_table_has_every_codec_of_what_is_stored():
    cells = [str(cell) for cell in memory.cells([jl, optax]) if cell.library == "optax"]
    assert cells == list(memory.OPTIMIZERS)
    ours = [str(cell) for cell in memory.cells([jl, optax]) if cell.library != "optax"]
    assert set(ours) - set(cells) == {
        f"{name}, {codec}" for name in memory.STORED for codec in memory.CODECS
    }


def test_steps_are_timed_beside_the_float32_of_the_peer():
    times = {
        memory.Cell("adamw", "float32", "jaxopt_lite"): [3.0],
        memory.Cell("adamw", "float32", "optax"): [4.0],
        memory.Cell("adamw", "int8", "jaxopt_lite"): [2.0],
    }
    found = memory.ratios(times, [jl, optax])
    assert [x.median for x in found.values()] == [0.75, 1.0, 0.5]


def test_muon_in_bfloat16_is_near_that_in_float32():
    tree = muon.matrices(trees.gpt2(trees.NARROW))
    assert len(tree) == 48
    _, _, off = muon.measure(tree, [jl], repeats=0)
    assert 1e-3 < off < 0.1


def test_runs_take_turns_and_the_first_round_is_not_measured():
    seen = []
    runs = {name: lambda name=name: seen.append(name) for name in "ab"}
    times = timing.in_turns("test", runs, repeats=2, prepare=lambda: seen.append("-"))
    assert "".join(seen) == "-a-b-b-a-a-b"
    assert [len(times[name]) for name in "ab"] == [2, 2]


def test_the_collector_sees_what_a_run_makes_alone():
    frozen = []
    runs = {"a": lambda: frozen.append(gc.get_freeze_count())}
    timing.in_turns("test", runs, repeats=1)
    assert min(frozen) > 1000
    assert gc.get_freeze_count() == 0


def test_a_ratio_is_taken_round_by_round():
    found = timing.ratio([1.0, 20.0, 3.0], [2.0, 20.0, 2.0])
    assert found == (0.75, 1.0, 1.25)
    assert str(found) == "1.00 (0.75–1.25)"


@pytest.mark.parametrize(
    ("name", "tree", "leaves"),
    [
        ("trace", "one", 1),
        ("eager", "one", 1),
        ("step", "one", 1),
        ("compile", "one", 1),
        pytest.param("memory", "one", 1, marks=pytest.mark.full),
        ("muon", "one", 1),
        pytest.param("pipelines", "one", 1, marks=pytest.mark.full),
        pytest.param("sweep", "digits", 10, marks=pytest.mark.full),
    ],
)
def test_a_benchmark_prints_its_table_and_saves_it(
    name, tree, leaves, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    main([name, "--smoke", "--tree", "one", "--save"])
    printed = capsys.readouterr().out
    file, picture = sorted((tmp_path / "results").iterdir())
    assert file.name == f"{report.today()}-cpu-{name}-{tree}-smoke.md"
    assert picture == file.with_suffix(".png")
    saved = file.read_text()
    for text in ("jaxopt_lite", "optax", f"{leaves} leaves"):
        assert text in printed
        assert text in saved
    for text in (report.today(), f"JAX {jax.__version__}", "optax 0.2.8"):
        assert text in saved


def test_every_way_to_sweep_trains_alike_and_compiles_as_often_as_it_says():
    found = sweep.measure(trees.digits(trees.NARROW), [jl, optax], repeats=0)
    size = sweep.extent(trees.digits(trees.NARROW))
    assert {way: x.compilations for (way, _), x in found.items()} == {
        sweep.RUN: 1,
        sweep.VMAP: 1,
        sweep.INJECTED: 1,
        sweep.LOOP: size.values**2 // size.stride,
    }
    expected = found[sweep.LOOP, "optax"].losses
    for (way, _), x in found.items():
        losses = x.losses if way == sweep.LOOP else x.losses[:: size.stride]
        np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_a_rate_that_changes_at_every_step_compiles_once():
    assert sweep.compilations_of_changing_rates(trees.digits(trees.NARROW), 5) == 1


def test_the_goals_of_a_sweep_are_shares_of_the_time_of_others():
    found = {
        (sweep.VMAP, "jaxopt_lite"): sweep.Found([0.9], [0.9], 1, None),
        (sweep.INJECTED, "optax"): sweep.Found([1.8], [0.9], 1, None),
        (sweep.LOOP, "optax"): sweep.Found([40.0], [1.0], 64, None),
    }
    assert [goal.found for goal in sweep.goals(found)] == [0.5, 1 / 40]


def test_a_narrow_screen_still_shows_what_a_row_is_of(capsys):
    """Spreads break into two lines before the first column goes."""
    rows = [["adamw, int8", "jaxopt_lite", "3.85 (3.75–3.97)", "0.0638"]]
    columns = ["optimizer", "library", "time", "digits"]
    report.Report("x", "X", "", [], columns, rows).show(Console(width=40))
    printed = capsys.readouterr().out
    assert "adamw," in printed and "3.85" in printed and "0.0638" in printed


def test_goals_are_judged():
    assert str(report.Goal("bytes", 40.0, 40.1)).endswith("reached")
    assert str(report.Goal("bytes", 60.0, 40.1)).endswith("missed")


QUICK = ["trace", "step"]


@pytest.mark.parametrize(
    "name",
    [
        *QUICK,
        *(
            pytest.param(x, marks=pytest.mark.full)
            for x in BENCHMARKS
            if x not in [*QUICK, "quality"]  # which has no peers
        ),
    ],
)
def test_a_missing_peer_is_left_out_and_named(name, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optax", None)
    main([name, "--smoke", "--tree", "one"])
    printed = capsys.readouterr().out
    assert "optax is not installed and left out." in printed
    assert "optax" not in printed.partition("left out.")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["muonn"], "'muonn' is not one of trace, compile, eager, step"),
        (["--peers", "torhc"], "'torhc' is not one of optax, torch"),
        (["--repeats", "0"], "'0' is not a whole number from 1"),
        (["--tree", "two"], "invalid choice: 'two'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.full
def test_the_run_for_accelerators_makes_its_tables_at_tiny_sizes(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    accelerator.main(["--smoke", "--save"])
    printed = capsys.readouterr().out
    assert "A step of Muon on matrices: gpt2-smoke" in printed
    few_bytes = (tmp_path / f"{report.today()}-cpu-stored-smoke.md").read_text()
    assert re.search(
        r"adamw, int8 \| jaxopt_lite \| 2\.13 \| 10\.\d+ \| nan", few_bytes
    )
    text = (tmp_path / f"{report.today()}-cpu-accelerator-smoke.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if " | optax | " in line]
    assert [row[0].strip("| ") for row in rows] == [
        f"{task.tree}, {task.pipeline}" for task in accelerator.tasks(smoke=True)
    ]
    assert (tmp_path / f"{report.today()}-cpu-muon-gpt2-smoke.md").exists()


def test_the_floor_of_adamw_is_28_bytes_and_clipping_adds_4():
    shapes = trees.one(shrink=64)
    floors = [
        accelerator.measure(accelerator.Task("one", name, shapes), [jl], 1)[0].floor
        for name in ("adamw", "clip + adamw", "MultiSteps(adamw, 4)", "lion")
    ]
    per_parameter = [floor / trees.size(shapes) for floor in floors]
    assert per_parameter == pytest.approx([28, 32, 36, 20], abs=0.01)


def test_the_goals_of_accelerators_are_in_times_of_a_copy():
    shares = {(f"billion, {name}", "jaxopt_lite"): 0.8 for name in accelerator.GUARDED}
    plain, *others = accelerator.goals(shares)
    assert plain.found == 1.25
    assert {goal.found for goal in others} == {1.0}
