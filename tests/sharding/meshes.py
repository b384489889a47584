"""Eight devices, parameters on them, and what a program says between them."""

import math
import re
from collections import Counter

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

KINDS = ["Auto", "Explicit"]


def mesh(kind="Auto", **axes):
    """A mesh of the first devices: eight along `data`, unless told otherwise."""
    axes = axes or {"data": 8}
    kinds = (getattr(AxisType, kind),) * len(axes)
    devices = jax.devices()[: math.prod(axes.values())]
    return jax.make_mesh(tuple(axes.values()), tuple(axes), kinds, devices=devices)


def place(mesh, *spec):
    return NamedSharding(mesh, PartitionSpec(*spec))


def tree(shapes, seed=0, dtype=np.float32):
    """Random arrays of some shapes."""
    random = np.random.default_rng(seed)
    return {k: random.normal(size=shape).astype(dtype) for k, shape in shapes.items()}


def specs(tree):
    """How each array, or sharding, of a tree is split."""

    def spec(x):
        entries = [*getattr(x, "sharding", x).spec]
        while entries and entries[-1] is None:
            entries.pop()
        return tuple(entries)

    return jax.tree.map(spec, tree)


def bytes_on_one(tree):
    """How many bytes of a tree lie on the first device."""
    shards = [x.addressable_shards[0] for x in jax.tree.leaves(tree)]
    return sum(shard.data.nbytes for shard in shards)


_MESSAGE = re.compile(
    r"= (\S+|\(.*?\)) (all-reduce|all-gather|reduce-scatter|all-to-all|"
    r"collective-permute)(?:-start)?\("
)
_ARRAY = re.compile(r"\w+\[[\d,]*\]")


def messages(compiled):
    """The arrays that devices send each other in a program, by the kind of message.

    Only those of the whole program count, not those of a branch that it may not take.
    """
    return _sent(_computations(compiled)[0])


def how_many(compiled, kind):
    """In how many messages of a kind they are: one may carry several arrays."""
    return sum(found == kind for _, found in _MESSAGE.findall(compiled.as_text()))


def messages_in_branches(compiled):
    """The same of what is not always run."""
    return sum(map(_sent, _computations(compiled)[1]), Counter())


def _computations(compiled):
    """The text of the main computation, and that of the others."""
    text = compiled.as_text()
    before, main = text.split("\nENTRY ")
    main, _, after = main.partition("\n}")
    return main, [before, after]


def _sent(text):
    found = Counter()
    for shape, kind in _MESSAGE.findall(text):
        found.update((kind, array) for array in _ARRAY.findall(shape))
    return found
