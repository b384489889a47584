"""The API page is what the docstrings say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_api_page_is_up_to_date():
    check = [sys.executable, ROOT / ".ci" / "api.py", "--check"]
    result = subprocess.run(check, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
