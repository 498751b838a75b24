"""Journals and totals by set-based SQL, each one statement over all facts.

The writer keeps the same rows block by block (`project`); that both say the same is what the
digests of the tests compare. Versions (merchants, keys, members, passes, terms) follow from few
events and the order of them, so their events alone are folded by the writer's own code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from indexer import bulk, carry
from indexer import tables as t
from indexer.decode import read_other
from indexer.project import Batch, Memory, Network
from indexer.project.clearing import VERSIONED, Clearing
from indexer.project.rows import MONTH_COLUMNS, MONTHS
from indexer.project.state import Counters
from indexer.queries.common import block_number

_EVENTS_PER_STEP: Final = 5_000
"""Events that are read and folded at once; bounds memory at some 10 MB."""

_BLOCKS_MAX: Final = 2**63 // t.IDS_PER_BLOCK
"""Every log lies before that block: all facts are there when they are summed up."""

_VERSIONS: Final = (
    t.coalitions,
    t.merchants,
    t.till_keys,
    t.members,
    t.passes,
    t.terms,
    t.closed_epochs,
    t.treasury,
)

_BLOCK: Final = f"/ {t.IDS_PER_BLOCK}"

_SUPPLY: Final = f"""
INSERT INTO supply (epoch, block, issued, returned, redeemed, refunded)
SELECT epoch, block,
    SUM(issued) OVER so_far, SUM(returned) OVER so_far,
    SUM(redeemed) OVER so_far, SUM(refunded) OVER so_far
FROM (
    SELECT epoch, block, SUM(issued) AS issued, SUM(returned) AS returned,
        SUM(redeemed) AS redeemed, SUM(refunded) AS refunded
    FROM (
        SELECT epoch, id {_BLOCK} AS block, points AS issued,
            0 AS returned, 0 AS redeemed, 0 AS refunded
        FROM events WHERE contract = 'Coalition' AND name = 'Issued'
        UNION ALL
        SELECT p.epoch, p.id {_BLOCK}, 0,
            CASE m.kind WHEN 'return' THEN p.points ELSE 0 END,
            CASE m.kind WHEN 'redeem' THEN p.points ELSE 0 END,
            CASE m.kind WHEN 'refund' THEN p.points ELSE 0 END
        FROM pieces p JOIN movements m ON m.id = p.id
        WHERE m.kind IN ('return', 'redeem', 'refund')
    ) AS changes
    GROUP BY epoch, block
) AS of_block
WINDOW so_far AS (PARTITION BY epoch ORDER BY block)
"""


def _when(column: str, name: str, value: str) -> str:
    return f"SUM(CASE {column} WHEN '{name}' THEN {value} ELSE 0 END)"


def _sums(keys: dict[str, str], sums: dict[str, str], source: str) -> str:
    """One row a key; a row that is zero throughout is none, as the writer has it."""
    columns = [f"{value} AS {name}" for name, value in (keys | sums).items()]
    zero = " OR ".join(f"{value} <> 0" for value in sums.values())
    return (
        f"SELECT {', '.join(columns)} FROM {source} "
        f"GROUP BY {', '.join(keys.values())} HAVING {zero}"
    )


def _merchant_epochs() -> str:
    sums = {name.lower(): _when("name", name, "points") for name in ("Issued", "Returned")}
    source = "events WHERE contract = 'Coalition' AND name IN ('Issued', 'Returned') AND id >= ?"
    return _sums({"merchant": "merchant", "epoch": "epoch"}, sums, source)


def _merchant_months() -> str:
    sums = dict.fromkeys(MONTH_COLUMNS, "")
    for event, columns in MONTHS.items():
        for column, value in zip(columns, ("1", "e.points", "ABS(e.amount)"), strict=True):
            if column is not None:
                sums[column] = _when("e.name", event, value)
    names = ", ".join(f"'{name}'" for name in MONTHS)
    source = (
        f"events e JOIN blocks b ON b.number = e.id {_BLOCK} "
        f"WHERE e.contract = 'Coalition' AND e.name IN ({names}) AND e.id >= ?"
    )
    return _sums({"merchant": "e.merchant", "month": "b.month"}, sums, source)


def _flows() -> str:
    kinds = {"redeemed": "redeem", "refunded": "refund", "returned": "return"}
    sums = {column: _when("m.kind", kind, "p.points") for column, kind in kinds.items()}
    names = ", ".join(f"'{kind}'" for kind in kinds.values())
    source = (
        "pieces p JOIN movements m ON m.id = p.id "
        f"JOIN blocks b ON b.number = p.id {_BLOCK} WHERE m.kind IN ({names}) AND p.id >= ?"
    )
    keys = {"issuer": "p.issuer", "merchant": "m.merchant", "epoch": "p.epoch", "month": "b.month"}
    return _sums(keys, sums, source)


TOTALS: Final[dict[Table, str]] = {
    t.merchant_epochs: _merchant_epochs(),
    t.merchant_months: _merchant_months(),
    t.flows: _flows(),
}
"""What the facts from an id on (`?`) come to, row by row of each table of totals."""


def derive(conn: Connection, network: Network, final_block: int) -> None:
    """Makes every journal and total anew from the facts, in the caller's transaction."""
    with bulk.pipelined(conn):
        carry.anew(conn, t.first_id(max(final_block, 0) + 1))
        for table in (*t.JOURNALS, *t.TOTALS):
            bulk.run(conn, f"DELETE FROM {table.name}")
        bulk.run(conn, _SUPPLY)
        for table, sums in TOTALS.items():
            names = ", ".join(column.name for column in table.columns)
            # The columns of the sums by name: theirs is another order.
            bulk.run(
                conn, f"INSERT INTO {table.name} ({names}) SELECT {names} FROM ({sums}) AS s", 0
            )
    _derive_versions(conn, network)


def take_off(conn: Connection, bound: int) -> None:
    """Subtracts from the totals what the facts from id `bound` on have added to them; a row that is
    zero throughout was made by these, and goes.
    """
    for table, sums in TOTALS.items():
        keys = [column.name for column in table.columns if column.primary_key]
        values = [column.name for column in table.columns if not column.primary_key]
        less = ", ".join(f"{name} = {table.name}.{name} - s.{name}" for name in values)
        same = " AND ".join(f"{table.name}.{name} = s.{name}" for name in keys)
        zero = " AND ".join(f"{name} = 0" for name in values)
        bulk.run(conn, f"UPDATE {table.name} SET {less} FROM ({sums}) AS s WHERE {same}", bound)
        bulk.run(
            conn,
            f"DELETE FROM {table.name} WHERE {zero} AND ({', '.join(keys)}) IN "
            f"(SELECT {', '.join(keys)} FROM ({sums}) AS s)",
            bound,
        )


def _derive_versions(conn: Connection, network: Network) -> None:
    """Folds the events that make versions, and writes those alone."""
    memory = Memory()
    memory.counters = Counters()
    batch = Batch()
    clearing = Clearing(conn, network, batch, memory, t.first_id(_BLOCKS_MAX))
    transaction = (-1, -1)
    for step in _versioned(conn):
        for row in step:
            log = read_other(row.id, row.position, row.contract, bytes(row.topics), bytes(row.data))
            if (t.block_of(log.id), log.position) != transaction:
                if sum(map(len, batch.appended.values())) >= _EVENTS_PER_STEP:
                    # Not within a transaction: its logs are read together.
                    _write(conn, batch)
                transaction = (t.block_of(log.id), log.position)
                clearing.new_transaction()
            clearing.version(log, row.time)
    _write(conn, batch)


def _versioned(conn: Connection) -> Iterator[Sequence[Any]]:
    """The events that make versions with the times of their blocks, in steps."""
    e, b = t.events.c, t.blocks.c
    names = sorted({name for _, name in VERSIONED})
    after = -1
    while True:
        step = conn.execute(
            sa.select(e.id, e.position, e.contract, e.topics, e.data, b.time)
            .select_from(t.events.join(t.blocks, b.number == block_number(e.id)))
            .where(e.id > after, e.name.in_(names))
            .order_by(e.id)
            .limit(_EVENTS_PER_STEP)
        ).all()
        yield step
        if len(step) < _EVENTS_PER_STEP:
            return
        after = step[-1].id


def _write(conn: Connection, batch: Batch) -> None:
    for table in _VERSIONS:
        bulk.insert(conn, table, batch.appended[table])
        batch.appended[table].clear()
