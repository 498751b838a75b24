"""A statement as CSV (RFC 4180), for spreadsheets and accounting programs."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from indexer.statements.statement import Statement, clock_of

HEADER: Final = (
    *("time", "event", "points", "amount", "balance", "order", "block", "transaction"),
    "currency",
)


def decimal_text(units: int, decimals: int) -> str:
    """Units of the asset as an exact decimal number, all places shown."""
    return f"{Decimal(units).scaleb(-decimals):.{decimals}f}"


def moment_text(time: int, zone: str) -> str:
    """A unix second as ISO 8601 on the clocks of `zone`, with their distance from UTC."""
    if zone == "UTC":
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return datetime.fromtimestamp(time, clock_of(zone)).isoformat()


def statement_csv(statement: Statement, decimals: int = 6) -> str:
    """Opening balance, a row a line, closing balance. Amounts as exact decimals of `currency`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    opening = decimal_text(statement.opening, decimals)
    zone, currency = statement.zone, statement.currency
    begins_at = moment_text(statement.begins_at, zone)
    writer.writerow([begins_at, "opening", "", "", opening, "", "", "", currency])
    for line in statement.lines:
        writer.writerow(
            [
                moment_text(line.time, zone),
                line.name,
                "" if line.points is None else line.points,
                decimal_text(line.amount, decimals),
                decimal_text(line.balance, decimals),
                line.digest or "",
                line.block,
                line.transaction,
                currency,
            ]
        )
    closing = decimal_text(statement.closing, decimals)
    ends_at = moment_text(statement.ends_at, zone)
    writer.writerow([ends_at, "closing", "", "", closing, "", "", "", currency])
    return text.getvalue()
