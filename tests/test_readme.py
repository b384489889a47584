"""What the README says is what the repository does."""

import re
import sys
import types
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from jaxopt_lite.interop import pytorch
from tests import differences

README = (Path(__file__).parents[1] / "README.md").read_text()
PARAMS = {
    "dense": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)},
    "norm": {"scale": jnp.ones(3)},
}


def test_the_table_of_differences_is_current():
    assert differences.markdown() in README


def test_the_flax_example_trains():
    (example,) = re.findall(r"## With Flax\n\n```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(example, names)
    x = jnp.ones((4, 8))
    losses = [
        names["step"](names["model"], names["optimizer"], x, x[:, :1])
        for _ in range(20)
    ]
    assert losses[-1] < losses[0]


def test_the_flax_section_runs_as_it_stands():
    section = README.split("## With Flax")[1].split("\n## ")[0]
    names: dict = {}
    made = []
    for example in re.findall("```python\n(.*?)```", section, re.DOTALL):
        exec(example, names)
        made.append(names["optimizer"])
    _, injected, with_data, _ = made
    held = injected.opt_state.hyperparams["learning_rate"]
    assert held.get_value() == jnp.float32(1e-4)
    rates = [*jax.tree.leaves(with_data.tx), *jax.tree.leaves(names["state"].tx)]
    assert rates == [jnp.float32(1e-4)] * 2
    assert names["averaged"].keys() == {"kernel"}
    nnx, model, tx = names["nnx"], names["model"], jl.adamw(jnp.array(1e-3))
    begin, end = re.findall(r"`(Found data on value of type) … (.*?)`", section)[0]
    with pytest.raises(ValueError, match=f"{begin} .* {end}"):
        nnx.Optimizer(model, tx, wrt=nnx.Param)


@pytest.mark.parametrize(
    "heading",
    [
        "From Optax",
        "Hyperparameters",
        "Ready made",
        "Sharded state",
        "A rule of your own",
    ],
)
def test_an_example_runs_as_it_stands(heading):
    found = re.findall(rf"## {heading}\n.*?```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(found[0], names)
    tx, params = names["tx"], names.get("params", PARAMS)
    updates, _ = tx.update(params, tx.init(params), params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)


def test_hyperparameters_are_read_changed_swept_and_learnt():
    section = README.split("## Changing and reading hyperparameters")[1]
    section = section.split("\n## ")[0]

    def train(tx):
        updates, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
        return jnp.sum(jl.apply_updates(PARAMS, updates)["dense"]["kernel"] ** 2)

    names: dict = {"train": train}
    for example in re.findall("```python\n(.*?)```", section, re.DOTALL):
        exec(example, names)
    assert jl.get_hyperparams(names["other"], names["other"].init(PARAMS))[
        "1/1/weight_decay"
    ] == pytest.approx(0.1)
    assert names["state"].hyperparams["learning_rate"] == jnp.float32(1e-4)
    assert names["losses"].shape == (32,)
    assert jax.tree.structure(names["slopes"]) == jax.tree.structure(names["tx"])


class Tensor(NamedTuple):
    """As much of one of PyTorch's as the example asks for."""

    array: np.ndarray

    def numpy(self):
        return self.array


def test_a_run_of_pytorch_goes_on(monkeypatch):
    section = README.split("## From PyTorch")[1].split("\n## ")[0]
    (example,) = re.findall("```python\n(.*?)```", section, re.DOTALL)
    rng = np.random.default_rng(0)
    shapes = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    state = {
        i: {"step": np.float32(7), "exp_avg": w, "exp_avg_sq": w**2}
        for i, w in enumerate(weights.values())
    }
    group = {"lr": 3e-4, "weight_decay": 0.01, "params": [0, 1, 2, 3]}
    saved = {
        "model": {name: Tensor(w) for name, w in weights.items()},
        "optimizer": {"state": state, "param_groups": [group]},
    }
    torch = types.SimpleNamespace(load=lambda file, map_location: saved)
    monkeypatch.setitem(sys.modules, "torch", torch)
    names: dict = {}
    exec(example, names)
    adam = names["state"][0]
    assert adam.count == 7
    jax.tree.map(np.testing.assert_array_equal, adam.mu, names["params"])


def test_the_table_of_state_in_few_bytes_is_that_of_the_saved_runs(capsys):
    section = README.split("## State in few bytes")[1].split("\n## ")[0]
    (example,) = re.findall("```python\n(.*?)```", section, re.DOTALL)
    exec(example, {})
    assert "2.13" in capsys.readouterr().out
    memory, quality = (
        (Path(__file__).parents[1] / file).read_text()
        for file in re.findall(r"`(benchmarks/results/\S+)`", section)
    )
    rows = re.findall(r'\| (?:float32|`"(.*?)"`) \| (.*) \|', section)
    slower = re.findall(r"a step took (\S+), (\S+) and (\S+) times", section)
    told = dict(zip(("bfloat16", "int8", "int4"), *slower, strict=True))
    for codec, cells in rows:
        name = f"adamw, {codec}" if codec else "adamw"
        (planned,) = re.findall(rf"\| {name} \| jaxopt_lite \| (.*) \|", memory)
        losses = re.findall(
            rf"\| {codec or 'float32'} \| float32 \| (\S+) .*? \| (\S+) ", quality
        )
        state, temporaries, _, time = planned.split(" | ")
        assert not codec or rounds_to(time, told[codec])
        assert cells.split(" | ") == [state, temporaries, *losses[0]]
    assert len(rows) == 4


RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
MEASURED = [
    ("trace-thousand", r"time against the peer: (\S+),"),
    ("trace-thousand", r"by path, time: (\S+),"),
    ("trace-thousand", r"adamw \| (?:jaxopt_lite|optax) \|.*\| (\S+) \| \d+ \|"),
    ("compile-small", r"jaxopt_lite \|.*\| (\S+) \("),
    ("eager-gpt2", r"time against the peer: (\S+),"),
    ("muon-gpt2", r"(?:jaxopt_lite|optax) \| (\S+)"),
    ("sweep-digits", r"time against a loop over optax: (\S+),"),
    ("sweep-digits", r"time against vmapped optax: (\S+),"),
]
"""Where each row of the second table of `How it compares` stands in the saved runs."""


def newest(name):
    return sorted(RESULTS.glob(f"*-cpu-{name}.md"))[-1].read_text()


def split(row):
    return [cell.strip() for cell in row.split("|")[1:-1]]


def rounds_to(measured, told):
    """Whether a number that a text tells is a measured one, with fewer digits."""
    if not told or not measured:
        return told == measured
    half = 0.5 * 10.0 ** -len(told.partition(".")[2])
    exact, rounded = (float(x.split()[0].replace(",", "")) for x in (measured, told))
    return abs(exact - rounded) <= 1.001 * half


def test_the_bytes_and_times_of_steps_are_those_of_the_saved_run():
    section = README.split("| a step behind the gradients |")[1].split("\n\n")[0]
    run = {
        tuple(cells[:2]): cells[2:]
        for cells in map(split, newest("pipelines-gpt2").splitlines())
    }
    named = {
        "clip_by_global_norm, adamw": "clip + adamw",
        "apply_if_finite of clip and adamw": "apply_if_finite(clip + adamw)",
    }
    for row in section.splitlines()[2:]:
        pipeline, *told = split(row.replace("`", ""))
        name = named.get(pipeline, pipeline)
        ours, optax = run[name, "jaxopt_lite"], run[name, "optax"]
        by_hand = run.get((name, "by hand"), [""] * 4)
        measured = [ours[0], optax[0], optax[3], by_hand[3]]
        assert all(map(rounds_to, measured, told)), (pipeline, measured, told)


def test_the_ratios_to_optax_are_those_of_the_saved_runs():
    section = README.split("| | jaxopt_lite | Optax |\n|---|---|---|\n")[1]
    rows = section.split("\n\n")[0].splitlines()
    for row, (name, pattern) in zip(rows, MEASURED, strict=True):
        told = [cell for cell in split(row)[1:] if cell != "1"]
        measured = re.findall(pattern, newest(name))
        assert len(measured) == len(told), row
        assert all(map(rounds_to, measured, told)), (row, measured)


def test_checkpoints_come_back_and_another_optimizer_goes_on(tmp_path, monkeypatch):
    section = README.split("## Checkpoints")[1].split("\n## ")[0]
    first, changed, named = re.findall("```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(first, names)
    moved, (before, *_) = names["places"]["kernel"], names["state"]
    assert before.mu.codes["kernel"].sharding == moved and before.count == 1
    (text,) = re.findall("# warns: (.*)\n", changed)
    with pytest.warns(UserWarning, match=f"^restore_state: {text}.$"):
        exec(changed, names)
    restored = names["state"]
    jax.tree.map(np.testing.assert_array_equal, restored[1][0], before)
    exec(named, names)
    jax.tree.map(np.testing.assert_array_equal, names["state"], restored)


def test_bfloat16_parameters_move_by_less_than_their_digits():
    section = README.split("## Parameters in bfloat16")[1].split("\n## ")[0]
    (example,) = re.findall("```python\n(.*?)```", section, re.DOTALL)
    found = {}
    exec(example, found)
    mean = float(jnp.mean(found["params"]["w"].astype(jnp.float32)))
    assert mean == pytest.approx((1 - 2.0**-12) ** 256, abs=1e-3)
    plain = example.replace("stochastic_rounding(", "chain(")
    exec(plain, found)
    assert set(found["params"]["w"].tolist()) == {1.0}
    sizes = re.findall(r"\| `(\w+)(?:\(…, (.*?)\))?` \| (\d) \|", section)
    for wrapper, dtype, nbytes in sizes:
        kept = [getattr(jnp, dtype.removeprefix("jnp."))] if dtype else []
        tx = getattr(jl, wrapper)(jl.sgd(0.1), *kept)
        remainder = tx.init(jnp.ones(8, jnp.bfloat16)).remainder
        assert sum(x.nbytes for x in jax.tree.leaves(remainder)) == 8 * int(nbytes)
    assert len(sizes) == 5


def test_the_sweep_finds_a_rate_that_learns(tmp_path, monkeypatch):
    (example,) = re.findall(r"## Sweeping\n.*?```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(example, names)
    assert names["result"].best().mean["loss"] < 0.2
    assert names["result"].compilations == 1
    assert {file.name for file in tmp_path.iterdir()} == {"sweep.npz", "sweep.png"}


def optimizers():
    cells = re.findall(r"`((?:jl|pytorch)\.[^`]+)`", README)
    return [cell for cell in cells if "…" not in cell and "peak" not in cell]


@pytest.mark.parametrize("expression", optimizers())
def test_every_optimizer_named_in_a_table_works(expression):
    tx = eval(expression, {"jl": jl, "pytorch": pytorch})
    if isinstance(tx, jl.GradientTransformation):
        updates, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
        assert jax.tree.structure(updates) == jax.tree.structure(PARAMS)


@pytest.mark.parametrize(
    ("row", "tx"),
    [
        ("`sgd(lr)`", jl.sgd(0.1)),
        ("`sgd(lr, momentum=0.9)`", jl.sgd(0.1, momentum=0.9)),
        ("`adagrad(lr)`", jl.adagrad(0.1)),
        ("`rmsprop(lr)`", jl.rmsprop(0.1)),
        ("`adam(lr)`, `nadam(lr)`", jl.adam(0.1)),
        ("`adam(lr)`, `nadam(lr)`", jl.nadam(0.1)),
        ("`adamw(lr)`, `nadamw(lr)`", jl.adamw(0.1)),
        ("`adamw(lr)`, `nadamw(lr)`", jl.nadamw(0.1)),
    ],
)
def test_the_table_of_state_per_parameter(row, tx, capsys):
    (extra,) = re.findall(re.escape(f"| {row} |") + r"[^|]*\| (\d) \|", README)
    table = jl.summary(tx, PARAMS)
    assert {row.bytes_per_parameter / 4 for row in table.rows} == {int(extra)}
    assert "bytes" in capsys.readouterr().out
