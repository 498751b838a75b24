"""Statements: what a merchant's position did in a period, line by line, as JSON, CSV and PDF."""

from indexer.statements.as_csv import statement_csv
from indexer.statements.as_json import statement_json
from indexer.statements.as_pdf import statement_pdf
from indexer.statements.settlement import Settlement, SettlementCell, settlement
from indexer.statements.statement import (
    Statement,
    StatementLine,
    StatementTotal,
    month_bounds,
    statement,
)

__all__ = [
    "Settlement",
    "SettlementCell",
    "Statement",
    "StatementLine",
    "StatementTotal",
    "month_bounds",
    "settlement",
    "statement",
    "statement_csv",
    "statement_json",
    "statement_pdf",
]
