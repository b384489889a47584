"""How slots are kept, in NumPy and float64, one number at a time."""

import numpy as np


def values(levels, power):
    """What the codes from 0 to the largest stand for, relative to the scale."""
    return (np.arange(levels + 1) / levels) ** power


def scales(x, block):
    """The largest magnitude of each block along the last axis."""
    ends = range(0, x.shape[-1], block)
    parts = [np.abs(x[..., i : i + block]).max(-1) for i in ends]
    return np.stack(parts, -1).astype(np.float64)


def spread(scales, block, length):
    """The scale of its block at each element."""
    return np.repeat(scales, block, axis=-1)[..., :length]


def neighbours(x, levels, power):
    """The codes beside numbers from 0 to 1, below and above."""
    grid = values(levels, power)
    above = np.clip(np.searchsorted(grid, x, side="left"), 1, levels)
    return above - 1, above
