"""The optimizers of `interop.pytorch` against torch.optim, recorded and live."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lite as jl
from jaxopt_lite.interop import pytorch
from jaxopt_lite.testing import check_transformation
from tests.golden import cases
from tests.golden.cases import CASES, RECORDED, STEPS, Case
from tests.reference import pytorch as formulas

GOLDEN = np.load(Path(cases.__file__).with_name("pytorch.npz"))
ROWS = {name: GOLDEN[f"parameters_{i}"] for i, name in enumerate(GOLDEN["names"])}
KEPT = [step - 1 for step in RECORDED]

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_optimizer = pytest.mark.parametrize(
    "name",
    [
        *("SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "NAdam", "RAdam", "Adamax"),
        *("Adadelta", "Adafactor", "ASGD", "Rprop", "Muon"),
    ],
)


def by_formula(case: Case) -> np.ndarray:
    """The parameters after every step, one row each, in plain NumPy."""
    gradients = list(cases.gradients(case.shapes))
    columns = {}
    for name, p in cases.parameters(case.shapes).items():
        arguments = {
            k: v[name] if isinstance(v, Mapping) else v
            for k, v in case.arguments.items()
        }
        if case.scheduled:
            arguments["lr"] = scheduled(arguments["lr"])
        rule = getattr(formulas, case.optimizer.lower())
        columns[name] = list(rule(p, [g[name] for g in gradients], **arguments))
    return np.stack(
        [
            cases.flat({name: column[i] for name, column in columns.items()})
            for i in range(STEPS)
        ]
    )


def by_ours(case: Case) -> np.ndarray:
    """The parameters after every step, one row each, of `interop.pytorch`."""
    tx = make(case)

    @jax.jit
    def step(g: Any, params: Any, state: Any) -> Any:
        updates, state = tx.update(g, state, params)
        return jl.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, cases.parameters(case.shapes))
    state = tx.init(params)
    rows = []
    for g in cases.gradients(case.shapes):
        params, state = step(g, params, state)
        rows.append(cases.flat(params))
    return np.stack(rows)


def make(case: Case) -> jl.GradientTransformation:
    """Our counterpart of a case: a dict of values is `by_path`, a rate a schedule."""
    arguments = dict(case.arguments)
    if case.scheduled:
        lr = arguments["lr"]
        arguments["lr"] = (
            {name: scheduled(rate) for name, rate in lr.items()}
            if isinstance(lr, Mapping)
            else scheduled(lr)
        )
    by_path = {
        k: jl.by_path({name: v[name] for name in case.shapes})
        for k, v in arguments.items()
        if isinstance(v, Mapping)
    }
    return getattr(pytorch, case.optimizer.lower())(**{**arguments, **by_path})


def scheduled(rate: float) -> Any:
    return lambda count: rate * cases.factor(count)


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest error of a parameter, relative to its largest value in the run."""
    return np.max(np.abs(found - expected) / np.max(np.abs(expected), axis=0))


def tolerance(case: Case) -> float:
    """What float64 allows; Muon iterates in bfloat16, which enlarges its 2**-8."""
    return 15 * 2**-8 if case.optimizer == "Muon" else 1e-12


@every_case
def test_formula_equals_recording(case: Case) -> None:
    assert error(by_formula(case)[KEPT], ROWS[str(case)]) < tolerance(case)


@every_case
def test_ours_equals_recording(case: Case, x64: None) -> None:
    assert error(by_ours(case)[KEPT], ROWS[str(case)]) < tolerance(case)


@every_case
def test_ours_equals_torch(case: Case, x64: None) -> None:
    pytest.importorskip("torch")
    from tests.golden.record_pytorch import trajectory

    assert error(by_ours(case), trajectory(case)) < tolerance(case)


def test_recording_holds_every_case() -> None:
    assert list(ROWS) == list(CASES)


@every_optimizer
def test_signature_is_that_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    ours = inspect.signature(getattr(pytorch, name.lower())).parameters
    own_place = "maximize"  # the last of ours
    assert [n for n in theirs if n in ours and n != own_place] == [
        n for n in ours if n != own_place
    ]
    for argument, parameter in ours.items():
        assert parameter.default == theirs[argument].default


@pytest.mark.parametrize(
    "tx",
    [
        pytorch.adamw(amsgrad=True),
        pytorch.radam(),
        *(
            pytest.param(tx, marks=pytest.mark.full)
            for tx in (
                pytorch.sgd(momentum=0.9, dampening=0.5),
                pytorch.adagrad(lr_decay=0.1),
                pytorch.rmsprop(centered=True, momentum=0.9),
                pytorch.adam(weight_decay=0.1),
                pytorch.nadam(weight_decay=0.1),
                pytorch.adafactor(weight_decay=0.1),
                pytorch.asgd(),
                pytorch.rprop(),
            )
        ),
    ],
    ids=lambda tx: repr(tx)[:60],
)
def test_obeys_the_laws(tx: jl.GradientTransformation) -> None:
    check_transformation(tx)


def trajectory_of(tx: jl.GradientTransformation, steps: int = 5) -> jax.Array:
    """Where a parameter goes under gradients that grow."""
    params = jnp.array([1.0, -2.0])
    state = tx.init(params)
    for i in range(steps):
        updates, state = tx.update(params * (i + 1), state, params)
        params = jl.apply_updates(params, updates)
    return params


@pytest.mark.parametrize(
    ("name", "argument", "values", "others"),
    [
        ("sgd", "momentum", [0.0, 0.5], {}),
        ("sgd", "momentum", [0.0, 0.5], {"dampening": 0.5}),
        ("sgd", "dampening", [0.0, 0.5], {"momentum": 0.9}),
        ("sgd", "weight_decay", [0.0, 0.5], {}),
        ("adagrad", "lr_decay", [0.0, 0.5], {}),
        ("adagrad", "initial_accumulator_value", [0.0, 0.5], {}),
        ("rmsprop", "momentum", [0.0, 0.5], {"centered": True}),
        ("adamw", "weight_decay", [0.0, 0.5], {}),
    ],
)
def test_swept_numbers_equal_plain_ones(
    name: str, argument: str, values: list[float], others: dict[str, float]
) -> None:
    def end(value: Any) -> jax.Array:
        return trajectory_of(
            getattr(pytorch, name)(0.01, **{argument: value}, **others)
        )

    swept = jax.vmap(end)(jnp.array(values))
    np.testing.assert_allclose(swept, [end(v) for v in values], rtol=1e-5)


@pytest.mark.parametrize(
    ("tx", "slots"),
    [
        (pytorch.sgd(), 0),
        (pytorch.sgd(momentum=0.9), 1),
        (pytorch.sgd(momentum=0.9, dampening=0.1), 1),
        (pytorch.adagrad(), 1),
        (pytorch.rmsprop(), 1),
        (pytorch.rmsprop(centered=True, momentum=0.9), 3),
        (pytorch.adam(), 2),
        (pytorch.adamw(), 2),
        (pytorch.adamw(amsgrad=True), 3),
        (pytorch.nadam(), 2),
        (pytorch.adafactor(), 1),
        (pytorch.asgd(), 1),
        (pytorch.rprop(), 2),
        (pytorch.adadelta(), 2),
    ],
)
def test_state_holds_the_promised_slots(
    tx: jl.GradientTransformation, slots: int
) -> None:
    leaves = jax.tree.leaves(tx.init(jnp.zeros(7)))
    assert sum(leaf.shape == (7,) for leaf in leaves) == slots


@pytest.mark.parametrize(
    "arguments",
    [
        {"nesterov": True},
        {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
        {"nesterov": True, "momentum": 0.9, "dampening": jnp.array(0.0)},
    ],
)
def test_nesterov_wants_momentum_without_dampening(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a momentum and no dampening"):
        pytorch.sgd(**arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("sgd", {"lr": -0.1}, r"lr is -0\.1; expected a number in \[0, inf\)"),
        ("sgd", {"momentum": -1}, r"momentum is -1; expected a number in \[0, inf\)"),
        ("sgd", {"weight_decay": -1}, "weight_decay is -1"),
        ("adagrad", {"lr_decay": -1}, "lr_decay is -1"),
        (
            "adagrad",
            {"initial_accumulator_value": -1},
            "initial_accumulator_value is -1",
        ),
        ("rmsprop", {"alpha": 1.5}, r"alpha is 1\.5; expected a number in \[0, 1\)"),
        ("adam", {"eps": -1e-8}, "eps is -1e-08"),
        ("adamw", {"betas": (0.9, 1.0)}, r"betas\[1\] is 1; expected a number in"),
        ("rprop", {"etas": (1.1, 1.2)}, r"etas\[0\] is 1\.1; expected a number in"),
        ("adafactor", {"beta2_decay": 0.5}, "beta2_decay is 0.5"),
        ("muon", {"adjust_lr_fn": "none"}, "adjust_lr_fn is 'none'; expected None"),
    ],
)
def test_numbers_out_of_range(name: str, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        getattr(pytorch, name)(**arguments)


def test_asgd_averages_from_a_step_on(x64: None) -> None:
    tx = pytorch.asgd(lr=0.1, t0=2)
    params = jnp.array([1.0, -2.0])
    state, passed = tx.init(params), []
    for _ in range(9):
        updates, state = tx.update(params**3, state, params)
        params = jl.apply_updates(params, updates)
        passed.append(params)
    np.testing.assert_allclose(state[0].ax, np.mean(passed[3:], axis=0), rtol=1e-12)


def test_muon_takes_matrices_alone() -> None:
    tx = pytorch.muon()
    params = {"w": jnp.ones((3, 2)), "b": jnp.ones(3)}
    with pytest.raises(ValueError, match=r"the shape \(3,\); expected matrices alone"):
        tx.init(params)


def test_muon_turns_tall_matrices() -> None:
    g = jax.random.normal(jax.random.key(0), (6, 3))
    tx = pytorch.muon(lr=1.0, weight_decay=0.0)
    tall, _ = tx.update(g, tx.init(g), g)
    wide, _ = tx.update(g.T, tx.init(g.T), g.T)
    np.testing.assert_allclose(tall.T, wide * np.sqrt(2), rtol=1e-6)
