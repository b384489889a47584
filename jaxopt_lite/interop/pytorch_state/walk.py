"""The transformations inside of one, each with its state and the leaves it sees."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax

from jaxopt_lite.combine.galore import GaLore
from jaxopt_lite.combine.inject import InjectHyperparams
from jaxopt_lite.combine.layout import Flatten, SplitRealAndImaginary
from jaxopt_lite.combine.masking import Freeze, Masked
from jaxopt_lite.combine.partition import Partition
from jaxopt_lite.core.selectors import flags
from jaxopt_lite.core.transformation import FromFunctions, GradientTransformation
from jaxopt_lite.core.trees import Flat
from jaxopt_lite.core.types import State

_OF_OTHER_TREES = (Flatten, GaLore, SplitRealAndImaginary)
"""What is inside of these has no state for the parameters themselves."""


class Node(NamedTuple):
    """A transformation, its state, and whether it sees each leaf."""

    tx: GradientTransformation
    state: State
    seen: Sequence[bool]

    @property
    def is_closed(self) -> bool:
        """Whether it keeps something for the parameters that cannot be told apart."""
        is_closed = isinstance(self.tx, (*_OF_OTHER_TREES, FromFunctions))
        return is_closed and bool(jax.tree.leaves(self.state))


def walk(
    tx: GradientTransformation, state: State, flat: Flat, seen: Sequence[bool]
) -> Iterator[Node]:
    """A transformation and all that are inside, in the order in which they act."""
    yield Node(tx, state, seen)
    for child, held, chosen in _inside(tx, state, flat):
        both = [s and c for s, c in zip(seen, chosen, strict=True)]
        yield from walk(child, held, flat, both)


def _inside(
    tx: GradientTransformation, state: State, flat: Flat
) -> Iterator[tuple[GradientTransformation, State, Sequence[bool]]]:
    """The transformations that one is made of, and the leaves that it shows them."""
    if isinstance(tx, InjectHyperparams):
        everywhere = [True for _ in flat.leaves]
        yield tx.at(tx.given(state)), state.inner_state, everywhere
    if isinstance(tx, _OF_OTHER_TREES):
        return
    states = tx.child_states(state)
    for name, child in tx.children().items():
        yield child, states[name], _shown(tx, name, flat)


def _shown(tx: GradientTransformation, name: str, flat: Flat) -> Sequence[bool]:
    if isinstance(tx, Masked):
        return flags(tx.mask, "masked", flat)
    if isinstance(tx, Partition):
        labels = tx.labels.resolve("partition", flat)
        return [str(label) == name for label in labels]
    hidden = [
        flags(part.mask, "freeze", flat)
        for part in tx.parts()
        if isinstance(part, Freeze)
    ]
    return [not any(mask[i] for mask in hidden) for i in range(len(flat.leaves))]
