"""Errors of numbers name the argument that was given, not the part it went to."""

import inspect
import math

import pytest

import jaxopt_lite as jl
from tests.table import TABLE

NUMBERS = ("Hyperparameter", "Numeric", "float")
BAD = (-1.0, 2.0, 1e9, math.inf, "large")

ARGUMENTS = [
    (name, argument)
    for name in TABLE
    for argument, parameter in inspect.signature(getattr(jl, name)).parameters.items()
    if any(kind in str(parameter.annotation) for kind in NUMBERS)
]


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_the_argument_is_named(name, argument):
    given = TABLE[name].variants[0]
    refused = 0
    for bad in BAD:
        try:
            getattr(jl, name)(**{**given, argument: bad})
        except (TypeError, ValueError) as error:
            assert str(error).startswith(f"{argument} is ")
            refused += 1
    assert refused, "a word is no number"
