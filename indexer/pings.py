"""Asks a connection that has rested whether its server is still there, before it is used again.

SQLAlchemy's own `pool_pre_ping` asks every time; in front of transactions of a millisecond or two,
one upon the other, that is one round trip more for each of them.
"""

from __future__ import annotations

import time
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

RESTED_S: Final = 1.0
"""A server that went away within this time shows itself in the first statement instead."""

_USED_AT: Final = "used_at"


def ping_rested(engine: Engine, rested_s: float = RESTED_S) -> None:
    """Every connection of `engine` that lay in the pool for `rested_s` is asked when it is taken
    out; where it does not answer, the pool opens new ones.
    """

    @event.listens_for(engine, "checkout")
    def _taken(connection: Any, record: Any, _proxy: object) -> None:
        used_at = record.info.get(_USED_AT)
        if used_at is None or time.monotonic() - used_at < rested_s:
            return
        dialect = engine.dialect
        assert dialect.loaded_dbapi is not None
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            if dialect.is_disconnect(error, connection, None):
                raise DisconnectionError from error
            raise

    @event.listens_for(engine, "checkin")
    def _put_back(_connection: Any, record: Any) -> None:
        record.info[_USED_AT] = time.monotonic()
