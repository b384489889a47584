"""What the entries of the table are made of."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """A transformation in the table.

    Attributes:
        variants: the arguments to try; a dict among them stands for `by_path`, a
            function for a schedule. The first and the last are tried the most.
        whole_tree: whether the update of one leaf depends on the other leaves; the
            reference then sees all leaves as one vector.
        extra: keywords that `update` gets beside the parameters, such as `value`; each
            is a function of how many steps were taken before.
        excluded: laws of `jaxopt_lite.testing` that cannot apply, each with the reason.
        unlike_optax: why the updates are not Optax's; None where they are.
        unlike_float32: why float32 is not compared with float64, such as for a sign.
    """

    variants: list[dict[str, Any]]
    whole_tree: bool = False
    extra: Mapping[str, Callable[[Any], Any]] = {}
    excluded: Mapping[str, str] = {}
    unlike_optax: str | None = None
    unlike_float32: str | None = None


class Combined(NamedTuple):
    """A transformation made of others, which the table of arguments cannot say.

    Attributes:
        make: from a library, ours or Optax's, to the transformation.
        extra: as in `Entry`.
        excluded: as in `Entry`.
        unlike_optax: as in `Entry`; the library is then always ours.
    """

    make: Callable[[Any], Any]
    extra: Mapping[str, Callable[[Any], Any]] = {}
    excluded: Mapping[str, str] = {}
    unlike_optax: str | None = None


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


def flags(**flags: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Every combination of some values."""
    return [
        dict(zip(flags, values, strict=True))
        for values in itertools.product(*flags.values())
    ]


DECAYS = [
    {"weight_decay": 0.1},
    {"weight_decay": falling},
    {"weight_decay": 0.1, "mask": MASK},
    {"weight_decay": falling, "mask": MASK},
    {"weight_decay": SIZES},
]


def with_rate(*variants: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The variants at a fixed rate; the first and the last at other rates, too."""
    return [
        *({"learning_rate": 0.03, **variant} for variant in variants),
        {"learning_rate": falling, **variants[0]},
        {"learning_rate": SIZES, **variants[-1]},
    ]
