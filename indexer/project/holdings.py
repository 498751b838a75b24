"""What an account holds of the settlement asset, by the asset's own logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.project.rows import Row

_ASSET: Final = "BankReceipt"
_COLUMNS: Final = [column.name for column in t.events.columns]
_CONTRACT, _NAME, _TOPICS, _DATA = map(_COLUMNS.index, ("contract", "name", "topics", "data"))


def held_by(conn: Connection, at_hand: Sequence[Row], account: bytes, before: int) -> int:
    """Units that `account` holds by the logs before id `before`, and those in `at_hand`, rows of
    events that are not in SQL yet. Reads every Transfer of the asset: once in a succession.
    """
    e = t.events.c
    stored = conn.execute(
        sa.select(e.topics, e.data).where(
            e.contract == _ASSET, e.name == "Transfer", e.id < before
        ),
        execution_options={"yield_per": 5_000},
    )
    new = (
        (row[_TOPICS], row[_DATA])
        for row in at_hand
        if (row[_CONTRACT], row[_NAME]) == (_ASSET, "Transfer")
    )
    held = 0
    for logs in (stored, new):
        for topics, data in logs:
            # Topics: the event, sender and receiver as words.
            sender, receiver = bytes(topics[44:64]), bytes(topics[76:96])
            held += ((receiver == account) - (sender == account)) * int.from_bytes(data, "big")
    return held
