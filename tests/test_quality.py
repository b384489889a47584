"""Networks learn as much from an optimizer whose state is kept in few bytes."""

import numpy as np
import pytest

from benchmarks import quality


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


def test_a_loss_may_exceed_that_of_float32_by_twice_what_chance_does():
    losses = {"float32": 2.0, "bfloat16": 2.01, "int8": 1.98}
    quiet, loud = quality.Found(losses, 1e-4), quality.Found(losses, 0.01)
    assert quiet.excess("bfloat16") == pytest.approx(0.005)
    assert quiet.excess("int8") == pytest.approx(-0.01)
    assert [quiet.allowed("bfloat16"), loud.allowed("bfloat16")] == [0.003, 0.02]


def test_chance_is_how_far_a_millionth_leads():
    """By the mean of how far each seed is off, in the steps that count."""
    steps = np.zeros(quality.LAST)

    def train(tx, off):
        off_by = [0.1, -0.1] if off else [0.0, 0.0]
        return [np.r_[9.0, steps + 2 * (1 + x)] for x in off_by]

    network = quality.Network(quality.digits(1).optimizer, train)
    found = quality.measure(network, ["float32"])
    assert found.losses == {"float32": pytest.approx(2.0)}
    assert found.chance == pytest.approx(0.1)
