"""The API page and the README's tables are what the docstrings say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("script", ["api.py", "readme.py"])
def test_the_page_is_up_to_date(script):
    check = [sys.executable, ROOT / ".ci" / script, "--check"]
    result = subprocess.run(check, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
