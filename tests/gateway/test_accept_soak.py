"""Several gateways accept for the same few merchants and members, whose money and points hardly
reach, while orders take effect and are taken back: nobody is promised more than there is.

The chain is a model that pays or fails; the order book is a real PostgreSQL. `make soak SEED=n`.
"""

# Long because the model of the chain and what it is compared with are of no use apart.

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from sqlalchemy import and_, func, insert, select

from gateway import ids
from gateway.books import Position
from gateway.clock import DAY_S
from gateway.codes import HOLDS_MONEY, HOLDS_POINTS, Kind, State
from gateway.database import Database, migrate
from gateway.errors import IdempotencyKeyInUse, NotReady, OrderNotCancellable
from gateway.model import Accepted, NewOrder, OrderKind
from gateway.orders.answers import Answer
from gateway.orders.cancel import cancel
from gateway.orders.known import Request, hash_of
from gateway.orders.moves import move
from gateway.orders.writer import AcceptWriter
from gateway.relay import finish
from gateway.tables import idempotency, members, merchants, orders
from gateway.webhooks.events import Event
from tests.gateway.helpers import (
    SetClock,
    WrittenBooks,
    address_of_member,
    member_row,
    merchant_row,
)

GATEWAYS, TILLS = 3, 9
MERCHANTS, MEMBERS = 4, 6
ROUND_S = 12.0
PRICE, FACE = 110, 100
POINTS_MAX = 60
CREDIT = 2_000
CAP = 3_000
"""Points a day and merchant."""
DAYS = 4
ANSWER_S = 0.03
"""Longest that an answer of the mirror is under way."""


@dataclass
class Chain(WrittenBooks):
    """The truth, and the mirror of it: an order that it cannot pay was promised in vain."""

    lock: threading.Lock = field(default_factory=threading.Lock)

    def balances(self, addresses: object, at: int) -> dict[bytes, int]:
        with self.lock:
            found = dict(self.points)
        self._travel()
        return found

    def position(self, merchant: int) -> Position | None:
        with self.lock:
            found = self.positions[merchant]
        self._travel()
        return found

    @staticmethod
    def _travel() -> None:
        """The longer an answer takes, the more is done meanwhile."""
        if random.random() < 0.3:
            time.sleep(random.random() * ANSWER_S)

    def carry_out(self, order: sa.Row[tuple[object, ...]]) -> None:
        """The order's effect, whole."""
        with self.lock:
            if order.kind == Kind.ISSUE:
                self._pay(order.merchant_id, -order.hold)
                self._give(order.member_id, order.points)
            elif order.kind == Kind.REDEEM:
                self._give(order.member_id, -order.points)
                self._pay(order.merchant_id, FACE * order.points)
            else:
                self._give(order.member_id, -order.points)
                self._give(order.to_member_id, order.points)

    def deposit(self, merchant: int, amount: int) -> None:
        """Money from outside."""
        with self.lock:
            self._pay(merchant, amount)

    def _pay(self, merchant: int, amount: int) -> None:
        position = self.positions[merchant].position + amount
        assert position >= -CREDIT, f"merchant {merchant} was promised {-CREDIT - position} more"
        self.positions[merchant] = Position(position, CREDIT)

    def _give(self, member: int, points: int) -> None:
        address = address_of_member(member)
        balance = self.points.get(address, 0) + points
        assert balance >= 0, f"member {member} promised {-balance} points more"
        self.points[address] = balance


@dataclass
class City:
    """Gateways on one order book, the chain behind them, and what they were asked."""

    gateways: list[tuple[Database, AcceptWriter]]
    own: Database
    chain: Chain
    clock: SetClock
    shops: list[str]
    people: list[str]
    seed: int
    over: threading.Event = field(default_factory=threading.Event)
    asked: Counter[str] = field(default_factory=Counter)

    def wishes(self, dice: random.Random) -> list[NewOrder]:
        """A basket of lines, seldom a large one; references come twice now and then."""
        lines = []
        for _ in range(dice.choice([1, 1, 1, 2, 3, 12])):
            kind = dice.choice([OrderKind.ISSUE, OrderKind.REDEEM, OrderKind.TRANSFER])
            one, other = dice.sample(self.people, 2)
            shop = None if kind is OrderKind.TRANSFER else dice.choice(self.shops)
            to = other if kind is OrderKind.TRANSFER else None
            reference = f"r{dice.randrange(100_000_000)}"
            points = dice.randint(1, POINTS_MAX)
            lines.append(NewOrder(kind, one, points, reference, shop, to))
        return lines


@contextmanager
def city_on(url: str, seed: int) -> Iterator[City]:
    dice = random.Random(seed)
    shops, people = ids.random_ids(MERCHANTS), ids.random_ids(MEMBERS)
    chain, clock = Chain(price=PRICE), SetClock()
    with ExitStack() as stack:
        databases = [Database(url) for _ in range(GATEWAYS + 1)]
        for database in databases:
            stack.callback(database.close)
        own = databases.pop()
        migrate(own)
        with own.write() as connection:
            rows = [merchant_row(n + 1, raw) for n, raw in enumerate(shops)]
            connection.execute(insert(merchants), rows)
            rows = [member_row(n + 1, raw) for n, raw in enumerate(people)]
            connection.execute(insert(members), rows)
        for number in range(1, MERCHANTS + 1):
            chain.positions[number] = Position(dice.randrange(20_000), CREDIT)
        for number in range(1, MEMBERS + 1):
            chain.points[address_of_member(number)] = dice.randrange(300)
        gateways = []
        for database in databases:
            writer = AcceptWriter(
                database,
                chain,
                clock,
                group_requests_max=16,
                group_wait_ms=1,
                queue_requests_max=64,
                daily_cap=lambda now: CAP,
            )
            writer.start()
            stack.callback(writer.stop)
            gateways.append((database, writer))
        yield City(
            gateways,
            own,
            chain,
            clock,
            [ids.encode(ids.MERCHANT, raw) for raw in shops],
            [ids.encode(ids.MEMBER, raw) for raw in people],
            seed,
        )


def ask_until_over(city: City, till: int) -> dict[str, list[Answer]]:
    """A till: one request after the other, now and then the same at two gateways at once."""
    dice = random.Random(f"{city.seed} {till}")
    given: dict[str, list[Answer]] = {}
    last: list[NewOrder] = []
    while not city.over.is_set():
        lines = city.wishes(dice)
        if last and dice.random() < 0.1:
            lines[0] = last[0]
        last = lines
        key = f"till {till} request {len(given)}"
        request = Request(0, "a test", key, hash_of(lines), lines)
        count = 2 if dice.random() < 0.3 else 1
        asked = dice.sample(city.gateways, count)
        waiting = [(writer, writer.submit(request)) for _, writer in asked]
        answers = []
        for writer, answer in waiting:
            while True:
                with suppress(NotReady, IdempotencyKeyInUse):
                    answers.append(answer.result(timeout=60))
                    break
                city.asked["again"] += 1
                with suppress(NotReady, IdempotencyKeyInUse):
                    answer = writer.submit(request)
        assert all(each == answers[0] for each in answers), f"{key} was answered in two ways"
        given[key] = answers[0]
    return given


def settle_until_over(city: City) -> None:
    """The relay: what waits takes effect and lets go of its hold, or is taken back."""
    dice = random.Random(f"{city.seed} the relay")
    c = orders.c
    while True:
        ending = city.over.is_set()
        with city.own.read() as connection:
            query = select(orders).where(c.state == State.ACCEPTED.value).order_by(c.id)
            waiting = connection.execute(query).all()
        check_room(city)
        if ending and not waiting:
            return
        part = waiting if ending else dice.sample(waiting, dice.randint(0, min(len(waiting), 40)))
        back = [order for order in part if dice.random() < 0.15]
        for order in back:
            take_back(city, order)
        effective = [order for order in part if order not in back]
        # Points come before they go: a chain tries an order again for as long as it may.
        for order in sorted(effective, key=lambda order: order.id):
            city.chain.carry_out(order)
        let_go(city, [order.id for order in effective])
        poorest = min(city.chain.positions, key=lambda n: city.chain.positions[n].position)
        city.chain.deposit(poorest, dice.randrange(8_000))
        if dice.random() < DAYS / 800 and not ending:
            city.clock.time += DAY_S


def check_room(city: City) -> None:
    """No effect is under way just now: what there is covers all that is held."""
    with city.own.read() as connection:
        money = dict(connection.execute(select(merchants.c.id, merchants.c.held)).all())
        points = dict(connection.execute(select(members.c.id, members.c.held)).all())
    for number, held in money.items():
        there = city.chain.positions[number].position + CREDIT
        assert held <= there, f"merchant {number} has {there} and holds {held}"
    for number, held in points.items():
        there = city.chain.points[address_of_member(number)]
        assert held <= there, f"member {number} has {there} points and holds {held}"


def let_go(city: City, order_ids: list[int]) -> None:
    """The end of a final block, as the relay writes it."""
    which = orders.c.id.in_(order_ids)
    with city.own.settle() as connection:
        finish.release(connection, [which])
        moved = move(connection, which, Event.FINAL, city.clock.now(), state=State.FINAL.value)
    assert moved == len(order_ids)


def take_back(city: City, order: sa.Row[tuple[object, ...]]) -> None:
    name = ids.encode(ids.ORDER, bytes(order.public_id))
    with suppress(OrderNotCancellable), city.own.settle() as connection:
        cancel(city.own, connection, name, tenant=0, actor="a test", now=city.clock.now())


def compare_until_over(city: City) -> None:
    """An auditor: at every moment what is held is the sum of what open orders hold."""
    while not city.over.is_set():
        compare(city.own)
        time.sleep(0.02)
    compare(city.own)


def compare(database: Database) -> None:
    c = orders.c
    for table, owner, kinds in (
        (merchants, c.merchant_id, HOLDS_MONEY),
        (members, c.member_id, HOLDS_POINTS),
    ):
        is_open = and_(owner == table.c.id, c.kind.in_(kinds), c.state < State.FINAL.value)
        held = select(func.coalesce(func.sum(c.hold), 0)).where(is_open).scalar_subquery()
        # One statement is one state of the database.
        with database.read() as connection:
            for row_id, kept, summed in connection.execute(select(table.c.id, table.c.held, held)):
                assert kept == summed, f"{table.name} {row_id} holds {kept}, its orders {summed}"


def check_days(city: City) -> None:
    """No till was promised more points in a day than its key may sign."""
    c = orders.c
    day = c.accepted_at / DAY_S
    query = (
        select(c.merchant_id, func.floor(day), func.sum(c.points))
        .where(c.kind == Kind.ISSUE.value, c.state != State.FAILED.value)
        .group_by(c.merchant_id, func.floor(day))
    )
    with city.own.read() as connection:
        for merchant, number, points in connection.execute(query):
            assert points <= CAP, f"merchant {merchant} issued {points} on day {number}"


def check_answers(city: City, given: dict[str, list[Answer]]) -> int:
    """Each key is there once, and what it was told is what is stored. Returns how many orders."""
    accepted = {a.id: a for answers in given.values() for a in answers if isinstance(a, Accepted)}
    with city.own.read() as connection:
        keys = set(connection.execute(select(idempotency.c.key)).scalars())
        stored = {
            ids.encode(ids.ORDER, bytes(row.public_id)): row
            for row in connection.execute(select(orders))
        }
    assert keys == set(given)
    assert set(stored) == set(accepted)
    for name, answer in accepted.items():
        row = stored[name]
        assert (row.reference, row.points) == (answer.reference, answer.points)
    return len(stored)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(3))
def test_accept__three_gateways_at_once__promise_no_more_than_there_is(
    postgres_url: str, soak_seed: int, part: int
) -> None:
    seed = soak_seed + part
    with city_on(postgres_url, seed) as city, ThreadPoolExecutor(TILLS + 2) as pool:
        tills = [pool.submit(ask_until_over, city, till) for till in range(TILLS)]
        others = [pool.submit(work, city) for work in (settle_until_over, compare_until_over)]
        until = time.monotonic() + ROUND_S
        while time.monotonic() < until and not any(work.done() for work in (*tills, *others)):
            time.sleep(0.05)
        city.over.set()
        given = {key: answers for till in tills for key, answers in till.result().items()}
        for work in others:
            work.result()
        compare(city.own)
        check_days(city)
        count = check_answers(city, given)
        with city.own.read() as connection:
            deadlocks = connection.exec_driver_sql(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            ).scalar_one()
        assert deadlocks == 0
    codes = Counter(getattr(a, "code", "accepted") for each in given.values() for a in each)
    assert count, f"seed {seed} accepted nothing"
    assert {"accepted", "balance_too_low", "credit_limit_exceeded"} <= set(codes), (seed, codes)
