"""Refunds give points back to the merchants they came from: the last matched goes back first."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.decode import Other
from indexer.errors import MirrorInconsistent
from indexer.project.lots import Piece
from wallet_sdk.buckets import unpack_buckets
from wallet_sdk.merkle import redemption_leaf


class Refunds:
    """Which lots a redemption took, and what of them was given back already."""

    def __init__(self, conn: Connection, before: int) -> None:
        self._conn = conn
        # What is in SQL from this id on is being derived anew: a rebuild stands amid the rows.
        self._before = before
        # Of the blocks at hand, not yet in SQL; the leaf is hashed only when a refund asks.
        self._redeemed: list[tuple[Other, list[Piece]]] = []
        self._hashed = 0
        self._pieces: dict[bytes, list[Piece]] = {}
        self._given: dict[bytes, dict[int, int]] = {}

    def redeemed(self, log: Other, pieces: list[Piece]) -> None:
        """Remembers a redemption of the blocks at hand."""
        self._redeemed.append((log, pieces))

    def refunded(self, log: Other, buckets: dict[int, int]) -> list[Piece]:
        """The lots that this refund gives back. Raises MirrorInconsistent when the redemption did
        not take them.
        """
        leaf: bytes = log.values["leaf"]
        taken = self._taken(leaf, log)
        given = self._given_before(leaf)
        pieces: list[Piece] = []
        for epoch, points in sorted(buckets.items()):
            pieces += self._last_first(log, [p for p in taken if p.epoch == epoch], given, points)
            given[epoch] = given.get(epoch, 0) + points
        return pieces

    @staticmethod
    def _last_first(
        log: Other, taken: list[Piece], given: dict[int, int], points: int
    ) -> list[Piece]:
        left = points
        skip = given.get(taken[0].epoch, 0) if taken else 0
        found: list[Piece] = []
        for piece in reversed(taken):
            passed = min(skip, piece.points)
            skip -= passed
            part = min(left, piece.points - passed)
            left -= part
            if part:
                found.append(Piece(piece.epoch, piece.issuer, part))
        if left:
            raise MirrorInconsistent(
                t.block_of(log.id), f"a refund gives back {left} points more than were redeemed"
            )
        return found

    def _taken(self, leaf: bytes, log: Other) -> list[Piece]:
        for redeemed, pieces in self._redeemed[self._hashed :]:
            self._pieces[_leaf(redeemed)] = pieces
        self._hashed = len(self._redeemed)
        known = self._pieces.get(leaf)
        if known is None:
            known = self._pieces[leaf] = self._from_tables(leaf, log)
        return known

    def _from_tables(self, leaf: bytes, log: Other) -> list[Piece]:
        """The member's redemptions at this merchant, newest first, until one has the leaf."""
        member, merchant = log.values["member"], log.values["merchant"]
        e, m = t.events, t.movements
        movements = self._conn.execute(
            sa.select(m.c.id)
            .where(
                m.c.sender == member,
                m.c.id < self._before,
                m.c.kind == "redeem",
                m.c.merchant == merchant,
            )
            .order_by(m.c.id.desc())
        ).scalars()
        for movement in movements.all():
            event = self._conn.execute(
                sa.select(e.c.digest, e.c.data)
                .where(e.c.id > movement, e.c.name == "Redeemed", e.c.contract == "Coalition")
                .order_by(e.c.id)
                .limit(1)
            ).one()
            # Data of Redeemed: points, paid, buckets, ref.
            buckets = int.from_bytes(event.data[64:96], "big")
            if redemption_leaf(bytes(event.digest), buckets) == leaf:
                return self._pieces_of(movement)
        raise MirrorInconsistent(
            t.block_of(log.id), f"a refund of 0x{leaf.hex()}, a redemption that never was"
        )

    def _pieces_of(self, movement: int) -> list[Piece]:
        p = t.pieces.c
        rows = self._conn.execute(
            sa.select(p.epoch, p.issuer, p.points).where(p.id == movement).order_by(p.piece)
        )
        return [Piece(row.epoch, row.issuer, row.points) for row in rows]

    def _given_before(self, leaf: bytes) -> dict[int, int]:
        """Points by epoch that earlier refunds of this leaf gave back."""
        if leaf not in self._given:
            e = t.events.c
            given: dict[int, int] = {}
            # Data of Refunded: leaf, points, charged, buckets.
            for data in self._conn.execute(
                sa.select(e.data).where(e.leaf == leaf, e.name == "Refunded", e.id < self._before)
            ).scalars():
                buckets = unpack_buckets(int.from_bytes(data[96:128], "big"))
                for epoch, points in buckets.items():
                    given[epoch] = given.get(epoch, 0) + points
            self._given[leaf] = given
        return self._given[leaf]


def _leaf(redeemed: Other) -> bytes:
    return redemption_leaf(redeemed.values["digest"], redeemed.values["buckets"])
