"""The network as a whole: where the mirror stands, supply, reserve, income."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.queries.common import Moment, latest_versions, moment
from indexer.queries.merchants import position_before
from indexer.queries.supply import EpochSupply, supply_by_epoch
from wallet_sdk.types import Digest, digest_of


@dataclass(frozen=True, slots=True)
class Head:
    """Where the mirror stands. `logs` and `members` count over the whole chain so far."""

    as_of_block: int
    as_of_time: int
    block_hash: Digest
    final_block: int
    logs: int
    members: int


@dataclass(frozen=True, slots=True)
class NetworkOverview:
    """Points, and money in units of the settlement asset.

    `reserve` = live points x face value · `breakage`: expired and not closed, or closed and not
    claimed · `income`: fees and closed breakage less what the operator withdrew · `held`: the asset
    by its own logs · `surplus`: gifts, what arrived without being a deposit · `positions` and
    `drawn` are the positive positions and what is drawn on credit, both as positive figures.
    """

    live_points: int
    issued: int
    returned: int
    redeemed: int
    refunded: int
    expired: int
    epochs: tuple[EpochSupply, ...]
    reserve: int
    breakage: int
    income: int
    held: int
    positions: int
    drawn: int
    guarantee: int
    surplus: int
    members: int
    merchants: int
    batches: int
    redemptions: int
    transfers: int
    logs: int
    as_of_block: int
    as_of_time: int


def head(conn: Connection) -> Head:
    """Where the mirror stands. Raises MirrorEmpty."""
    now = moment(conn)
    row = conn.execute(sa.select(t.progress)).one()
    count = counts(conn, now)
    return Head(
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
        block_hash=digest_of(bytes(row.hash)),
        final_block=row.final_block,
        logs=count["logs"],
        members=count["members"],
    )


def counts(conn: Connection, now: Moment) -> dict[str, int]:
    """Logs, members, batches, redemptions and transfers up to and with the block of `now`."""
    names = ("logs", "members", "batches", "redemptions", "transfers")
    row = conn.execute(
        sa.select(*(t.blocks.c[f"{name}_so_far"].label(name) for name in names))
        .where(t.blocks.c.number <= now.as_of_block)
        .order_by(t.blocks.c.number.desc())
        .limit(1)
    ).one_or_none()
    return {name: 0 if row is None else getattr(row, name) for name in names}


def network_overview(
    conn: Connection, at_time: int | None = None, *, as_of: int | None = None
) -> NetworkOverview:
    """The network after block `as_of` (the head when None), seen at second `at_time`."""
    now = moment(conn, as_of, at_time)
    epochs = supply_by_epoch(conn, now)
    live = sum(e.unspent for e in epochs if e.live)
    treasury = conn.execute(
        sa.select(t.treasury)
        .where(t.treasury.c.id < now.before_id)
        .order_by(t.treasury.c.id.desc())
        .limit(1)
    ).one_or_none()
    c = t.closed_epochs.c
    pools, operators = conn.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(c.issuers_pool), 0),
            sa.func.coalesce(sa.func.sum(c.operators_part), 0),
        ).where(c.id < now.before_id)
    ).one()
    unclosed = sum(e.unspent for e in epochs if not e.live and not e.closed)
    positions = [
        position_before(conn, row.merchant, now.before_id)
        for row in conn.execute(latest_versions(t.merchants, now.before_id))
    ]
    count = counts(conn, now)
    held, deposited, withdrawn, guarantee, income_withdrawn, claimed = (
        (0, 0, 0, 0, 0, 0)
        if treasury is None
        else (
            treasury.held,
            treasury.deposited,
            treasury.withdrawn,
            treasury.guarantee,
            treasury.income_withdrawn,
            treasury.breakage_claimed,
        )
    )
    return NetworkOverview(
        live_points=live,
        issued=sum(e.issued for e in epochs),
        returned=sum(e.returned for e in epochs),
        redeemed=sum(e.redeemed for e in epochs),
        refunded=sum(e.refunded for e in epochs),
        expired=sum(e.unspent for e in epochs if not e.live),
        epochs=epochs,
        reserve=live * now.face_value,
        breakage=unclosed * now.face_value + int(pools) - claimed,
        income=sum(e.fees for e in epochs) + int(operators) - income_withdrawn,
        held=held,
        positions=sum(p for p in positions if p > 0),
        drawn=-sum(p for p in positions if p < 0),
        guarantee=guarantee,
        surplus=held - (deposited - withdrawn + guarantee - income_withdrawn),
        merchants=len(positions),
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
        **count,
    )
