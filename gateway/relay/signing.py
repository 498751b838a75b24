"""An open batch as a signed order: rows in, wire out. Knows no state but that of its rows."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from gateway.codes import BatchState, Kind, has, lives
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import SigningRefused
from gateway.tables import batches, members, orders
from wallet_sdk.deployment import Deployment
from wallet_sdk.merkle import references_root
from wallet_sdk.orders import IssueBatch, Join, Order, Redeem, Transfer
from wallet_sdk.types import address_of, to_hex

log = logging.getLogger(__name__)

# A refusal that no hour of the day lifts is asked again in case a setting was changed.
REFUSED_AGAIN_S = 60

# Batches signed between two commits: at most 120,000 entries' worth of memory, usually far less.
BATCHES_MAX = 200


@dataclass(frozen=True, slots=True)
class Signed:
    """What sealing stores."""

    batch_id: int
    digest: bytes
    wire: bytes
    deadline: int


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A batch that its key would not sign: why, and when it is asked again."""

    batch_id: int
    reason: str
    due_at: int


class Signing:
    """Builds and signs the orders of open batches."""

    def __init__(
        self, database: Database, custody: Custody, deployment: Deployment, order_ttl_s: int
    ) -> None:
        self._database = database
        self._custody = custody
        self._schedule = deployment.schedule
        self._ttl_s = order_ttl_s

    def sign_open(self, now: int) -> tuple[list[Signed], list[HeldBack]]:
        """Signs the oldest open batches, as far as their keys may; stores nothing."""
        with self._database.read() as connection:
            open_batches = connection.execute(
                select(batches)
                .where(
                    lives(batches.c.state),
                    has(batches.c.state, BatchState.OPEN),
                    batches.c.due_at <= now,
                )
                .order_by(batches.c.id)
                .limit(BATCHES_MAX)
            ).all()
            inside = self._orders(connection, [batch.id for batch in open_batches])
        deadline = self.deadline(now)
        signed, held_back = [], []
        for batch in open_batches:
            try:
                signed.append(self._sign(batch, inside[batch.id], deadline))
            except SigningRefused as error:
                log.error("batch %d is held back (%s): %s", batch.id, error.code, error.message)
                reason = f"{error.code}: {error.message}"
                held_back.append(HeldBack(batch.id, reason, error.until or now + REFUSED_AGAIN_S))
        return signed, held_back

    def deadline(self, now: int) -> int:
        """When an order signed now ends: after its life, but never beyond the epoch."""
        schedule = self._schedule
        return min(now + self._ttl_s, schedule.end(schedule.epoch_at(now)))

    def _orders(
        self, connection: Connection, batch_ids: Sequence[int]
    ) -> defaultdict[int, list[Any]]:
        """The orders of each batch, in the order in which they stand in it: by row number."""
        sender, receiver = members.alias("sender"), members.alias("receiver")
        query = (
            select(
                orders.c.batch_id,
                orders.c.public_id,
                orders.c.reference,
                orders.c.points,
                sender.c.id.label("member_id"),
                sender.c.address,
                receiver.c.address.label("to_address"),
            )
            .join(sender, sender.c.id == orders.c.member_id)
            .outerjoin(receiver, receiver.c.id == orders.c.to_member_id)
            .where(orders.c.batch_id.in_(batch_ids))
            .order_by(orders.c.id)
        )
        inside: defaultdict[int, list[Any]] = defaultdict(list)
        for row in connection.execute(query):
            inside[row.batch_id].append(row)
        return inside

    def _sign(self, batch: Any, inside: Sequence[Any], deadline: int) -> Signed:
        order = self._build(batch, inside, deadline)
        if batch.kind == Kind.ISSUE:
            signer = self._custody.signer(bytes(batch.signer))
        else:
            signer = self._custody.member_signer(batch.member_id)
        digest, signature = signer.sign_order(order)
        return Signed(batch.id, digest, order.encode(signature), deadline)

    def _build(self, batch: Any, inside: Sequence[Any], deadline: int) -> Order:
        if batch.kind == Kind.ISSUE:
            return IssueBatch(
                merchant=batch.merchant_id,
                nonce=batch.nonce,
                deadline=deadline,
                entries=tuple((address_of(bytes(o.address)), o.points) for o in inside),
                references_root=to_hex(references_root([self._salted(o) for o in inside])),
            )
        (only,) = inside
        member = address_of(bytes(batch.signer))
        if batch.kind == Kind.JOIN:
            return Join(member=member, nonce=batch.nonce, deadline=deadline)
        if batch.kind == Kind.REDEEM:
            return Redeem(
                member=member,
                merchant=batch.merchant_id,
                points=only.points,
                nonce=batch.nonce,
                deadline=deadline,
                ref=to_hex(self._salted(only)),
            )
        assert batch.kind == Kind.TRANSFER
        return Transfer(
            from_=member,
            to=address_of(bytes(only.to_address)),
            points=only.points,
            nonce=batch.nonce,
            deadline=deadline,
        )

    def _salted(self, order: Any) -> bytes:
        return self._custody.salted_reference(bytes(order.public_id), order.reference)
