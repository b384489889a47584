"""What the package exports, and what importing it does."""

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import jaxopt_lite
from public import entries

ROOT = Path(__file__).parent.parent
PUBLIC = [entry for entry in entries() if entry.module == "jaxopt_lite"]


def test_every_import_has_the_form_name_as_name():
    tree = ast.parse(Path(jaxopt_lite.__file__).read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    aliases = [alias for node in imports for alias in node.names]
    assert [alias.name for alias in aliases if alias.asname != alias.name] == []
    assert not any(isinstance(node, ast.Import) for node in tree.body)


def test_every_public_name_is_exported_once():
    names = [entry.name for entry in PUBLIC]
    assert len(names) == len(set(names))
    held = {
        name
        for name, value in vars(jaxopt_lite).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(names) == held


def test_version_is_that_of_the_installed_package():
    assert jaxopt_lite.__version__ == metadata.version("jaxopt_lite")


def test_importing_loads_no_other_library_and_starts_no_backend():
    script = [sys.executable, ROOT / ".ci" / "imports.py"]
    result = subprocess.run(script, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.title)
def test_every_public_name_has_a_docstring(entry):
    assert entry.doc


def test_every_public_name_stands_in_a_table_of_the_readme():
    lines = (ROOT / "README.md").read_text().splitlines()
    table = " ".join(line for line in lines if line.startswith("|"))
    spans = " ".join(re.findall(r"`([^`]+)`", table))
    words = set(re.findall(r"\w+", spans))
    assert [entry.name for entry in PUBLIC if entry.name not in words] == []
