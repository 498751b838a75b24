"""The nodes that these tests share with the gateway's end with the last test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.node import TOWNS


@pytest.fixture(scope="session", autouse=True)
def _towns() -> Iterator[None]:
    yield
    TOWNS.close()
