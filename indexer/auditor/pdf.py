"""The report on paper: the page, printed by a browser that is installed.

A PDF library would outweigh all that the auditor needs; the page prints itself well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from indexer.auditor.errors import CannotRun

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge")
_QUIET: Final = (
    *("--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-quic",
)
_TIMEOUT_S: Final = 120


def print_pdf(page: str, target: Path) -> None:
    """Writes the page as PDF. Raises CannotRun: there is no such browser, or it failed."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        names = ", ".join(BROWSERS)
        raise CannotRun(f"no browser to print with ({names}): open the HTML report and print it")
    with tempfile.TemporaryDirectory(prefix="banyan-audit-") as folder:
        source, printed = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, "utf-8")
        command = [browser, *_QUIET, f"--user-data-dir={folder}/profile"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # root has none; the page is ours and holds no script
        command += [f"--print-to-pdf={printed}", source.as_uri()]
        try:
            subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise CannotRun(f"{browser} did not print: {error}") from error
        if not printed.is_file():
            raise CannotRun(f"{browser} printed nothing: open the HTML report and print it")
        target.write_bytes(printed.read_bytes())
