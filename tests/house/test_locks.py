"""Locks carry versions and hashes, and no address of any registry."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock__every_requirement__is_exact_and_hashed(lock: Path) -> None:
    requirements = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert requirements
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock__any_line__names_no_address(lock: Path) -> None:
    assert not re.search(r"https?:|file:|--index-url|--find-links", lock.read_text())


def test_npm_lock__any_package__has_a_hash_and_no_address() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert len(packages) > 3
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


def test_demo_and_run_locks__installed_for_the_demo__hold_no_compiler() -> None:
    names = {
        line.split("==")[0]
        for lock in ("run.txt", "demo.txt")
        for line in (ROOT / "requirements" / lock).read_text().splitlines()
        if "==" in line
    }
    assert names.isdisjoint({"eth-ape", "ape-solidity", "py-solc-x", "pytest", "pandas"})
