"""An open batch as a signed order: rows in, wire out. Knows no state but that of its rows."""

import logging
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, select

from gateway.books import Books
from gateway.codes import BatchState, Kind, chain_nonce, has, lives
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import (
    CustodyError,
    GatewayError,
    NetworkNotBegun,
    NotReady,
    RedemptionMissing,
    SigningRefused,
)
from gateway.observe.counters import SIGNING_REFUSED
from gateway.tables import batches, members, orders
from wallet_sdk.deployment import Deployment
from wallet_sdk.merkle import references_root
from wallet_sdk.orders import (
    Cancel,
    IssueBatch,
    Join,
    Order,
    Redeem,
    Redemption,
    Refund,
    Return,
    Transfer,
    Withdraw,
    decode,
)
from wallet_sdk.types import Digest, address_of, to_hex

log = logging.getLogger(__name__)

# A refusal that no hour of the day lifts is asked again in case a setting was changed.
REFUSED_AGAIN_S = 60

# KMS or the mirror did not answer: this batch is asked for again after so many seconds of network
# time, and others come before it meanwhile. Each such silence may cost a time-out, so that after
# some of them what is signed by then is stored first.
SILENT_AGAIN_S = 5
SILENT_MAX = 3

# Batches signed between two commits.
BATCHES_MAX = 200
# Orders in them: ten full batches of issues, some megabytes. A relay that catches up with a hundred
# thousand does so in portions, since the largest of them is what the process keeps of memory.
PORTION_ORDERS_MAX = 6_000


@dataclass(frozen=True, slots=True)
class Signed:
    """What sealing stores."""

    batch_id: int
    digest: bytes
    wire: bytes
    deadline: int
    orders: tuple[bytes, ...]
    """Public ids of the orders inside."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A batch that its key would not sign: why, and when it is asked again."""

    batch_id: int
    reason: str
    due_at: int


class Signing:
    """Builds and signs the orders of open batches."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        deployment: Deployment,
        order_ttl_s: int,
        books: Books,
    ) -> None:
        self._database = database
        self._custody = custody
        self._schedule = deployment.schedule
        self._ttl_s = order_ttl_s
        self._books = books

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
            open_batches = portion(open_batches)
            inside = self._orders(connection, [batch.id for batch in open_batches])
        if not open_batches:
            return [], []
        head = self._books.head()
        # This machine's clock may be behind the chain's: an order that ends before the newest
        # block is born dead, and after a few such deaths it would be given up.
        deadline = self.deadline(now if head is None else max(now, head.time))
        signed, held_back, silent = list[Signed](), list[HeldBack](), 0
        for batch in open_batches:
            try:
                signed.append(self._sign(batch, inside[batch.id], deadline))
            except (CustodyError, RedemptionMissing) as error:
                # This one waits; the others do not wait with it.
                if isinstance(error, CustodyError):
                    SIGNING_REFUSED.labels(error.code).inc()
                log.error("batch %d is held back (%s): %s", batch.id, error.code, error.message)
                until = error.until if isinstance(error, SigningRefused) else None
                held_back.append(_held(batch, error, until or now + REFUSED_AGAIN_S))
            except NotReady as error:
                log.warning("batch %d cannot be signed now: %s", batch.id, error.message)
                held_back.append(_held(batch, error, now + SILENT_AGAIN_S))
                silent += 1
                if silent == SILENT_MAX:
                    break
        return signed, held_back

    def deadline(self, now: int) -> int:
        """When an order signed now ends: after its life, but never beyond the epoch.

        Raises NetworkNotBegun.
        """
        schedule = self._schedule
        if now < schedule.first_start:
            raise NetworkNotBegun(f"nothing is signed before {schedule.first_start}, it is {now}")
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
                orders.c.merchant_id,
                orders.c.reference,
                orders.c.points,
                orders.c.of_id,
                orders.c.epoch,
                orders.c.hold,
                sender.c.id.label("member_id"),
                sender.c.address,
                receiver.c.address.label("to_address"),
            )
            .outerjoin(sender, sender.c.id == orders.c.member_id)
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
        if batch.member_id is None:
            signer = self._custody.signer(bytes(batch.signer))
        else:
            signer = self._custody.member_signer(batch.member_id)
        if isinstance(order, Return):
            # The member agrees to the same digest as the till.
            member = self._custody.member_signer(inside[0].member_id)
            order = replace(order, member_signature=member.sign_order(order)[1])
        digest, signature = signer.sign_order(order)
        public_ids = tuple(bytes(o.public_id) for o in inside)
        return Signed(batch.id, digest, order.encode(signature), deadline, public_ids)

    def _build(self, batch: Any, inside: Sequence[Any], deadline: int) -> Order:
        if batch.kind == Kind.ISSUE:
            return IssueBatch(
                merchant=batch.merchant_id,
                nonce=batch.nonce,
                deadline=deadline,
                entries=tuple((address_of(bytes(o.address)), o.points) for o in inside),
                references_root=to_hex(references_root([self._salted(o) for o in inside])),
            )
        if batch.kind == Kind.CANCEL:
            return Cancel(
                signer=address_of(bytes(batch.signer)),
                merchant=batch.merchant_id or 0,
                nonce=chain_nonce(batch.nonce),
                deadline=deadline,
            )
        (only,) = inside
        if batch.kind in (Kind.REFUND, Kind.RETURN, Kind.WITHDRAW):
            return self._build_seldom(batch, only, deadline)
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

    def _build_seldom(self, batch: Any, only: Any, deadline: int) -> Order:
        nonce = chain_nonce(batch.nonce)
        if batch.kind == Kind.WITHDRAW:
            # To the owner's own address: the key that signs is the one that is paid.
            owner = address_of(bytes(batch.signer))
            return Withdraw(batch.merchant_id, owner, only.hold, nonce, deadline)
        if batch.kind == Kind.RETURN:
            return Return(
                member=address_of(bytes(only.address)),
                merchant=batch.merchant_id,
                points=only.points,
                epoch=only.epoch,
                nonce=nonce,
                deadline=deadline,
                ref=to_hex(self._salted(only)),
            )
        redemption, proof = self._redemption(only.of_id)
        return Refund(
            merchant=batch.merchant_id,
            points=only.points,
            nonce=nonce,
            deadline=deadline,
            redemption=redemption,
            proof=proof,
        )

    def _redemption(self, order_id: int) -> tuple[Redemption, tuple[Digest, ...]]:
        """The redemption of this order as it was signed, with the buckets that it took.

        Raises RedemptionMissing, NotReady.
        """
        query = (
            select(batches.c.digest, batches.c.wire)
            .join(orders, orders.c.batch_id == batches.c.id)
            .where(orders.c.id == order_id)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one()
        found = self._books.redemption(bytes(row.digest))
        if found is None:
            raise RedemptionMissing(f"the mirror knows no redemption of order row {order_id}")
        order = decode(bytes(row.wire)).order
        assert isinstance(order, Redeem)
        redemption = Redemption(
            member=order.member,
            points=order.points,
            nonce=order.nonce,
            deadline=order.deadline,
            ref=order.ref,
            buckets=found.buckets,
            coalition=found.coalition,
        )
        return redemption, tuple(to_hex(step) for step in found.proof)

    def _salted(self, order: Any) -> bytes:
        return self._custody.salted_reference(order.merchant_id, order.reference)


def _held(batch: Any, error: GatewayError, until: int) -> HeldBack:
    return HeldBack(batch.id, f"{error.code}: {error.message}", until)


def portion(open_batches: Sequence[Any]) -> Sequence[Any]:
    """As many of these, from the first on, as hold PORTION_ORDERS_MAX orders together; one at
    least.
    """
    orders_so_far = list(accumulate(batch.order_count for batch in open_batches))
    return open_batches[: max(1, bisect_right(orders_so_far, PORTION_ORDERS_MAX))]
