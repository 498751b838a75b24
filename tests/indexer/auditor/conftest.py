"""Real nodes for the auditor's tests: a plain one, and a town with a year of trade on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Helpers beside the tests, which are no package.
sys.path.insert(0, str(Path(__file__).parent))

from audit_story import tell  # noqa: E402
from audit_town import BAKER, Town, running_anvil  # noqa: E402


@pytest.fixture(scope="session")
def plain_node() -> Iterator[str]:
    """A node without our contracts, for what only needs blocks."""
    with running_anvil() as url:
        yield url


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A network after a year and a half of trade. Tests read it; none writes to it."""
    folder: Path = tmp_path_factory.mktemp("town")
    with running_anvil() as url:
        town = Town(url, folder)
        tell(town)
        yield town
        town.rpc.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Town]:
    """A town of ada and ben, with the baker's points, that a test may do with as it likes."""
    with running_anvil() as url:
        town = Town(url, tmp_path)
        town.relayed([town.join("ada"), town.join("ben")])
        town.relayed([town.issue(BAKER, ("ada", 5_000), ("ben", 700))])
        yield town
        town.rpc.close()
