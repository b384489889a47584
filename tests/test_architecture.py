"""Who may import whom, and of what a rule may not speak."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jaxopt_lite

PACKAGE = Path(jaxopt_lite.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# core <- rules, schedules, storage, tree <- combine, projections <- linesearch
#      <- optimizers <- sweep, report, interop, sharding
TIERS = [
    {"core"},
    {"rules", "schedules", "storage", "tree"},
    {"combine", "projections"},
    {"linesearch"},
    {"optimizers"},
    {"sweep", "report", "interop", "sharding"},
]
LEVEL = {part: level for level, tier in enumerate(TIERS) for part in tier}
UNBOUND = {"__init__", "testing"}
LIBRARIES = {"jax", "jaxlib", "chex", "numpy", *sys.stdlib_module_names}
NOT_OF_ONE_ARRAY = {"tree", "tree_util", "astype", "by_path", "ByPath", "MaskedNode"}
ROUNDS = {"newton_schulz", "pytorch_muon"}
"""The rules whose formula itself says in which dtype it is to be computed."""


def part(file: Path) -> str:
    """The part of the package that a file belongs to: `core`, `sharding`…"""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def may_import(part: str) -> set[str]:
    """A part's own, and all of the tiers below its own.

    `interop` offers the public names under those of other libraries, so it may read
    them too.
    """
    public = {"__init__"} if part == "interop" else set()
    return {part}.union(public, *TIERS[: LEVEL[part]])


def imported(tree: ast.AST) -> Iterator[str]:
    """The full names of what a piece of source imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the package imports by full names"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_on_import(file: Path) -> Iterator[str]:
    """The full names of what a file imports outside of functions."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = []
    yield from imported(tree)


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Every name that a piece of source mentions, between the dots too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
    for name in imported(tree):
        yield from name.split(".")


def each(files: list[Path]) -> pytest.MarkDecorator:
    """Runs a test for each file."""
    names = [str(file.relative_to(PACKAGE)) for file in files]
    return pytest.mark.parametrize("file", files, ids=names)


@each([file for file in FILES if part(file) not in UNBOUND])
def test_imports_follow_the_arrows(file):
    ours = [
        name.split(".")
        for name in imported(ast.parse(file.read_text()))
        if name.startswith("jaxopt_lite")
    ]
    parts = {steps[1] if len(steps) > 1 else "__init__" for steps in ours}
    assert parts <= may_import(part(file))


@each(FILES)
def test_only_jax_chex_and_numpy_are_imported_outside_functions(file):
    roots = {name.partition(".")[0] for name in imported_on_import(file)}
    assert roots <= LIBRARIES | {"jaxopt_lite"}


@each([file for file in FILES if part(file) != "interop"])
def test_only_interop_imports_optax(file):
    roots = {name.partition(".")[0] for name in imported(ast.parse(file.read_text()))}
    assert "optax" not in roots


@each([file for file in FILES if part(file) == "rules"])
def test_a_rule_speaks_of_one_array(file):
    said = set(identifiers(ast.parse(file.read_text())))
    rounds = {"astype"} if file.stem in ROUNDS else set()
    assert said & NOT_OF_ONE_ARRAY == rounds


@each([file for file in FILES if part(file) == "rules"])
def test_rules_import_only_jax_and_numpy_for_shapes(file):
    roots = {name.partition(".")[0] for name in imported(ast.parse(file.read_text()))}
    assert roots - sys.stdlib_module_names <= {"jax", "jaxopt_lite", "numpy"}
