"""The relay as one thing: scan for work, do it, scan again. A wake-up only makes the next scan come
sooner; nothing depends on it.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from gateway.books import Books
from gateway.clock import NetworkClock
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import (
    BookBehindChain,
    Closed,
    GatewayError,
    LeaseLost,
    NotReady,
    ReorgBelowFinality,
    WrongChain,
)
from gateway.model import DrainResult
from gateway.operator.calls import open_calls
from gateway.relay import incidents, leases, status
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.relay.funds import Funds
from gateway.relay.incidents import Incident
from gateway.relay.later import Later
from gateway.relay.leases import Fenced, Leases
from gateway.relay.lines import Lines
from gateway.relay.nodes import Nodes
from gateway.relay.seal import Sealer
from gateway.relay.send import Sender
from gateway.relay.settle import Settled, Settler
from gateway.relay.slots import SlotKeeper
from wallet_sdk.contracts import Network
from wallet_sdk.errors import RpcUnavailable

log = logging.getLogger(__name__)

# A drain gives up when nothing has moved for this long: the chain stands still, or what is left
# waits for a time that has not come.
IDLE_MAX_S = 10.0
IDLE_PAUSE_S = 0.02
# With `mine` the chain cannot be slow: a few rounds without movement mean that nothing will move.
IDLE_ROUNDS_MAX = 3

# After a node said nothing, or that it is busy; as long as it asks for, within reason.
BACK_PRESSURE_S = 1.0
BACK_PRESSURE_MAX_S = 60.0


class Relay:
    """Seals, sends and settles. `scan` is one pass; `start` runs passes in a thread."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        chain: Chain,
        network: Network,
        books: Books,
        clock: NetworkClock,
        *,
        order_ttl_s: int,
        fee_policy: FeePolicy,
        interval_s: float,
        relayers: int,
        lease_s: float,
        bump_after_s: int,
        gate: Callable[[], str | None],
        close_gate: Callable[[], None],
        advance_mirror: Callable[[], None],
    ) -> None:
        deployment = network.deployment
        self._books = books
        self._coalition = coalition = deployment.address("Coalition")
        self._pool = custody.ensure_relayers(relayers, clock.now())
        self._leases = Leases(database, lease_s)
        self._database = database
        fenced = Fenced(database, self._leases)
        self._advance_mirror = advance_mirror
        self._interval_s = interval_s
        self._clock = clock
        self._gate = gate
        self._close_gate = close_gate
        self._chain = chain
        if isinstance(chain.rpc, Nodes):
            chain.rpc.on_wrong = self._wrong_node
        self._funds = Funds(fenced, chain, clock, fee_policy)
        self._sealer = Sealer(fenced, custody, clock, deployment, order_ttl_s, books)
        self._slots = SlotKeeper(fenced, chain, clock, deployment.chain_id)
        self._sender = Sender(fenced, custody, chain, clock, coalition, fee_policy, bump_after_s)
        self._settler = Settler(fenced, chain, network, books, clock)
        # One scan at a time in this process: `drain` and the thread take turns.
        self._turn = threading.Lock()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed_by: str | None = None
        self._stopped_by: str | None = None

    @property
    def name(self) -> str:
        """Under which name this process holds leases."""
        return self._leases.holder

    @property
    def stopped_by(self) -> str | None:
        """Why this process does not relay, for as long as nobody acts; None: it does."""
        return self._stopped_by or self._closed_by

    def trouble(self) -> str | None:
        """Why nothing is carried to the chain now, whichever process does it; None: all is well."""
        with self._database.read() as connection:
            return self._gate() or status.trouble(connection, self._pool) or self.stopped_by

    # ---- one pass

    def send(self) -> int:
        """Seals and sends what waits, as far as the leases reach. Returns how much moved.

        Raises RpcUnavailable, LeaseLost, Closed.
        """
        with self._turn:
            held, later, moved = self._hold(), Later(), 0
            with later.part():
                moved += self._sealer.run_once() if leases.SEALING in held else 0
            lines = self._lines(held)
            if lines.fences or lines.calls:
                with later.part(), self._chain.decision():
                    lines = replace(lines, set_aside=self._funds.run_once(lines))
                    moved += self._funds.hand_over(lines) + self._slots.run_once(lines)
                    moved += self._sender.run_once(lines)
            later.raise_first()
            return moved

    def settle(self) -> Settled:
        """Looks at what became of it.

        Raises RpcUnavailable, NotReady, LeaseLost, Closed, ReorgBelowFinality, BookBehindChain.
        """
        with self._turn:
            if leases.SETTLING not in self._hold():
                return Settled()
            told = incidents.succession(self._database, self._books, self._coalition, self._clock)
            if told is not None:
                raise Closed(f"the relay is closed: {told}")
            try:
                with self._chain.decision():
                    return self._settler.run_once()
            except ReorgBelowFinality as error:
                self._note(Incident.REORG_BELOW_FINALITY, f"block {error.values['block']}", error)
                raise
            except BookBehindChain as error:
                self._note(Incident.BOOK_BEHIND_CHAIN, "order book", error)
                raise

    def _wrong_node(self, name: str, what: str) -> None:
        with self._database.write() as connection:
            incidents.note(connection, Incident.WRONG_CHAIN, name, what, self._clock.now())

    def _note(self, kind: Incident, subject: str, error: GatewayError) -> None:
        with self._database.write() as connection:
            incidents.note(connection, kind, subject, error.message, self._clock.now())

    def _hold(self) -> frozenset[str]:
        closed = self._gate()
        if closed is None:
            with self._database.read() as connection:
                closed = incidents.closing(connection)
                is_behind = incidents.is_open(connection, Incident.BOOK_BEHIND_CHAIN)
            if is_behind:
                # Whichever process noticed: nothing is accepted here either until it is matched.
                self._close_gate()
        self._closed_by = closed
        if closed is not None:
            raise Closed(f"the relay is closed: {closed}")
        lines = [leases.line(relayer) for relayer in self._pool]
        return self._leases.hold([leases.SEALING, leases.SETTLING, leases.CALLS, *lines])

    def _lines(self, held: frozenset[str]) -> Lines:
        names = {relayer: leases.line(relayer) for relayer in self._pool}
        mine = {r: self._leases.fence(name) for r, name in names.items() if name in held}
        return Lines(self._pool, mine, calls=leases.CALLS in held)

    def scan(self) -> int:
        """Everything once. Returns how much moved."""
        moved, later = 0, Later()
        with later.part():
            moved = self.send()
        settled = self.settle()
        if settled.included or settled.moved:
            self._advance_mirror()
            settled = self.settle()
        later.raise_first()
        return moved + settled.moved + settled.included + settled.final

    # ---- until nothing is open

    def drain(self, mine: Callable[[], None] | None) -> DrainResult:
        """Scans until no order and no call is open, or nothing moves any more."""
        result = _Tally()
        idle_rounds, moved_at, left_before = 0, time.monotonic(), -1
        while True:
            sent, settled = 0, Settled()
            # Another process may take the work over in the middle: then it is that one's.
            with suppress(LeaseLost):
                sent = self.send()
            if mine is not None:
                mine()
            self._advance_mirror()
            with suppress(LeaseLost):
                settled = self.settle()
            result.add(sent, settled)
            left = self.open_work()
            # Another process may be at work too: then it shows in what is left.
            if sent or settled.moved or settled.included or left != left_before:
                idle_rounds, moved_at = 0, time.monotonic()
            else:
                idle_rounds += 1
            left_before = left
            still = time.monotonic() - moved_at
            hopeless = idle_rounds >= IDLE_ROUNDS_MAX if mine is not None else still >= IDLE_MAX_S
            if left == 0 or hopeless:
                return result.done(left)
            if idle_rounds and mine is None:
                time.sleep(IDLE_PAUSE_S)

    def open_work(self) -> int:
        """Orders that have not ended, and calls."""
        with self._database.read() as connection:
            return status.open_orders(connection) + open_calls(connection)

    # ---- the thread

    def start(self) -> None:
        """Starts the thread."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be work: the next scan need not wait."""
        self._woken.set()

    def stop(self) -> None:
        """Ends the thread after the scan in hand."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        # Where the database does not answer, the leases run out by themselves.
        with self._turn, suppress(SQLAlchemyError):
            self._leases.release()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            pause = self._interval_s
            try:
                if self.scan():
                    pause = min(pause, 0.1)
            except (RpcUnavailable, NotReady) as error:
                # Back-pressure is never failure: everything stays as it is stored.
                log.warning("the relay waits: %s", error)
                asked = getattr(error, "retry_after_s", None) or 0.0
                pause = max(BACK_PRESSURE_S, min(asked, BACK_PRESSURE_MAX_S))
            except WrongChain as error:  # whoever starts us again has other nodes
                log.critical("the relay has stopped: %s", error)
                self._stopped_by = error.message
                return
            except (ReorgBelowFinality, BookBehindChain) as error:  # an incident, until reconciled
                log.critical("the relay is closed: %s", error)
                pause = BACK_PRESSURE_S
            except Exception:
                log.exception("a scan of the relay failed; it is tried again")
                pause = BACK_PRESSURE_S
            self._woken.wait(pause)


class _Tally:
    def __init__(self) -> None:
        self.sent = self.final = self.failed = self.rounds = 0

    def add(self, sent: int, settled: Settled) -> None:
        self.sent += sent
        self.final += settled.final
        self.failed += settled.failed
        self.rounds += 1

    def done(self, left: int) -> DrainResult:
        return DrainResult(self.sent, self.final, self.failed, left, self.rounds)
