"""docs/API.md: every command on the page runs, and is answered as the page says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.gateway.helpers import Town, fresh

PAGE = (Path(__file__).parents[2] / "docs" / "API.md").read_text()
ANSWERED = re.compile(r"# (\d{3}) (\{.*\})")

# What the page leaves to the reader: a member of the last answer.
PRELUDE = """
set -eu
field() { python3 -c 'import json, sys; print(json.load(open("answer"))[sys.argv[1]])' "$1"; }
"""


def commands() -> list[str]:
    """Each command with the answer under it, in the page's order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines()]


def script() -> tuple[str, list[tuple[int, dict[str, Any]]]]:
    """The page as one script that prints a line for each answer, and what the page says of them."""
    lines, told = [PRELUDE], []
    for line in commands():
        answered = ANSWERED.fullmatch(line)
        if answered:
            told.append((int(answered[1]), json.loads(answered[2].replace('"mem_..."', "null"))))
        elif line.startswith("api()"):
            lines.append(line.replace("curl ", "curl -o answer -w '%{http_code} ' "))
        elif line.startswith("api "):
            lines.append(f"{line}; cat answer; echo")
        else:
            lines.append(line)
    return "\n".join(lines), told


def test_page__every_command__is_answered_as_it_says(town: Town, tmp_path: Path) -> None:
    text, told = script()
    # Names on the page are for a network of its own; this one is shared.
    for name in ("card-4711", "till-1", "another-key", "till-2-key-1"):
        text = text.replace(name, f"{name}-{fresh('x')}")
    shown = subprocess.run(
        ["sh", "-c", text],
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "URL": str(town.client.base_url),
            "KEY": town.cashier_key,
            "OWNER": str(town.baker.api_key),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    answers = [line.partition(" ")[::2] for line in shown.stdout.splitlines()]
    assert len(told) == len(answers) >= 15
    for (status, members), (got, body) in zip(told, answers, strict=True):
        found = json.loads(body)
        assert int(got) == status, (members, body)
        for name, value in members.items():
            if value is not None and name not in ("external_id", "reference"):
                assert found[name] == value, (name, body)


def test_page__every_code_and_path__exists(town: Town) -> None:
    paths = town.client.get("/v1/openapi.json").json()["paths"]
    named = set(re.findall(r"/v1/[a-z-]+(?:/me)?[a-z-]*", PAGE)) - {"/v1/openapi"}
    for path in named:
        assert any(there.startswith(path) for there in paths), path
    errors = (Path(__file__).parents[2] / "docs" / "ERRORS.md").read_text()
    for code in re.findall(r"\d{3} `(\w+)`", PAGE):
        assert code in ("accepted", "failed") or f"`{code}`" in errors, code
