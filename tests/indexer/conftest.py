"""The mirror's tests: a chain in memory, and both databases behind one fixture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from indexer import carry
from indexer.database import open_mirror

# Test modules are imported one by one (importlib mode); what they share is found here.
sys.path.insert(0, str(Path(__file__).parent))

from mirror_model import ModelChain, actor


@pytest.fixture(autouse=True)
def carried_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chains of these tests are short: with the real threshold nothing would be carried."""
    monkeypatch.setattr(carry, "LOGS_MIN", 10)


@pytest.fixture(params=["sqlite", "postgresql"])
def mirror_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mirror.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def opened() -> Iterator[Callable[[str], Engine]]:
    """Opens mirrors, and closes them when the test is over."""
    engines: list[Engine] = []

    def open_(url: str) -> Engine:
        engines.append(open_mirror(url))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.dispose()


@pytest.fixture
def mirror(mirror_url: str, opened: Callable[[str], Engine]) -> Engine:
    """An empty mirror on each kind of database."""
    return opened(mirror_url)


@pytest.fixture
def sqlite_mirror(tmp_path: Path, opened: Callable[[str], Engine]) -> Engine:
    """An empty mirror where the database does not matter."""
    return opened(f"sqlite:///{tmp_path / 'mirror.db'}")


@pytest.fixture
def chain() -> ModelChain:
    """The baker (1) and the florist (2), funded; ada and bob have joined."""
    chain = ModelChain()
    chain.terms()
    for merchant, name in ((1, "baker"), (2, "florist")):
        chain.register(merchant, actor(name))
        chain.deposit(merchant, 10**9)
    for name in ("ada", "bob"):
        chain.join(actor(name))
    chain.mine()
    return chain
