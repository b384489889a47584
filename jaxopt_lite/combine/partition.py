"""A transformation for each group of parameters."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from jaxopt_lite.combine.masking import MaskedState, judge, mask_extra, only
from jaxopt_lite.combine.stateless import set_to_zero
from jaxopt_lite.core import checks
from jaxopt_lite.core.selectors import Selector, as_selector, flags
from jaxopt_lite.core.transformation import GradientTransformation, as_transformation
from jaxopt_lite.core.trees import Flat, is_end
from jaxopt_lite.core.types import Labels, Mask, Params, State, Updates
from jaxopt_lite.core.value import Value


class PartitionState(NamedTuple):
    """The states of the groups, by label."""

    inner_states: Mapping[str, State]


class Partition(GradientTransformation):
    """A transformation for each group of parameters."""

    names: tuple[str, ...]
    transforms: tuple[GradientTransformation, ...]
    labels: Any
    mask_compatible_extra_args: bool = False

    def init(self, params: Params) -> State:
        flat = Flat(params)
        judge(self.labels, "partition", flat)
        labels = self._labels(flat)
        return PartitionState(
            {
                name: MaskedState(tx.init(only(_equal(labels, name), flat)))
                for name, tx in zip(self.names, self.transforms, strict=True)
            }
        )

    def update(
        self,
        updates: Updates,
        state: State,
        params: Params | None = None,
        **extra: Any,
    ) -> tuple[Updates, State]:
        checks.named_tuple("partition", state, PartitionState)
        if set(state.inner_states) != set(self.names):
            raise TypeError(
                f"partition: the state has the groups {sorted(state.inner_states)}; "
                f"expected {sorted(self.names)}. Pass the state that `init` or the "
                f"last `update` of this transformation returned."
            )
        whole = Flat(updates if params is None else params)
        labels = self._labels(whole)
        g = checks.align("partition", whole, "the updates", updates, "the parameters")
        out = list(g.leaves)
        states = {}
        for name, tx in zip(self.names, self.transforms, strict=True):
            chosen = _equal(labels, name)
            given = extra
            if self.mask_compatible_extra_args:
                given = mask_extra(chosen, whole, extra)
            p = None if params is None else only(chosen, whole)
            held = state.inner_states[name].inner_state
            inner, new = tx.update(only(chosen, g), held, p, **given)
            moved = checks.align("partition", whole, "the updates of the inner", inner)
            out = [
                u if c else x for c, u, x in zip(chosen, moved.leaves, out, strict=True)
            ]
            states[name] = MaskedState(new)
        return g.rebuild(out), PartitionState(states)

    def children(self) -> dict[str, GradientTransformation]:
        return {str(k): tx for k, tx in zip(self.names, self.transforms, strict=True)}

    def child_states(self, state: State) -> dict[str, State]:
        inner = (state.inner_states[name].inner_state for name in self.names)
        return dict(zip(self.children(), inner, strict=True))

    def with_children(self, children: Mapping[str, GradientTransformation]) -> Self:
        return dataclasses.replace(self, transforms=tuple(children.values()))

    def _labels(self, flat: Flat) -> list[Any]:
        labels = self.labels.resolve("partition", flat)
        unknown = [
            (path, f"label {label!r}")
            for path, label, leaf in zip(flat.paths, labels, flat.leaves, strict=True)
            if not is_end(leaf) and label not in self.names
        ]
        if unknown:
            checks.fail(
                "partition: labels without a transformation.",
                unknown,
                f"Expected one of {', '.join(map(repr, self.names))}: correct the "
                f"label or add a transformation.",
                ValueError,
            )
        return labels

    def __repr__(self) -> str:
        groups = zip(self.names, self.transforms, strict=True)
        inner = ", ".join(f"{name!r}: {tx!r}" for name, tx in groups)
        return f"partition({{{inner}}}, {self.labels!r})"


def partition(
    transforms: Mapping[str, Any],
    param_labels: Labels,
    *,
    mask_compatible_extra_args: bool = False,
) -> GradientTransformation:
    """Gives each group of parameters a transformation of its own.

    Args:
        transforms: from label to transformation.
        param_labels: a label per parameter: `by_path`, a tree of the parameters' shape
            or a prefix of it, or a function from the parameters to such a tree.
        mask_compatible_extra_args: whether extra arguments that are trees like the
            parameters are split as well.

    Returns:
        A transformation whose state is a `PartitionState` of each group's state. A
        group whose transformation is `set_to_zero()` has none: a frozen parameter
        costs no memory.

    Raises:
        TypeError: if a member is no transformation.
        ValueError: from `init` and `update`, if a parameter has no label, or one that
            names no transformation.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> tx = jl.partition(
        ...     {"train": jl.sgd(0.5), "still": jl.set_to_zero()},
        ...     jl.by_path({"embedding": "still", "*": "train"}),
        ... )
        >>> params = {"embedding": jnp.ones(1), "head": jnp.ones(1)}
        >>> tx.update(params, tx.init(params))[0]
        {'embedding': Array([0.], dtype=float32), 'head': Array([-0.5], dtype=float32)}
    """
    if not isinstance(transforms, Mapping):
        raise TypeError(
            f"partition: found a {type(transforms).__name__} of transformations; "
            f"expected a dict from label to transformation."
        )
    return Partition(
        tuple(transforms),
        tuple(
            as_transformation(tx, f"partition: {name!r}")
            for name, tx in transforms.items()
        ),
        as_selector(param_labels),
        mask_compatible_extra_args,
    )


def _equal(labels: Sequence[Any], name: str) -> list[bool]:
    return [label == name for label in labels]


class TrainOrFreeze(Value):
    """Labels from a mask: `"freeze"` where it is true, `"train"` elsewhere."""

    mask: Selector

    def resolve(self, where: str, flat: Flat) -> list[str]:
        """The label of every leaf."""
        return ["freeze" if f else "train" for f in flags(self.mask, where, flat)]


def selective_transform(optimizer: Any, *, freeze_mask: Mask) -> GradientTransformation:
    """Trains the parameters where a mask is false, and keeps the others still.

    The frozen ones have no state and no part in norms.

    Args:
        optimizer: a transformation.
        freeze_mask: which parameters stay, as in `masked`.

    Returns:
        A transformation with `PartitionState(inner_states)`, whose keys are `train` and
        `freeze`.

    Raises:
        TypeError: if `optimizer` is no transformation.
        ValueError: from `init` and `update`, if the mask leaves a parameter uncovered.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxopt_lite as jl
        >>> frozen = jl.by_path({"embedding": True, "*": False})
        >>> tx = jl.selective_transform(jl.sgd(1.0), freeze_mask=frozen)
        >>> params = {"embedding": jnp.ones(1), "head": jnp.ones(1)}
        >>> tx.update(params, tx.init(params))[0]
        {'embedding': Array([0.], dtype=float32), 'head': Array([-1.], dtype=float32)}
    """
    tx = as_transformation(optimizer, "selective_transform: optimizer")
    labels = TrainOrFreeze(as_selector(freeze_mask))
    return Partition(("train", "freeze"), (tx, set_to_zero()), labels)
