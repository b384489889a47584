"""What `torch.optim` keeps, and calls, what our rules keep and call otherwise."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from jaxopt_lite.core.rule import Rule
from jaxopt_lite.rules.adadelta import ScaleByAdaDelta
from jaxopt_lite.rules.adam import ScaleByAdam
from jaxopt_lite.rules.maximum import ScaleByAdamax
from jaxopt_lite.rules.momentum import NesterovTrace, Trace
from jaxopt_lite.rules.pytorch import DampenedTrace, DivideByRss, InverseTimeDecay
from jaxopt_lite.rules.pytorch_moments import Amsgrad, Nadam, Radam
from jaxopt_lite.rules.pytorch_muon import Muon
from jaxopt_lite.rules.pytorch_steps import Asgd
from jaxopt_lite.rules.radam import ScaleByRadam
from jaxopt_lite.rules.rms import ScaleByRms, ScaleByRss, ScaleByStddev
from jaxopt_lite.rules.scaling import AddDecayedWeights, ScaleByLearningRate
from jaxopt_lite.rules.sign import ScaleByRprop

Buffers: TypeAlias = Mapping[str, np.ndarray]
"""What PyTorch keeps for one parameter, by name."""


class Source(NamedTuple):
    """The buffers that a slot is made from, and how; one alone as it is."""

    names: tuple[str, ...]
    made: Callable[..., Any] = lambda buffer: buffer

    def of(self, buffers: Buffers) -> Any:
        """The slot."""
        return self.made(*(buffers[name] for name in self.names))


class Counterpart(NamedTuple):
    """What a rule of ours continues: PyTorch's optimizers, buffers and numbers.

    What it does not let choose is fixed.
    """

    optimizers: tuple[str, ...]
    slots: Mapping[str, Source] = {}
    numbers: Mapping[str, str] = {}
    fixed: Mapping[str, float] = {}

    @property
    def buffers(self) -> set[str]:
        """The names of the buffers that it takes."""
        return {name for source in self.slots.values() for name in source.names}


def _same(**slots: str) -> dict[str, Source]:
    return {slot: Source((name,)) for slot, name in slots.items()}


_MOMENTS = _same(mu="exp_avg", nu="exp_avg_sq")
_BETAS = {"b1": "betas[0]", "b2": "betas[1]", "eps": "eps"}
_TRACE = _same(trace="momentum_buffer")
_MEANS = {"decay": "alpha", "eps": "eps"}

COUNTERPARTS: Mapping[type[Rule], Counterpart] = {
    Trace: Counterpart(
        ("SGD", "RMSprop"),
        _TRACE,
        {"decay": "momentum"},
        {"nesterov": False, "dampening": 0.0},
    ),
    NesterovTrace: Counterpart(
        ("SGD",), _TRACE, {"decay": "momentum"}, {"nesterov": True, "dampening": 0.0}
    ),
    DampenedTrace: Counterpart(
        ("SGD",),
        _TRACE,
        {"decay": "momentum", "dampening": "dampening"},
        {"nesterov": False},
    ),
    ScaleByAdam: Counterpart(("Adam",), _MOMENTS, _BETAS, {"amsgrad": False}),
    Amsgrad: Counterpart(
        ("Adam",),
        {**_MOMENTS, **_same(nu_max="max_exp_avg_sq")},
        _BETAS,
        {"amsgrad": True},
    ),
    Nadam: Counterpart(
        ("NAdam",),
        {**_MOMENTS, **_same(mu_product="mu_product")},
        {**_BETAS, "momentum_decay": "momentum_decay"},
    ),
    Radam: Counterpart(("RAdam",), _MOMENTS, _BETAS),
    ScaleByRadam: Counterpart(("RAdam",), _MOMENTS, _BETAS),
    ScaleByAdamax: Counterpart(("Adamax",), _same(mu="exp_avg", nu="exp_inf"), _BETAS),
    ScaleByRms: Counterpart(
        ("RMSprop",), _same(nu="square_avg"), _MEANS, {"centered": False}
    ),
    ScaleByStddev: Counterpart(
        ("RMSprop",), _same(mu="grad_avg", nu="square_avg"), _MEANS, {"centered": True}
    ),
    ScaleByRss: Counterpart(("Adagrad",), _same(sum_of_squares="sum"), {"eps": "eps"}),
    DivideByRss: Counterpart(("Adagrad",), _same(sum_of_squares="sum"), {"eps": "eps"}),
    InverseTimeDecay: Counterpart(("Adagrad",), {}, {"rate": "lr_decay"}),
    ScaleByAdaDelta: Counterpart(
        ("Adadelta",),
        _same(e_g="square_avg", e_x="acc_delta"),
        {"rho": "rho", "eps": "eps"},
    ),
    Asgd: Counterpart(
        ("ASGD",),
        _same(eta="eta", ax="ax"),
        {"lr": "lr", "lambd": "lambd", "alpha": "alpha", "t0": "t0"},
    ),
    ScaleByRprop: Counterpart(
        ("Rprop",),
        {
            "step_sizes": Source(("step_size",)),
            # PyTorch keeps the gradient, and reads its sign alone, as we do.
            "prev_updates": Source(
                ("step_size", "prev"), lambda size, g: size * np.sign(g)
            ),
        },
        {
            "eta_minus": "etas[0]",
            "eta_plus": "etas[1]",
            "min_step_size": "step_sizes[0]",
            "max_step_size": "step_sizes[1]",
        },
    ),
    Muon: Counterpart(("Muon",), _TRACE, {"momentum": "momentum", "eps": "eps"}),
    ScaleByLearningRate: Counterpart((), {}, {"learning_rate": "lr"}),
    AddDecayedWeights: Counterpart((), {}, {"weight_decay": "weight_decay"}),
}
"""By the class itself: one that is derived has another formula."""

ABSENT = {"weight_decay": 0.0, "lr_decay": 0.0, "momentum": 0.0, "maximize": False}
"""The numbers that mean nothing happens, where nothing of ours does it."""

DERIVED = {"ASGD": {"mu"}}
"""The buffers that follow from the step."""

UNCOUNTED = ("SGD", "Muon")
"""The optimizers that do not say how many steps were taken."""

_TELLTALES = {
    "ASGD": "lambd",
    "NAdam": "momentum_decay",
    "Adam": "amsgrad",
    "RMSprop": "alpha",
    "Adadelta": "rho",
    "Adagrad": "lr_decay",
    "Rprop": "etas",
    "SGD": "dampening",
    "Muon": "ns_steps",
    "Adafactor": "beta2_decay",
    "LBFGS": "history_size",
}
"""A number in the groups of each optimizer that those below it do not have."""


def optimizer_of(group: Mapping[str, Any], buffers: Buffers) -> str:
    """The optimizer that a group of a state dict is of: `Adam` for `AdamW` too."""
    for name, telltale in _TELLTALES.items():
        if telltale in group:
            return name
    if "betas" in group:
        return "Adamax" if "exp_inf" in buffers else "RAdam"
    return ""
