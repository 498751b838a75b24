"""The gateway's client: one behaviour behind two doors. Repeats what is unknown, under the same
key, and nothing else.
"""

import asyncio
import inspect
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from wallet_sdk.client import (
    AsyncGatewayClient,
    Balance,
    EarnRule,
    EpochPoints,
    FolderOutbox,
    GatewayClient,
    GatewayRefused,
    GatewayUnavailable,
    HistoryLine,
    IssueLine,
    KeyLine,
    Member,
    MemoryOutbox,
    Order,
    OrderState,
    Outbox,
    OutboxUnavailable,
    Page,
    PendingRequest,
    Position,
    Purchase,
    Refusal,
    RefusedLine,
    Settlement,
    SettlementLine,
    aio,
    core,
    new_key,
    sync,
)
from wallet_sdk.errors import InputInvalid

ADA = "mem_" + "0" * 26
ORDER = {
    "id": "ord_" + "1" * 26,
    "kind": "issue",
    "state": "accepted",
    "merchant": "mer_" + "2" * 26,
    "member": ADA,
    "to_member": None,
    "points": 1_234,
    "reference": "till-1/42",
    "accepted_at": 1_750_000_000,
    "failure": None,
    "transaction": None,
    "block": None,
}
MERCHANT = {
    "id": "mer_" + "2" * 26,
    "number": 3,
    "slug": "bakery",
    "name": "The Bakery",
    "state": "active",
    "earn_rule": {"points": 1, "per_minor": 1, "currency": "USD", "minor_digits": 2},
    "api_key": None,
}

Answer = httpx.Response | Exception


def ok(body: object, status: int = 202) -> httpx.Response:
    return httpx.Response(status, json=body)


def problem(status: int, code: str, **values: Any) -> httpx.Response:
    body = {"type": f"urn:banyan:problem:{code}", "code": code, "detail": f"says {code}", **values}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"})


class Gateway:
    """Gives the answers it was told to, in order, and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        # A response is read once; an answer may be given several times.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("idempotency-key") for request in self.asked]


class Door:
    """The same call through the blocking or the awaiting client."""

    def __init__(self, awaiting: bool) -> None:
        self.awaiting = awaiting

    def __call__(
        self,
        gateway: Gateway,
        call: Callable[[Any], Any],
        *,
        outbox: Outbox | None = None,
        patience_s: float = 5.0,
    ) -> Any:
        options: dict[str, Any] = {
            "patience_s": patience_s,
            "outbox": outbox,
            "transport": httpx.MockTransport(gateway),
        }
        if not self.awaiting:
            with GatewayClient("http://gateway.test", "bnk_a_b", **options) as client:
                return call(client)

        async def run() -> Any:
            async with AsyncGatewayClient("http://gateway.test", "bnk_a_b", **options) as client:
                return await call(client)

        return asyncio.run(run())


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr(core, "_FIRST_WAIT_S", 0.001)
    for module in (sync, aio):
        monkeypatch.setattr(module, "POLL_S", 0.001)
    return Door(request.param)


def issue(client: Any) -> Any:
    return client.issue(ADA, "till-1/42", points=1_234)


# ---- refused before anything is sent


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.issue(ADA, "r"),
        lambda c: c.issue(ADA, "r", points=1, purchase=Purchase("1", "USD")),
        lambda c: c.issue_many([]),
        lambda c: c.issue_many([IssueLine(ADA, "r", points=1)] * 10_001),
        lambda c: c.issue(ADA, "r", points=1, idempotency_key="two words"),
        lambda c: c.issue(ADA, "r", points=1, idempotency_key="../../etc/passwd"),
        lambda c: c.issue(ADA, "r", points=1, idempotency_key="x" * 65),
        lambda c: c.balance("../merchants/me"),
        lambda c: c.order(""),
        lambda c: c.order("ord_1?x=1"),
    ],
)
def test_call__impossible__refused_without_a_request(door: Door, call: Any) -> None:
    gateway = Gateway()
    with pytest.raises(InputInvalid):
        door(gateway, call)
    assert gateway.asked == []


@pytest.mark.parametrize("amount", [12.34, True, None, "12,34", "", "NaN", "Infinity", "-1"])
def test_purchase__no_exact_amount__refused(amount: Any) -> None:
    with pytest.raises(InputInvalid):
        Purchase(amount, "USD")


@pytest.mark.parametrize(
    ("amount", "text"),
    [("12.34", "12.34"), (Decimal("1E+2"), "100"), (7, "7"), ("0.10", "0.10")],
)
def test_purchase__exact_amount__goes_out_as_it_is(amount: Any, text: str) -> None:
    assert Purchase(amount, "USD").body() == {"amount": text, "currency": "USD"}


# ---- decided by the gateway


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "balance_too_low"),
        (422, "points_invalid"),
        (404, "member_unknown"),
        (403, "forbidden"),
    ],
)
def test_post__refused__raises_once_and_forgets(door: Door, status: int, code: str) -> None:
    gateway, outbox = Gateway(problem(status, code, needed=5)), MemoryOutbox()
    with pytest.raises(GatewayRefused) as refusal:
        door(gateway, issue, outbox=outbox)
    assert (refusal.value.code, refusal.value.status) == (code, status)
    assert str(refusal.value) == f"says {code}"
    assert refusal.value.problem["needed"] == 5
    assert len(gateway.asked) == 1
    assert outbox.pending() == []


def test_post__api_key_revoked__is_refused_and_kept(door: Door) -> None:
    """An attempt before this one may have taken effect; the idempotency key alone can tell."""
    gateway, outbox = Gateway(problem(401, "unauthenticated")), MemoryOutbox()
    with pytest.raises(GatewayRefused):
        door(gateway, issue, outbox=outbox)
    assert len(outbox.pending()) == 1


# ---- not decided

UNKNOWN: dict[str, Answer] = {
    "time-out": httpx.ReadTimeout("late"),
    "connection refused": httpx.ConnectError("refused"),
    "connection lost": httpx.RemoteProtocolError("cut"),
    "429": problem(429, "too_many_requests"),
    "500": problem(500, "internal"),
    "502 HTML": httpx.Response(502, html="<html>"),
    "503": problem(503, "not_ready"),
    "still running": problem(409, "idempotency_key_in_use"),
    "a captive portal": httpx.Response(200, html="<html>log in</html>"),
    "a proxy's 403": httpx.Response(403, text="blocked"),
    "a redirect": httpx.Response(302, headers={"location": "http://elsewhere.test"}),
    "cut short": httpx.Response(202, content=b'{"id":"ord_'),
    "another answer": httpx.Response(202, json={"hello": "world"}),
    "a list": httpx.Response(202, json=[]),
}


@pytest.mark.parametrize("answer", UNKNOWN.values(), ids=list(UNKNOWN))
def test_post__outcome_unknown__repeats_the_same_bytes_under_the_same_key(
    door: Door, answer: Answer
) -> None:
    gateway, outbox = Gateway(answer, answer, ok(ORDER)), MemoryOutbox()
    order = door(gateway, issue, outbox=outbox)
    assert order == Order.parse(ORDER)
    assert len(gateway.asked) == 3
    assert len(set(gateway.keys)) == 1
    assert gateway.keys[0]
    assert len({request.content for request in gateway.asked}) == 1
    assert outbox.pending() == []


@pytest.mark.parametrize("answer", UNKNOWN.values(), ids=list(UNKNOWN))
def test_post__patience_over__names_the_key_and_keeps_the_request(
    door: Door, answer: Answer
) -> None:
    gateway, outbox = Gateway(answer), MemoryOutbox()
    with pytest.raises(GatewayUnavailable) as unknown:
        door(gateway, issue, outbox=outbox, patience_s=0)
    (kept,) = outbox.pending()
    assert unknown.value.idempotency_key == kept.key == gateway.keys[0]
    assert kept.body == gateway.asked[0].content
    assert kept.path == "/v1/issuances"


def test_post__retry_after__is_waited_for(door: Door) -> None:
    later = problem(503, "not_ready")
    later.headers["retry-after"] = "60"
    gateway = Gateway(later)
    with pytest.raises(GatewayUnavailable) as unknown:
        door(gateway, issue, patience_s=5)
    assert unknown.value.retry_after_s == 60
    assert len(gateway.asked) == 1


def test_post__request_on_disk_before_it_is_sent(door: Door, tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path)
    seen: list[list[PendingRequest]] = []

    class Looking(Gateway):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            seen.append(outbox.pending())
            return super().__call__(request)

    gateway = Looking(ok(ORDER))
    door(gateway, issue, outbox=outbox)
    assert [kept.key for kept in seen[0]] == gateway.keys
    assert list(tmp_path.iterdir()) == []


def test_post__outbox_full__nothing_is_sent(door: Door) -> None:
    class Full(MemoryOutbox):
        def keep(self, request: PendingRequest) -> None:
            raise OutboxUnavailable("no space left")

    gateway = Gateway()
    with pytest.raises(OutboxUnavailable):
        door(gateway, issue, outbox=Full())
    assert gateway.asked == []


def test_get__unknown__repeats_without_a_key(door: Door) -> None:
    gateway = Gateway(httpx.ReadTimeout("late"), ok(MERCHANT, 200))
    assert door(gateway, lambda c: c.me()).slug == "bakery"
    assert gateway.keys == [None, None]


def test_resend_pending__after_a_crash__same_requests_and_what_came_of_each(
    door: Door, tmp_path: Path
) -> None:
    lost = Gateway(*[httpx.ReadTimeout("late")] * 3)
    for call in (
        issue,
        lambda c: c.redeem(ADA, "till-1/43", 5),
        lambda c: c.create_member("card-1"),
    ):
        with pytest.raises(GatewayUnavailable):
            door(lost, call, outbox=FolderOutbox(tmp_path), patience_s=0)

    member = {"id": ADA, "external_id": "card-1", "joined": False}
    back = Gateway(ok(ORDER), problem(409, "balance_too_low"), ok(member, 201))
    outcomes = door(back, lambda c: c.resend_pending(), outbox=FolderOutbox(tmp_path))
    assert list(outcomes) == back.keys == lost.keys
    assert [r.content for r in back.asked] == [r.content for r in lost.asked]
    order, refusal, found = outcomes.values()
    assert isinstance(order, Order)
    assert isinstance(refusal, GatewayRefused)
    assert found == Member(ADA, "card-1", False)
    assert FolderOutbox(tmp_path).pending() == []


# ---- what goes out, what comes back


def test_request__of_a_post__names_key_and_content(door: Door) -> None:
    gateway = Gateway(ok(ORDER))
    door(
        gateway, lambda c: c.issue(ADA, "r", purchase=Purchase("1.5", "USD"), idempotency_key="k1")
    )
    (request,) = gateway.asked
    assert (request.method, request.url.path) == ("POST", "/v1/issuances")
    assert request.headers["authorization"] == "Bearer bnk_a_b"
    assert request.headers["idempotency-key"] == "k1"
    assert json.loads(request.content) == {
        "member": ADA,
        "reference": "r",
        "purchase": {"amount": "1.5", "currency": "USD"},
    }


@pytest.mark.parametrize(
    ("call", "path", "body"),
    [
        (lambda c: c.redeem(ADA, "r", 5), "/v1/redemptions", {"member": ADA, "points": 5}),
        (lambda c: c.transfer(ADA, "mem_b", 5, "r"), "/v1/transfers", {"from": ADA, "to": "mem_b"}),
    ],
)
def test_post__other_orders__carry_their_fields(
    door: Door, call: Any, path: str, body: dict[str, Any]
) -> None:
    gateway = Gateway(ok(ORDER))
    door(gateway, call)
    assert gateway.asked[0].url.path == path
    assert body.items() <= json.loads(gateway.asked[0].content).items()


def test_issue_many__some_refused__each_in_its_place(door: Door) -> None:
    refused = {"reference": "b", "refused": {"code": "credit_limit_exceeded", "detail": "no"}}
    gateway = Gateway(ok({"accepted": 1, "refused": 1, "lines": [ORDER, refused]}))
    lines = [IssueLine(ADA, "a", points=1), IssueLine(ADA, "b", purchase=Purchase(2, "USD"))]
    answers = door(gateway, lambda c: c.issue_many(lines))
    assert answers == [
        Order.parse(ORDER),
        RefusedLine("b", "credit_limit_exceeded", "no", None),
    ]
    assert [line["reference"] for line in json.loads(gateway.asked[0].content)["lines"]] == [
        "a",
        "b",
    ]


def test_reads__balance_history_position_orders__are_typed(door: Door) -> None:
    epoch = {"epoch": 1, "points": 5, "expires_at": 9}
    balance = {"member": ADA, "points": 5, "available": 3, "by_epoch": [epoch]}
    line = {"kind": "redeem", "points": -5, "merchant": None, "at": 7, "block": 2}
    position = {"position": -1, "credit_limit": 5, "held": 1, "available": 3, "as_of_block": 2}
    gateway = Gateway(
        ok({**balance, "as_of_block": 2, "as_of_time": 8}, 200),
        ok({"lines": [line], "next_cursor": "c2", "as_of_block": 2}, 200),
        ok({"merchant": "mer_1", **position}, 200),
        ok({"orders": [ORDER], "next_cursor": None}, 200),
    )
    assert door(gateway, lambda c: c.balance(ADA)) == Balance(5, 3, (EpochPoints(1, 5, 9),), 2, 8)
    found = door(gateway, lambda c: c.history(ADA, cursor="c1", limit=10))
    assert found == Page((HistoryLine("redeem", -5, None, 7, 2),), "c2")
    assert door(gateway, lambda c: c.position()) == Position(-1, 5, 1, 3, 2)
    page = door(gateway, lambda c: c.orders(state=OrderState.FINAL, reference="r"))
    assert page == Page((Order.parse(ORDER),), None)
    assert [dict(request.url.params) for request in gateway.asked] == [
        {},
        {"cursor": "c1", "limit": "10"},
        {},
        {"state": "final", "reference": "r"},
    ]


def test_operator__onboards_and_funds__answers_are_typed(door: Door) -> None:
    made = {**MERCHANT, "api_key": "bnk_secret"}
    booked = {"merchant": MERCHANT["id"], "amount": 5, "bank_reference": "b", "booked": False}
    gateway = Gateway(ok(made), ok({"merchants": [MERCHANT], "next_cursor": None}, 200), ok(booked))
    rule = EarnRule(1, 10, "EUR", 2)
    merchant = door(gateway, lambda c: c.onboard_merchant("The Bakery", "bakery", earn_rule=rule))
    assert merchant.api_key == "bnk_secret"
    assert "bnk_secret" not in repr(merchant)
    assert [m.number for m in door(gateway, lambda c: c.merchants()).items] == [3]
    assert door(gateway, lambda c: c.book_deposit(merchant.id, 5, "b")) is False
    assert json.loads(gateway.asked[0].content)["earn_rule"]["currency"] == "EUR"


def test_lists__refusals_settlement_keys_members__are_typed(door: Door) -> None:
    refusal = {"kind": "redeem", "merchant": "mer_1", "member": ADA, "points": 9}
    refusal |= {"reference": "r", "code": "balance_too_low", "at": 7}
    line = {"merchant": "mer_2", "redeemed": 9, "refunded": 2, "points": 7, "paid": 686}
    key = {"id": "k1", "role": "cashier", "label": "till 1", "merchant": "mer_1"}
    key |= {"scopes": ["issue"], "created_at": 1, "last_used_at": None, "revoked_at": 5}
    member = {"id": ADA, "external_id": "card 1", "joined": True}
    money = {"position": 1, "credit_limit": 2, "held": 3, "available": 0, "as_of_block": 4}
    gateway = Gateway(
        ok({"refusals": [refusal], "next_cursor": "c2"}, 200),
        ok({"honoured": [line], "issued": [], "as_of_block": 3}, 200),
        ok({"api_keys": [key], "next_cursor": None}, 200),
        ok({"id": "k1", "revoked": True}, 200),
        ok({"members": [member], "next_cursor": None}, 200),
        ok(MERCHANT, 200),
        ok({"merchant": "mer_1", **money}, 200),
    )
    refused = Refusal("redeem", "mer_1", ADA, 9, "r", "balance_too_low", 7)
    assert door(gateway, lambda c: c.refusals(limit=1)) == Page((refused,), "c2")
    settled = door(gateway, lambda c: c.settlement(from_month=202601))
    assert settled == Settlement((SettlementLine("mer_2", 9, 2, 7, 686),), (), 3)
    (listed,) = door(gateway, lambda c: c.api_keys()).items
    assert listed == KeyLine("k1", "cashier", "till 1", "mer_1", ("issue",), 1, None, 5)
    assert door(gateway, lambda c: c.revoke_api_key("k1")) is True
    page = door(gateway, lambda c: c.members(external_id="card 1"))
    assert page == Page((Member(ADA, "card 1", True),), None)
    assert door(gateway, lambda c: c.merchant("mer_1")).slug == MERCHANT["slug"]
    assert door(gateway, lambda c: c.position_of("mer_1")) == Position(1, 2, 3, 0, 4)
    assert [(request.url.path, dict(request.url.params)) for request in gateway.asked] == [
        ("/v1/refusals", {"limit": "1"}),
        ("/v1/merchants/me/settlement", {"from_month": "202601"}),
        ("/v1/api-keys", {}),
        ("/v1/api-keys/k1/revoke", {}),
        ("/v1/members", {"external_id": "card 1"}),
        ("/v1/merchants/mer_1", {}),
        ("/v1/merchants/mer_1/position", {}),
    ]
    with pytest.raises(InputInvalid):
        door(gateway, lambda c: c.revoke_api_key("../orders"))


def test_reversals__of_both_doors__ask_and_read(door: Door) -> None:
    quote = {
        "issue": ORDER["id"],
        "points": 10,
        "returnable": 7,
        "shortfall": 3,
        "spent": 3,
        "over_cap": 0,
        "shortfall_amount": 300,
        "epoch": 1,
        "window_ends_at": 9,
    }
    back = {**ORDER, "kind": "return", "points": 7, "shortfall": 3, "of": ORDER["id"]}
    paid = {**ORDER, "kind": "withdraw", "member": None, "points": 0, "amount": 5}
    key = {"id": "k", "role": "cashier", "label": "till 1", "expires_at": None, "api_key": "bnk_x"}
    gateway = Gateway(
        ok(quote, 200), ok(back), ok({**ORDER, "kind": "refund"}), ok(ORDER), ok(paid), ok(key, 201)
    )
    found = door(gateway, lambda c: c.quote_return(ORDER["id"], 10))
    assert (found.returnable, found.shortfall, found.shortfall_amount) == (7, 3, 300)
    returned = door(gateway, lambda c: c.return_goods(ORDER["id"], 10, "r", shortfall=3))
    assert (returned.points, returned.shortfall, returned.of) == (7, 3, ORDER["id"])
    door(gateway, lambda c: c.refund(ORDER["id"], 5, "r"))
    door(gateway, lambda c: c.cancel(ORDER["id"]))
    assert door(gateway, lambda c: c.withdraw(5, "w")).amount == 5
    made = door(gateway, lambda c: c.make_api_key("cashier", label="till 1"))
    assert made.api_key == "bnk_x"
    assert "bnk_x" not in repr(made)
    assert [request.url.path for request in gateway.asked] == [
        f"/v1/orders/{ORDER['id']}/return-quote",
        "/v1/returns",
        "/v1/refunds",
        f"/v1/orders/{ORDER['id']}/cancel",
        "/v1/merchants/me/withdrawals",
        "/v1/api-keys",
    ]


def test_settled__polls_until_final(door: Door) -> None:
    gateway = Gateway(ok(ORDER, 200), ok(ORDER, 200), ok({**ORDER, "state": "final"}, 200))
    order = door(gateway, lambda c: c.settled(ORDER["id"], within_s=5))
    assert order.state is OrderState.FINAL
    assert order.is_settled


def test_settled__time_is_up__gives_the_order_as_it_stands(door: Door) -> None:
    order = door(Gateway(ok(ORDER, 200)), lambda c: c.settled(ORDER["id"], within_s=0))
    assert not order.is_settled


def test_order__a_later_gateways_state_and_fields__are_not_refused() -> None:
    failure = {"code": "deadline_passed", "detail": "too late", "more": 1}
    order = Order.parse({**ORDER, "state": "notarised", "failure": failure, "news": True})
    assert order.state is OrderState.OTHER
    assert not order.is_settled
    assert order.failure is not None
    assert order.failure.code == "deadline_passed"


# ---- the outbox


def test_folder_outbox__holds_no_secret_and_the_oldest_first(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path / "deep" / "er")
    requests = [PendingRequest(new_key(), "/v1/issuances", b'{"n":%d}' % n) for n in range(3)]
    for request in requests:
        outbox.keep(request)
    outbox.keep(requests[0])
    assert {r.key for r in outbox.pending()} == {r.key for r in requests}
    outbox.let_go(requests[1].key)
    outbox.let_go(requests[1].key)
    assert requests[1] not in outbox.pending()
    assert requests[2] in outbox.pending()


def test_folder_outbox__a_damaged_file__is_named(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path)
    (tmp_path / "k.request.json").write_text("{")
    with pytest.raises(OutboxUnavailable, match=r"k\.request\.json"):
        outbox.pending()


def test_folder_outbox__no_folder_possible__refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxUnavailable):
        FolderOutbox(tmp_path / "file" / "below")
    outbox = FolderOutbox(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(OutboxUnavailable):
        outbox.keep(PendingRequest("k", "/v1/members", b"{}"))


def test_doors__both__have_the_same_calls_and_words() -> None:
    def calls(client: type) -> dict[str, tuple[str, str | None]]:
        return {
            name: (str(inspect.signature(member)), inspect.getdoc(member))
            for name, member in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_")
        }

    assert calls(GatewayClient) == calls(AsyncGatewayClient)
    assert all(doc for _, doc in calls(GatewayClient).values())
