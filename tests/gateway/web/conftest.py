"""Facts written down by hand, small enough to check in the head, and a site that shows them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI

from gateway.web.facts import (
    AsOf,
    CursorUnknown,
    EpochFacts,
    FlowFacts,
    HistoryFacts,
    LawFacts,
    MemberFacts,
    MerchantFacts,
    NetworkFacts,
    OrderFacts,
    PeriodFacts,
    WebSource,
)
from gateway.web.views import web_router


def moment(*parts: int) -> int:
    """A UTC moment as unix seconds."""
    return int(datetime(*parts, tzinfo=UTC).timestamp())


NOW = moment(2026, 11, 20, 23, 15)
BAKER, FLORIST = 1, 2
ADA = "mem_01J9ZK3F7QM4T8X2WD7K3F2Q9A"

FIRST_EPOCH = EpochFacts(
    epoch=1,
    issued=100_000,
    unspent=70_000,
    starts_at=moment(2026, 7, 1),
    ends_at=moment(2026, 10, 1) - 1,
    expires_at=moment(2028, 1, 1),
)
SECOND_EPOCH = EpochFacts(
    epoch=2,
    issued=60_000,
    unspent=40_000,
    starts_at=moment(2026, 10, 1),
    ends_at=moment(2027, 1, 1) - 1,
    expires_at=moment(2028, 4, 1),
)


def law(number: int, left: int, right: int) -> LawFacts:
    """A law in points whose name and sides are made up."""
    return LawFacts(
        number, f"law {number}", "one side", left, "other side", right, "points", left == right
    )


@pytest.fixture
def network() -> NetworkFacts:
    """Baker and florist, 160,000 points issued, 50,000 of them redeemed; one request refused."""
    return NetworkFacts(
        as_of=AsOf(block=57, time=moment(2026, 11, 20, 23, 14)),
        live=110_000,
        reserve=11_000_000,
        income=1_700_000,
        breakage=0,
        members=3,
        issued=160_000,
        redeemed=50_000,
        open_orders=0,
        refused=1,
        merchants=[
            MerchantFacts(BAKER, "Baker", issued=100_000, honoured=20_000, position=9_040_000),
            MerchantFacts(FLORIST, "Florist", issued=60_000, honoured=30_000, position=-123_456),
        ],
        flows=[
            FlowFacts(BAKER, BAKER, 15_000),
            FlowFacts(BAKER, FLORIST, 15_000),
            FlowFacts(FLORIST, BAKER, 5_000),
            FlowFacts(FLORIST, FLORIST, 15_000),
        ],
        epochs=[FIRST_EPOCH, SECOND_EPOCH],
        periods=[
            PeriodFacts(moment(2026, 9, 30), issued=100_000, redeemed=30_000),
            PeriodFacts(moment(2026, 10, 1), issued=60_000, redeemed=20_000),
        ],
        period="day",
        laws=[law(1, 110_000, 110_000), law(2, 5, 5)],
        orders=[
            OrderFacts(
                "redeem", "refused", "Florist", ADA, 9_999, "bon-2", NOW - 60, "balance_too_low"
            ),
            OrderFacts("issue", "final", "Baker", ADA, 1_234, "bon-1", NOW - 120),
        ],
    )


@pytest.fixture
def ada() -> MemberFacts:
    """Ada holds 1,205 points of the first epoch and 36,211 of the second."""
    return MemberFacts(
        id=ADA,
        as_of=AsOf(block=57, time=moment(2026, 11, 20, 23, 14)),
        balance=37_416,
        epochs=[
            EpochFacts(
                1, 0, 1_205, FIRST_EPOCH.starts_at, FIRST_EPOCH.ends_at, FIRST_EPOCH.expires_at
            ),
            EpochFacts(
                2, 0, 36_211, SECOND_EPOCH.starts_at, SECOND_EPOCH.ends_at, SECOND_EPOCH.expires_at
            ),
        ],
        history=[
            HistoryFacts("issue", "Baker", 7_814, moment(2026, 11, 17, 20, 34)),
            HistoryFacts("redeem", "Florist", -5_506, moment(2026, 11, 2, 5, 44)),
            HistoryFacts("transfer", None, -100, moment(2026, 10, 30, 9, 0)),
            HistoryFacts("transfer", None, 250, moment(2026, 10, 29, 9, 0)),
            HistoryFacts("refund", "Florist", 506, moment(2026, 10, 28, 9, 0)),
            HistoryFacts("return", "Baker", -814, moment(2026, 10, 27, 9, 0)),
        ],
        next_cursor="older-ones",
    )


@dataclass
class WrittenDown:
    """A source that knows what it was given, and remembers what it was asked."""

    facts: NetworkFacts
    members: dict[str, MemberFacts] = field(default_factory=dict)
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def network(self, now: int) -> NetworkFacts:
        self.asked.append(("network", now))
        return self.facts

    def member(self, member_id: str, now: int, cursor: str | None) -> MemberFacts | None:
        self.asked.append(("member", member_id, now, cursor))
        if cursor == "nonsense":
            raise CursorUnknown(cursor)
        return self.members.get(member_id)


class Site:
    """The pages of a source, asked over ASGI as a browser would ask."""

    def __init__(self, source: WebSource, now: int = NOW, *, open_members: bool = True) -> None:
        self.app = FastAPI()
        self.app.include_router(
            web_router(source, now=lambda: now, face_value=100, open_members=open_members)
        )

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.get(path, headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def source(network: NetworkFacts, ada: MemberFacts) -> WrittenDown:
    return WrittenDown(network, {ADA: ada})


@pytest.fixture
def site(source: WrittenDown) -> Site:
    """The pages of `source` at the evening of 20 November 2026, face value 100."""
    return Site(source)


@pytest.fixture
def site_at(source: WrittenDown) -> Callable[[int], Site]:
    """The same pages at another time."""
    return lambda now: Site(source, now)


@pytest.fixture
def site_of() -> type[Site]:
    """The pages of any source."""
    return Site


@pytest.fixture
def show() -> Callable[[NetworkFacts], str]:
    """Gives the network's page of any facts, as HTML."""
    return lambda facts: Site(WrittenDown(facts)).get("/").text


@pytest.fixture
def ada_id() -> str:
    return ADA
