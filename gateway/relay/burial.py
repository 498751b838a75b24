"""Failure only with proof: batches that can never take effect, as a final block shows.

Proof is: the deadline lies before the time of a final block, and at that very block the order's
nonce is unused; or the nonce is used there, and not by this order. Until then an order that was
rejected is offered again.

Only keys in custody can use such a nonce up. So behind a used one stands another batch of the book
(an order and its Cancel have the same), or one that the book has forgotten: it was restored, or
failed over, to what it was before. The orders inside may be the very ones that took effect then,
and to seal them anew would double them: `banyan reconcile` has to match them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, or_, select

from gateway.books import Books, Effect
from gateway.clock import NetworkClock
from gateway.codes import BatchState, Kind, State, chain_nonce, has, lives
from gateway.database import Database
from gateway.errors import BookBehindChain
from gateway.orders.moves import move
from gateway.relay import causes, evidence, finish
from gateway.relay.blocks import mirrored_to
from gateway.relay.chain import Block, Chain
from gateway.tables import batches, members, orders
from gateway.webhooks.events import Event
from wallet_sdk.contracts import Network
from wallet_sdk.refusals import ContractRefused
from wallet_sdk.types import address_of, to_hex

# Candidates looked at in one scan: two calls of the node and one question to the mirror.
BATCHES_MAX = 200

# An order whose batches have died so often is not unlucky.
VOIDS_MAX = 5


ANOTHER = "the nonce was used by another order"


class Burial:
    """Looks for the dead, and for effects that another relayer brought about."""

    def __init__(
        self,
        database: Database,
        chain: Chain,
        network: Network,
        books: Books,
        clock: NetworkClock,
    ) -> None:
        self._database = database
        self._chain = chain
        self._network = network
        self._books = books
        self._clock = clock

    def run_once(self, final: Block, settled: Any, *, after_id: int | None = None) -> int:
        """Returns how many orders failed. Raises RpcUnavailable, NotReady, BookBehindChain.

        `after_id`: look at every batch behind this one, not only at those that seem dead; what the
        book has forgotten is being matched, so no used nonce is strange.
        """
        candidates = self._candidates(final, after_id)
        if not candidates or not self._is_mirrored(final):
            return 0
        effects = self._books.effects([bytes(batch.digest) for batch in candidates])
        found = [b for b in candidates if bytes(b.digest) in effects]
        missing = [b for b in candidates if bytes(b.digest) not in effects]
        self._note_found(found, effects, settled)
        used = self._nonces_used(missing, final)
        spent = [batch for batch, is_used in zip(missing, used, strict=True) if is_used]
        strange = self._unexplained(spent) if after_id is None else []
        failed = 0
        for batch, is_used in zip(missing, used, strict=True):
            if (not is_used and batch.deadline >= final.time) or batch in strange:
                continue
            # Where we used it up ourselves, it was because of what the chain had said before.
            told = batch.cancel_id is not None and evidence.refusal_in(batch.reason) is not None
            reason = ANOTHER if is_used and not told else batch.reason
            settled.moved += 1
            failed += self._bury(batch, reason or "the deadline passed", final)
        # Asked again: a mirror that undid its blocks meanwhile has forgotten other things, too.
        if strange and self._is_mirrored(final):
            raise BookBehindChain(
                f"the nonce of batch {strange[0].id} was used by an order that the book does not "
                "know",
                batches=[batch.id for batch in strange],
            )
        return failed

    def _is_mirrored(self, final: Block) -> bool:
        """The mirror must know all that happened up to the block that is to be the proof."""
        return mirrored_to(self._chain, self._books) >= final.number

    def _unexplained(self, spent: Sequence[Any]) -> list[Any]:
        """Those whose nonce was not used up by another batch of the book (an order and its Cancel
        have the same one).
        """
        return [batch for batch in spent if not self._books.effects(self._rivals(batch))]

    def _rivals(self, batch: Any) -> list[bytes]:
        """Digests of the other batches with this one's nonce."""
        c = batches.c
        signer = (
            and_(c.member_id.is_(None), c.merchant_id == batch.merchant_id)
            if batch.member_id is None
            else c.member_id == batch.member_id
        )
        query = select(c.digest).where(
            signer, c.nonce == batch.nonce, c.id != batch.id, c.digest.is_not(None)
        )
        with self._database.read() as connection:
            return [bytes(digest) for digest in connection.execute(query).scalars()]

    def last_of(self, final: Block, after_id: int) -> int | None:
        """The last batch that `run_once` looks at behind `after_id`; None: there is none."""
        candidates = self._candidates(final, after_id)
        return int(candidates[-1].id) if candidates else None

    def _candidates(self, final: Block, after_id: int | None) -> Sequence[Any]:
        c = batches.c
        # Past its deadline, mined once without any effect, or cancelled.
        seems_dead = or_(c.deadline < final.time, c.tries > 0, c.cancel_id.is_not(None))
        query = (
            select(batches)
            .where(
                lives(c.state),
                has(c.state, BatchState.SEALED),
                c.kind != Kind.CALL.value,
                c.block_number.is_(None),
                seems_dead if after_id is None else c.id > after_id,
            )
            .order_by(c.id)
            .limit(BATCHES_MAX)
        )
        with self._database.read() as connection:
            return connection.execute(query).all()

    def _note_found(self, found: Sequence[Any], effects: dict[bytes, Effect], settled: Any) -> None:
        """Anyone may relay: the order took effect in somebody else's transaction."""
        now = self._clock.now()
        for batch in found:
            effect = effects[bytes(batch.digest)]
            with self._database.settle() as connection:
                connection.execute(
                    batches.update()
                    .where(batches.c.id == batch.id, batches.c.block_number.is_(None))
                    .values(
                        block_number=effect.block_number,
                        block_hash=effect.block_hash,
                        tx_hash=effect.tx_hash,
                        changed_at=now,
                    )
                )
                which = and_(orders.c.batch_id == batch.id, orders.c.state < State.INCLUDED.value)
                move(connection, which, Event.INCLUDED, now, state=State.INCLUDED.value)
            settled.moved += 1

    def _nonces_used(self, missing: Sequence[Any], final: Block) -> list[bool]:
        reads = self._network.reads
        asked = [
            reads.is_merchant_nonce_used(batch.merchant_id, chain_nonce(batch.nonce))
            if batch.member_id is None
            else reads.is_nonce_used(address_of(bytes(batch.signer)), batch.nonce)
            for batch in missing
        ]
        return self._network.read_many(asked, to_hex(final.hash)) if asked else []

    def _bury(self, batch: Any, reason: str, final: Block) -> int:
        with self._database.settle() as connection:
            query = (
                select(
                    orders.c.id,
                    orders.c.kind,
                    orders.c.voids,
                    orders.c.accepted_at,
                    orders.c.cancel_asked_at,
                    members.c.address,
                )
                .outerjoin(members, members.c.id == orders.c.member_id)
                .where(orders.c.batch_id == batch.id)
            )
            inside = connection.execute(query).all()
            now = self._clock.now()
            # A cause that meets all alike says nothing about any one of them; nor does a chain that
            # never carried the batch out in its time: no coin, a fee over the cap, a silent node.
            refusal = evidence.refusal_in(reason)
            untried = refusal is None and not batch.tries
            blameless = untried or isinstance(refusal, causes.PASSING)
            patient_since = final.time - causes.PASSING_MAX_S if reason != ANOTHER else 0
            failed = sorted(_hopeless(inside, refusal, patient_since if blameless else None))
            return finish.bury(connection, batch.id, reason, failed, now, counts=not blameless)


def _hopeless(
    inside: Sequence[Any], refusal: ContractRefused | None, patient_since: int | None
) -> set[int]:
    """Orders that would only die again: the culprit that the chain named, or one out of tries.

    `patient_since`: the cause lies in none of them, and those accepted since then wait on. Joining
    waits for ever: who is no member could not be issued to any more.
    """
    cancelled = {o.id for o in inside if o.cancel_asked_at is not None}
    if isinstance(refusal, (*causes.FOR_EVER, *causes.SPENT)):
        return {o.id for o in inside}
    if patient_since is not None:
        old = {o.id for o in inside if o.accepted_at < patient_since and o.kind != Kind.JOIN}
        return cancelled | old
    culprit = causes.culprit(refusal)
    named = {o.id for o in inside if culprit and bytes(o.address or b"") == culprit}
    tired = {o.id for o in inside if o.voids + 1 >= VOIDS_MAX}
    return (named or tired) | cancelled
