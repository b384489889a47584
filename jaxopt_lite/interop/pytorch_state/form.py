"""Errors of what is no state dict of an optimizer, before it is read."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from jaxopt_lite.core import checks
from jaxopt_lite.interop.pytorch_state.axes import WHERE


def refuse_other_forms(state_dict: Any) -> None:
    """Refuses what `torch.optim` would not have made.

    Raises:
        TypeError: if a part of it is no dict, or no list.
        ValueError: if groups and states are not of the same parameters.
    """
    found = checks.article(type(state_dict).__name__)
    if isinstance(state_dict, Mapping):
        found = f"a dict of {', '.join(map(repr, state_dict)) or 'nothing'}"
    if not isinstance(state_dict, Mapping) or not _KEYS <= state_dict.keys():
        raise TypeError(
            f"{WHERE}: the state dict is {found}; expected one with 'state' and "
            f"'param_groups', as `optimizer.state_dict()` gives."
        )
    if strange := list(_strange_parts(state_dict)):
        checks.fail(
            f"{WHERE}: {checks.plural(len(strange), 'part', 'parts')} of the state "
            f"dict cannot be read.",
            strange,
            "Expected a dict of dicts in 'state', and in 'param_groups' a list of "
            "dicts with 'params', as `optimizer.state_dict()` gives.",
            TypeError,
        )
    if lost := list(_lost_parts(state_dict)):
        checks.fail(
            f"{WHERE}: the state dict's groups and states do not fit together.",
            lost,
            "Expected each parameter in one group, and no state but theirs. Saved as "
            "JSON their indices are strings: make integers of them.",
            ValueError,
        )


_KEYS = {"state", "param_groups"}


def _strange_parts(state_dict: Mapping[str, Any]) -> Iterator[checks.Problem]:
    """The parts of another type."""
    state, groups = state_dict["state"], state_dict["param_groups"]
    if not isinstance(state, Mapping):
        yield "state", checks.article(type(state).__name__)
    else:
        for key, entry in state.items():
            if entry is not None and not isinstance(entry, Mapping):
                yield f"state[{key!r}]", checks.describe(entry)
    if not isinstance(groups, list | tuple):
        yield "param_groups", checks.article(type(groups).__name__)
    else:
        for i, group in enumerate(groups):
            if not isinstance(group, Mapping):
                yield f"param_groups[{i}]", checks.describe(group)
            elif "params" not in group:
                yield f"param_groups[{i}]", "has no 'params'"


def _lost_parts(state_dict: Mapping[str, Any]) -> Iterator[checks.Problem]:
    """What would be read for no parameter, or for several."""
    groups = state_dict["param_groups"]
    times = Counter(index for group in groups for index in group["params"])
    for index, n in times.items():
        if n > 1:
            yield f"parameter {index}", f"stands {n} times in the groups"
    for key in state_dict["state"]:
        if key not in times:
            yield f"state[{key!r}]", "is of no parameter in the groups"
    for i, group in enumerate(groups):
        names = group.get("param_names")
        if names and len(names) != len(group["params"]):
            n = len(group["params"])
            yield f"param_groups[{i}]", f"{len(names)} names of {n} parameters"
