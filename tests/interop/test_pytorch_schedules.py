"""The schedules of `interop.pytorch` against torch.optim.lr_scheduler, recorded."""

import inspect
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lite.interop import pytorch
from tests.golden import schedule_cases
from tests.golden.schedule_cases import CASES, LR, STEPS, Case
from tests.helpers import relative_error

GOLDEN = np.load(Path(schedule_cases.__file__).with_name("pytorch_schedules.npz"))
RECORDED = dict(zip(GOLDEN["names"], GOLDEN["rates"], strict=True))
OF_MOMENTUM = {"cycle_momentum", "base_momentum", "max_momentum"}
OF_RATE = {"max_lr", "div_factor", "final_div_factor"}
ONE_CYCLE = [case for case in CASES.values() if case.scheduler == "OneCycleLR"]

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def rate(case: Case) -> Any:
    """Our counterpart of a case."""
    arguments = {k: v for k, v in case.arguments.items() if k not in OF_MOMENTUM}
    if "schedulers" in arguments:
        arguments["schedulers"] = [rate(member) for member in arguments["schedulers"]]
    elif "max_lr" not in arguments:
        arguments["lr"] = LR
    return getattr(pytorch, snake_case(case.scheduler))(**arguments)


def momentum(case: Case) -> Any:
    """The momentum of a cycle."""
    arguments = {k: v for k, v in case.arguments.items() if k not in OF_RATE}
    return pytorch.one_cycle_momentum(**arguments)


def at_every_step(schedule: Any) -> jax.Array:
    counts = jnp.arange(STEPS, dtype=jnp.int32)
    return jax.jit(jax.vmap(lambda count: jnp.asarray(schedule(count))))(counts)


def assert_equal(found: Any, expected: Any) -> None:
    """At every step by itself; a zero is met by 1e-15."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@every_case
def test_equals_recording(case: Case, x64: None) -> None:
    expected = RECORDED[str(case)][:, 0]
    assert_equal(at_every_step(rate(case)), expected)


@pytest.mark.parametrize("case", ONE_CYCLE, ids=str)
def test_momentum_equals_recording(case: Case, x64: None) -> None:
    expected = RECORDED[str(case)][:, 1]
    assert np.ptp(expected) > 0.05
    assert_equal(at_every_step(momentum(case)), expected)


@pytest.mark.parametrize("case", list(CASES.values())[::3], ids=str)
def test_equals_recording_in_float32_and_at_python_counts(case: Case) -> None:
    expected = RECORDED[str(case)][:, 0]
    schedule = rate(case)
    assert relative_error(at_every_step(schedule), expected) < 2e-6
    found = [float(schedule(count)) for count in range(0, STEPS, 9)]
    assert relative_error(found, expected[::9]) < 2e-6


def test_recording_holds_every_case() -> None:
    assert list(RECORDED) == list(CASES)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_recording_is_of_torch(case: Case) -> None:
    pytest.importorskip("torch")
    from tests.golden.record_pytorch_schedules import trajectory

    np.testing.assert_allclose(trajectory(case), RECORDED[str(case)], rtol=1e-13)


@pytest.mark.parametrize("scheduler", sorted({c.scheduler for c in CASES.values()}))
def test_signature_is_that_of_torch(scheduler: str) -> None:
    schedulers = pytest.importorskip("torch.optim.lr_scheduler")
    theirs = dict(inspect.signature(getattr(schedulers, scheduler)).parameters)
    ours = dict(inspect.signature(getattr(pytorch, snake_case(scheduler))).parameters)
    ours.pop("lr", None)
    assert [k for k in theirs if k in ours] == list(ours)
    assert set(theirs) - set(ours) <= {"optimizer", "last_epoch"} | OF_MOMENTUM
    assert all(p.default == theirs[k].default for k, p in ours.items())


TRACED = [
    ("step_lr", {"lr": 0.3, "step_size": 7.0, "gamma": 0.5}),
    ("multi_step_lr", {"lr": 0.3, "gamma": 0.5, "milestones": (8.0, 30.0)}),
    ("constant_lr", {"lr": 0.3, "factor": 0.5, "total_iters": 9.0}),
    (
        "linear_lr",
        {"lr": 0.3, "start_factor": 0.5, "end_factor": 0.1, "total_iters": 9.0},
    ),
    ("exponential_lr", {"lr": 0.3, "gamma": 0.9}),
    ("polynomial_lr", {"lr": 0.3, "total_iters": 40.0, "power": 2.0}),
    ("cosine_annealing_lr", {"lr": 0.3, "T_max": 7.0, "eta_min": 0.1}),
    ("cosine_annealing_warm_restarts", {"lr": 0.3, "T_0": 7.0, "eta_min": 0.1}),
    (
        "one_cycle_lr",
        {
            "max_lr": 0.3,
            "total_steps": 60.0,
            "pct_start": 0.3,
            "div_factor": 25.0,
            "final_div_factor": 1e4,
        },
    ),
    ("one_cycle_momentum", {"total_steps": 60.0, "base_momentum": 0.7}),
]


@pytest.mark.parametrize(("name", "numbers"), TRACED, ids=[name for name, _ in TRACED])
def test_numbers_may_be_traced(name: str, numbers: dict[str, Any], x64: None) -> None:
    make = getattr(pytorch, name)
    found = jax.jit(lambda numbers: at_every_step(make(**numbers)))(numbers)
    assert_equal(found, at_every_step(make(**numbers)))


def test_the_end_of_a_cycle_stays() -> None:
    schedule = pytorch.one_cycle_lr(1.0, total_steps=10)
    np.testing.assert_allclose([schedule(9), schedule(10), schedule(99)], 4e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("step_lr", (0.1, 0), "step_size is 0"),
        ("multi_step_lr", (0.1, [5, -1]), r"milestones\[1\] is -1"),
        ("constant_lr", (0.1, 1.5), "factor is 1.5"),
        ("linear_lr", (0.1, 0.0), "start_factor is 0"),
        ("exponential_lr", (0.1, -0.5), "gamma is -0.5"),
        ("polynomial_lr", (0.1, 0), "total_iters is 0"),
        ("cosine_annealing_lr", (0.1, 0), "T_max is 0"),
        ("cosine_annealing_warm_restarts", (0.1, 5, 0), "T_mult is 0"),
        ("one_cycle_lr", (0.1,), "expected total_steps, or both"),
        ("one_cycle_lr", (0.1, 10, None, None, 1.5), "pct_start is 1.5"),
        ("one_cycle_lr", (0.1, 10, None, None, 0.5, "cosine"), "anneal_strategy"),
        ("sequential_lr", ([], []), "schedules"),
    ],
)
def test_numbers_out_of_range(name: str, arguments: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        getattr(pytorch, name)(*arguments)
