"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import jaxopt_lite
from jaxopt_lite.interop import flax
from public import entries

PACKAGES = pkgutil.walk_packages(jaxopt_lite.__path__, "jaxopt_lite.")
MODULES = [jaxopt_lite, *(importlib.import_module(found.name) for found in PACKAGES)]
# What a module makes only where it is asked for.
MADE = [flax.TrainState]
DOCTESTS = [
    test
    for documented in [*MODULES, *MADE]
    for test in doctest.DocTestFinder().find(documented)
    if test.examples
]


@pytest.mark.parametrize("test", DOCTESTS, ids=lambda test: test.name)
def test_example(test):
    report: list[str] = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize(
    "entry",
    [entry for entry in entries() if entry.needs_example],
    ids=lambda entry: entry.title,
)
def test_every_public_docstring_has_an_example(entry):
    assert ">>>" in entry.doc
