"""The trees of parameters that are measured, as shapes alone."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Shapes = Any

NARROW = 48
"""By what to divide every dimension where the arithmetic should not count."""


def array(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def linear(inputs: int, outputs: int) -> Shapes:
    return {"kernel": array(inputs, outputs), "bias": array(outputs)}


def norm(width: int) -> Shapes:
    return {"scale": array(width), "bias": array(width)}


def gpt2(shrink: int = 1) -> Shapes:
    """GPT-2 with 124M parameters in 148 leaves; `shrink` divides every dimension."""
    width = 768 // shrink
    block = {
        "ln_1": norm(width),
        "attn": {"c_attn": linear(width, 3 * width), "c_proj": linear(width, width)},
        "ln_2": norm(width),
        "mlp": {"c_fc": linear(width, 4 * width), "c_proj": linear(4 * width, width)},
    }
    return {
        "wte": array(50257 // shrink, width),
        "wpe": array(1024 // shrink, width),
        "blocks": [block] * 12,
        "ln_f": norm(width),
    }


def thousand(shrink: int = 1) -> Shapes:
    """1,000 leaves of five shapes, in a hundred blocks."""
    width = max(64 // shrink, 2)
    block = {
        "query": linear(width, width),
        "value": linear(width, width),
        "out": linear(width, width),
        "up": linear(width, 4 * width),
        "down": linear(4 * width, width),
    }
    return {"blocks": [block] * 100}


def small(shrink: int = 1) -> Shapes:
    """2,000 leaves of 64 and 64 x 64 elements."""
    width = max(64 // shrink, 2)
    return {"layers": [linear(width, width)] * 1000}


def resnet50(shrink: int = 1) -> Shapes:
    """ResNet-50 with 25.6M parameters in 161 leaves, many of them short."""

    def width(channels: int) -> int:
        return max(channels // shrink, 2)

    def conv(inputs: int, outputs: int, size: int) -> Shapes:
        kernel = array(size, size, inputs, outputs)
        return {"conv": {"kernel": kernel}, "norm": norm(outputs)}

    blocks, inputs = [], width(64)
    for channels, many in ((64, 3), (128, 4), (256, 6), (512, 3)):
        inner, outputs = width(channels), width(4 * channels)
        for i in range(many):
            block = {
                "reduce": conv(inputs, inner, 1),
                "spread": conv(inner, inner, 3),
                "expand": conv(inner, outputs, 1),
            }
            if i == 0:
                block["project"] = conv(inputs, outputs, 1)
            blocks.append(block)
            inputs = outputs
    stem = conv(3, width(64), 7)
    return {"stem": stem, "blocks": blocks, "head": linear(inputs, 1000)}


def one(shrink: int = 1) -> Shapes:
    """A single matrix of 16.8M parameters."""
    return {"kernel": array(4096 // shrink, 4096 // shrink)}


def digits(shrink: int = 1) -> Shapes:
    """Five layers from 8 x 8 pixels to ten digits; `shrink` divides the hidden ones."""
    width = max(32 // shrink, 2)
    widths = [64, *[width] * 4, 10]
    return {"layers": [linear(*pair) for pair in itertools.pairwise(widths)]}


TREES: dict[str, Callable[..., Shapes]] = {
    "gpt2": gpt2,
    "thousand": thousand,
    "small": small,
    "one": one,
    "resnet50": resnet50,
    "digits": digits,
}


def size(tree: Shapes) -> int:
    """The number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def nbytes(tree: Any) -> int:
    """The bytes of all arrays, or of what has their shapes and dtypes."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def describe(tree: Shapes) -> str:
    return f"{len(jax.tree.leaves(tree)):,} leaves, {size(tree):,} parameters"


def ones(tree: Shapes) -> Any:
    """The tree with arrays in the place of shapes, each its own buffer."""
    return jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), tree)
