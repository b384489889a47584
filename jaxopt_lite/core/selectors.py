"""Masks and labels: one value per parameter, found by path."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax

from jaxopt_lite.core import checks
from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.trees import Flat, is_end, upwards
from jaxopt_lite.core.value import Value


class PerLeaf(Value):
    """A field of a rule that the lift resolves for all leaves at once."""

    def judge(self, where: str, flat: Flat) -> None:
        """Warns, when the state is made, of what does not concern any leaf."""

    def resolve(self, where: str, flat: Flat, seen: Sequence[bool]) -> list[Any]:
        """What the rule gets at every leaf that is seen: structure, no arrays."""
        raise NotImplementedError


class ByTree(Value):
    """A tree of values, kept as a path and a value for each of its leaves.

    `what` says in errors what tree it is.
    """

    paths: tuple[str, ...]
    values: tuple[Any, ...]
    what: str = "a mask or tree of labels"

    def resolve(self, where: str, flat: Flat) -> list[Any]:
        """The value of every leaf: that of its own path, or of a subtree it is in.

        Raises:
            ValueError: if a parameter has none, or a value no parameter; all such
                paths are named.
        """
        known = dict(zip(self.paths, self.values, strict=True))
        self._refuse_surplus(where, flat)
        found = [_lookup(known, path) for path in flat.paths]
        uncovered = [
            (path, "not covered")
            for path, value, leaf in zip(flat.paths, found, flat.leaves, strict=True)
            if value is None and not is_end(leaf)
        ]
        if uncovered:
            checks.fail(
                f"{where}: {self.what} does not cover "
                f"{len(uncovered)} of {len(flat.leaves)} parameters.",
                uncovered,
                f"Expected a value at each of them or above; found values at "
                f"{checks.listed(self.paths)}.",
                ValueError,
            )
        return found

    def _refuse_surplus(self, where: str, flat: Flat) -> None:
        """Refuses values at paths where no parameter is, as of a name misspelt."""
        there = {above for path in flat.paths for above in upwards(path)}
        surplus = [(path, "no parameter") for path in self.paths if path not in there]
        if surplus and flat.paths:
            checks.fail(
                f"{where}: {self.what} has "
                f"{checks.plural(len(surplus), 'value', 'values')} too many.",
                surplus,
                f"Expected values at parameters or above; found parameters at "
                f"{checks.listed(flat.paths)}.",
                ValueError,
            )


class ByFunction(Value):
    """A function of the parameters that returns a tree of values."""

    function: Callable[[Any], Any]
    what: str = ByTree.what

    def resolve(self, where: str, flat: Flat) -> list[Any]:
        """The value of every leaf, as the function's tree gives it."""
        return as_selector(self.function(flat.tree), self.what).resolve(where, flat)


Selector: TypeAlias = ByPath | ByTree | ByFunction


def flags(mask: Selector, where: str, flat: Flat) -> list[bool]:
    """Whether each leaf is chosen by a mask.

    Raises:
        ValueError: if a value is no flag; all such paths are named.
    """
    found = mask.resolve(where, flat)
    problems = [
        (path, checks.describe(value))
        for path, value, leaf in zip(flat.paths, found, flat.leaves, strict=True)
        if not is_end(leaf) and not isinstance(value, bool)
    ]
    if problems:
        checks.fail(
            f"{where}: the mask is no flag for "
            f"{checks.plural(len(problems), 'parameter', 'parameters')}.",
            problems,
            "Expected True or False for each parameter: write "
            "by_path({'*bias': False, '*': True}) to choose by path.",
            ValueError,
        )
    return [value is True for value in found]


def as_selector(given: Any, what: str = ByTree.what) -> Selector:
    """A mask or labels in the form in which they are resolved by path.

    What is a tree is taken as one, even if it can be called (an Equinox module can);
    any other callable is a function of the parameters.
    """
    if isinstance(given, ByPath | ByTree | ByFunction):
        return given
    if callable(given) and jax.tree_util.all_leaves([given]):
        return ByFunction(given, what)
    flat = Flat(jax.tree.map(_plain, given))
    kept = [
        (k, v) for k, v in zip(flat.paths, flat.leaves, strict=True) if not is_end(v)
    ]
    paths = tuple(path for path, _ in kept)
    checks.distinct(what, paths)
    return ByTree(paths, tuple(value for _, value in kept), what)


def _plain(x: Any) -> Any:
    """A flag that is an array as a Python one: masks are structure, never traced."""
    return x.item() if getattr(x, "size", None) == 1 else x


def _lookup(known: dict[str, Any], path: str) -> Any:
    """The value of a path or of the nearest path above it."""
    return next((known[p] for p in upwards(path) if p in known), None)
