"""`banyan chain`, as somebody at a terminal or a script sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.embedded.cli import app


def run(*arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("replay", ["--replay", "--no-replay"])
def test_verify__a_damaged_journal__exit_1_and_its_code(used: Path, replay: str) -> None:
    import sqlite3

    database = sqlite3.connect(used / "chain.db")
    with database:
        database.execute("UPDATE blocks SET time=time+1 WHERE number=2")
    database.close()
    code, answer = run("verify", "--data", str(used), replay)
    assert (code, answer["verified"], answer["code"]) == (1, False, "journal_damaged")


def test_verify__no_journal__exit_2_and_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["verify", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "there is no journal" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_verify__beside_a_running_chain__refused(victim: Any, data: Path) -> None:
    running = victim("wait")
    code, answer = run("verify", "--data", str(data))
    assert (code, answer["error"]["code"]) == (2, "already_running")
    code, answer = run("status", "--data", str(data))
    assert (code, answer["running"], answer["pid"]) == (0, True, running.pid)
    assert answer["journal_blocks"] == 2


@pytest.mark.parametrize(("replay", "compared"), [("--replay", True), ("--no-replay", False)])
def test_verify__a_good_journal__says_what_was_checked(
    used: Path, replay: str, compared: bool
) -> None:
    code, answer = run("verify", "--data", str(used), replay)
    assert code == 0
    assert (answer["verified"], answer["hashes_compared"]) == (True, compared)
    assert answer["blocks"] == 3


def test_status__nothing_there__says_so(tmp_path: Path) -> None:
    code, answer = run("status", "--data", str(tmp_path / "none"))
    assert (code, answer) == (0, {"running": False, "journal_exists": False})
