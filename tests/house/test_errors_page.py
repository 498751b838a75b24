"""docs/ERRORS.md is what the gateway can answer."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_errors_page__is_what_the_code_says() -> None:
    tool = [sys.executable, str(ROOT / "tools" / "export_errors.py"), "--check"]
    done = subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
