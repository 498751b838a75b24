"""A statement as CSV (RFC 4180), for spreadsheets and accounting programs."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from indexer.statements.statement import Statement

HEADER: Final = ("time", "event", "points", "amount", "balance", "order", "block", "transaction")


def decimal_text(units: int, decimals: int) -> str:
    """Units of the asset as an exact decimal number, all places shown."""
    return f"{Decimal(units).scaleb(-decimals):.{decimals}f}"


def utc(time: int) -> str:
    """A unix second as ISO 8601 in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def statement_csv(statement: Statement, decimals: int = 6) -> str:
    """Opening balance, a row a line, closing balance. Amounts as exact decimals."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    opening = decimal_text(statement.opening, decimals)
    writer.writerow([utc(statement.begins_at), "opening", "", "", opening, "", "", ""])
    for line in statement.lines:
        writer.writerow(
            [
                utc(line.time),
                line.name,
                "" if line.points is None else line.points,
                decimal_text(line.amount, decimals),
                decimal_text(line.balance, decimals),
                line.digest or "",
                line.block,
                line.transaction,
            ]
        )
    closing = decimal_text(statement.closing, decimals)
    writer.writerow([utc(statement.ends_at), "closing", "", "", closing, "", "", ""])
    return text.getvalue()
