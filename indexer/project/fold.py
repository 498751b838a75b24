"""The fold over blocks: attributes each Transfer of Points to the order that caused it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.decode import BlockLogs, Item, Move, Other
from indexer.errors import MirrorInconsistent
from indexer.project.clearing import Clearing
from indexer.project.header import Header, month_of
from indexer.project.lots import Piece
from indexer.project.refunds import Refunds
from indexer.project.rows import FLOW_COLUMNS, Batch
from indexer.project.state import (
    Memory,
    Network,
    load_counters,
    load_lots,
    others,
)
from wallet_sdk.buckets import unpack_buckets


def project(
    conn: Connection,
    network: Network,
    blocks: Sequence[tuple[Header, BlockLogs]],
    memory: Memory,
) -> Batch:
    """The rows that these blocks add, continuing from what the mirror holds.

    What `memory` knows of it is not read again; the caller clears it when the rows are not
    committed. Raises MirrorInconsistent when the logs cannot be true.
    """
    projection = Projection(conn, network, blocks, memory)
    for header, logs in blocks:
        projection.block(header, logs)
    return projection.batch


class Projection:
    """One fold over a range of blocks."""

    def __init__(
        self,
        conn: Connection,
        network: Network,
        blocks: Sequence[tuple[Header, BlockLogs]],
        memory: Memory,
    ) -> None:
        logs = [block for _, block in blocks]
        first_time = blocks[0][0].time if blocks else network.schedule.first_start
        self._conn = conn
        self._network = network
        self.batch = Batch()
        if memory.counters is None:
            memory.counters = load_counters(conn)
        self._counters = memory.counters
        self._before = t.first_id(blocks[0][0].number) if blocks else 0
        self._clearing = Clearing(conn, network, self.batch, memory, self._before)
        self._clearing.members.preload_members(
            {log.values["member"] for log in others(logs, "Points", "MemberSet")}
        )
        self._clearing.passes.preload_passes(
            {
                (log.values["token_id"] & (2**160 - 1)).to_bytes(20, "big")
                for log in others(logs, "MembershipPass", "Transfer", "TierSet")
            }
        )
        self._lots = memory.lots
        load_lots(conn, logs, network.schedule, first_time, self._before, self._lots)
        self._refunds = Refunds(conn, self._before)
        self._supply = memory.supply
        self._supply_changed: set[int] = set()
        self._movements = self.batch.appended[t.movements]
        self._pieces = self.batch.appended[t.pieces]
        self._issues: list[Move] = []
        self._pending: tuple[Move, dict[int, int] | None] | None = None

    def _live(self, time: int) -> range:
        schedule = self._network.schedule
        return schedule.live_epochs(max(time, schedule.first_start))

    # ---- one block

    def block(self, header: Header, logs: BlockLogs) -> None:
        """Folds one block that holds logs."""
        self._time = header.time
        self._month = month_of(header.time)
        self._live_epochs = self._live(header.time)
        items = logs.items
        position = -1
        at, end = 0, len(items)
        while at < end:
            item = items[at]
            at += 1
            at_position = item.position if isinstance(item, Other) else item[1]
            if at_position != position:
                self._end_transaction(header.number)
                position = at_position
            if isinstance(item, Other):
                self._other(item)
            elif item[2] is None:
                # A batch is a run of such logs, 99 of 100 of all: taken at one stroke.
                first = at - 1
                while at < end and type(items[at]) is tuple and items[at][2] is None:  # type: ignore[index]
                    at += 1
                self._issues += cast("list[Move]", items[first:at])
            else:
                self._moved(item, items[at] if at < end else None)
        self._end_transaction(header.number)
        self._end_block(header, logs)

    def _end_transaction(self, block: int) -> None:
        if self._issues or self._pending:
            raise MirrorInconsistent(
                block, "points came into being or ended without an event of the Coalition"
            )
        self._clearing.new_transaction()

    def _end_block(self, header: Header, logs: BlockLogs) -> None:
        appended = self.batch.appended
        c = self._counters
        c.logs += len(logs.items)
        appended[t.blocks].append(
            (
                *(header.number, header.hash, header.parent_hash, header.time, self._month),
                *(c.logs, c.members, c.batches, c.redemptions, c.transfers),
            )
        )
        for position, hash_text in logs.transactions.items():
            appended[t.transactions].append((header.number, position, bytes.fromhex(hash_text[2:])))
        for epoch in sorted(self._supply_changed):
            appended[t.supply].append((epoch, header.number, *self._supply[epoch]))
        self._supply_changed.clear()

    # ---- movements

    def _moved(self, move: Move, following: Item | None) -> None:
        """A Transfer between members, or one that ends points and waits for its event."""
        buckets = None
        if (
            isinstance(following, Other)
            and following.name == "BucketsMoved"
            and following.contract == "Points"
            and following.id == move[0] + 1
        ):
            buckets = unpack_buckets(following.values["buckets"])
            if sum(buckets.values()) != move[4]:
                raise MirrorInconsistent(
                    t.block_of(move[0]), f"buckets of {sum(buckets.values())} for {move[4]} points"
                )
        log_id, _, sender, receiver, points = move
        assert sender is not None
        if receiver is None:
            if self._pending is not None:
                raise MirrorInconsistent(
                    t.block_of(log_id), "two burns and no event of the Coalition between them"
                )
            self._pending = (move, buckets)
            return
        self._append(move, "transfer", None)
        # A transfer to oneself changes nothing, in whatever order of buckets.
        if sender == receiver:
            return
        if buckets is None:
            buckets = self._lots.soonest(sender, log_id, points, self._live_epochs)
        pieces = self._lots.take(sender, log_id, buckets)
        self._lots.give(receiver, log_id, pieces)
        self._append_pieces(log_id, pieces)

    def _append(self, move: Move, kind: str, merchant: int | None) -> None:
        log_id, position, sender, receiver, points = move
        self._movements.append((log_id, position, kind, sender, receiver, points, merchant, None))

    def _append_pieces(self, log_id: int, pieces: list[Piece]) -> None:
        self._pieces += [
            (log_id, number, p.epoch, p.issuer, p.points, p.lot, p.lot_piece, p.lot_left)
            for number, p in enumerate(pieces)
        ]

    def _other(self, log: Other) -> None:
        if log.contract == "Coalition":
            if log.name == "Issued":
                self._issued(log)
            elif log.name == "Redeemed":
                self._ended(log, "redeem", unpack_buckets(log.values["buckets"]))
                self._counters.redemptions += 1
            elif log.name == "Returned":
                self._ended(log, "return", {log.values["epoch"]: log.values["points"]})
            elif log.name == "Refunded":
                self._refunded(log)
            elif log.name == "Transferred":
                self._transferred(log)
        self._clearing.event(log, self._time, self._month)

    def _issued(self, log: Other) -> None:
        merchant, points = log.values["merchant"], log.values["points"]
        epoch = log.values["epoch"]
        moves = self._issues
        total = sum([move[4] for move in moves])
        self._movements += [
            (log_id, position, "issue", None, receiver, value, merchant, epoch)
            for log_id, position, _, receiver, value in moves
        ]
        # A log that the node left out shows here; so does a run over two transactions.
        torn = not moves or moves[0][1] != log.position or moves[-1][1] != log.position
        if torn or total != points or epoch != self._live_epochs[-1]:
            raise MirrorInconsistent(
                t.block_of(log.id),
                f"a batch of merchant {merchant} says {points} points in epoch {epoch}, its "
                f"Transfers {total} in epoch {self._live_epochs[-1]}",
            )
        self._lots.issue(moves, epoch, merchant)
        self._add_supply(epoch, 0, total)
        self._counters.batches += 1
        moves.clear()

    def _ended(self, log: Other, kind: str, buckets: dict[int, int]) -> None:
        """A redemption or a return: the burn just before this event."""
        pending, self._pending = self._pending, None
        member, points = log.values["member"], log.values["points"]
        merchant = log.values["merchant"]
        if (
            pending is None
            or pending[0][2] != member
            or pending[0][4] != points
            or sum(buckets.values()) != points
            or (pending[1] or buckets) != buckets
        ):
            raise MirrorInconsistent(
                t.block_of(log.id), f"{log.name} of {points} points does not fit its Transfer"
            )
        move = pending[0]
        self._append(move, kind, merchant)
        pieces = self._lots.take(member, move[0], buckets)
        self._append_pieces(move[0], pieces)
        self._flow(kind, merchant, pieces)
        for piece in pieces:
            self._add_supply(piece.epoch, 2 if kind == "redeem" else 1, piece.points)
        if kind == "redeem":
            self._refunds.redeemed(log, pieces)

    def _refunded(self, log: Other) -> None:
        """A redemption given back: the Transfer from nowhere just before this event."""
        member, points = log.values["member"], log.values["points"]
        merchant = log.values["merchant"]
        buckets = unpack_buckets(log.values["buckets"])
        move = self._issues.pop() if self._issues else None
        if (
            move is None
            or move[3] != member
            or move[4] != points
            or sum(buckets.values()) != points
        ):
            raise MirrorInconsistent(
                t.block_of(log.id), f"a refund of {points} points does not fit its Transfer"
            )
        self._append(move, "refund", merchant)
        pieces = self._refunds.refunded(log, buckets)
        self._lots.give(member, move[0], pieces)
        self._append_pieces(move[0], pieces)
        self._flow("refund", merchant, pieces)
        for piece in pieces:
            self._add_supply(piece.epoch, 3, piece.points)

    def _transferred(self, log: Other) -> None:
        """A transfer by order: the movement just before this event."""
        v = log.values
        said = ("transfer", v["from_"], v["to"], v["points"])
        if not self._movements or self._movements[-1][2:6] != said:
            raise MirrorInconsistent(
                t.block_of(log.id), f"Transferred of {v['points']} points does not fit its Transfer"
            )
        self._counters.transfers += 1

    def _flow(self, kind: str, merchant: int, pieces: list[Piece]) -> None:
        for p in pieces:
            self.batch.flows.add(
                (p.issuer, merchant, p.epoch, self._month), FLOW_COLUMNS[kind], p.points
            )

    def _add_supply(self, epoch: int, column: int, points: int) -> None:
        sums = self._supply.get(epoch)
        if sums is None:
            s = t.supply.c
            row = self._conn.execute(
                sa.select(s.issued, s.returned, s.redeemed, s.refunded)
                .where(s.epoch == epoch, s.block < t.block_of(self._before))
                .order_by(s.block.desc())
                .limit(1)
            ).one_or_none()
            sums = self._supply[epoch] = [0, 0, 0, 0] if row is None else list(row)
        sums[column] += points
        self._supply_changed.add(epoch)
