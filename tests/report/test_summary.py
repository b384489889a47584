"""The table of what an optimizer does to which parameters."""

import sys

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxopt_lite as jl

PARAMS = {
    "embedding": jnp.ones((10, 4)),
    "dense": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3), "none": None},
}


def rows(tx, params=PARAMS):
    """The rows by group, each without its group."""
    return {row.group: row[1:] for row in jl.summary(tx, params).rows}


def test_groups_are_what_is_treated_alike():
    tx = jl.adamw(
        jl.by_path({"embedding": 0.1, "*": 0.2}),
        weight_decay=0.01,
        mask=jl.weights_only,
    )
    adam, decay, rate = "scale_by_adam", "add_decayed_weights", "scale_by_learning_rate"
    assert rows(tx) == {
        "dense/bias": (f"{adam}, {rate}", 1, 3, "0.2", "-", 24),
        "dense/kernel": (f"{adam}, {decay}, {rate}", 1, 12, "0.2", "0.01", 96),
        "embedding": (f"{adam}, {decay}, {rate}", 1, 40, "0.1", "0.01", 320),
    }


def test_the_total_has_the_counts_too():
    table = jl.summary(jl.adam(jl.linear_schedule(0.1, 0.0, 5)), PARAMS)
    assert [row.state_bytes for row in table.rows] == [8 * 55]
    assert table.shared_bytes == 8
    assert table.total.state_bytes == 8 * 55 + 8
    assert table.rows[0].learning_rate == "Linear"


@pytest.mark.parametrize(
    "tx",
    [
        jl.partition(
            {"still": jl.set_to_zero(), "on": jl.sgd(0.1, momentum=0.9)},
            jl.by_path({"embedding": "still", "*": "on"}),
        ),
        jl.chain(
            jl.freeze(jl.by_path({"embedding": True, "*": False})), jl.sgd(0.1, 0.9)
        ),
    ],
    ids=["partition", "freeze"],
)
def test_what_is_frozen_weighs_nothing(tx):
    table = jl.summary(tx, PARAMS)
    weights = {row.transformation: row.state_bytes for row in table.rows}
    assert weights["set_to_zero"] == 0
    assert sum(weights.values()) == 4 * 15


def test_optax_parts_and_masks_inside():
    inner = jl.masked(optax.trace(0.9), jl.by_path({"embedding": True, "*": False}))
    table = jl.summary(jl.chain(inner, jl.scale(-0.1)), PARAMS)
    assert {row.state_bytes for row in table.rows} == {0, 160}


def test_seven_billion_parameters_cost_nothing():
    shapes = {
        f"layer{i}": jax.ShapeDtypeStruct((14_000, 5_000), "bfloat16")
        for i in range(100)
    }
    table = jl.summary(jl.adamw(1e-3), shapes)
    assert table.total.parameters == 7 * 10**9
    assert table.total.bytes_per_parameter == pytest.approx(8.0)
    assert table.rows[0].group == "layer0, … (+99)"


def test_a_low_precision_moment_weighs_less():
    table = jl.summary(jl.adam(1e-3, mu_dtype=jnp.bfloat16), PARAMS)
    assert table.rows[0].bytes_per_parameter == 6.0


WIDE = {"embedding": jnp.ones((50, 16)), "kernel": jnp.ones((20, 40))}


@pytest.mark.parametrize(
    ("tx", "bytes_of"),
    [
        # A number for each row of the table, and for each output unit.
        (jl.adam_mini(1e-3), {"embedding": 4 + 4 / 16, "kernel": 4 + 4 / 20}),
        # Two numbers for each row and each column, and what holds the place of `v`.
        (
            jl.came(1e-3),
            {"embedding": 4 + (8 * 66 + 4) / 800, "kernel": 4 + (8 * 60 + 4) / 800},
        ),
    ],
    ids=["adam_mini", "came"],
)
def test_a_moment_by_row_or_column_weighs_little(tx, bytes_of):
    for name, leaf in WIDE.items():
        (row,) = jl.summary(tx, {name: leaf}).rows
        assert row.bytes_per_parameter == bytes_of[name]


def test_it_prints_with_rich(capsys):
    jl.summary(jl.adamw(1e-3), PARAMS)
    printed = capsys.readouterr().out
    assert "add_decayed_weights" in printed and "…" not in printed.replace(", …", "")


def test_it_prints_plain_text_without_rich(capsys, monkeypatch):
    for name in ("rich.box", "rich.console", "rich.table"):
        monkeypatch.setitem(sys.modules, name, None)
    table = jl.summary(jl.adamw(1e-3, mask=jl.weights_only), PARAMS)
    printed = capsys.readouterr().out
    assert printed == f"{table}\n"
    head, *lines = printed.splitlines()
    assert head.split()[:2] == ["group", "transformation"]
    assert [line.split()[0] for line in lines] == [
        "dense/bias",
        "dense/kernel,",
        "total",
    ]
