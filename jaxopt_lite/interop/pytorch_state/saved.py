"""Reading a state dict of `torch.optim`: which parameter, which buffers, which axes."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from jaxopt_lite.core import checks
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.interop.pytorch_state.axes import WHERE, Transpose, turn
from jaxopt_lite.interop.pytorch_state.fields import UNCOUNTED, Buffers, optimizer_of
from jaxopt_lite.interop.pytorch_state.form import refuse_other_forms

Names: TypeAlias = Sequence[str | None] | Mapping[Any, str | None] | None
"""Our path of each parameter: in order, or by PyTorch's name or index."""


class Saved(NamedTuple):
    """What a state dict holds for one parameter, the axes as ours."""

    label: str
    optimizer: str
    buffers: Buffers
    step: int | None
    group: Mapping[str, Any]


def read(
    state_dict: Any, names: Names, transpose: Transpose, flat: Flat
) -> dict[str, Saved]:
    """What a state dict holds for each of our parameters, by path.

    Raises:
        TypeError: if it is no state dict, or `names` or `transpose` no such thing.
        ValueError: if a name is no parameter, or axes are not those of an array; all
            are named.
    """
    refuse_other_forms(state_dict)
    places = list(_places(state_dict["param_groups"]))
    paths = _paths(places, names, flat)
    saved = {
        path: _saved(place, state_dict["state"].get(place.index) or {})
        for place, path in zip(places, paths, strict=True)
        if path is not None
    }
    turned = turn({path: x.buffers for path, x in saved.items()}, transpose, flat)
    return {path: x._replace(buffers=turned[path]) for path, x in saved.items()}


class _Place(NamedTuple):
    """A parameter of a group, by its index and, if it has one, its name."""

    index: Any
    name: str | None
    group: Mapping[str, Any]

    @property
    def label(self) -> str:
        return self.name or f"parameter {self.index}"


def _places(groups: Sequence[Mapping[str, Any]]) -> Iterator[_Place]:
    """The parameters of all groups, in order: not that of the model."""
    for group in groups:
        named = group.get("param_names") or [
            index if isinstance(index, str) else None for index in group["params"]
        ]
        for index, name in zip(group["params"], named, strict=True):
            yield _Place(index, name, group)


def _saved(place: _Place, entry: Mapping[str, Any]) -> Saved:
    arrays = {k: array(x) for k, x in entry.items() if x is not None}
    step = arrays.pop("step", None)
    optimizer = optimizer_of(place.group, arrays)
    is_new = step is None and not arrays and optimizer not in UNCOUNTED
    steps = 0 if is_new else None if step is None else _whole(step, place.label)
    return Saved(place.label, optimizer, arrays, steps, place.group)


def _whole(step: np.ndarray, label: str) -> int:
    """A number of steps."""
    if step.ndim or not step >= 0 or step % 1:
        found = checks.describe(step) if step.ndim else step.item()
        raise ValueError(
            f"{WHERE}: the step of {checks.quote(label)} is {found}; expected one "
            f"whole number, of the steps that were taken."
        )
    return int(step)


def array(x: Any) -> np.ndarray:
    """A tensor of PyTorch, a NumPy array or a number, as a NumPy array."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        # NumPy itself has no such dtype.
        x = x.float() if str(x.dtype) == "torch.bfloat16" else x
    return np.asarray(x)


def _paths(places: Sequence[_Place], names: Names, flat: Flat) -> list[str | None]:
    """Our path of each parameter of a state dict, None where it is left out."""
    given = _given(places, names)
    if strange := [name for name in given if not isinstance(name, str | None)]:
        raise TypeError(
            f"{WHERE}: names holds {checks.describe(strange[0])}; expected our path of "
            f"each parameter, or None to leave it out."
        )
    known = [
        path for path, p in zip(flat.paths, flat.leaves, strict=True) if not is_end(p)
    ]
    there = set(known)
    paths = [
        name if name is None or name in there else name.replace(".", "/")
        for name in given
    ]
    counts = Counter(path for path in paths if path is not None)
    problems = [
        (place.label, wrong)
        for place, path in zip(places, paths, strict=True)
        if path is not None and (wrong := _wrong(path, known, counts[path]))
    ]
    if problems:
        checks.fail(
            f"{WHERE}: the names of {len(problems)} of {len(places)} parameters do not "
            f"fit.",
            problems,
            f"Expected a path of its own for each, or None to leave it out: give "
            f"`names`. There are {checks.listed(known)}.",
            ValueError,
        )
    return paths


def _wrong(path: str, known: Sequence[str], times: int) -> str:
    """What is wrong with a path; nothing if it is right."""
    if path not in known:
        near = difflib.get_close_matches(path, known, 1, 0.0)
        nearest = f"; the nearest is {checks.quote(near[0])}" if near else ""
        return f"{checks.quote(path)} is no parameter{nearest}"
    return f"{checks.quote(path)} stands {times} times" if times > 1 else ""


def _given(places: Sequence[_Place], names: Names) -> list[str | None]:
    """The name that is given for each parameter of a state dict."""
    if isinstance(names, Mapping):
        return _looked_up(places, names)
    if names is None:
        if unnamed := [place.label for place in places if place.name is None]:
            raise ValueError(
                f"{WHERE}: the state dict has no names for {checks.listed(unnamed)}; "
                f"expected `names`, our path of each in the order of its groups. An "
                f"optimizer made of `model.named_parameters()` saves its own."
            )
        return [place.name for place in places]
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(
            f"{WHERE}: names is {checks.describe(names)}; expected a list of paths, or "
            f"a dict from PyTorch's names, or indices, to paths."
        )
    if len(names) != len(places):
        raise ValueError(
            f"{WHERE}: `names` has {checks.plural(len(names), 'entry', 'entries')} for "
            f"{checks.plural(len(places), 'parameter', 'parameters')}; expected one "
            f"for each, in the order of the groups, None to leave it out."
        )
    return list(names)


def _looked_up(
    places: Sequence[_Place], names: Mapping[Any, str | None]
) -> list[str | None]:
    """The name that a dict has for each parameter of a state dict."""
    keys = [
        place.name if place.name is not None and place.name in names else place.index
        for place in places
    ]
    problems = [
        (place.label, "no name is given")
        for place, key in zip(places, keys, strict=True)
        if key not in names
    ]
    problems += [
        (str(key), "not in the state dict") for key in names if key not in keys
    ]
    if problems:
        has_names = all(place.name is not None for place in places)
        cure = (
            "Expected our path, or None, for each name in it."
            if has_names
            else "Expected our path, or None, for each index: it has no names."
        )
        checks.fail(
            f"{WHERE}: `names` and the state dict do not match.",
            problems,
            cure,
            ValueError,
        )
    return [names[key] for key in keys]
