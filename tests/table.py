"""The one table of all transformations that the tests read.

A case is a name and arguments: `jaxopt_lite`, Optax and `tests.reference` know each
transformation under the same name, with the same arguments and defaults. A new
transformation is one more entry in a file of `tests/variants`.
"""

import functools
import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

import jaxopt_lite
from tests import reference, variants
from tests.helpers import Run, Tree, at, by_name, run
from tests.variants.common import Combined, Entry

TAKES_SCHEDULES = {"learning_rate", "weight_decay", "step_size_fn", "clip_value_fn"}
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

    @property
    def entry(self) -> Entry:
        return TABLE[self.name]

    def ours(self) -> jaxopt_lite.GradientTransformation:
        given = {
            name: jaxopt_lite.by_path(value) if isinstance(value, Mapping) else value
            for name, value in self.arguments.items()
        }
        return getattr(jaxopt_lite, self.name)(**given)

    def run(self, gradients: Tree, parameters: Tree) -> Run:
        """Ours, through every step, with the keywords that it needs."""
        return run(self.ours(), gradients, parameters, extra=self.entry.extra)

    def run_theirs(self, gradients: Tree, parameters: Tree) -> Run:
        """Optax's, the same way."""
        tx = optax.with_extra_args_support(self.theirs(at(parameters, 0)))
        return run(tx, gradients, parameters, extra=self.entry.extra)

    @property
    def is_in_optax(self) -> bool:
        """Whether Optax has the transformation, with these arguments."""
        if not is_in_optax(self.name):
            return False
        taken = inspect.signature(in_optax(self.name)).parameters
        return taken.keys() >= self.arguments.keys()

    @property
    def suits_optax(self) -> bool:
        """Whether Optax's factory takes the arguments as they are."""
        return (
            self.is_in_optax
            and not self._is_by_path
            and _scheduled(self.arguments) <= TAKES_SCHEDULES
        )

    @property
    def equals_optax(self) -> bool:
        """Whether Optax's updates are to be ours."""
        return self.is_in_optax and self.entry.unlike_optax is None

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
        factory = _quiet(in_optax(self.name))
        if not _scheduled(arguments) <= TAKES_SCHEDULES:
            taken = inspect.signature(factory).parameters
            kept = [k for k, x in taken.items() if inspect.isfunction(x.default)]
            factory = optax.inject_hyperparams(factory, static_args=kept)
        given = {
            name: _of_tree(functools.partial(first_match, value))
            if isinstance(value, Mapping)
            else value
            for name, value in arguments.items()
        }
        return factory(**given)

    def reference(self, gradients: Tree, parameters: Tree) -> Tree:
        """The updates of every step, stacked, by NumPy in float64."""
        function = in_reference(self.name)
        g, p = _float64(gradients), _float64(parameters)
        if self.entry.whole_tree:
            u = _whole_tree(function, g, p, {**self.arguments, **self.entry.extra})
        else:
            u = [
                np.stack(list(function(g[k], p[k], **self.at(k), **self.entry.extra)))
                for k in g
            ]
        return jax.tree.structure(gradients).unflatten(u)

    def at(self, path: str) -> dict[str, Any]:
        """The arguments in force for one parameter."""
        return {
            name: first_match(value, path) if isinstance(value, Mapping) else value
            for name, value in self.arguments.items()
        }


def in_optax(name: str) -> Any:
    """What Optax has under a name, in its core or in `contrib`."""
    # Its core deprecates the names that have moved to `contrib`.
    return getattr(optax.contrib, name, None) or getattr(optax, name)


def is_in_optax(name: str) -> bool:
    """Whether Optax has the name, in its core or in `contrib`."""
    return hasattr(optax.contrib, name) or hasattr(optax, name)


def _quiet(factory: Callable[..., Any]) -> Callable[..., Any]:
    """A factory that Optax deprecates, without the warning."""

    @functools.wraps(factory)
    def made(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return factory(*args, **kwargs)

    return made


def in_reference(name: str) -> Callable[..., Any]:
    """What `tests.reference` has under a name; PyTorch's formulas stand apart."""
    ours = [m for m in _modules(reference) if not m.__name__.endswith(".pytorch")]
    return next(getattr(m, name) for m in ours if hasattr(m, name))


@functools.cache
def _modules(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.iter_modules(package.__path__)
    return [importlib.import_module(f"{package.__name__}.{x.name}") for x in found]


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
    function: Callable[..., Any],
    g: Mapping[str, np.ndarray],
    p: Mapping[str, np.ndarray],
    arguments: Any,
) -> list[np.ndarray]:
    """The updates of a rule that sees all leaves as one vector."""
    u = np.stack(list(function(_joined(g), _joined(p), **arguments)))
    ends = np.cumsum([x[0].size for x in g.values()])[:-1]
    parts = np.split(u, ends, axis=1)
    return [x.reshape(y.shape) for x, y in zip(parts, g.values(), strict=True)]


def _joined(leaves: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([x.reshape(len(x), -1) for x in leaves.values()], axis=1)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "by_path"
    return getattr(value, "__name__", repr(value))


def _entries() -> dict[str, Entry]:
    """All entries, by the name of the transformation."""
    families = [m.TABLE for m in _modules(variants) if hasattr(m, "TABLE")]
    return {
        name: entry if isinstance(entry, Entry) else Entry(entry)
        for family in families
        for name, entry in family.items()
    }


def _combined() -> dict[str, Combined]:
    """All that is made of others, by a name."""
    families = [m.COMBINED for m in _modules(variants) if hasattr(m, "COMBINED")]
    return {name: made for family in families for name, made in family.items()}


class AllOfOptax:
    """Optax's core and `contrib` under flat names, as ours are."""

    def __getattr__(self, name: str) -> Any:
        return in_optax(name)


TABLE = _entries()
COMBINED = _combined()
VARIANTS = {name: entry.variants for name, entry in TABLE.items()}

CASES: dict[str, Case] = {
    str(case): case
    for case in (Case(name, v) for name, variants in VARIANTS.items() for v in variants)
}


def cases(
    *fast: int,
    full: Sequence[int] | None = None,
    where: Callable[[Case], bool] = lambda case: True,
) -> list[Any]:
    """Cases as parameters of a test, by their places among a transformation's variants.

    Those at the places `fast` always run; those at the places `full` (all, if not
    given) run under the mark `full`; of either, those that fulfil `where`.
    """
    quick, slow = _at_places(fast), CASES if full is None else _at_places(full)
    chosen = {name: pytest.mark.full for name in slow} | {name: () for name in quick}
    return [
        pytest.param(case, id=name, marks=chosen[name])
        for name, case in CASES.items()
        if name in chosen and where(case)
    ]


def _at_places(places: Sequence[int]) -> set[str]:
    """The cases at some places, 0 for the first and -1 for the last."""
    return {
        str(Case(name, variants[place]))
        for name, variants in VARIANTS.items()
        for place in places
        if -len(variants) <= place < len(variants)
    }
