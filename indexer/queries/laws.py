"""The laws that hold at every block, each with its two sides, from the mirror alone.

The auditor checks them against the chain; these show what the mirror says.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer import views
from indexer.queries.common import latest_versions, moment
from indexer.queries.merchants import position_before
from indexer.queries.network import network_overview


@dataclass(frozen=True, slots=True)
class Law:
    """One law, the names of its two sides, and what they come to (points or units of the asset)."""

    number: int
    name: str
    left: int
    right: int
    left_name: str
    right_name: str

    @property
    def holds(self) -> bool:
        return self.left == self.right


def laws(conn: Connection, at_time: int | None = None) -> list[Law]:
    """Laws 1 to 4 at the head, seen at second `at_time`. Looks at every balance."""
    now = moment(conn, None, at_time)
    overview = network_overview(conn, at_time)
    b = views.changes().subquery().c
    held = int(
        conn.execute(
            sa.select(sa.func.coalesce(sa.func.sum(b.points), 0)).where(
                b.epoch >= now.oldest_live_epoch
            )
        ).scalar_one()
    )
    beyond = sum(
        position_before(conn, row.merchant, now.before_id) < -row.credit_limit
        for row in conn.execute(latest_versions(t.merchants, now.before_id))
    )
    o = overview
    return [
        Law(
            1,
            "live supply is what members hold",
            o.live_points,
            held,
            "issued - returned - redeemed + refunded - expired",
            "sum of live balances",
        ),
        Law(
            2,
            "the reserve is every live point at face value",
            o.reserve,
            held * now.face_value,
            "reserve",
            "sum of live balances x face value",
        ),
        Law(
            3,
            "what is held covers what is owed",
            o.held + o.drawn,
            o.positions + o.reserve + o.breakage + o.income + o.guarantee + o.surplus,
            "assets held + credit drawn",
            "positions + reserve + breakage + income + guarantee + surplus",
        ),
        Law(
            4,
            "no position lies under minus its limit",
            beyond,
            0,
            "positions beyond their limit",
            "none",
        ),
    ]
