"""Tiny purchases for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.purchases import Purchases
from tests.gateway.demo.tiny import LINES, write


@pytest.fixture
def make_purchases(tmp_path: Path) -> Callable[..., Purchases]:
    """Writes datasets; without lines, LINES."""

    def make(lines: Iterable[tuple[Any, ...]] = LINES, **columns: Any) -> Purchases:
        return write(tmp_path, lines, **columns)

    return make


@pytest.fixture
def purchases(make_purchases: Callable[..., Purchases]) -> Purchases:
    return make_purchases()
