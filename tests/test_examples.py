"""Every example runs as a newcomer would run it, and does what it says."""

import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lite as jl

EXAMPLES = Path(__file__).parents[1] / "examples"
OPTIMIZERS = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]


def run(example: str, *arguments: str) -> str:
    """What the example prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / example, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def percent(output: str, after: str) -> float:
    """The first percentage that follows the given words."""
    found = re.search(rf"{after}\D*([\d.]+) ?%", output)
    assert found, output
    return float(found[1])


def test_train_digits_compares_seven_optimizers_and_draws_them(tmp_path):
    picture = tmp_path / "digits.png"
    output = run("train_digits.py", "--smoke", "--out", str(picture))
    for name in OPTIMIZERS:
        assert percent(output, rf"{name} ") >= 90, output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


@pytest.mark.full
def test_adamw_reads_97_percent_of_the_digits_over_five_splits(tmp_path):
    picture = str(tmp_path / "digits.png")
    output = run(
        "train_digits.py", "--optimizer", "adamw", "--splits", "5", "--out", picture
    )
    assert percent(output, "adamw ") >= 97, output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--optimizer", "adamax"], "invalid choice: 'adamax'"),
        (["--steps", "0"], "'0' is not a whole number from 10"),
        (["--seed", "-1"], "'-1' is not a whole number from 0"),
        (["--splits", "five"], "'five' is not a whole number from 1"),
        (["--out", "nowhere/digits.png"], "no .png in an existing folder"),
        (["--out", "digits.jpeg"], "no .png in an existing folder"),
    ],
)
def test_train_digits_refuses_bad_arguments_before_it_trains(
    arguments, message, capsys
):
    from examples import train_digits

    with pytest.raises(SystemExit) as stop:
        train_digits.parse_args(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_linen_loop_tells_the_rings_apart():
    assert percent(run("linen_loop.py", "--smoke"), "test accuracy") >= 98


def test_equinox_loop_hears_which_waves_become_faster():
    output = run("equinox_loop.py", "--smoke")
    assert percent(output, "test accuracy") >= 98
    rates = [float(rate) for rate in re.findall(r"rate ([\d.]+)", output)]
    assert rates[0] == 0.02 and rates == sorted(rates, reverse=True)
    assert rates[-1] <= 0.01 and "compiled once" in output


def test_plain_jax_tells_the_spirals_apart():
    assert percent(run("plain_jax.py", "--smoke"), "test accuracy") >= 98


def test_param_groups_learns_around_a_frozen_embedding():
    output = run("param_groups.py", "--smoke")
    assert percent(output, "test accuracy") >= 95
    moved = dict(re.findall(r"(\w+) +moved by at most ([\d.]+)", output))
    assert moved.keys() == {"embedding", "body", "norm", "head"}
    assert [name for name in moved if float(moved[name]) == 0] == ["embedding"]
    assert re.search(r"^0 of \d+ arrays of state belong", output, re.MULTILINE), output
    assert re.search(r"frozen +set_to_zero .* 0 ", output), output


def test_learn_the_learning_rate_learns_it():
    output = run("learn_the_learning_rate.py", "--smoke")
    rows = re.findall(
        r"^ +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)%$", output, re.MULTILINE
    )
    (rate, decay, loss, accuracy), *_, last = [tuple(map(float, row)) for row in rows]
    assert accuracy < 50, output
    assert last[0] > 10 * rate and last[1] < decay / 5, output
    assert last[2] < loss / 5 and last[3] > 93, output


def test_sweep_digits_ranks_its_configurations_and_draws_them(tmp_path):
    picture = tmp_path / "sweep.png"
    output = run("sweep_digits.py", "--smoke", "--out", str(picture))
    rows = re.findall(r"([\d.]+) │ +0\.9 │ +(0\.\d+) ± 0\.\d+ │", output)
    accuracies = [float(accuracy) for _, accuracy in rows]
    assert len(rows) == 10 and accuracies == sorted(accuracies, reverse=True), output
    assert accuracies[0] >= 0.9
    assert "16 configurations x 2 seeds" in output and "1 compilation)" in output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_halving_finds_a_configuration_that_learns():
    output = run("halving.py", "--smoke")
    assert percent(output, "test accuracy") >= 95
    assert re.findall(r"│ \d +│ (\d+) +│ (\d+) +│", output) == [
        ("27", "20"),
        ("9", "60"),
        ("3", "180"),
    ]


def test_eight_bit_learns_as_in_float32_and_draws_both(tmp_path):
    picture = tmp_path / "eight_bit.png"
    output = run("eight_bit.py", "--smoke", "--out", str(picture))
    rows = re.findall(r"(float32|int8) +│.*│ +([\d.]+) │ +([\d.]+) │ +\d+ │", output)
    (name, *plain), (other, *stored) = [(x, float(y), float(z)) for x, y, z in rows]
    assert (name, other) == ("float32", "int8")
    assert plain[0] == 8 and stored[0] < 2.3, output
    assert plain[1] < 3.5 and abs(stored[1] / plain[1] - 1) < 0.01, output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_finetune_forgets_less_with_rates_by_layer():
    output = run("finetune.py", "--smoke")
    rows = re.findall(r"│ ([a-z ]+?) +│ +([\d.]+) │ +([\d.]+) │ +([\d,]*) │", output)
    found = {
        name: (float(new), float(old), int(nbytes.replace(",", "") or 0))
        for name, new, old, nbytes in rows
    }
    before, alike, by_layer = (found[x] for x in ("not yet", "alike", "by layer"))
    assert alike[0] < before[0] and by_layer[0] < before[0], output
    assert before[1] < by_layer[1] < alike[1], output
    # Two moments of the embedding, 105 characters by 64.
    assert alike[2] - by_layer[2] == 2 * 105 * 64 * 4, output
    assert "-  add_decayed_weights     not here" in output
    assert re.search(r"by 'block_0' from 0\.25 \* \w+", output), output


def test_zero1_keeps_an_eighth_and_sends_each_array_once():
    output = run("zero1.py", "--smoke")
    rows = re.findall(r"(whole|zero1|shard_map) +│ +[\d,]+ │ +([\d,]+) │", output)
    nbytes = {name: int(found.replace(",", "")) for name, found in rows}
    count = 4
    assert nbytes["zero1"] - count == (nbytes["whole"] - count) / 8, output
    assert nbytes["shard_map"] == nbytes["zero1"]
    accuracies = re.findall(r"([\d.]+)%", output)
    assert len(accuracies) == 3 and len(set(accuracies)) == 1, output
    assert float(accuracies[0]) > 85, output
    by_hand = output.split("shard_map")[1]
    assert re.findall(r"(\d+) (all-\w+|reduce-scatter)", by_hand) == [
        ("5", "all-gather"),
        ("5", "reduce-scatter"),
    ]


def test_checkpoint_resume_ends_where_it_would_have(tmp_path):
    output = run("checkpoint_resume.py", "--smoke", "--folder", str(tmp_path))
    rows = re.findall(
        r"│ ([a-z, ]+?) +│ +(\d+ to \d+) │ +([\d.]+) │ +([\d.]+)%", output
    )
    found = {name: tuple(cells) for name, *cells in rows}
    assert found["uninterrupted"][1:] == found["resumed"][1:], output
    assert found["stopped"][0] == "0 to 32" and found["resumed"][0] == "31 to 59"
    assert "resumed and uninterrupted differ by 0.0\n" in output
    assert min(float(cells[2]) for cells in found.values()) > 90, output
    anew = re.findall(r"\"(\w+) of '[\w/]+'\"", output)
    assert anew == ["ema"] * 6 and output.endswith("begin anew.\n"), output
    assert {file.name for file in tmp_path.iterdir()} == {"whole", "stopped", "changed"}


def test_new_rule_passes_the_battery_and_learns():
    output = run("new_rule.py", "--smoke")
    assert "every law holds" in output
    before, after = re.search(r"error ([\d.]+) -> ([\d.]+)", output).groups()
    assert float(after) < 0.05 < float(before)


def test_the_lion_of_new_rule_is_lion():
    from examples import new_rule

    params = ours = theirs = {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4)}
    tx = new_rule.lion(0.1, weight_decay=0.01, mask=jl.weights_only)
    reference = optax.lion(0.1, weight_decay=0.01, mask={"kernel": True, "bias": False})
    state, reference_state = tx.init(params), reference.init(params)
    random = np.random.default_rng(0)
    for _ in range(50):
        g = jax.tree.map(lambda p: jnp.float32(random.normal(size=p.shape)), params)
        updates, state = tx.update(g, state, ours)
        ours = jl.apply_updates(ours, updates)
        updates, reference_state = reference.update(g, reference_state, theirs)
        theirs = optax.apply_updates(theirs, updates)
    for name in params:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5)
