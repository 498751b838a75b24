"""Points by epoch, and the terms they were earned under."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.queries.common import Moment, latest_versions


@dataclass(frozen=True, slots=True)
class EpochSupply:
    """Points of one epoch: unspent = issued - returned - redeemed + refunded.

    `expires_at` is the first second at which what is unspent is gone; then it is breakage.
    """

    epoch: int
    issued: int
    returned: int
    redeemed: int
    refunded: int
    unspent: int
    live: bool
    closed: bool
    expires_at: int
    issue_fee: int
    redeem_fee: int

    @property
    def issued_net(self) -> int:
        """Issued less returned, as the contract counts."""
        return self.issued - self.returned

    @property
    def fees(self) -> int:
        """Income that the epoch's points have brought: issue fees on what stayed issued, redeem
        fees on what was honoured."""
        return self.issued_net * self.issue_fee + (self.issued_net - self.unspent) * self.redeem_fee


def supply_by_epoch(conn: Connection, now: Moment) -> tuple[EpochSupply, ...]:
    """Every epoch that ever had points, oldest first."""
    fees = sorted(
        (row.from_epoch, row.issue_fee, row.redeem_fee)
        for row in conn.execute(latest_versions(t.terms, now.before_id))
    )
    closed = set(
        conn.execute(
            sa.select(t.closed_epochs.c.epoch).where(t.closed_epochs.c.id < now.before_id)
        ).scalars()
    )
    found = []
    for row in conn.execute(_newest_supply(now.as_of_block)):
        _, issue_fee, redeem_fee = max((f for f in fees if f[0] <= row.epoch), default=(0, 0, 0))
        found.append(
            EpochSupply(
                epoch=row.epoch,
                issued=row.issued,
                returned=row.returned,
                redeemed=row.redeemed,
                refunded=row.refunded,
                unspent=row.issued - row.returned - row.redeemed + row.refunded,
                live=row.epoch >= now.oldest_live_epoch,
                closed=row.epoch in closed,
                expires_at=now.schedule.expires_at(row.epoch),
                issue_fee=issue_fee,
                redeem_fee=redeem_fee,
            )
        )
    return tuple(found)


def _newest_supply(block: int) -> sa.Select[tuple[int, int, int, int, int, int]]:
    """The newest row of each epoch up to `block`, one index step an epoch however many blocks."""
    s = t.supply
    first = sa.select(sa.func.min(s.c.epoch).label("epoch")).cte("epochs", recursive=True)
    later = s.alias("later")
    following = (
        sa.select(sa.func.min(later.c.epoch)).where(later.c.epoch > first.c.epoch).scalar_subquery()
    )
    epochs = first.union_all(sa.select(following).where(first.c.epoch.is_not(None)))
    inner = s.alias("newest")
    newest = (
        sa.select(sa.func.max(inner.c.block))
        .where(inner.c.epoch == epochs.c.epoch, inner.c.block <= block)
        .scalar_subquery()
    )
    return (
        sa.select(s.c.epoch, s.c.block, s.c.issued, s.c.returned, s.c.redeemed, s.c.refunded)
        .join(epochs, sa.and_(s.c.epoch == epochs.c.epoch, s.c.block == newest))
        .order_by(s.c.epoch)
    )
