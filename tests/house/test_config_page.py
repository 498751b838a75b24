"""docs/CONFIG.md is what the settings are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_config_page__of_all_settings__is_written_from_them() -> None:
    tool = [sys.executable, str(ROOT / "tools" / "export_config.py"), "--check"]
    found = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
