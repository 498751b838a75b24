"""What refunds and returns are decided by and proven with: redemptions with their leaf, what a
merchant issued in an epoch, the epoch of an issue.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.queries.coalitions import coalition_at
from indexer.queries.common import block_number, moment
from wallet_sdk.buckets import unpack_buckets
from wallet_sdk.merkle import redemption_leaf, redemptions_proof, redemptions_root
from wallet_sdk.types import Address, Digest, digest_bytes


@dataclass(frozen=True, slots=True)
class Redemption:
    """A redemption that took effect. `buckets` is the word of its event, `proof` the steps from
    `leaf` to the root that its relay stored, `refunded` what was given back of it so far;
    `coalition` the one that stored it, for which the order was signed.
    """

    buckets: int
    leaf: bytes
    proof: tuple[bytes, ...]
    refunded: int
    coalition: Address
    as_of_block: int

    @property
    def points_by_epoch(self) -> dict[int, int]:
        """What it took, soonest to expire first."""
        return unpack_buckets(self.buckets)


@dataclass(frozen=True, slots=True)
class IssuedInEpoch:
    """What a merchant issued in an epoch, and what of it was returned to it, points."""

    issued: int
    returned: int
    as_of_block: int


def redemption(conn: Connection, digest: Digest) -> Redemption | None:
    """The redemption that this order made, with its proof; None: none that is mirrored.

    One relay stores one root over its redemptions, in the order they took effect: the events of
    the same transaction between one root and the next. Raises MirrorEmpty.
    """
    now = moment(conn)
    wanted = digest_bytes(digest)
    e = t.events.c
    own = conn.execute(
        sa.select(e.id, e.position, e.data).where(e.digest == wanted, e.name == "Redeemed")
    ).one_or_none()
    if own is None:
        return None
    first = t.first_id(t.block_of(own.id))
    rows = conn.execute(
        sa.select(e.id, e.name, e.digest, e.topics, e.data)
        .where(
            e.id >= first,
            e.id < first + t.IDS_PER_BLOCK,
            e.position == own.position,
            e.name.in_(("Redeemed", "RedemptionsRooted")),
        )
        .order_by(e.id)
    )
    leaves: list[bytes] = []
    index = None
    for row in rows:
        if row.name == "Redeemed":
            if row.id == own.id:
                index = len(leaves)
            leaves.append(redemption_leaf(bytes(row.digest), _buckets(row.data)))
        elif index is None:
            leaves = []
        elif bytes(row.topics)[32:64] == redemptions_root(leaves):
            break
        else:
            return None
    else:
        return None
    leaf = leaves[index]
    refunded = conn.execute(
        sa.select(sa.func.coalesce(sa.func.sum(e.points), 0)).where(
            e.leaf == leaf, e.name == "Refunded"
        )
    ).scalar_one()
    return Redemption(
        buckets=_buckets(own.data),
        leaf=leaf,
        proof=tuple(redemptions_proof(leaves, index)),
        refunded=int(refunded),
        coalition=coalition_at(conn, own.id),
        as_of_block=now.as_of_block,
    )


def _buckets(data: bytes) -> int:
    # Data of Redeemed: points, paid, buckets, ref.
    return int.from_bytes(bytes(data)[64:96], "big")


def issued_in_epoch(conn: Connection, merchant: int, epoch: int) -> IssuedInEpoch:
    """The merchant's own count of the epoch at the head. Raises MirrorEmpty."""
    now = moment(conn)
    m = t.merchant_epochs.c
    row = conn.execute(
        sa.select(m.issued, m.returned).where(m.merchant == merchant, m.epoch == epoch)
    ).one_or_none()
    if row is None:
        return IssuedInEpoch(0, 0, now.as_of_block)
    return IssuedInEpoch(row.issued, row.returned, now.as_of_block)


def epoch_of_issue(conn: Connection, digest: Digest) -> int | None:
    """The epoch in which this IssueBatch took effect; None: not mirrored. Raises MirrorEmpty."""
    now = moment(conn)
    e, b = t.events.c, t.blocks.c
    time = conn.execute(
        sa.select(b.time)
        .select_from(t.events.join(t.blocks, b.number == block_number(e.id)))
        .where(e.digest == digest_bytes(digest), e.name == "Issued")
    ).scalar_one_or_none()
    return None if time is None else now.schedule.epoch_at(time)
