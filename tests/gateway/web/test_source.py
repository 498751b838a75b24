"""What the pages are told of a network whose every movement is written out below."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from gateway.web.facts import CursorUnknown, FlowFacts, NothingYet, OrderFacts
from gateway.web.source import HISTORY_PAGE, NetworkSource
from indexer.database import open_mirror
from indexer.sync import Indexer
from tests.indexer.mirror_model import EPOCH, FIRST_START, ModelChain, actor
from wallet_sdk.types import Address

BAKER, FLORIST = 1, 2
ADA, BEN = actor("ada"), actor("ben")
EXPIRY_OF_FIRST_EPOCH = FIRST_START + 6 * EPOCH


class WrittenBook:
    """Names and members as the gateway would know them."""

    orders = [OrderFacts("redeem", "refused", "Florist", "mem_ben", 5, "bon", 7, "balance_too_low")]

    def merchant_names(self) -> Mapping[int, str]:
        return {BAKER: "Baker"}

    def member_address(self, member_id: str) -> Address | None:
        return {"mem_ada": Address(ADA), "mem_ben": Address(BEN)}.get(member_id)

    def latest_orders(self, limit: int) -> Sequence[OrderFacts]:
        return self.orders[:limit]

    def open_orders(self) -> int:
        return 4

    def refusals(self) -> int:
        return 1


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Engine]:
    engine = open_mirror(f"sqlite:///{tmp_path / 'mirror.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def chain() -> ModelChain:
    """Baker issues 1,000 to ada and 500 to ben, florist 300 to ada; ada spends 400 at florist."""
    chain = ModelChain()
    chain.terms()
    for merchant, owner in ((BAKER, "baker"), (FLORIST, "florist")):
        chain.register(merchant, actor(owner))
        chain.deposit(merchant, 1_000_000)
    chain.join(ADA)
    chain.join(BEN)
    chain.mine(FIRST_START + 10)
    chain.issue(BAKER, [(ADA, 1_000), (BEN, 500)], FIRST_START + 20)
    chain.mine(FIRST_START + 20)
    chain.issue(FLORIST, [(ADA, 300)], FIRST_START + EPOCH)
    chain.redeem(ADA, FLORIST, 400, FIRST_START + EPOCH)
    chain.mine(FIRST_START + EPOCH)
    return chain


def _follow(chain: ModelChain, mirror: Engine) -> None:
    indexer = Indexer(chain.rpc(), chain.deployment(), mirror, confirmations=0)
    indexer.run_once()
    indexer.close()


@pytest.fixture
def source(chain: ModelChain, mirror: Engine) -> NetworkSource:
    _follow(chain, mirror)
    return NetworkSource(mirror, WrittenBook(), chain.deployment().schedule)


def test_tell_network__mirror_without_a_block__nothing_yet(
    chain: ModelChain, mirror: Engine
) -> None:
    source = NetworkSource(mirror, WrittenBook(), chain.deployment().schedule)
    with pytest.raises(NothingYet):
        source.network(FIRST_START)
    with pytest.raises(NothingYet):
        source.member("mem_ada", FIRST_START, None)


def test_tell_member__unknown_or_with_a_strange_cursor__none_or_error(
    source: NetworkSource,
) -> None:
    assert source.member("mem_nobody", FIRST_START + EPOCH, None) is None
    with pytest.raises(CursorUnknown):
        source.member("mem_ada", FIRST_START + EPOCH, "nonsense")


def test_tell_network__after_trade__every_figure(source: NetworkSource) -> None:
    facts = source.network(FIRST_START + EPOCH)
    assert (facts.as_of.block, facts.as_of.time) == (3, FIRST_START + EPOCH)
    assert (facts.issued, facts.redeemed, facts.live) == (1_800, 400, 1_400)
    assert facts.reserve == 140_000
    # 1,800 issued at a fee of 10, 400 redeemed at a fee of 2.
    assert facts.income == 18_800
    assert (facts.members, facts.open_orders, facts.refused) == (2, 4, 1)
    assert facts.orders == WrittenBook.orders
    baker, florist = facts.merchants
    assert (baker.name, baker.issued, baker.honoured) == ("Baker", 1_500, 0)
    assert baker.position == 1_000_000 - 1_500 * 110
    # The book does not know florist's name yet.
    assert (florist.name, florist.issued, florist.honoured) == ("Merchant 2", 300, 400)
    assert florist.position == 1_000_000 - 300 * 110 + 400 * 98
    # What expires first is spent first, and baker had issued it.
    assert facts.flows == [FlowFacts(BAKER, FLORIST, 400)]
    assert [(e.epoch, e.issued, e.unspent) for e in facts.epochs] == [
        (1, 1_500, 1_100),
        (2, 300, 300),
    ]
    assert facts.epochs[0].expires_at == EXPIRY_OF_FIRST_EPOCH
    assert facts.epochs[0].ends_at == FIRST_START + EPOCH - 1


def test_tell_network__laws__numbered_with_units_and_all_hold(source: NetworkSource) -> None:
    laws = source.network(FIRST_START + EPOCH).laws
    assert [(law.number, law.unit, law.holds) for law in laws] == [
        (1, "points", True),
        (2, "money", True),
        (3, "money", True),
        (4, "count", True),
    ]
    assert laws[0].left == laws[0].right == 1_400
    assert laws[1].left == laws[1].right == 140_000


def test_tell_network__time_passes_without_a_block__points_expire(source: NetworkSource) -> None:
    assert source.network(EXPIRY_OF_FIRST_EPOCH - 1).live == 1_400
    after = source.network(EXPIRY_OF_FIRST_EPOCH)
    assert after.live == 300
    assert after.reserve == 30_000
    assert after.breakage == 110_000
    assert all(law.holds for law in after.laws)


def test_tell_network__same_block_again__mirror_is_not_read_again(
    source: NetworkSource, chain: ModelChain, mirror: Engine
) -> None:
    statements: list[str] = []

    @event.listens_for(mirror, "before_cursor_execute")
    def _note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    source.network(FIRST_START + EPOCH)
    first = len(statements)
    source.network(FIRST_START + EPOCH + 1)
    assert len(statements) - first < first / 2
    chain.issue(BAKER, [(BEN, 7)], FIRST_START + EPOCH + 5)
    chain.mine(FIRST_START + EPOCH + 5)
    _follow(chain, mirror)
    assert source.network(FIRST_START + EPOCH + 5).issued == 1_807


def test_tell_network__trade_of_few_days__by_day_without_holes(
    source: NetworkSource, chain: ModelChain, mirror: Engine
) -> None:
    day = 86_400
    chain.issue(BAKER, [(BEN, 70)], FIRST_START + 2 * day)
    chain.mine(FIRST_START + 2 * day)
    _follow(chain, mirror)
    facts = source.network(FIRST_START + 2 * day)
    first = FIRST_START // day * day
    assert facts.period == "day"
    assert [(p.starts_at, p.issued, p.redeemed) for p in facts.periods] == [
        (first, 1_800, 400),
        (first + day, 0, 0),
        (first + 2 * day, 70, 0),
    ]


def test_tell_network__trade_of_many_days__by_month_without_holes(
    source: NetworkSource, chain: ModelChain, mirror: Engine
) -> None:
    later = FIRST_START + 90 * 86_400
    chain.issue(BAKER, [(BEN, 70)], later)
    chain.mine(later)
    _follow(chain, mirror)
    facts = source.network(later)
    assert facts.period == "month"
    # January to April 1970: FIRST_START is eleven and a half days after the beginning of 1970.
    assert [(p.starts_at // 86_400, p.issued) for p in facts.periods] == [
        (0, 1_800),
        (31, 0),
        (59, 0),
        (90, 70),
    ]


def test_tell_member__after_trade__balance_by_epoch_and_history(source: NetworkSource) -> None:
    facts = source.member("mem_ada", FIRST_START + EPOCH, None)
    assert facts is not None
    assert (facts.id, facts.balance) == ("mem_ada", 900)
    assert [(e.epoch, e.unspent) for e in facts.epochs] == [(1, 600), (2, 300)]
    assert [(h.kind, h.merchant, h.points) for h in facts.history] == [
        ("redeem", None, -400),
        ("issue", None, 300),
        ("issue", "Baker", 1_000),
    ]
    assert facts.next_cursor is None
    assert [h.at for h in facts.history][-1] == FIRST_START + 20


def test_tell_member__after_expiry__only_what_is_live(source: NetworkSource) -> None:
    facts = source.member("mem_ada", EXPIRY_OF_FIRST_EPOCH, None)
    assert facts is not None
    assert facts.balance == 300
    assert [e.epoch for e in facts.epochs] == [2]


def test_tell_member__long_history__page_after_page_nothing_twice(
    source: NetworkSource, chain: ModelChain, mirror: Engine
) -> None:
    at = FIRST_START + EPOCH + 5
    for points in range(1, HISTORY_PAGE + 4):
        chain.issue(BAKER, [(BEN, points)], at)
    chain.mine(at)
    _follow(chain, mirror)
    first = source.member("mem_ben", at, None)
    assert first is not None
    assert len(first.history) == HISTORY_PAGE
    second = source.member("mem_ben", at, first.next_cursor)
    assert second is not None
    assert second.next_cursor is None
    seen = [h.points for h in (*first.history, *second.history)]
    assert seen == [*range(HISTORY_PAGE + 3, 0, -1), 500]
