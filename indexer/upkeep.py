"""What is done between blocks, so that no block at the head waits for it.

Balances of final blocks are carried forward (`carry`), and SQLite's log is moved into its file,
which costs two fsyncs and would otherwise fall into the commit of every twentieth block.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from indexer import carry
from indexer.database import checkpoint

_LOGS_PER_CHECKPOINT: Final = 2_000
"""Ten full blocks, some 2,000 pages of the log, moved in about 30 ms."""


class Upkeep:
    """Counts what was written, and does what has become due."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._uncarried = 0
        self._in_log = 0

    def wrote(self, logs: int) -> None:
        """Logs were committed. In a long backfill balances are carried forward at once, so that
        the last of it need not sort everything."""
        self._uncarried += logs
        self._in_log += logs
        if self._uncarried >= carry.LOGS_IN_BACKFILL:
            self._carry()

    def run(self) -> None:
        """Does what is due. To be called when the mirror has caught up."""
        self._carry()
        if self._in_log >= _LOGS_PER_CHECKPOINT:
            self._in_log = 0
            checkpoint(self._engine)

    def _carry(self) -> None:
        self._uncarried = 0
        with self._engine.begin() as conn:
            if (end := carry.due(conn)) is not None:
                carry.carry(conn, end)
