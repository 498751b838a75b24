"""Invariants run on the compiled bytecode in an EVM inside this process; the kit is found here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Test modules are imported one by one (importlib mode); what they share is found here.
sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))
sys.path.insert(0, str(Path(__file__).parent))

from network_desk import Desk  # noqa: E402
from network_refusals import opened  # noqa: E402


@pytest.fixture
def desk() -> Desk:
    """A baker and a florist with 1,000,000 each; Ada with 100 points and Bob are members."""
    return opened()
