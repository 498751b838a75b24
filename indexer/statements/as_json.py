"""A statement as a JSON object: amounts as integers in units of the settlement asset."""

from __future__ import annotations

import dataclasses
from typing import Any

from indexer.statements.statement import Statement


def statement_json(statement: Statement) -> dict[str, Any]:
    """Ready for a JSON encoder that writes integers exactly."""
    return dataclasses.asdict(statement)
