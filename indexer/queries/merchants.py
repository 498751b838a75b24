"""What merchants hold with the network, what they issued and honoured."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.errors import MirrorEmpty
from indexer.queries.common import Moment, latest_versions, moment
from wallet_sdk.types import Address, Digest, Status, address_of, digest_of


@dataclass(frozen=True, slots=True)
class MerchantPosition:
    """What one merchant has with the network, in units of the settlement asset.

    `available` is what it may still be charged: position + credit limit.
    """

    merchant: int
    owner: Address
    status: Status
    profile_hash: Digest
    position: int
    credit_limit: int
    as_of_block: int
    as_of_time: int

    @property
    def available(self) -> int:
        return self.position + self.credit_limit


@dataclass(frozen=True, slots=True)
class MerchantRow:
    """One merchant in the overview. Points: issued, returned, redeemed and refunded there;
    `live_points` of its issue are unspent and not expired, attributed first in first out.
    Money: what was deposited, withdrawn, charged for issues, paid for redemptions.
    """

    merchant: int
    status: Status
    position: int
    credit_limit: int
    issued: int
    returned: int
    redeemed: int
    refunded: int
    live_points: int
    batches: int
    redemptions: int
    deposited: int
    withdrawn: int
    charged: int
    paid: int


@dataclass(frozen=True, slots=True)
class MerchantsOverview:
    """All merchants by id."""

    merchants: tuple[MerchantRow, ...]
    as_of_block: int
    as_of_time: int


def merchant_position(
    conn: Connection, merchant: int, *, as_of: int | None = None
) -> MerchantPosition | None:
    """The position of `merchant` after block `as_of`; None when the chain does not know it."""
    now = moment(conn, as_of)
    m = t.merchants.c
    row = conn.execute(
        sa.select(t.merchants)
        .where(m.merchant == merchant, m.id < now.before_id)
        .order_by(m.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return MerchantPosition(
        merchant=merchant,
        owner=address_of(bytes(row.owner)),
        status=Status(row.status),
        profile_hash=digest_of(bytes(row.profile_hash)),
        position=position_before(conn, merchant, now.before_id),
        credit_limit=row.credit_limit,
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )


@dataclass(frozen=True, slots=True)
class Registered:
    """A merchant as the chain registers it; `till_keys` are those that may sign now."""

    merchant: int
    owner: Address
    status: Status
    profile_hash: Digest
    till_keys: tuple[Address, ...]


def registered_above(conn: Connection, merchant: int) -> tuple[Registered, ...]:
    """Merchants with higher numbers than `merchant` at the head, by number. Raises MirrorEmpty."""
    now = moment(conn)
    keys: defaultdict[int, list[Address]] = defaultdict(list)
    tills = latest_versions(t.till_keys, now.before_id)
    for row in conn.execute(tills.where(t.till_keys.c.merchant > merchant)):
        if row.active:
            keys[row.merchant].append(address_of(bytes(row.key)))
    rows = latest_versions(t.merchants, now.before_id).where(t.merchants.c.merchant > merchant)
    return tuple(
        Registered(
            merchant=row.merchant,
            owner=address_of(bytes(row.owner)),
            status=Status(row.status),
            profile_hash=digest_of(bytes(row.profile_hash)),
            till_keys=tuple(sorted(keys[row.merchant])),
        )
        for row in conn.execute(rows.order_by(t.merchants.c.merchant))
    )


_ASKED: Final = sa.bindparam("merchant", type_=sa.BigInteger)
# Written out once: the gateway asks for every group of orders that it accepts.
_STANDING: Final = sa.select(
    sa.select(t.events.c.balance)
    .where(t.events.c.merchant == _ASKED)
    .order_by(t.events.c.id.desc())
    .limit(1)
    .scalar_subquery()
    .label("position"),
    sa.select(t.merchants.c.credit_limit)
    .where(t.merchants.c.merchant == _ASKED)
    .order_by(t.merchants.c.id.desc())
    .limit(1)
    .scalar_subquery()
    .label("credit_limit"),
).select_from(t.progress)


def merchant_standing(conn: Connection, merchant: int) -> tuple[int, int] | None:
    """Position and credit limit of `merchant` at the head; None when the chain does not know it.

    Raises MirrorEmpty.
    """
    row = conn.execute(_STANDING, {"merchant": merchant}).one_or_none()
    if row is None:
        raise MirrorEmpty
    return None if row.credit_limit is None else (row.position or 0, row.credit_limit)


def position_before(conn: Connection, merchant: int, before_id: int) -> int:
    """The merchant's position when the log `before_id` was about to happen."""
    e = t.events.c
    found = conn.execute(
        sa.select(e.balance)
        .where(e.merchant == merchant, e.id < before_id)
        .order_by(e.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return 0 if found is None else found


def merchants_overview(conn: Connection, at_time: int | None = None) -> MerchantsOverview:
    """All merchants at the head, with what of their issue is live at second `at_time`."""
    now = moment(conn, None, at_time)
    months = t.merchant_months.c
    names = [
        *("issued", "returned", "redeemed", "refunded", "batches", "redemptions"),
        *("deposited", "withdrawn", "charged", "paid"),
    ]
    totals = {
        row.merchant: row
        for row in conn.execute(
            sa.select(
                months.merchant,
                *(sa.func.sum(months[name], type_=months[name].type).label(name) for name in names),
            ).group_by(months.merchant)
        )
    }
    live = live_by_issuer(conn, now)
    rows = []
    for row in conn.execute(latest_versions(t.merchants, now.before_id)):
        total = totals.get(row.merchant)
        rows.append(
            MerchantRow(
                merchant=row.merchant,
                status=Status(row.status),
                position=position_before(conn, row.merchant, now.before_id),
                credit_limit=row.credit_limit,
                live_points=live.get(row.merchant, 0),
                **{name: 0 if total is None else int(getattr(total, name)) for name in names},
            )
        )
    return MerchantsOverview(
        merchants=tuple(sorted(rows, key=lambda r: r.merchant)),
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )


def live_by_issuer(conn: Connection, now: Moment) -> dict[int, int]:
    """Unspent points of live epochs at the head, by the merchant that issued them."""
    issued = t.merchant_epochs.c
    found: dict[int, int] = {
        merchant: int(points)
        for merchant, points in conn.execute(
            sa.select(issued.merchant, sa.func.sum(issued.issued))
            .where(issued.epoch >= now.oldest_live_epoch)
            .group_by(issued.merchant)
        )
    }
    f = t.flows.c
    for issuer, points in conn.execute(
        sa.select(f.issuer, sa.func.sum(f.redeemed - f.refunded + f.returned))
        .where(f.epoch >= now.oldest_live_epoch)
        .group_by(f.issuer)
    ):
        found[issuer] = found.get(issuer, 0) - int(points)
    return found
