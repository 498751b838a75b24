"""Order book and chain matched again: after the book was restored from an older backup, or after a
block that was final has been replaced. The chain is the truth; what took effect there is written
into the book, once.

1. final orders whose block is gone are taken up again; batches that were void and took effect in
   the fork that stands now are forgotten, and found again in 5
2. of batches that are out it is looked up what became of them, as on every day
3. transactions of our accounts fill their nonces; calls that wait and were carried out are closed
4. merchants and members that the chain knows and the book has forgotten get rows, merchants their
   keys too: the next ones must not be given their numbers and wallets
5. batches that were open and took effect are closed; other effects become batches of their own,
   whose entries stand for orders that wait, or become orders `found on chain`

Each step is a transaction of its own and harmless to repeat. Holds, nonces of members and finality
are then the ordinary settling's.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import func, insert, select

from gateway.clock import NetworkClock
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import NotReady
from gateway.mirror import MirrorBooks
from gateway.relay import incidents, onchain
from gateway.relay.blocks import mirrored_to
from gateway.relay.burial import Burial
from gateway.relay.chain import Block, Chain
from gateway.relay.forgotten import fill_slots
from gateway.relay.found import FoundWriter, Written
from gateway.relay.merchants import forgotten, remember_merchants
from gateway.relay.reopen import forget_alive, gone_blocks, reopen
from gateway.relay.settle import Settled
from gateway.relay.wallets import remember_members, unnamed
from gateway.tables import audit
from wallet_sdk.contracts import Network
from wallet_sdk.types import address_bytes, address_of

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """What was found and done.

    Attributes:
        as_of_block: the final block up to which all is matched.
        batches_alive: those that had been proven dead, and took effect in the fork that stands now.
        members_unnamed: ids of members whose external ids the book does not know any more.
        lost_from, lost_to: seconds between which the book has forgotten something: the last that it
            knows before the first order that it had forgotten, and the last such order. What leaves
            no trace on chain was lost in the same hours; None: no order was forgotten.
    """

    as_of_block: int = 0
    orders_reopened: int = 0
    batches_alive: int = 0
    batches_settled: int = 0
    orders_failed: int = 0
    nonces_filled: int = 0
    calls_closed: int = 0
    merchants_found: list[int] = field(default_factory=list)
    members_found: int = 0
    members_unnamed: list[str] = field(default_factory=list)
    lost_from: int | None = None
    lost_to: int | None = None
    written: Written = field(default_factory=Written)

    def content(self) -> dict[str, Any]:
        """For the command's answer."""
        found = asdict(self)
        written: dict[str, Any] = found.pop("written")
        return {**found, **written, "merchants_unknown": sorted(self.written.merchants_unknown)}


class Reconciler:
    """Does it, while nothing else accepts or relays."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        chain: Chain,
        network: Network,
        books: MirrorBooks,
        clock: NetworkClock,
    ) -> None:
        self._database = database
        self._custody = custody
        self._chain = chain
        self._network = network
        self._books = books
        self._clock = clock

    def is_behind(self) -> bool:
        """Whether the chain holds orders or merchants of ours that the book does not know.

        Raises NotReady.
        """
        if forgotten(self._database, self._books):
            return True
        unknown = onchain.unknown_effects(self._database, self._custody, self._books)
        return next(unknown, None) is not None

    def run(self, actor: str) -> Report:
        """Matches all up to the last final block, and opens what was closed for it.

        Raises RpcUnavailable, NotReady: the mirror is behind, or something is still on its way.
        """
        report = Report()
        with self._chain.decision():
            final = self._settled_block()
            report.as_of_block = final.number
            self._reopen(report)
            self._bury(final, report)
            self._fill_slots(final, report)
            self._write_found(report)
        self._open_again(actor, report)
        return report

    # ---- before

    def _settled_block(self) -> Block:
        """The last final block, where nothing of ours lies behind it."""
        final, head = self._chain.final_block(), self._books.head()
        if final is None or head is None:
            raise NotReady("the chain or the mirror holds no final block yet")
        if mirrored_to(self._chain, self._books) < final.number:
            raise NotReady(
                f"the mirror is at block {head.number}, the chain is final to {final.number}: let "
                "`banyan index run` come along"
            )
        for account in self._accounts():
            address = address_bytes(account)
            settled = self._chain.transaction_count(address, final.hash)
            if settled != self._chain.transaction_count(address, "pending"):
                raise NotReady(f"transactions of {account} are not final yet: run this again")
        return final

    def _accounts(self) -> list[str]:
        named = self._custody.network_addresses().values()
        return sorted({*named, *(address_of(r) for r in self._custody.relayers())})

    # ---- the steps

    def _reopen(self, report: Report) -> None:
        gone = gone_blocks(self._database, self._chain)
        now = self._clock.now()
        report.orders_reopened = reopen(self._database, self._network, self._books, gone, now)
        report.batches_alive = forget_alive(self._database, self._books, now)

    def _bury(self, final: Block, report: Report) -> None:
        """Every batch that is out: where it took effect, or that it never can."""
        burial = Burial(self._database, self._chain, self._network, self._books, self._clock)
        at = -1
        while (last := burial.last_of(final, at)) is not None:
            settled = Settled()
            report.orders_failed += burial.run_once(final, settled, after_id=at)
            report.batches_settled += settled.moved
            at = last

    def _fill_slots(self, final: Block, report: Report) -> None:
        with self._database.read() as connection:
            since = onchain.newest_known_block(connection)
        deployment = self._network.deployment
        first = max(since, deployment.first_block)
        rpc, accounts = self._chain.rpc, self._accounts()
        found = onchain.transactions_of(rpc, accounts, first, final.number)
        report.nonces_filled, report.calls_closed = fill_slots(
            self._database,
            self._chain,
            deployment.chain_id,
            address_bytes(deployment.address("Coalition")),
            found,
            self._clock.now(),
        )

    def _write_found(self, report: Report) -> None:
        domain, now = self._network.deployment.domain, self._clock.now()
        remembered = remember_merchants(self._database, self._custody, self._books, now)
        report.merchants_found = remembered.found
        report.written.merchants_unknown |= set(remembered.keyless)
        # From the first block: a book that worked on after it had forgotten something knows newer
        # blocks than that.
        effects = list(onchain.unknown_effects(self._database, self._custody, self._books, since=0))
        found = onchain.read_orders(self._chain.rpc, domain, effects)
        report.members_found = remember_members(self._database, self._custody, found, now)
        self._bound_loss(report, [effect.time for effect in effects])
        salted = self._custody.salted_reference
        salted(0, "")  # opened before the transactions: the master key may be in KMS
        writer = FoundWriter(self._database, salted)
        for one in found:
            writer.write(one, now, report.written)

    def _bound_loss(self, report: Report, times: Sequence[int]) -> None:
        with self._database.read() as connection:
            report.members_unnamed = unnamed(connection)
            if times:
                before = select(func.max(audit.c.at)).where(audit.c.at <= min(times))
                report.lost_from = connection.execute(before).scalar_one()
                report.lost_to = max(times)

    # ---- after

    def _open_again(self, actor: str, report: Report) -> None:
        now = self._clock.now()
        with self._database.write() as connection:
            for kind in incidents.CLOSING:
                incidents.end(connection, kind, None, now)
            connection.execute(
                insert(audit),
                {
                    "at": now,
                    "actor": actor,
                    "action": "reconcile",
                    "subject": f"block {report.as_of_block}",
                    "detail": str(report.content())[:2_000],
                },
            )
