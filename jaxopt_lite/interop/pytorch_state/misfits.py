"""Errors of state dicts that are not those of an optimizer and its parameters."""

from collections.abc import Mapping, Sequence

from jaxopt_lite.core import checks
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.interop.pytorch_state.axes import WHERE, fitting
from jaxopt_lite.interop.pytorch_state.fields import DERIVED
from jaxopt_lite.interop.pytorch_state.kept import Kept
from jaxopt_lite.interop.pytorch_state.saved import Saved
from jaxopt_lite.rules.momentum import Trace
from jaxopt_lite.rules.scaling import ScaleByLearningRate


def refuse_misfits(
    rules: Sequence[Kept], saved: Mapping[str, Saved], flat: Flat
) -> None:
    """Refuses a state dict that does not hold what the rules keep.

    Raises:
        ValueError: if parameters are missing, the optimizer is of another kind, or
            shapes differ; all such parameters are named.
    """
    keeping = [rule for rule in rules if rule.counterpart.slots]
    missing = [
        (path, "not in the state dict")
        for i, path in enumerate(flat.paths)
        if any(rule.seen[i] for rule in keeping) and path not in saved
    ]
    if missing:
        checks.fail(
            f"{WHERE}: {checks.plural(len(missing), 'parameter is', 'parameters are')} "
            f"missing.",
            missing,
            "Expected one of PyTorch's for each that the optimizer keeps state for: "
            "name it in `names`, or `freeze` or mask it here.",
            ValueError,
        )
    at_leaf = {
        path: [rule for rule in rules if rule.seen[i]]
        for i, path in enumerate(flat.paths)
        if path in saved and saved[path].buffers
    }
    others = [
        (path, wrong)
        for path, here in at_leaf.items()
        if here and (wrong := _of_another_kind(here, saved[path]))
    ]
    if others:
        checks.fail(
            f"{WHERE}: the state of "
            f"{checks.plural(len(others), 'parameter', 'parameters')} is of another "
            f"kind than the optimizer keeps.",
            others,
            "Expected the state dict of the optimizer that this one continues: make "
            "it with the function of that name in `interop.pytorch`, and the flags "
            "that PyTorch's had.",
            ValueError,
        )
    _refuse_other_shapes(keeping, saved, flat)


def _of_another_kind(here: Sequence[Kept], saved: Saved) -> str:
    """What is wrong with the kind of state of one parameter; nothing if it is right."""
    found = set(saved.buffers) - DERIVED.get(saved.optimizer, set())
    expected = {name for rule in here for name in rule.counterpart.buffers}
    keeping = [rule for rule in here if rule.rule.Slots._fields]
    strange = [
        rule
        for rule in keeping
        if rule.counterpart.optimizers
        and saved.optimizer not in ("", *rule.counterpart.optimizers)
    ]
    if found != expected or strange:
        of = f" of {saved.optimizer}" if saved.optimizer else ""
        wanted = "; ".join(map(_wanted, keeping)) or "nothing"
        return f"found {', '.join(sorted(saved.buffers))}{of}, expected {wanted}"
    rates = [isinstance(rule.rule, ScaleByLearningRate) for rule in here]
    traces = [isinstance(rule.rule, Trace) for rule in here]
    if True in rates and True in traces[rates.index(True) :]:
        return (
            "found momentum_buffer, of directions; expected one of steps, as the "
            "learning rate comes before the momentum here, and in PyTorch after"
        )
    return ""


def _wanted(rule: Kept) -> str:
    """The buffers of a rule, and whose they are."""
    kinds = " or ".join(rule.counterpart.optimizers)
    buffers = ", ".join(sorted(rule.counterpart.buffers))
    name = rule.link.name
    if not buffers:
        return f"what {name} keeps and PyTorch does not"
    return f"{buffers} of {kinds} for {name}"


def _refuse_other_shapes(
    keeping: Sequence[Kept], saved: Mapping[str, Saved], flat: Flat
) -> None:
    """Refuses buffers of other shapes, and says where only their axes are others."""
    problems: dict[str, str] = {}
    axes: dict[str, tuple[int, ...]] = {}
    for rule in keeping:
        for slot, i, x, shape in rule.found(saved):
            path, p = flat.paths[i], flat.leaves[i]
            if x.shape == shape or path in problems:
                continue
            name = rule.counterpart.slots[slot].names[0]
            text = f"{name} {checks.describe(x)}, parameter {checks.describe(p)}"
            if turned := fitting(x.shape, shape):
                axes[path] = turned
                text += f", which its axes {turned} have"
            problems[path] = text
    if not problems:
        return
    n = checks.plural(len(problems), "parameter has", "parameters have")
    cure = "Expected equal shapes: pass each parameter's name in `names`."
    if axes:
        path, turned = next(iter(axes.items()))
        cure = (
            f"Give the axes of PyTorch's that ours are, of square arrays too: "
            f"transpose={{{path!r}: {turned}}}; a pattern such as '*kernel' stands for "
            f"many."
        )
    checks.fail(
        f"{WHERE}: {n} state of another shape.",
        problems.items(),
        cure,
        ValueError,
    )
