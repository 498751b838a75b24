"""Real nodes for the auditor's tests: a plain one, and a town with a year of trade on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Helpers beside the tests, which are no package.
sys.path.insert(0, str(Path(__file__).parent))

from audit_story import tell  # noqa: E402
from audit_town import Town, running_anvil  # noqa: E402


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
