"""By what names the numbers of an optimizer go, and which one a name means."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jaxopt_lite.core.paths import ByPath
from jaxopt_lite.core.transformation import GradientTransformation

INNER = "inner_state/"
"""The step into what a factory made of injected numbers."""


def below(
    tx: GradientTransformation, path: str, name: str, child: GradientTransformation
) -> str:
    """The path of a child; what holds one transformation adds nothing.

    It adds its name where a number of the child is called as one of its own.
    """
    alone = len(tx.holds) == 1 and tx.hyperparams().keys().isdisjoint(
        names_of(child, "")
    )
    return path if alone else f"{path}{name}/"


def entries_of(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A number under its name, or those of `by_path` under each pattern."""
    if isinstance(value, ByPath):
        for pattern, x in zip(value.patterns, value.values, strict=True):
            yield f"{name}[{pattern}]", x
    else:
        yield name, value


def names_of(tx: GradientTransformation, path: str) -> list[str]:
    """The names of all numbers, of `by_path` as a whole and of each pattern."""
    names = []
    for name, value in tx.hyperparams().items():
        entries = [entry for entry, _ in entries_of(path + name, value)]
        names += list(dict.fromkeys([path + name, *entries]))
    for name, child in tx.children().items():
        names += names_of(child, below(tx, path, name, child))
    return names


def placed(given: Mapping[str, Any], places: Collection[str]) -> dict[str, Any]:
    """The numbers by the places that their names mean.

    Raises:
        KeyError: telling of each name that means none, or several, or the same place
            as another.
    """
    meant = {name: _meant(name, places) for name in given}
    wrong = [
        _explained(name, found, places)
        for name, found in meant.items()
        if len(found) != 1
    ]
    names: dict[str, str] = {}
    for name, (place, *_) in ((n, f) for n, f in meant.items() if len(f) == 1):
        if place in names:
            wrong.append(f"{names[place]!r} and {name!r} are the same number")
        names[place] = name
    wrong += [
        f"{names[whole]!r} and {names[part]!r} are the same number"
        for whole in names
        for part in names
        if part.startswith(f"{whole}[")
    ]
    if wrong:
        raise KeyError(f"set_hyperparams: {'; '.join(wrong)}.")
    return {place: given[name] for place, name in names.items()}


def _meant(name: str, places: Collection[str]) -> list[str]:
    """The places that a name means: all of one, or its last parts."""
    return [p for p in places if p == name] or [
        place for place in places if place.endswith(f"/{name}")
    ]


def _explained(name: str, found: list[str], places: Collection[str]) -> str:
    """Why a name is not of one place."""
    if found:
        return (
            f"{name!r} stands {len(found)} times: {', '.join(found)}. Expected the "
            f"whole of one of these names"
        )
    if not places:
        return (
            f"{name!r} stands nowhere: there are no numbers that may be changed. A "
            f"state holds those of `inject_hyperparams`; others are changed in the "
            f"optimizer"
        )
    last = {place.rpartition("/")[2]: place for place in places}
    near = difflib.get_close_matches(name, places, 1) or [
        last[x]
        for x in difflib.get_close_matches(name.rpartition("/")[2], last, 1, 0.5)
    ]
    if near:
        return f"{name!r} stands nowhere; the nearest name is {near[0]!r}"
    return f"{name!r} stands nowhere among {', '.join(places)}"
