"""Carries the purchases into the network, a day at a time.

A day is one atomic accept under one idempotency key, then a drain until all of it is final; the
next day begins after that. So a crash anywhere is repaired by doing the day again: what was
accepted is answered from the store, what was sent is not sent twice. A redemption reaches as far as
the balance at the close of the day before, less what the same day has taken already, in the order
of the file: the refused set depends on the file alone.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from gateway.demo.diary import DayNote, Diary
from gateway.demo.errors import ImportStuck
from gateway.demo.patience import patiently
from gateway.demo.plan import POINTS_PER_CENT, Plan, points_of
from gateway.demo.purchases import Day, Purchase, Purchases
from gateway.model import Accepted, DrainResult, NewOrder, OrderKind
from gateway.network import Network
from gateway.service import Refused

BALANCE_TOO_LOW = "balance_too_low"
DRAINS_MAX = 5
# Network time until an order that was set back is due again, at most.
WAIT_S = 150


class Driver:
    """Imports what is not imported yet.

    `seconds` tells where the time went, by part; `api_keys` holds, by slug, those of the merchants
    that this run onboarded: they can be read nowhere else.
    """

    def __init__(self, network: Network, plan: Plan, purchases: Purchases, diary: Diary) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.api_keys: dict[str, str] = {}
        self._network = network
        self._plan = plan
        self._purchases = purchases
        self._diary = diary
        self._members: dict[int, str] = {}
        self._merchants: list[str] = []

    def run(self, progress: Callable[[Day, bool], None], stopping: Callable[[], bool]) -> None:
        """Imports day by day, until the end or until `stopping` says so in between.

        `progress(day, imported)` is told of each day, also of those that were done before. Raises
        ImportStuck, GatewayError, EmbeddedChainError.
        """
        self._network.chain.hold()
        self._onboard()
        days = self._purchases.days(self._plan.extent)
        while (day := self._read(days)) is not None:
            if stopping():
                return
            known = self._diary.get(day.day) is not None
            if not known:
                self._diary.add(self._import(day))
            progress(day, not known)

    def _onboard(self) -> None:
        """Merchants with keys, registered and funded; what is there already stays as it is."""
        self._network.chain.clock.set(self._plan.first_time)
        with self._timed("onboard"):
            gateway = self._network.gateway
            wanted = self._plan.merchants()
            merchants = patiently(lambda: gateway.onboard_merchants(wanted, mine=self._mine))
            self._merchants = [merchant.id for merchant in merchants]
            self.api_keys = {m.slug: m.api_key for m in merchants if m.api_key}
            self._drain("the merchants")

    def _read(self, days: Iterator[Day]) -> Day | None:
        with self._timed("read"):
            return next(days, None)

    def _import(self, day: Day) -> DayNote:
        self._network.chain.clock.set(self._plan.network_time(day.last_time))
        before = self._network.chain.head.number
        with self._timed("members"):
            self._ensure_members(day)
        with self._timed("accept"):
            wishes = self._wishes(day)
            key = f"demo purchases of day {day.day}"
            gateway = self._network.gateway
            answers = patiently(lambda: gateway.accept_many(wishes, idempotency_key=key))
        self._drain(f"day {day.day}")
        blocks = self._network.chain.head.number - before
        return note_of(day, wishes, answers, blocks)

    def _ensure_members(self, day: Day) -> None:
        households = dict.fromkeys(purchase.household for purchase in day.purchases)
        new = [str(household) for household in households if household not in self._members]
        for external_id, member in self._network.gateway.ensure_members(new).items():
            self._members[int(external_id)] = member.id

    def _wishes(self, day: Day) -> list[NewOrder]:
        return [wish for purchase in day.purchases for wish in self._wishes_of(purchase)]

    def _wishes_of(self, purchase: Purchase) -> Iterator[NewOrder]:
        member = self._members[purchase.household]
        merchant = self._merchants[purchase.merchant]
        points = points_of(purchase.cents)
        if points:
            reference = str(purchase.basket)
            yield NewOrder(OrderKind.ISSUE, member, points, reference, merchant)
        if purchase.coupon_cents:
            discount = purchase.coupon_cents * POINTS_PER_CENT
            reference = f"{purchase.basket} coupon"
            yield NewOrder(OrderKind.REDEEM, member, discount, reference, merchant)

    def _drain(self, what: str) -> None:
        mined_before = self.seconds["mine"]
        began = time.monotonic()
        result = self._drained()
        mined = self.seconds["mine"] - mined_before
        self.seconds["relay and mirror"] += time.monotonic() - began - mined
        if result.open_orders or result.failed:
            raise ImportStuck(
                f"{what}: {result.open_orders} orders are still open and {result.failed} failed; "
                "start again to go on, `banyan audit` to look closer"
            )

    def _drained(self) -> DrainResult:
        """One drain is enough, unless an order was set back to be tried a while later: the clock
        stands, so that while must be given."""
        gateway, clock = self._network.gateway, self._network.chain.clock
        for _ in range(DRAINS_MAX):
            result = patiently(lambda: gateway.drain(mine=self._mine))
            if not result.open_orders:
                break
            clock.set(clock.now() + WAIT_S)
        return result

    def _mine(self) -> None:
        with self._timed("mine"):
            self._network.chain.mine()

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] += time.monotonic() - began


def note_of(
    day: Day, wishes: Sequence[NewOrder], answers: Sequence[Accepted | Refused], blocks: int
) -> DayNote:
    """Counts and points of a day's answers. Raises ImportStuck for a refusal that the file cannot
    explain."""
    counts: Counter[OrderKind | str] = Counter()
    points: Counter[OrderKind | str] = Counter()
    for wish, answer in zip(wishes, answers, strict=True):
        outcome: OrderKind | str = wish.kind
        if isinstance(answer, Refused):
            if wish.kind is not OrderKind.REDEEM or answer.code != BALANCE_TOO_LOW:
                raise ImportStuck(f"{wish.reference} was refused: {answer.detail} ({answer.code})")
            outcome = answer.code
        counts[outcome] += 1
        points[outcome] += wish.points
    return DayNote(
        day=day.day,
        lines=day.lines,
        baskets=day.baskets,
        purchases=len(day.purchases),
        zero_purchases=sum(points_of(purchase.cents) == 0 for purchase in day.purchases),
        issues=counts[OrderKind.ISSUE],
        issued=points[OrderKind.ISSUE],
        redemptions=counts[OrderKind.REDEEM],
        redeemed=points[OrderKind.REDEEM],
        refusals=counts[BALANCE_TOO_LOW],
        refused=points[BALANCE_TOO_LOW],
        blocks=blocks,
    )
