"""Refunds, returns, cancellations and withdrawals, from the API down to the chain and back up."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from gateway.codes import BatchState, Kind
from gateway.model import Merchant, NewMerchant
from gateway.network import Network, open_network
from gateway.operator.calls import enqueue
from gateway.tables import batches, members, merchants
from indexer import audit
from tests.gateway.helpers import fresh, serving
from wallet_sdk.contracts.calls import CLOSE_EPOCH
from wallet_sdk.deployment import QUARTER_S

FIRST = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp())
OWN = 10**9


@dataclass
class Shop:
    """A held network in the past: time and blocks move when a test says so."""

    network: Network
    client: httpx.Client
    baker: Merchant
    florist: Merchant

    def post(self, path: str, body: object = None, *, by: Merchant | None = None) -> httpx.Response:
        headers = self.headers(by) | {"Idempotency-Key": uuid.uuid4().hex}
        return self.client.post(path, json=body, headers=headers)

    def get(self, path: str, *, by: Merchant | None = None) -> Any:
        return self.client.get(path, headers=self.headers(by))

    def headers(self, by: Merchant | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {(by or self.baker).api_key}"}

    def drain(self) -> None:
        result = self.network.gateway.drain(mine=lambda: self.mine())
        assert result.open_orders == 0, result

    def mine(self) -> None:
        self.network.chain.mine()

    def member(self) -> str:
        member = self.post("/v1/members", {"external_id": fresh("card")}).json()["id"]
        self.drain()
        return str(member)

    def issue(self, member: str, points: int, *, by: Merchant | None = None) -> str:
        return self.ordered("/v1/issuances", by=by, member=member, points=points)

    def redeem(self, member: str, points: int, *, by: Merchant | None = None) -> str:
        return self.ordered("/v1/redemptions", by=by, member=member, points=points)

    def ordered(self, path: str, *, by: Merchant | None = None, **body: Any) -> str:
        response = self.post(path, {"reference": fresh("r")} | body, by=by)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def refund(self, redemption: str, points: int, *, by: Merchant | None = None) -> httpx.Response:
        body = {"redemption": redemption, "points": points, "reference": fresh("refund")}
        return self.post("/v1/refunds", body, by=by)

    def return_(
        self, issue: str, points: int, shortfall: int = 0, *, by: Merchant | None = None
    ) -> httpx.Response:
        body = {"issue": issue, "points": points, "reference": fresh("return")}
        return self.post("/v1/returns", body | {"shortfall": shortfall}, by=by)

    def order(self, order: str) -> dict[str, Any]:
        return dict(self.get(f"/v1/orders/{order}").json())

    def points(self, member: str) -> dict[int, int]:
        balance = self.get(f"/v1/members/{member}/balance").json()
        assert balance["points"] == balance["available"]
        return {part["epoch"]: part["points"] for part in balance["by_epoch"]}

    def position(self, by: Merchant | None = None) -> int:
        found = self.get("/v1/merchants/me/position", by=by).json()
        assert found["held"] == 0
        return int(found["position"])

    def at_epoch(self, epoch: int) -> None:
        """A day into the epoch; time never goes back."""
        self.network.chain.clock.set(FIRST + (epoch - 1) * QUARTER_S + 86_400)

    def right(self) -> None:
        """Nothing held, and the mirror is the chain."""
        with self.network.gateway.database.read() as connection:
            for table in (merchants, members):
                assert connection.execute(select(func.sum(table.c.held))).scalar_one() == 0
        found = audit.check(
            self.network.mirror, self.network.chain.rpc_url, self.network.deployment
        )
        assert found.holds, found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("past")
    with open_network(folder, first_time=FIRST, background=False) as network:
        network.chain.hold()
        network.chain.clock.set(FIRST + 86_400)
        baker, florist = network.gateway.onboard_merchants(
            [
                NewMerchant("Baker", "baker", deposit=OWN),
                NewMerchant("Florist", "florist", deposit=OWN, credit_limit=5_000),
            ],
            mine=lambda: network.chain.mine(),
        )
        with serving(network.app) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield Shop(network, client, baker, florist)


def refused(response: httpx.Response, code: str, status: int = 409) -> dict[str, Any]:
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    return dict(body)


# ---- refusals


def test_refund__of_an_issue_or_an_open_redemption__is_refused(shop: Shop) -> None:
    ada = shop.member()
    issue = shop.issue(ada, 100)
    shop.drain()
    refused(shop.refund(issue, 10), "order_not_reversible")
    redemption = shop.redeem(ada, 50)
    refused(shop.refund(redemption, 10), "order_not_reversible")
    shop.drain()


def test_reversal__of_another_merchants_order__is_not_found(shop: Shop) -> None:
    ada = shop.member()
    issue = shop.issue(ada, 1_000)
    shop.drain()
    redemption = shop.redeem(ada, 50)
    shop.drain()
    refused(shop.refund(redemption, 10, by=shop.florist), "order_unknown", 404)
    refused(shop.return_(issue, 10, by=shop.florist), "order_unknown", 404)
    quote = shop.get(f"/v1/orders/{issue}/return-quote?points=5", by=shop.florist)
    refused(quote, "order_unknown", 404)
    refused(shop.post(f"/v1/orders/{issue}/cancel", by=shop.florist), "order_unknown", 404)


def test_refund__of_more_than_was_redeemed__is_refused_also_in_parts(shop: Shop) -> None:
    ada = shop.member()
    shop.issue(ada, 100)
    shop.drain()
    redemption = shop.redeem(ada, 60)
    shop.drain()
    refused(shop.refund(redemption, 61), "refund_too_high")
    assert shop.refund(redemption, 40).status_code == 202
    found = refused(shop.refund(redemption, 21), "refund_too_high")
    assert found["refundable"] == 20
    shop.drain()
    refused(shop.refund(redemption, 21), "refund_too_high")
    assert shop.points(ada) == {1: 80}


def test_return__of_more_than_the_purchase_earned__is_refused(shop: Shop) -> None:
    ada = shop.member()
    issue = shop.issue(ada, 1_000)
    shop.drain()
    refused(shop.return_(issue, 1_001), "return_too_high")
    assert shop.return_(issue, 60).status_code == 202
    refused(shop.return_(issue, 941, 941), "return_too_high")
    shop.drain()


def test_return__when_more_is_missing_than_was_shown__is_refused_with_the_figure(
    shop: Shop,
) -> None:
    ada = shop.member()
    shop.issue(shop.member(), 9_000)
    issue = shop.issue(ada, 500)
    shop.drain()
    quote = shop.get(f"/v1/orders/{issue}/return-quote?points=500").json()
    assert (quote["returnable"], quote["shortfall"]) == (500, 0)
    shop.redeem(ada, 120)
    # The redemption is not even sealed, but its points are gone for a return.
    found = refused(shop.return_(issue, 500), "shortfall_changed")
    assert (found["returnable"], found["shortfall"]) == (380, 120)
    shop.redeem(ada, 380)
    found = refused(shop.return_(issue, 500, 120), "nothing_to_return")
    assert found["shortfall"] == 500
    shop.drain()


def test_withdraw__more_than_its_own__is_refused_credit_or_not(shop: Shop) -> None:
    own = shop.position(shop.florist)
    body = {"amount": own + 1, "reference": fresh("w")}
    found = refused(
        shop.post("/v1/merchants/me/withdrawals", body, by=shop.florist), "position_too_low"
    )
    assert found["available"] == own


def test_cancel__of_an_order_that_took_effect__is_refused(shop: Shop) -> None:
    ada = shop.member()
    issue = shop.issue(ada, 10)
    shop.drain()
    refused(shop.post(f"/v1/orders/{issue}/cancel"), "order_not_cancellable")


# ---- refunds and returns


def test_refund__of_a_redemption__gives_points_and_money_back(shop: Shop) -> None:
    ada, ben = shop.member(), shop.member()
    for member in (ada, ben):
        shop.issue(member, 300)
    shop.drain()
    before = shop.position(shop.florist)
    # Three redemptions in one relay, so that the proof has steps.
    found = [shop.redeem(m, n, by=shop.florist) for m, n in ((ada, 100), (ben, 70), (ada, 30))]
    shop.drain()
    assert shop.position(shop.florist) == before + 98 * 200
    refund = shop.refund(found[1], 70, by=shop.florist)
    assert refund.status_code == 202, refund.text
    assert (refund.json()["kind"], refund.json()["of"]) == ("refund", found[1])
    assert shop.refund(found[2], 10, by=shop.florist).status_code == 202
    shop.drain()
    after = shop.get(f"/v1/orders/{refund.json()['id']}", by=shop.florist).json()
    assert (after["state"], after["of"], after["member"]) == ("final", found[1], ben)
    assert shop.points(ben) == {1: 300}
    assert shop.points(ada) == {1: 180}
    assert shop.position(shop.florist) == before + 98 * 120
    kinds = [line["kind"] for line in shop.get(f"/v1/members/{ben}/history").json()["lines"]]
    assert kinds == ["refund", "redeem", "issue"]
    shop.right()


def test_return__of_a_purchase_partly_spent__names_the_shortfall(shop: Shop) -> None:
    ada = shop.member()
    shop.issue(shop.member(), 9_000)
    issue = shop.issue(ada, 500)
    shop.drain()
    shop.redeem(ada, 200, by=shop.florist)
    shop.drain()
    before = shop.position()
    quote = shop.get(f"/v1/orders/{issue}/return-quote?points=500").json()
    assert quote["returnable"] == 300
    assert quote["shortfall"] == quote["spent"] == 200
    assert quote["shortfall_amount"] == 200 * 100
    answer = shop.return_(issue, 500, 200)
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert (body["points"], body["shortfall"], body["of"]) == (300, 200, issue)
    shop.drain()
    after = shop.order(body["id"])
    assert (after["state"], after["points"], after["shortfall"]) == ("final", 300, 200)
    assert shop.points(ada) == {}
    # What issuing cost comes back in full, fee included.
    assert shop.position() == before + 110 * 300
    shop.right()


def test_return__over_the_cap__is_shortfall_too(shop: Shop) -> None:
    cara = shop.member()
    issue = shop.issue(cara, 1_000, by=shop.florist)
    shop.drain()
    quote = shop.get(f"/v1/orders/{issue}/return-quote?points=1000", by=shop.florist).json()
    assert (quote["returnable"], quote["over_cap"], quote["spent"]) == (100, 900, 0)
    assert shop.return_(issue, 1_000, 900, by=shop.florist).status_code == 202
    shop.drain()
    assert shop.points(cara) == {1: 900}


# ---- cancelling


def test_cancel__before_signing__fails_at_once_and_frees_the_reference(shop: Shop) -> None:
    ada = shop.member()
    body = {"member": ada, "reference": fresh("r"), "points": 40}
    order = shop.post("/v1/issuances", body).json()["id"]
    answer = shop.post(f"/v1/orders/{order}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "failed")
    assert answer.json()["failure"]["code"] == "cancelled"
    assert "no signature" in answer.json()["failure"]["detail"]
    assert shop.position() >= 0
    refused(shop.post(f"/v1/orders/{order}/cancel"), "order_not_cancellable")
    again = shop.post("/v1/issuances", body)
    assert again.status_code == 202
    # Which order it comes in place of is told, and of whom nothing came before is not.
    assert shop.get(f"/v1/orders/{again.json()['id']}").json()["follows"] == order
    assert "follows" not in shop.get(f"/v1/orders/{order}").json()
    shop.drain()
    assert shop.points(ada) == {1: 40}


def test_cancel__of_a_signed_redemption__uses_its_nonce_up(shop: Shop) -> None:
    ada = shop.member()
    shop.issue(ada, 100)
    shop.drain()
    order = shop.redeem(ada, 60)
    shop.network.gateway.relay._sealer.run_once()
    answer = shop.post(f"/v1/orders/{order}/cancel")
    assert answer.status_code == 202
    assert answer.json()["state"] == "batched"
    assert answer.json()["cancel_asked_at"] > 0
    shop.drain()
    after = shop.order(order)
    assert (after["state"], after["failure"]["code"]) == ("failed", "cancelled")
    assert "nonce" in after["failure"]["detail"]
    assert shop.points(ada) == {1: 100}
    shop.redeem(ada, 30)
    shop.drain()
    assert shop.points(ada) == {1: 70}
    shop.right()


def test_cancel__of_one_issue_in_a_signed_batch__carries_the_others_out(shop: Shop) -> None:
    ada, ben = shop.member(), shop.member()
    unwanted, wanted = shop.issue(ada, 60), shop.issue(ben, 70)
    shop.network.gateway.relay._sealer.run_once()
    assert shop.post(f"/v1/orders/{unwanted}/cancel").status_code == 202
    shop.drain()
    assert shop.order(unwanted)["failure"]["code"] == "cancelled"
    assert shop.order(wanted)["state"] == "final"
    assert (shop.points(ada), shop.points(ben)) == ({}, {1: 70})
    shop.right()


def test_cancel__of_what_is_sent_already__loses_the_race(shop: Shop) -> None:
    ada = shop.member()
    order = shop.issue(ada, 60)
    shop.network.gateway.relay.send()
    assert shop.post(f"/v1/orders/{order}/cancel").status_code == 202
    shop.drain()
    assert shop.order(order)["state"] == "final"
    assert shop.points(ada) == {1: 60}


# ---- the owner's money


def test_withdraw__of_its_own__is_paid_on_an_owners_nonce(shop: Shop) -> None:
    before = shop.position()
    order = shop.ordered("/v1/merchants/me/withdrawals", amount=1_234_567)
    assert shop.order(order)["amount"] == 1_234_567
    shop.drain()
    assert shop.order(order)["state"] == "final"
    assert shop.position() == before - 1_234_567
    network = shop.network.gateway.network
    assert network.read(network.reads.receipts_of(shop.baker.owner)) == 1_234_567
    assert network.read(network.reads.is_merchant_nonce_used(shop.baker.number, 2**63))
    again = shop.ordered("/v1/merchants/me/withdrawals", amount=5)
    shop.network.gateway.relay._sealer.run_once()
    assert shop.post(f"/v1/orders/{again}/cancel").status_code == 202
    shop.drain()
    assert shop.order(again)["failure"]["code"] == "cancelled"
    assert shop.position() == before - 1_234_567
    shop.right()


# ---- later epochs: time moves on for all tests after this one


def test_reversals__in_later_epochs__go_by_what_is_still_live(shop: Shop) -> None:
    ada, others = shop.member(), (shop.member(), shop.member())
    for member in (ada, *others):
        shop.issue(member, 100)
    shop.drain()
    shop.at_epoch(2)
    late = shop.issue(ada, 50)
    shop.issue(others[1], 100)
    shop.drain()
    redemption = shop.redeem(ada, 130)
    shop.drain()
    assert shop.points(ada) == {2: 20}
    shop.at_epoch(4)
    shop.mine()
    found = refused(shop.return_(late, 20), "return_window_over")
    assert found["ended_at"] <= FIRST + 3 * QUARTER_S
    redeemed_as_their_epoch_is_closed(shop, *others)
    # 100 of epoch 1 are gone for good; 30 of epoch 2 live.
    found = refused(shop.refund(redemption, 31), "epoch_expired")
    assert (found["refundable"], found["expired"]) == (30, 100)
    assert shop.refund(redemption, 30).status_code == 202
    shop.drain()
    assert shop.points(ada) == {2: 50}
    refused(shop.refund(redemption, 1), "epoch_expired")
    shop.right()


def close(shop: Shop, epoch: int) -> int:
    """The operator closes the epoch; returns the call's row number."""
    gateway = shop.network.gateway
    with gateway.database.write() as connection:
        return enqueue(
            connection,
            sender=gateway.custody.network_addresses()["operator"],
            to=gateway.deployment.address("Coalition"),
            data=CLOSE_EPOCH.encode(epoch),
            label=f"close epoch {epoch}",
            now=gateway.clock.now(),
        )


def redeemed_as_their_epoch_is_closed(shop: Shop, ben: str, cleo: str) -> None:
    """Ben and cleo have 100 points each of epoch 1, cleo 100 of epoch 2 as well. What they redeem
    is signed in the last minute of those of epoch 1, and mined in the block that closes it, before
    the call and after it.
    """
    gateway, chain = shop.network.gateway, shop.network.chain
    over = FIRST + 6 * QUARTER_S
    chain.clock.set(over - 60)
    before = [shop.redeem(ben, 60), shop.redeem(cleo, 60)]
    gateway.relay.send()
    call = close(shop, 1)
    gateway.relay.send()
    after = shop.redeem(cleo, 10)
    gateway.relay.send()
    blocks = chain.head.number
    chain.clock.set(over)
    shop.mine()
    shop.network.advance_mirror()
    gateway.relay.settle()
    assert chain.head.number == blocks + 1
    with gateway.database.read() as connection:
        query = select(batches.c.state, batches.c.block_number).where(batches.c.id == call)
        assert tuple(connection.execute(query).one()) == (BatchState.DONE, blocks + 1)
    # What was signed in an epoch has no effect in the next one, wherever in the block it stands.
    assert {shop.order(order)["state"] for order in (*before, after)} == {"accepted"}
    # Signed anew, cleo's is taken out of epoch 2; ben has nothing left, and is not kept waiting
    # for the deadline.
    for second in (1, 3, 8, 17, 34, 60, 90):
        chain.clock.set(over + second)
        gateway.drain(mine=shop.mine)
    assert [shop.order(order)["state"] for order in (*before, after)] == [
        "failed",
        "final",
        "final",
    ]
    failure = shop.order(before[0])["failure"]
    assert failure["code"] == "rejected_on_chain"
    assert "erc20_insufficient_balance" in failure["detail"]
    assert (shop.points(ben), shop.points(cleo)) == ({}, {2: 30})
    shop.right()


def test_batches__of_all_these_tests__came_to_an_end(shop: Shop) -> None:
    shop.drain()
    query = select(func.count()).where(
        batches.c.state < BatchState.DONE.value, batches.c.kind != Kind.CANCEL.value
    )
    with shop.network.gateway.database.read() as connection:
        assert connection.execute(query).scalar_one() == 0
