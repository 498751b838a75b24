"""Invariants run on the compiled bytecode in an EVM inside this process; the kit is found here."""

from __future__ import annotations

import sys
from pathlib import Path

# Test modules are imported one by one (importlib mode); what they share is found here.
sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))
sys.path.insert(0, str(Path(__file__).parent))
