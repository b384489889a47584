"""Constraints."""

import numpy as np

from tests.reference.rules import rule


@rule
def keep_params_nonnegative(g, p, t, state):
    return np.maximum(p + g, 0) - p, None


@rule
def zero_nans(g, p, t, state):
    return np.nan_to_num(g), None
