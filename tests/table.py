"""The one table of all transformations that the tests read.

A case is a name and arguments: `jaxopt_lite`, Optax and `tests.reference` know each
transformation under the same name, with the same arguments and defaults. A new
transformation is one more line in `VARIANTS`.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

import jaxopt_lite
from tests.helpers import Tree, by_name
from tests.reference import optimizers, rules

TAKES_SCHEDULES = {"learning_rate", "weight_decay", "step_size_fn"}
"""The arguments for which Optax's factories take a schedule."""


class Case(NamedTuple):
    """A transformation with its arguments.

    A dict as an argument stands for `by_path`, a function for a schedule.
    """

    name: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        given = (f"{name}={_short(value)}" for name, value in self.arguments.items())
        return f"{self.name}({', '.join(given)})"

    def ours(self) -> jaxopt_lite.GradientTransformation:
        given = {
            name: jaxopt_lite.by_path(value) if isinstance(value, Mapping) else value
            for name, value in self.arguments.items()
        }
        return getattr(jaxopt_lite, self.name)(**given)

    @property
    def suits_optax(self) -> bool:
        """Whether Optax's factory takes the arguments as they are."""
        return not self._is_by_path and _scheduled(self.arguments) <= TAKES_SCHEDULES

    @property
    def _is_by_path(self) -> bool:
        return any(
            isinstance(v, Mapping) for k, v in self.arguments.items() if k != "mask"
        )

    def theirs(self, like: Tree) -> optax.GradientTransformation:
        """Optax's, or what its users write where its factory does not take as much."""
        if not self._is_by_path:
            return self._theirs(self.arguments)
        each = {path: self._theirs(self.at(path)) for path in by_name(like)}
        return optax.partition(each, _of_tree(lambda path: path))

    def _theirs(self, arguments: Mapping[str, Any]) -> optax.GradientTransformation:
        factory = getattr(optax, self.name)
        if not _scheduled(arguments) <= TAKES_SCHEDULES:
            factory = optax.inject_hyperparams(factory)
        given = {
            name: _of_tree(functools.partial(first_match, value))
            if isinstance(value, Mapping)
            else value
            for name, value in arguments.items()
        }
        return factory(**given)

    def reference(self, gradients: Tree, parameters: Tree) -> Tree:
        """The updates of every step, stacked, by NumPy in float64."""
        function = getattr(rules, self.name, None) or getattr(optimizers, self.name)
        g, p = _float64(gradients), _float64(parameters)
        if self.sees_whole_tree:
            u = _whole_tree(function, g, self.arguments)
        else:
            u = [np.stack(list(function(g[k], p[k], **self.at(k)))) for k in g]
        return jax.tree.structure(gradients).unflatten(u)

    @property
    def sees_whole_tree(self) -> bool:
        """Whether the update of one leaf depends on the other leaves."""
        return self.name == "clip_by_global_norm"

    def at(self, path: str) -> dict[str, Any]:
        """The arguments in force for one parameter."""
        return {
            name: first_match(value, path) if isinstance(value, Mapping) else value
            for name, value in self.arguments.items()
        }


def first_match(rules: Mapping[str, Any], path: str) -> Any:
    """What the first pattern that matches a path stands for."""
    return next(value for pattern, value in rules.items() if fnmatch(path, pattern))


def _scheduled(arguments: Mapping[str, Any]) -> set[str]:
    return {name for name, value in arguments.items() if callable(value)}


def _of_tree(function: Callable[[str], Any]) -> Callable[[Tree], Tree]:
    """From a tree to the tree of what a function gives for each path."""
    return lambda tree: jax.tree.structure(tree).unflatten(map(function, by_name(tree)))


def _float64(tree: Tree) -> dict[str, np.ndarray]:
    return {path: x.astype(np.float64) for path, x in by_name(tree).items()}


def _whole_tree(
    function: Callable[..., Any], g: Mapping[str, np.ndarray], arguments: Any
) -> list[np.ndarray]:
    """The updates of a rule that sees all leaves as one vector."""
    flat = np.concatenate([x.reshape(len(x), -1) for x in g.values()], axis=1)
    u = np.stack(list(function(flat, flat, **arguments)))
    ends = np.cumsum([x[0].size for x in g.values()])[:-1]
    parts = np.split(u, ends, axis=1)
    return [x.reshape(y.shape) for x, y in zip(parts, g.values(), strict=True)]


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "by_path"
    return getattr(value, "__name__", repr(value))


def falling(count):
    """A schedule from 0.5 down, for numbers that are sizes."""
    return 0.5 / (1 + count)


def rising(count):
    """A schedule from 0.5 up to 0.9, for numbers that are weights of the past."""
    return 0.9 - 0.4 / (1 + count)


def rising_far(count):
    """A schedule from 0.5 up to 0.999."""
    return 0.999 - 0.499 / (1 + count)


SIZES = {"*bias*": 0.05, "scale": falling, "*": 0.3}
WEIGHTS = {"*bias*": 0.5, "scale": rising, "*": 0.8}
MASK = {"*bias*": False, "scale": False, "*": True}


def _flags(**flags: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Every combination of some values."""
    return [
        dict(zip(flags, values, strict=True))
        for values in itertools.product(*flags.values())
    ]


_RMS = _flags(
    eps=(1e-2,),
    initial_scale=(0.0, 0.5),
    eps_in_sqrt=(True, False),
    bias_correction=(False, True),
)
# Debiased and from zero, the variance at step 1 is the difference of two equal numbers.
_STDDEV = [f for f in _RMS if f["initial_scale"] > 0 or not f["bias_correction"]]
_ADAM = [
    {},
    {"nesterov": True},
    {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4},
    {"b1": 0.0, "b2": 0.0, "eps": 1e-2},
    {"b1": rising, "b2": rising_far},
    {"b1": rising, "b2": rising_far, "nesterov": True},
    {"b1": WEIGHTS, "b2": 0.9, "eps": SIZES, "eps_root": SIZES},
]
_NADAM = [{k: v for k, v in variant.items() if k != "nesterov"} for variant in _ADAM]
_DECAYS = [
    {"weight_decay": 0.1},
    {"weight_decay": falling},
    {"weight_decay": 0.1, "mask": MASK},
    {"weight_decay": falling, "mask": MASK},
    {"weight_decay": SIZES},
]


def _with_rate(*variants: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The variants at a fixed rate; the first and the last at other rates, too."""
    return [
        *({"learning_rate": 0.03, **variant} for variant in variants),
        {"learning_rate": falling, **variants[0]},
        {"learning_rate": SIZES, **variants[-1]},
    ]


VARIANTS: dict[str, list[dict[str, Any]]] = {
    "scale": [{"step_size": x} for x in (-0.3, falling, SIZES)],
    "scale_by_learning_rate": [*_with_rate({}), *_with_rate({"flip_sign": False})],
    "scale_by_schedule": [{"step_size_fn": falling}],
    "add_decayed_weights": [{}, *_DECAYS],
    "clip": [{"max_delta": x} for x in (0.5, falling, SIZES)],
    "clip_by_global_norm": [{"max_norm": x} for x in (1.0, 10.0, 1e3, falling)],
    "trace": _flags(decay=(0.9, rising, WEIGHTS), nesterov=(False, True)),
    "ema": _flags(decay=(0.9, rising, WEIGHTS), debias=(False, True)),
    "scale_by_rss": [
        {},
        {"initial_accumulator_value": 0.0, "eps": 1e-2},
        {"initial_accumulator_value": {"*bias*": 0.0, "*": 0.5}, "eps": falling},
    ],
    "scale_by_rms": [
        {},
        *_RMS,
        {"decay": rising, "eps": falling, "bias_correction": True},
        {"decay": WEIGHTS, "eps": SIZES, "initial_scale": {"*bias*": 0.0, "*": 0.5}},
    ],
    "scale_by_stddev": [
        {},
        *_STDDEV,
        {"decay": rising, "eps": falling},
        {"decay": WEIGHTS, "eps": SIZES, "initial_scale": {"*bias*": 0.0, "*": 0.5}},
    ],
    "scale_by_adam": _ADAM,
    "sgd": _with_rate(
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": rising},
        {"momentum": WEIGHTS, "nesterov": True},
    ),
    "adagrad": _with_rate({}, {"initial_accumulator_value": 0.5, "eps": 1e-2}),
    "rmsprop": _with_rate(
        {},
        {"momentum": 0.9},
        {"decay": 0.8, "eps": 1e-2, "eps_in_sqrt": False},
        {"centered": True, "initial_scale": 0.5, "bias_correction": True},
        {"centered": True, "momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "nesterov": True, "bias_correction": True},
        {"decay": rising, "momentum": WEIGHTS},
    ),
    "adam": _with_rate(*_ADAM),
    "adamw": _with_rate({}, {**_ADAM[2], **_DECAYS[0], "nesterov": True}, *_DECAYS),
    "nadam": _with_rate(*_NADAM[1:]),
    "nadamw": _with_rate({}, *_DECAYS),
}

CASES: dict[str, Case] = {
    str(case): case
    for case in (Case(name, v) for name, variants in VARIANTS.items() for v in variants)
}


def cases(*fast: int, full: Sequence[int] | None = None) -> list[Any]:
    """Cases as parameters of a test, by their places among a transformation's variants.

    Those at the places `fast` always run; those at the places `full` (all, if not
    given) run under the mark `full`.
    """
    quick, slow = _at_places(fast), CASES if full is None else _at_places(full)
    chosen = {name: pytest.mark.full for name in slow} | {name: () for name in quick}
    return [pytest.param(CASES[k], id=k, marks=chosen[k]) for k in CASES if k in chosen]


def _at_places(places: Sequence[int]) -> set[str]:
    """The cases at some places, 0 for the first and -1 for the last."""
    return {
        str(Case(name, variants[place]))
        for name, variants in VARIANTS.items()
        for place in places
        if -len(variants) <= place < len(variants)
    }
