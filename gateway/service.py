"""The gateway as other parts of the program call it in process: the demo, the pages, the command
line, tests.

Built from settings; owns the engine, the accept writer and the relay. HTTP is one of its users,
not its centre.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

from sqlalchemy import Engine, func, select

from gateway.clock import NetworkClock, WallClock
from gateway.codes import STATE_WORDS
from gateway.cursors import Seal
from gateway.custody import Caps, Custody, MasterKind, MasterRing, MasterSources
from gateway.database import Database, migrate
from gateway.errors import CallFailed, NotReady, TooManyLines
from gateway.gate import Gate, Level
from gateway.idempotency import Once
from gateway.members.service import Members
from gateway.merchants.service import Merchants
from gateway.mirror import MirrorBooks, present_deployment
from gateway.model import (
    LINES_MAX,
    Accepted,
    DrainResult,
    Member,
    Merchant,
    NewMerchant,
    NewOrder,
    Refused,
)
from gateway.orders.answers import Answer
from gateway.orders.known import Request, hash_of
from gateway.orders.writer import AcceptWriter
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.relay.reconcile import Reconciler
from gateway.relay.relay import Relay
from gateway.settings import Settings
from gateway.tables import orders
from gateway.webhooks.delivery import Deliverer
from gateway.webhooks.service import Webhooks
from gateway.webhooks.targets import TargetRules
from gateway.webhooks.transport import Line
from wallet_sdk.contracts import Deployment, Network
from wallet_sdk.rpc import Rpc
from wallet_sdk.signers import kms_client

__all__ = [
    "Accepted",
    "DrainResult",
    "Gateway",
    "Member",
    "Merchant",
    "NewMerchant",
    "NewOrder",
    "Refused",
]

OPERATOR = 0
"""The operator as a tenant: idempotency keys and references of its own."""
IN_PROCESS = "in process"
"""Who stands in the audit for calls that came from this program itself."""


def open_custody(settings: Settings) -> tuple[Database, Custody]:
    """The order book, migrated, and the keys in it: what deployment needs before all else."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    # A frozen process must not hold rows for longer than it holds its leases.
    database = Database(settings.orders_dsn, idle_max_s=settings.lease_s)
    migrate(database)
    ring = MasterRing(database, sources_of(settings))
    ring.ensure(WallClock().now())
    caps = Caps(
        till_points=settings.till_daily_points_max,
        till_money=settings.till_daily_money_max,
        relayer_gwei=settings.relayer_daily_gwei_max,
    )
    return database, Custody(database, ring, in_kms=settings.kms_key_purposes, caps=caps)


def sources_of(settings: Settings) -> MasterSources:
    """Where the settings say that master keys are."""
    return MasterSources(
        secrets_dir=settings.secrets_dir,
        kind=MasterKind(settings.master),
        passphrase_file=settings.master_passphrase_file,
        passphrase_file_before=settings.master_passphrase_file_before,
        kms_key=settings.master_kms_key,
        kms=cache(partial(kms_client, settings.kms_region, settings.kms_endpoint)),
    )


class Gateway:
    """The order book, custody and relay of one network.

    Args:
        mirror: engine of the indexer's mirror, for the query functions.
        advance_mirror: brings the mirror to the chain's head where this process can; else nothing.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: NetworkClock,
        database: Database,
        custody: Custody,
        rpc: Rpc,
        deployment: Deployment,
        mirror: Engine,
        advance_mirror: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.database = database
        self.custody = custody
        # The file names the first Coalition; orders are signed for the one of the day.
        self.deployment = deployment = present_deployment(mirror, deployment)
        self.network = Network(rpc, deployment)
        self.books = MirrorBooks(mirror, self.network, settings.order_ttl_s)
        self.mirror = mirror
        # Set when the process has been told to end: who only waits for news is answered now.
        self.stopping = threading.Event()
        custody.bind(deployment, clock, self.books.issue_price)
        custody.ensure_seeds(clock.now())  # of a network that is older than the seed of keys
        self.once = Once(database, clock)
        self.cursors = Seal(custody.cursor_key)
        self.merchants_room = Merchants(database, custody, self.network, self.books, clock)
        self.members_room = Members(database, custody, clock)
        self._advance_mirror = advance_mirror
        self.gate = Gate(database, clock)
        self._chain = chain = Chain(rpc, finality=settings.finality)
        self.reconciler = Reconciler(database, custody, chain, self.network, self.books, clock)
        self.relay = Relay(
            database,
            custody,
            chain,
            self.network,
            self.books,
            clock,
            order_ttl_s=settings.order_ttl_s,
            fee_policy=FeePolicy(settings.fee_cap_wei, settings.tip_wei),
            interval_s=settings.relay_interval_s,
            relayers=settings.relayers,
            lease_s=settings.lease_s,
            bump_after_s=settings.bump_after_s,
            gate=self.gate.why_closed,
            close_gate=self.match,
            advance_mirror=advance_mirror,
        )
        self.writer = AcceptWriter(
            database,
            self.books,
            clock,
            group_requests_max=settings.group_requests_max,
            group_wait_ms=settings.group_wait_ms,
            queue_requests_max=settings.queue_requests_max,
            wake=self.relay.wake,
            daily_cap=custody.issue_points_max,
        )
        self.writer.start()
        rules = TargetRules.named(settings.webhook_targets)
        self.deliverer = sender = Deliverer(database, custody, lambda: Line(rules))
        self.webhooks = Webhooks(database, custody, clock, rules, wake=sender.wake, once=self.once)

    # ---- merchants and members

    def onboard_merchants(
        self, merchants: Sequence[NewMerchant], *, mine: Callable[[], None] | None = None
    ) -> list[Merchant]:
        """Registers, keys and funds merchants; returns when all of it is final on chain.

        Idempotent by `slug`: a merchant that is there already is completed (never funded twice) and
        returned without its API key. `mine` is called whenever something waits for a block (an
        embedded chain that is held). Raises CallFailed, NotReady (go on by calling again).
        """
        self.gate.check()
        onboarded = self.merchants_room.onboard(merchants, IN_PROCESS)
        left = self.relay.drain(mine).open_orders
        fresh = {m.id: m for m in self.merchants()}
        for merchant in onboarded:
            if fresh[merchant.id].state == "onboarding":
                raise (NotReady if left else CallFailed)(
                    f"the merchant {merchant.slug} is not registered yet", merchant=merchant.slug
                )
        return [replace(fresh[m.id], api_key=m.api_key) for m in onboarded]

    def onboard_merchant(
        self, merchant: NewMerchant, *, mine: Callable[[], None] | None = None
    ) -> Merchant:
        """One merchant; see `onboard_merchants`."""
        return self.onboard_merchants([merchant], mine=mine)[0]

    def fund_merchant(self, merchant: str, amount: int, *, bank_reference: str) -> None:
        """Deposits `amount` for the merchant (`mer_...`) once per bank reference; the relay carries
        it out.
        """
        self.gate.check()
        self.merchants_room.fund(merchant, amount, bank_reference, IN_PROCESS)
        self.relay.wake()

    def merchants(self) -> list[Merchant]:
        """All merchants by number."""
        return self.merchants_room.all()

    def ensure_members(self, external_ids: Sequence[str]) -> dict[str, Member]:
        """Members by external id; who is missing gets a wallet and a Join order, in few commits."""
        self.gate.check()
        found = self.members_room.ensure(external_ids, IN_PROCESS)
        self.relay.wake()
        return found

    def member(self, member: str) -> Member:
        """The member with this public id (`mem_...`). Raises MemberUnknown."""
        return self.members_room.get(member)

    # ---- orders

    def accept_many(
        self, requests: Sequence[NewOrder], *, idempotency_key: str
    ) -> list[Accepted | Refused]:
        """Accepts or refuses each wish; ONE commit for all of them and the key, answered after it.

        The same key with the same requests gives the stored answer; with others it raises
        IdempotencyKeyReused. Raises TooManyLines over 10,000. Answers come in the order of the
        requests.
        """
        lines = self._admitted(requests)
        asked = Request(OPERATOR, IN_PROCESS, idempotency_key, hash_of(lines), lines)
        return self.writer.submit(asked).result()

    async def accept(
        self,
        lines: Sequence[NewOrder],
        *,
        tenant: int,
        actor: str,
        idempotency_key: str,
        body_hash: bytes,
    ) -> list[Answer]:
        """As `accept_many`, for any tenant, on an event loop."""
        asked = Request(tenant, actor, idempotency_key, body_hash, self._admitted(lines))
        return await self.writer.accept(asked)

    def _admitted(self, lines: Sequence[NewOrder]) -> Sequence[NewOrder]:
        """The lines, where they may come in. Raises TooManyLines, and what the gate raises."""
        if len(lines) > LINES_MAX:
            raise TooManyLines(f"at most {LINES_MAX} lines, got {len(lines)}", lines=len(lines))
        self.gate.check()
        return lines

    def drain(self, *, mine: Callable[[], None] | None = None) -> DrainResult:
        """Seals, signs, sends and settles until no order is open, or nothing moves any more.

        `mine` is called after each sending (an embedded chain that is held); without it the chain's
        own pace is awaited. The mirror is brought along, since an order is final only when the
        mirror has it too.
        """
        return self.relay.drain(mine)

    def orders_by_state(self) -> dict[str, int]:
        """How many orders there are in each state, all states named; walks the whole book."""
        # Not GROUP BY: SQLite sorts for it, and keeps 35 bytes an order in memory meanwhile.
        counts = [func.count().filter(orders.c.state == code) for code in STATE_WORDS]
        with self.database.read() as connection:
            counted = connection.execute(select(*counts)).one()
        return {word.value: n for word, n in zip(STATE_WORDS.values(), counted, strict=True)}

    # ---- running

    def match(self) -> None:
        """Keeps accepting and relaying closed until order book and chain are known to belong
        together; where they do, that is at once.
        """
        level = Level(self._chain, self.books)
        self.gate.close_until_matched(level.is_reached, self.reconciler.is_behind)

    def start(self) -> None:
        """Starts the threads of relay and webhooks; `drain` may still be called."""
        self.relay.start()
        if self.settings.webhook_delivery == "here":
            self.deliverer.start()

    def stop(self) -> None:
        """Ends the threads after the work in hand, and closes the engine."""
        self.stopping.set()
        self.writer.stop()
        self.relay.stop()
        self.gate.stop()  # after the relay, which may close it anew
        self.deliverer.stop()
        self.database.close()
