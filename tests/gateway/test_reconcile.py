"""Yesterday's database under today's chain: nothing is accepted or sent until both are matched, and
then every order counts once, also those that the backup does not know.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway import gate, ids
from gateway.app import make_app
from gateway.codes import State
from gateway.custody.masters import LocalMaster
from gateway.errors import BookBehindChain, Closed, ReorgBelowFinality
from gateway.model import Accepted, NewMerchant, NewOrder, OrderKind, Refused
from gateway.relay.matching import Matched, Waiting, identify, match
from gateway.service import Gateway, open_custody
from gateway.tables import attempts, incidents, orders
from tests.gateway.helpers import NOON, fresh, serving
from tests.gateway.node import NodeHouse, open_house
from tests.gateway.restoring import backup, gateway_like, reconcile, restore, right
from wallet_sdk.merkle import references_root
from wallet_sdk.orders import IssueBatch, Transfer
from wallet_sdk.types import address_bytes, to_hex


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path) as found:
        yield found


@pytest.fixture
def own_house(tmp_path: Path) -> Iterator[NodeHouse]:
    """On a node of its own: what is reorganised below another test's beginning stays so."""
    with open_house(tmp_path, own=True) as found:
        yield found


def accept(house: NodeHouse, *lines: NewOrder) -> None:
    answers = house.gateway.accept_many(list(lines), idempotency_key=fresh("k"))
    assert all(isinstance(answer, Accepted) for answer in answers), answers


def issue(house: NodeHouse, points: int, reference: str) -> NewOrder:
    return NewOrder(OrderKind.ISSUE, house.ada.id, points, reference, house.baker.id)


def redeem(house: NodeHouse, points: int, reference: str) -> NewOrder:
    return NewOrder(OrderKind.REDEEM, house.ada.id, points, reference, house.baker.id)


def beside(house: NodeHouse) -> Gateway:
    """A gateway of another process on the same book, which only accepts."""
    return gateway_like(house.gateway, *open_custody(house.gateway.settings))


def wait_until(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def supply(house: NodeHouse) -> int:
    return int(house.gateway.network.total_supply())


def test_match__entries_and_waiting_orders__each_is_given_out_once_the_oldest_first() -> None:
    assert match(["a", "b", "a", "a"], [(1, "a"), (2, "c"), (3, "a")]) == [1, None, 3, None]


A, B = ("to ada", 10), ("to ben", 10)


def waiting(*named: tuple[int, tuple[object, ...], str]) -> list[Waiting]:
    return [Waiting(row, key, 1, reference) for row, key, reference in named]


def word(_merchant: int, reference: str) -> bytes:
    return reference.encode().rjust(32)


def batch_of(*references: str) -> IssueBatch:
    root = references_root([word(1, reference) for reference in references])
    entries = tuple(("0x" + "11" * 20, 10) for _ in references)
    return IssueBatch(1, 1, 1, entries, to_hex(root))


def test_identify__one_issue__is_the_order_of_its_reference_or_none() -> None:
    book = waiting((1, A, "r1"), (2, B, "r2"), (3, A, "r3"))
    assert identify(batch_of("r3"), [A], book, word) == Matched([3])
    assert identify(batch_of("lost"), [A], book, word) == Matched([None])
    # The same reference for somebody else is not this order.
    assert identify(batch_of("r2"), [A], book, word) == Matched([None])


def test_identify__a_batch_that_waits_as_a_whole__is_proven_wherever_it_stands() -> None:
    book = waiting((1, A, "r1"), (2, A, "r2"), (3, B, "r3"), (4, A, "r4"))
    assert identify(batch_of("r2", "r3"), [A, B], book, word) == Matched([2, 3])


def test_identify__a_batch_of_which_some_are_lost__is_assumed_the_oldest_first() -> None:
    book = waiting((1, A, "r1"), (2, B, "r2"))
    found = identify(batch_of("r1", "lost", "r2"), [A, A, B], book, word)
    assert found == Matched([1, None, 2], [1, 2])


def test_identify__a_transfer__carries_no_reference_and_is_assumed() -> None:
    book = waiting((1, A, "r1"), (2, A, "r2"))
    transfer = Transfer("0x" + "11" * 20, "0x" + "22" * 20, 10, 1, 1)
    assert identify(transfer, [A], book, word) == Matched([1], [1])


def test_start__on_yesterdays_database__accepts_and_sends_nothing(house: NodeHouse) -> None:
    copy = backup(house)
    accept(house, issue(house, 100, "lost"))
    house.settle()
    restore(house, copy)
    with pytest.raises(Closed, match="banyan reconcile"):
        accept(house, issue(house, 100, "again"))
    with pytest.raises(Closed):
        house.gateway.relay.send()
    # Nor is a wallet given out that the chain may know as somebody else's.
    with pytest.raises(Closed):
        house.gateway.ensure_members(["dora"])
    app = make_app(house.gateway)
    with serving(app) as url, httpx.Client(base_url=url) as client:
        refused = client.post("/v1/members", json={"external_id": "dora"})
        assert (refused.status_code, refused.json()["code"]) == (503, "closed")
        assert client.get("/healthz").status_code == 200
        assert "banyan reconcile" in client.get("/readyz").json()["relay"]
    assert "banyan reconcile" in (house.gateway.relay.trouble() or "")
    with house.database.read() as connection:
        (kind,) = connection.execute(select(incidents.c.kind)).scalars()
    assert kind == "book_behind_chain"


def test_start__on_a_database_that_knows_all__is_open_at_once(house: NodeHouse) -> None:
    accept(house, issue(house, 100, "r1"))
    house.gateway.relay.send()
    copy = backup(house)
    # Sent, mined and mirrored while the gateway is down: its bytes are in the book.
    house.mine(3)
    house.indexer.run_once()
    restore(house, copy)
    accept(house, issue(house, 1, "r2"))
    right(house)
    assert supply(house) == 101


def test_reconcile__orders_of_every_stage__count_once(house: NodeHouse) -> None:
    accept(house, issue(house, 1_000, "early"))
    house.settle()
    # As the backup is taken: one order waits, one is in an open batch, one is sealed and not sent.
    accept(house, issue(house, 7, "sealed"))
    house.gateway.relay._sealer.run_once()
    accept(house, issue(house, 11, "open"))
    while house.gateway.relay._sealer._open():
        pass
    accept(house, issue(house, 13, "waits"), redeem(house, 100, "redeemed"))
    last_known = house.clock.now()
    copy = backup(house)
    # And after it: all of them take effect, and others that the backup knows nothing of.
    accept(house, issue(house, 17, "lost"), issue(house, 13, "lost and equal"))
    house.settle()
    accept(house, redeem(house, 50, "lost redemption"))
    cleo = house.gateway.ensure_members(["cleo"])["cleo"]
    house.settle()
    accept(house, NewOrder(OrderKind.ISSUE, cleo.id, 19, "lost for cleo", house.baker.id))
    accept(house, NewOrder(OrderKind.TRANSFER, house.ada.id, 5, "gift", None, house.ben.id))
    house.settle()
    points = supply(house)

    restore(house, copy)
    found = reconcile(house)
    assert found["members_found"] == 1
    assert found["unreadable"] == []
    # What leaves no trace on chain was lost between these, too.
    assert (found["lost_from"], found["lost_to"]) == (last_known, house.clock.now() - 2)
    (who,) = found["members_unnamed"]
    assert house.gateway.member(who).address == cleo.address
    right(house)
    assert supply(house) == points
    with house.database.read() as connection:
        by_reference = {
            row.reference: row.state
            for row in connection.execute(select(orders.c.reference, orders.c.state))
        }
    for reference in ("sealed", "open", "waits", "redeemed"):
        assert by_reference[reference] == State.FINAL, reference
    lost = [r for r in by_reference if r.startswith("found on chain")]
    # 17 and the second 13, the redemption, cleo's joining, her points, the gift.
    assert len(lost) == 6
    # A new member gets a wallet of her own, and trade goes on.
    dora = house.gateway.ensure_members(["dora"])["dora"]
    assert dora.address != cleo.address
    accept(house, issue(house, 23, "new"), redeem(house, 10, "new redemption"))
    # What lies with her whom nobody names goes to her new wallet.
    accept(house, NewOrder(OrderKind.TRANSFER, who, 19, "named", None, dora.id))
    right(house)
    assert supply(house) == points + 23 - 10
    (moved,) = house.gateway.books.balances([address_bytes(dora.address)], NOON).values()
    assert moved == 19


def working_on(house: NodeHouse, copy: Path) -> None:
    """The book has forgotten what came after `copy`, and nobody has noticed yet: a failover."""
    restore(house, copy)
    house.gateway.gate.stop()
    house.gateway.gate._why = None


def states_by_reference(house: NodeHouse) -> dict[str, State]:
    with house.database.read() as connection:
        rows = connection.execute(select(orders.c.reference, orders.c.state)).all()
    return {row.reference: State(row.state) for row in rows}


def test_reconcile__an_order_equal_to_a_lost_one__is_told_from_it_and_carried_out(
    house: NodeHouse,
) -> None:
    accept(house, issue(house, 1_000, "early"))
    house.settle()
    copy = backup(house)
    accept(house, issue(house, 100, "lost"))
    house.settle()
    accept(house, redeem(house, 30, "lost redemption"))
    house.settle()
    assert supply(house) == 1_070
    working_on(house, copy)
    # Two purchases more, as large as the lost ones; and one of these comes again from the till.
    accept(house, issue(house, 100, "new"), redeem(house, 30, "new redemption"))
    accept(house, redeem(house, 30, "lost redemption"))
    found = reconcile(house)
    assert (found["orders_matched"], found["orders_found"]) == (1, 1)
    assert found["orders_assumed"] == []
    waits = states_by_reference(house)
    assert (waits["new"], waits["new redemption"]) == (State.ACCEPTED, State.ACCEPTED)
    right(house)
    assert supply(house) == 1_000 + 200 - 60


def test_reconcile__orders_that_nothing_tells_apart__are_never_doubled_and_named(
    house: NodeHouse,
) -> None:
    accept(house, issue(house, 1_000, "early"))
    house.settle()
    copy = backup(house)
    gift = NewOrder(OrderKind.TRANSFER, house.ada.id, 5, "gift", None, house.ben.id)
    accept(house, gift)
    accept(house, issue(house, 7, "lost"), issue(house, 8, "lost too"))
    house.settle()
    working_on(house, copy)
    accept(house, replace(gift, reference="another gift"), issue(house, 7, "new"))
    found = reconcile(house)
    assert (found["orders_matched"], found["orders_found"]) == (2, 1)
    named = found["orders_assumed"]
    assert isinstance(named, list)
    with house.database.read() as connection:
        query = select(orders.c.public_id).where(
            orders.c.reference.in_(["another gift", "new"]), orders.c.state == State.INCLUDED.value
        )
        assert sorted(named) == sorted(
            ids.encode(ids.ORDER, bytes(raw)) for raw in connection.execute(query).scalars()
        )
    right(house)
    assert supply(house) == 1_015


def test_reconcile__a_nonce_given_out_anew__closes_no_other_orders_batch(house: NodeHouse) -> None:
    copy = backup(house)
    accept(house, issue(house, 100, "lost"))
    house.settle()
    working_on(house, copy)
    accept(house, issue(house, 7, "new"))
    while house.gateway.relay._sealer._open():
        pass
    assert states_by_reference(house)["new"] == State.BATCHED
    found = reconcile(house)
    assert (found["orders_matched"], found["orders_found"]) == (0, 1)
    right(house)
    assert supply(house) == 107


def test_reconcile__twice__changes_nothing_more(house: NodeHouse) -> None:
    copy = backup(house)
    accept(house, issue(house, 100, "lost"))
    house.settle()
    restore(house, copy)
    assert reconcile(house)["orders_found"] == 1
    again = reconcile(house)
    assert (again["orders_found"], again["nonces_filled"], again["batches"]) == (0, 0, 0)
    right(house)
    assert supply(house) == 100


def test_reconcile__a_merchant_onboarded_after_the_backup__has_its_keys_again(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(house, issue(house, 100, "early"))
    house.settle()
    copy = backup(house)
    # A master key may be in KMS: while it is asked, nobody's transaction waits.
    open_transactions: list[int] = []
    for name in ("wrap", "unwrap"):
        asked = getattr(LocalMaster, name)

        def spy(*given: Any, asked: Any = asked) -> Any:
            open_transactions.append(house.database.engine.pool.checkedout())  # type: ignore[attr-defined]
            return asked(*given)

        monkeypatch.setattr(LocalMaster, name, spy)
    wanted = NewMerchant("Florist", "florist", deposit=1_000_000)
    florist = house.gateway.onboard_merchants([wanted], mine=lambda: house.mine(3))[0]
    accept(
        house,
        NewOrder(OrderKind.REDEEM, house.ada.id, 40, "flowers", florist.id),
        NewOrder(OrderKind.ISSUE, house.ben.id, 7, "more flowers", florist.id),
    )
    house.settle()
    restore(house, copy)
    with pytest.raises(Closed, match="banyan reconcile"):
        accept(house, issue(house, 1, "too early"))
    found = reconcile(house)
    assert found["merchants_found"] == [florist.number]
    assert found["merchants_unknown"] == []
    # The member's redemption and the florist's issue are known again; the calls that made the
    # florist fill their nonces.
    assert found["orders_found"] == 2
    assert found["nonces_filled"] > 3
    right(house)
    (_, lost) = house.gateway.merchants()
    assert (lost.slug, lost.state) == ("found-on-chain-2", "active")
    # Another one gets another number; named again, it is the one that it was, and funded once.
    third, again = house.gateway.onboard_merchants(
        [NewMerchant("Fishmonger", "fish", deposit=5_000), wanted], mine=lambda: house.mine(3)
    )
    assert third.number == 3
    assert again.api_key is not None
    assert (again.number, again.slug, again.owner, again.till_key) == (
        florist.number,
        "florist",
        florist.owner,
        florist.till_key,
    )
    position = house.gateway.books.position(florist.number)
    assert position is not None
    assert position.position == 1_000_000 + 40 * 98 - 7 * 110
    accept(house, NewOrder(OrderKind.ISSUE, house.ada.id, 9, "roses", again.id))
    right(house)
    assert supply(house) == 100 - 40 + 7 + 9
    assert open_transactions
    assert set(open_transactions) == {0}


@pytest.mark.soak
def test_reconcile__a_merchant_whose_keys_are_lost__keeps_its_number_and_is_closed(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = backup(house)
    with monkeypatch.context() as random:
        # As before there was a seed of keys.
        random.setattr("gateway.custody.making.derived", lambda *whose: secrets.token_bytes(32))
        wanted = NewMerchant("Florist", "florist")
        florist = house.gateway.onboard_merchants([wanted], mine=lambda: house.mine(3))[0]
    restore(house, copy)
    found = reconcile(house)
    assert (found["merchants_found"], found["merchants_unknown"]) == ([], [florist.number])
    (_, lost) = house.gateway.merchants()
    assert (lost.number, lost.state, lost.owner) == (2, "closed", florist.owner)
    (refused,) = house.gateway.accept_many(
        [NewOrder(OrderKind.ISSUE, house.ada.id, 9, "roses", lost.id)], idempotency_key=fresh("k")
    )
    assert isinstance(refused, Refused)
    assert refused.code == "merchant_not_active"
    # It is named once, and does not keep the network closed.
    assert not house.gateway.reconciler.is_behind()


def test_reconcile__calls_that_waited_in_the_backup__are_not_made_twice(house: NodeHouse) -> None:
    house.gateway.fund_merchant(house.baker.id, 550_000, bank_reference="wire 1")
    copy = backup(house)
    house.settle()
    accept(house, issue(house, 10, "lost"))
    house.settle()
    restore(house, copy)
    assert reconcile(house)["calls_closed"] == 3
    right(house)
    position = house.gateway.books.position(house.baker.number)
    assert position is not None
    assert position.position == 1_100_000 + 550_000 - 10 * 110


def test_reconcile__after_a_reorg_below_finality__takes_up_what_is_gone(
    own_house: NodeHouse,
) -> None:
    house = own_house
    accept(house, issue(house, 100, "r1"))
    house.settle()
    house.node.call("anvil_reorg", [5, []])
    accept(house, issue(house, 50, "r2"))
    with pytest.raises(ReorgBelowFinality):
        house.gateway.relay.settle()
    with pytest.raises(Closed):
        house.gateway.relay.send()
    house.mine(3)
    house.indexer.run_once()
    assert reconcile(house)["orders_reopened"] >= 1
    house.gateway.relay._sender._offered.clear()
    right(house)
    assert supply(house) == 150


@pytest.mark.soak
def test_reconcile__a_batch_that_died_in_blocks_that_are_gone__counts_once(
    house: NodeHouse,
) -> None:
    began = house.clock.time
    accept(house, issue(house, 100, "r1"))
    house.gateway.relay.send()
    with house.database.read() as connection:
        sent = select(attempts.c.raw).order_by(attempts.c.id.desc()).limit(1)
        raw = bytes(connection.execute(sent).scalar_one())
    # No block takes it before its deadline: it is void, and its order waits.
    house.node.call("anvil_dropAllTransactions", [])
    house.clock.time += 3_600
    house.mine(4)
    house.indexer.run_once()
    house.gateway.relay.settle()
    assert house.states()["accepted"] == 1
    # These blocks were final, and are replaced; in those that stand now it came in time.
    house.node.call("anvil_rollback", [4])
    house.clock.time = began
    house.node.call("eth_sendRawTransaction", [to_hex(raw)])
    house.mine(4)
    house.indexer.run_once()
    found = reconcile(house)
    assert (found["batches_alive"], found["orders_matched"]) == (1, 1)
    right(house)
    assert supply(house) == 100
    assert reconcile(house)["batches_alive"] == 0


def test_relay__what_the_book_forgot_is_mined_only_later__closes_instead_of_doubling(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "LOOK_EVERY_S", 0.05)
    # Sealed and sent after the backup, and in no block when the restored book is compared.
    accept(house, issue(house, 100, "r1"))
    copy = backup(house)
    house.gateway.relay.send()
    restore(house, copy)
    others = beside(house)
    others.match()
    others.gate.check()
    house.clock.time += 10
    house.gateway.relay.send()
    # The forgotten transaction is mined; the order's new batch has the nonce that it used up.
    found: list[str] = []
    for _ in range(6):
        try:
            house.mine(3)
            house.indexer.run_once()
            house.gateway.relay.settle()
            house.gateway.relay._sender._offered.clear()
            house.clock.time += 10
            house.gateway.relay.send()
        except (BookBehindChain, Closed) as error:
            found.append(error.code)
    assert found[:2] == ["book_behind_chain", "closed"]
    assert supply(house) == 100
    with pytest.raises(Closed):
        accept(house, issue(house, 100, "r2"))
    # Nor by a process that relays nothing and was not started anew.
    wait_until(lambda: others.gate.why_closed() is not None)
    with pytest.raises(Closed):
        others.accept_many([issue(house, 100, "r2")], idempotency_key=fresh("k"))
    house.mine(3)
    house.indexer.run_once()
    assert reconcile(house)["orders_matched"] == 1
    wait_until(lambda: others.gate.why_closed() is None)
    others.stop()
    house.settle()
    accept(house, issue(house, 1, "r3"))
    house.settle()
    assert supply(house) == 101
    assert set(house.states()) == {"final"}
