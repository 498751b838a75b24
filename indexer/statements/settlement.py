"""The settlement matrix: for each pair of merchants, what one honoured of the other's points."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.queries.common import latest_versions, moment


@dataclass(frozen=True, slots=True)
class SettlementCell:
    """Points of `issuer` that `merchant` honoured, refunds taken off, and what the merchant was
    paid for them (units of the asset: points x (face value - redeem fee of the points' epoch)).
    """

    issuer: int
    merchant: int
    redeemed: int
    refunded: int
    points: int
    paid: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """All pairs with trade in the months `from_month` to `to_month` (yyyymm, None: open).

    `paid` by honouring merchant as their statements say: the sum of a column of the matrix.
    """

    from_month: int | None
    to_month: int | None
    cells: tuple[SettlementCell, ...]
    paid: dict[int, int]
    as_of_block: int
    as_of_time: int

    @property
    def agrees(self) -> bool:
        """Whether the matrix and the statements come to the same, merchant by merchant."""
        columns: dict[int, int] = defaultdict(int)
        for cell in self.cells:
            columns[cell.merchant] += cell.paid
        return {m: p for m, p in columns.items() if p} == {m: p for m, p in self.paid.items() if p}


def settlement(
    conn: Connection, from_month: int | None = None, to_month: int | None = None
) -> Settlement:
    """Who honoured whose points in these months. Raises MirrorEmpty."""
    now = moment(conn)
    fees = sorted(
        (row.from_epoch, row.redeem_fee)
        for row in conn.execute(latest_versions(t.terms, now.before_id))
    )
    f = t.flows.c
    sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    statement = sa.select(
        f.issuer,
        f.merchant,
        f.epoch,
        sa.func.sum(f.redeemed).label("redeemed"),
        sa.func.sum(f.refunded).label("refunded"),
    ).group_by(f.issuer, f.merchant, f.epoch)
    for row in conn.execute(_within(statement, f.month, from_month, to_month)):
        fee = max((x for x in fees if x[0] <= row.epoch), default=(0, 0))[1]
        redeemed, refunded = int(row.redeemed), int(row.refunded)
        cell = sums[row.issuer, row.merchant]
        cell[0] += redeemed
        cell[1] += refunded
        cell[2] += (redeemed - refunded) * (now.face_value - fee)
    m = t.merchant_months.c
    paid = sa.select(
        m.merchant, sa.func.sum(m.paid - m.taken_back, type_=m.paid.type).label("paid")
    ).group_by(m.merchant)
    return Settlement(
        from_month=from_month,
        to_month=to_month,
        cells=tuple(
            SettlementCell(issuer, merchant, redeemed, refunded, redeemed - refunded, amount)
            for (issuer, merchant), (redeemed, refunded, amount) in sorted(sums.items())
            if redeemed or refunded
        ),
        paid={
            row.merchant: row.paid
            for row in conn.execute(_within(paid, m.month, from_month, to_month))
        },
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )


def _within(
    statement: sa.Select[tuple[int, ...]],
    month: sa.ColumnElement[int],
    from_month: int | None,
    to_month: int | None,
) -> sa.Select[tuple[int, ...]]:
    if from_month is not None:
        statement = statement.where(month >= from_month)
    if to_month is not None:
        statement = statement.where(month <= to_month)
    return statement
