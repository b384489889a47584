"""Networks learn as much where state or parameters are kept in few bytes."""

import numpy as np
import pytest

from benchmarks import quality, trees

pytestmark = pytest.mark.optimized


def assert_within_limits(found: quality.Found) -> None:
    for codec in quality.LIMITS:
        assert found.losses[codec] != found.losses["float32"], "it is coded"
        assert found.excess(codec) <= found.allowed(codec), found


@pytest.mark.full
def test_a_network_learns_the_digits_from_coded_state():
    found = quality.measure(quality.digits(steps=300))
    assert found.losses["float32"] < 0.1
    assert_within_limits(found)
    assert found.excess("int4") < 0.1, "some percent are what four bits cost"


@pytest.mark.full
def test_a_transformer_learns_text_from_coded_state():
    found = quality.measure(quality.text(steps=200), ("float32", *quality.LIMITS))
    assert found.losses["float32"] < 2.5
    assert_within_limits(found)


@pytest.mark.full
def test_parameters_of_bfloat16_stand_still_unless_a_wrapper_moves_them():
    losses = quality.measure_parameters(quality.digits(steps=300))
    assert losses["float32"] < 0.1
    assert losses["as they are"] > 1.05 * losses["float32"]
    for goal in quality.goals_of_parameters(losses):
        assert goal.found <= goal.at_most, goal


def test_the_table_says_what_is_kept_in_what(monkeypatch):
    losses = dict.fromkeys(quality.CODECS, 2.0) | {"int8": 2.01}
    ways = dict.fromkeys(quality.WAYS, 0.5) | {"float32": 0.5, "as they are": 0.6}
    monkeypatch.setattr(quality, "measure", lambda n: quality.Found(losses, 0.01))
    monkeypatch.setattr(quality, "measure_parameters", lambda network: ways)
    text = quality.report("digits", trees.digits(), [], 1).markdown()
    assert "| int8 | float32 | 2.0100 (+0.50 %) | 2.0100 (+0.50 %) |" in text
    assert "| float32 | bfloat16, as they are | 0.6000 (+20.00 %) |  |" in text
    assert "int8: loss above float32's: 0.005, goal at most 0.02: reached" in text
    assert text.count("reached") == 2 * len(quality.LIMITS) + len(quality.WAYS) - 1


def test_a_loss_may_exceed_that_of_float32_by_twice_what_chance_does():
    losses = {"float32": 2.0, "bfloat16": 2.01, "int8": 1.98}
    quiet, loud = quality.Found(losses, 1e-4), quality.Found(losses, 0.01)
    assert quiet.excess("bfloat16") == pytest.approx(0.005)
    assert quiet.excess("int8") == pytest.approx(-0.01)
    assert [quiet.allowed("bfloat16"), loud.allowed("bfloat16")] == [0.003, 0.02]


def test_chance_is_how_far_a_millionth_leads():
    """By the mean of how far each seed is off, in the steps that count."""
    steps = np.zeros(quality.LAST)

    def train(tx, change):
        off_by = [0.1, -0.1] if change is quality.nudged else [0.0, 0.0]
        return [np.r_[9.0, steps + 2 * (1 + x)] for x in off_by]

    network = quality.Network(quality.digits(1).optimizer, train)
    found = quality.measure(network, ["float32"])
    assert found.losses == {"float32": pytest.approx(2.0)}
    assert found.chance == pytest.approx(0.1)
