"""schemathesis with all its checks, stateful too, finds nothing, whoever asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.helpers import Town

# Checks that do not fit, each with its reason.
LEFT_OUT = (
    # A body of the right shape may still be refused: ids that name nobody, points that are not
    # there, a purchase in another currency.
    "positive_data_acceptance",
)


# Seconds at every run, by the same seed; at length, and by a drawn seed, in the soak.
SHORT = ("--max-examples", "1", "--max-time", "3", "--phases", "fuzzing", "--seed", "1")
LONG = ("--max-examples", "25", "--max-time", "90")


def test_schemathesis__for_three_seconds__finds_nothing(town: Town, tmp_path: Path) -> None:
    find(town, str(town.baker.api_key), tmp_path, *SHORT)


@pytest.mark.soak
@pytest.mark.parametrize("who", ["owner", "operator", "member"])
def test_schemathesis__all_checks__finds_nothing(
    town: Town, who: str, tmp_path: Path, soak_seed: int
) -> None:
    key = {"owner": town.baker.api_key, "operator": town.operator_key, "member": town.member_key}
    find(town, str(key[who]), tmp_path, *LONG, "--seed", str(soak_seed))


def find(town: Town, key: str, tmp_path: Path, *how: str) -> None:
    """Lets it ask as the holder of this key."""
    report = tmp_path / "report.txt"
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{town.client.base_url}/v1/openapi.json",
        "--checks",
        "all",
        "--exclude-checks",
        ",".join(LEFT_OUT),
        "--header",
        f"Authorization:Bearer {key}",
        *how,
        "--include-path-regex",
        "^/v1/",
        "--continue-on-failure",
        "--warnings",
        "off",
    ]
    with report.open("w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=tmp_path)
    assert done.returncode == 0, report.read_text()[-8_000:]
