"""The door of the order book: closed until book and chain are known to belong together.

A book that was restored from an older backup does not know what it has already done; whatever it
accepted or sent could be a second time. So accepting and relaying stay closed from the start until
the mirror has reached the chain and holds no order of ours that the book does not know; and where
it does, until `banyan reconcile` has matched them.

A server can also fail over to one that was behind while gateways run. Whichever process notices
writes it down (`book_behind_chain`); every other one reads that within a second, whether it relays
or only accepts, and closes until it is settled.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import problems
from gateway.books import Books
from gateway.clock import NetworkClock
from gateway.database import Database
from gateway.errors import Closed
from gateway.relay import incidents
from gateway.relay.chain import Chain
from gateway.relay.incidents import Incident
from wallet_sdk.errors import BanyanError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


READING = ("GET", "HEAD", "OPTIONS")


class Gated:
    """Nothing that writes gets in while the gate is closed: a member made on yesterday's database
    would be given somebody else's wallet. What only reads does.
    """

    def __init__(self, app: ASGIApp, gate: "Gate") -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and scope["method"] not in READING:
            try:
                self._gate.check()
            except Closed as closed:
                await problems.of_error(closed)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Level:
    """How far the mirror has to be before the book can be compared with the chain."""

    def __init__(self, chain: Chain, books: Books) -> None:
        self._chain = chain
        self._books = books
        self._newest: int | None = None

    def is_reached(self) -> bool:
        """Whether the mirror holds what is final on chain; where the node tells no final block,
        what was there when this was asked first. Raises RpcUnavailable, NotReady.
        """
        final, head = self._chain.final_block(), self._books.head()
        if final is None and self._newest is None:
            newest = self._chain.block("latest")
            self._newest = -1 if newest is None else newest.number
        wanted = self._newest if final is None else final.number
        return wanted is not None and (-1 if head is None else head.number) >= wanted


class Gate:
    """Open, unless `close_until` says otherwise. Thread safe."""

    def __init__(self, database: Database, clock: NetworkClock) -> None:
        self._database = database
        self._clock = clock
        self._why: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def why_closed(self) -> str | None:
        """Why nothing is accepted or relayed; None: it is open."""
        return self._why

    def check(self) -> None:
        """Raises Closed."""
        if self._why is not None:
            raise Closed(f"nothing is accepted now: {self._why}")

    def close_until_matched(
        self, is_level: Callable[[], bool], is_behind: Callable[[], bool]
    ) -> None:
        """Looks at once, and every second from then on, in a thread.

        `is_level`: the mirror has reached the chain; `is_behind`: the book misses orders.
        """
        self.stop()
        self._stopping.clear()
        self._why = "order book and chain have not been compared yet"
        self._look(is_level, is_behind)
        self._thread = threading.Thread(
            target=self._watch, args=(is_level, is_behind), name="gate", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends the watching."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _watch(self, is_level: Callable[[], bool], is_behind: Callable[[], bool]) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                if self._why is None:
                    self._hear()
                else:
                    self._look(is_level, is_behind)
            except Exception:
                # Whatever it was: who no longer listens would stay open, or closed, for ever.
                log.exception("the gate could not look; it looks again")

    def _hear(self) -> None:
        """Closes where another process has noticed that the book is behind."""
        # A database that does not answer accepts nothing either; it is asked again.
        with suppress(SQLAlchemyError), self._database.read() as connection:
            self._why = incidents.closing(connection, (Incident.BOOK_BEHIND_CHAIN,))
        if self._why is not None:
            log.critical("nothing is accepted from now on: %s", self._why)

    def _look(self, is_level: Callable[[], bool], is_behind: Callable[[], bool]) -> None:
        try:
            if not is_level():
                self._why = "the mirror has not reached the chain yet"
                return
            with self._database.read() as connection:
                why = incidents.closing(connection)
            if why is None and is_behind():
                why = self._note()
            self._why = why
        except BanyanError as error:
            self._why = f"order book and chain cannot be compared: {error.message}"
        except SQLAlchemyError:
            log.exception("order book and chain could not be compared; it is tried again")
            self._why = "order book and chain cannot be compared: the database does not answer"
        except Exception:
            # An answer of a node that cannot be read, for one: the thread goes on, and the door
            # stays closed meanwhile.
            log.exception("order book and chain could not be compared; it is tried again")
            self._why = "order book and chain cannot be compared: the log says why"

    def _note(self) -> str:
        told = "the chain holds orders of ours that the order book does not know"
        with self._database.write() as connection:
            incidents.note(
                connection, Incident.BOOK_BEHIND_CHAIN, "order book", told, self._clock.now()
            )
        return f"{told}: run `banyan reconcile`"
