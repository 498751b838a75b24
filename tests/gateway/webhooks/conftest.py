"""An order book with end points, and a deliverer whose wall clock a test sets."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from gateway.custody import Custody
from gateway.idempotency import Asked
from gateway.model import Accepted, NewOrder, OrderKind
from gateway.orders.answers import Answer
from gateway.orders.known import Request, hash_of
from gateway.tables import webhook_deliveries, webhook_endpoints
from gateway.webhooks import events
from gateway.webhooks.delivery import Deliverer
from gateway.webhooks.service import Webhooks
from gateway.webhooks.targets import TargetRules
from gateway.webhooks.transport import Line
from tests.gateway.helpers import House, fresh
from tests.gateway.webhooks.receivers import Receiver, receiving

RULES = TargetRules(loopback=True)


@dataclass
class Wall:
    """A wall clock that stands where a test puts it: a minute on, so that all that is written in
    the test is due, and its signatures are still fresh for a receiver's own clock.
    """

    time: float = field(default_factory=lambda: time.time() + 60)

    def __call__(self) -> float:
        return self.time


@dataclass
class Desk:
    """The room over an order book. Merchant 1 is the baker."""

    house: House
    custody: Custody
    webhooks: Webhooks
    wall: Wall
    attempt_max_s: float = 5

    def listen(self, url: str, mask: int = events.ALL, merchant: int = 1) -> dict[str, Any]:
        """An end point of the merchant, with its secret."""
        return self.webhooks.create(asked(merchant), url, mask, "")

    def issue(self, points: int = 10) -> str:
        """One accepted issue of the baker; its event is in the outbox."""
        line = NewOrder(OrderKind.ISSUE, self.house.ada, points, fresh("r"), self.house.baker)
        request = Request(1, "test", fresh("k"), hash_of([line]), [line])
        answer: Future[list[Answer]] = self.house.writer.submit(request)
        (accepted,) = answer.result()
        assert isinstance(accepted, Accepted), accepted
        return accepted.id

    def deliverer(self) -> Deliverer:
        """A process's deliverer, as it were."""
        return Deliverer(
            self.house.database,
            self.custody,
            lambda: Line(RULES, attempt_max_s=self.attempt_max_s),
            wall=self.wall,
            dice=Random(7),
        )

    @contextmanager
    def delivering(self) -> Iterator[Deliverer]:
        """A deliverer that runs."""
        found = self.deliverer()
        found.start()
        try:
            yield found
        finally:
            found.stop()

    def deliver(self, until: Callable[[list[Any]], bool], within_s: float = 15) -> list[Any]:
        """Delivers until the rows of all deliveries are as wanted; returns them."""
        with self.delivering():
            return self.wait(until, within_s)

    def wait(self, until: Callable[[list[Any]], bool], within_s: float = 15) -> list[Any]:
        """The rows of all deliveries, once they are as wanted."""
        end = time.monotonic() + within_s
        while not until(rows := self.rows()):
            assert time.monotonic() < end, rows
            time.sleep(0.01)
        return rows

    def rows(self) -> list[Any]:
        """All deliveries by number."""
        with self.house.database.read() as connection:
            query = select(webhook_deliveries).order_by(webhook_deliveries.c.id)
            return list(connection.execute(query))

    def endpoint(self) -> Any:
        """The row of the only end point."""
        with self.house.database.read() as connection:
            return connection.execute(select(webhook_endpoints)).one()


def asked(merchant: int = 1, key: str | None = None, body: bytes = b"") -> Asked:
    """A POST of the merchant's."""
    return Asked(merchant, "test", key or secrets.token_hex(8), body.ljust(32))


@pytest.fixture
def desk(house: House, custody: Custody) -> Desk:
    wall = Wall()
    webhooks = Webhooks(house.database, custody, house.clock, RULES, wall=wall)
    return Desk(house, custody, webhooks, wall)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found
