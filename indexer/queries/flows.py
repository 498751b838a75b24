"""Who issued what was honoured where, and trade by month."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.queries.common import moment


@dataclass(frozen=True, slots=True)
class Flow:
    """Points that `issuer` issued and `merchant` honoured, refunds taken off."""

    issuer: int
    merchant: int
    points: int


@dataclass(frozen=True, slots=True)
class Flows:
    """The matrix, pairs without points left out. The issuer of a point is known by first in first
    out within a member's epoch.
    """

    cells: tuple[Flow, ...]
    as_of_block: int
    as_of_time: int


@dataclass(frozen=True, slots=True)
class Month:
    """Trade of one month (UTC), yyyymm. Money in units of the settlement asset."""

    month: int
    batches: int
    issued: int
    returned: int
    redemptions: int
    redeemed: int
    refunded: int
    charged: int
    paid: int


@dataclass(frozen=True, slots=True)
class MonthlySeries:
    """Months with trade, oldest first."""

    months: tuple[Month, ...]
    as_of_block: int
    as_of_time: int


def flows(conn: Connection, *, from_month: int | None = None, to_month: int | None = None) -> Flows:
    """Points by issuing and honouring merchant, over all time or the months given (yyyymm)."""
    now = moment(conn)
    f = t.flows.c
    points = sa.func.sum(f.redeemed - f.refunded)
    statement = sa.select(f.issuer, f.merchant, points.label("points"))
    if from_month is not None:
        statement = statement.where(f.month >= from_month)
    if to_month is not None:
        statement = statement.where(f.month <= to_month)
    rows = conn.execute(
        statement.group_by(f.issuer, f.merchant).having(points != 0).order_by(f.issuer, f.merchant)
    )
    return Flows(
        cells=tuple(Flow(row.issuer, row.merchant, int(row.points)) for row in rows),
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )


def monthly_series(conn: Connection, merchant: int | None = None) -> MonthlySeries:
    """Trade by month, of one merchant or of all."""
    now = moment(conn)
    m = t.merchant_months.c
    names = [
        *("batches", "issued", "returned", "redemptions", "redeemed", "refunded"),
        *("charged", "paid"),
    ]
    statement = sa.select(
        m.month, *(sa.func.sum(m[name], type_=m[name].type).label(name) for name in names)
    )
    if merchant is not None:
        statement = statement.where(m.merchant == merchant)
    rows = conn.execute(statement.group_by(m.month).order_by(m.month))
    return MonthlySeries(
        months=tuple(
            Month(month=row.month, **{name: int(getattr(row, name)) for name in names})
            for row in rows
        ),
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )
