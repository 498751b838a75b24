"""Delivery to real receivers: at least once, and one never holds up another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from random import Random
from typing import Any

import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook

from gateway.codes import DeliveryState, EndpointState
from gateway.tables import merchants, secrets, webhook_attempts, webhook_deliveries, webhook_events
from gateway.webhooks import delivery, events, queue
from gateway.webhooks.events import Event
from gateway.webhooks.housekeeping import sweep
from tests.gateway.webhooks.conftest import Desk, asked
from tests.gateway.webhooks.receivers import Receiver, answer, receiving, slowly

DELIVERED, FAILED, PENDING = DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.PENDING


# What does not depend on the database is shown on one.
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

Wanted = Callable[[list[Any]], bool]


def all_are(state: DeliveryState) -> Wanted:
    return lambda rows: bool(rows) and all(row.state == state for row in rows)


def tried(times: int) -> Wanted:
    return lambda rows: bool(rows) and all(row.tries == times for row in rows)


# ---- what is not taken


@ON_SQLITE
@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer(500), "http_error"),
        (answer(400), "http_error"),
        (answer(404), "http_error"),
        (answer(302, location="http://127.0.0.1:1/"), "redirect"),
        (slowly(1.5), "timeout"),
    ],
)
def test_deliver__not_taken__comes_again_under_the_same_id(
    desk: Desk, receiver: Receiver, reply: object, outcome: str
) -> None:
    desk.attempt_max_s = 0.4 if outcome == "timeout" else 10
    desk.listen(receiver.url)
    desk.issue()
    receiver.replies = [reply]
    (row,) = desk.deliver(tried(1))
    assert (row.state, row.last_outcome) == (PENDING, outcome)
    assert 4 <= row.due_at - int(desk.wall.time) <= 6
    desk.attempt_max_s = 10
    # Not before its time.
    time.sleep(0.1)
    assert len(receiver.got) == 1
    desk.wall.time += 7
    (row,) = desk.deliver(all_are(DELIVERED))
    first, second = receiver.got
    assert (first.id, first.body) == (second.id, second.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 7
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert desk.endpoint().failures == 0


@ON_SQLITE
def test_deliver__never_taken__is_given_up_after_three_days(desk: Desk, receiver: Receiver) -> None:
    desk.listen(receiver.url)
    desk.issue()
    receiver.otherwise = answer(500, b"out of order")
    began = desk.wall.time
    with desk.delivering() as deliverer:
        for attempt in range(1, 40):
            (row,) = desk.wait(lambda rows, n=attempt: rows[0].tries == n)
            if row.state == FAILED:
                break
            desk.wall.time = row.due_at
            deliverer.wake()
    assert row.state == FAILED
    # The next attempt would have lain beyond the third day; the last one lay within it.
    assert 2 * 86_400 < desk.wall.time - began <= 3 * 86_400
    assert 14 <= row.tries <= 22
    with desk.house.database.read() as connection:
        log = connection.execute(select(webhook_attempts)).all()
    assert len(log) == row.tries == len(receiver.got)
    assert {(a.status, a.outcome, a.answer) for a in log} == {(500, "http_error", "out of order")}


def test_wait_s__attempt_after_attempt__doubles_to_twelve_hours_with_jitter() -> None:
    dice = Random(1)
    waits = [queue.wait_s(n, dice) for n in range(1, 30)]
    for n, wait in enumerate(waits):
        expected = min(5 * 2**n, 12 * 3_600)
        assert 0.8 * expected <= wait <= 1.2 * expected
    assert len({round(wait, 3) for wait in waits}) == len(waits)


@ON_SQLITE
@pytest.mark.parametrize(
    ("asked_for", "kept"),
    [("120", 120), pytest.param("99999999", 12 * 3_600, marks=pytest.mark.soak)],
)
def test_deliver__asked_to_come_later__leaves_the_end_point_alone_until_then(
    desk: Desk, receiver: Receiver, asked_for: str, kept: int
) -> None:
    desk.listen(receiver.url)
    desk.issue()
    receiver.replies = [answer(503, retry_after=asked_for)]
    (row,) = desk.deliver(tried(1))
    assert row.due_at == int(desk.wall.time) + kept
    # Another event does not knock either: it is the receiver who asked, not the message.
    desk.issue()
    with desk.delivering():
        time.sleep(0.6)
    assert len(receiver.got) == 1
    desk.wall.time += kept
    desk.deliver(all_are(DELIVERED))
    assert len(receiver.got) == 3


def test_deliver__gone__switches_the_end_point_off(desk: Desk, receiver: Receiver) -> None:
    with receiving() as other:
        gone, stays = desk.listen(receiver.url), desk.listen(other.url, Event.FINAL)
        desk.issue()
        receiver.replies = [answer(410)]
        (row,) = desk.deliver(all_are(FAILED))
        assert row.last_outcome == "gone"
        states = {e["id"]: e["state"] for e in desk.webhooks.all_of(1)}
        assert states == {gone["id"]: "gone", stays["id"]: "active"}
        # Nobody listens to this one any more: it is not even written.
        with desk.house.database.read() as connection:
            mask = connection.execute(
                select(merchants.c.webhook_events).where(merchants.c.id == 1)
            ).scalar_one()
        assert mask == Event.FINAL
        desk.issue()
        assert len(desk.rows()) == 1
        # Its owner switches it on again.
        desk.webhooks.change(1, "baker", gone["id"], active=True)
        desk.issue()
        desk.deliver(lambda rows: rows[-1].state == DELIVERED)
        assert len(receiver.got) == 2


@ON_SQLITE
def test_deliver__switched_off_with_events_waiting__holds_them_back(
    desk: Desk, receiver: Receiver
) -> None:
    made = desk.listen(receiver.url)
    desk.issue()
    desk.webhooks.change(1, "baker", made["id"], active=False)
    with desk.delivering():
        time.sleep(0.4)
    assert receiver.got == []
    desk.webhooks.change(1, "baker", made["id"], active=True)
    desk.deliver(all_are(DELIVERED))


@ON_SQLITE
def test_deliver__address_turns_private__is_refused_and_logged(desk: Desk) -> None:
    with receiving() as inside:
        made = desk.listen(inside.url)
        desk.issue()
        # As after a change of the settings: what was allowed is no longer.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.gateway.webhooks.conftest.RULES", type(desk.webhooks._rules)())
            (row,) = desk.deliver(tried(1))
        assert (row.state, row.last_outcome) == (PENDING, "url_refused")
        assert inside.got == []
        log = desk.webhooks.delivery(
            1,
            made["id"],
            desk.webhooks.deliveries(1, made["id"], state=None, cursor=None, limit=1)[0][0][
                "event"
            ],
        )
        assert log["attempts"][0]["status"] is None


# ---- what is taken


def test_deliver__taken__is_signed_as_the_standard_says(desk: Desk, receiver: Receiver) -> None:
    secret = desk.listen(receiver.url)["secret"]
    order = desk.issue(points=77)
    desk.deliver(all_are(DELIVERED))
    (got,) = receiver.got
    told = Webhook(secret).verify(got.body, got.headers)
    assert told["type"] == "order.accepted"
    assert (told["data"]["order"]["id"], told["data"]["order"]["points"]) == (order, 77)
    assert got.headers["content-type"] == "application/json"
    assert got.id.startswith("evt_")
    with desk.house.database.read() as connection:
        # Exactly the bytes that were frozen in the order's commit.
        assert connection.execute(select(webhook_events.c.payload)).scalar_one() == got.body


@ON_SQLITE
def test_deliver__secret_rotated__both_sign_for_a_day(desk: Desk, receiver: Receiver) -> None:
    made = desk.listen(receiver.url)
    fresh_one = desk.webhooks.rotate(asked(), made["id"])
    assert fresh_one["secret"] != made["secret"]
    desk.issue()
    desk.deliver(all_are(DELIVERED))
    (got,) = receiver.got
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    for secret in (made["secret"], fresh_one["secret"]):
        Webhook(secret).verify(got.body, got.headers)
    desk.wall.time += 86_400
    desk.issue()
    desk.deliver(all_are(DELIVERED))
    assert len(receiver.got[1].headers["webhook-signature"].split(" ")) == 1


def test_deliver__secrets__are_sealed_at_rest_and_forgotten_when_rotated_out(desk: Desk) -> None:
    made = desk.listen("http://127.0.0.1:9009/")
    for _ in range(3):
        made = desk.webhooks.rotate(asked(), made["id"])
    with desk.house.database.read() as connection:
        rows = connection.execute(select(secrets).where(secrets.c.purpose == "webhook")).all()
    assert len(rows) == 2
    assert {row.tenant for row in rows} == {"merchant:1"}
    raw = Webhook(made["secret"])._whsecret
    assert len(raw) == 32
    assert all(raw not in bytes(row.sealed) for row in rows)
    desk.webhooks.delete(1, "baker", made["id"])
    with desk.house.database.read() as connection:
        left = connection.execute(select(secrets).where(secrets.c.purpose == "webhook")).all()
    assert left == []


def hanging(receiver: Receiver) -> threading.Event:
    """From now on nothing is answered until this is set."""
    released = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        released.wait(30)
        answer(204)(handler)

    receiver.otherwise = hang
    return released


@ON_SQLITE
def test_deliver__one_receiver_hangs__the_others_are_not_held_up(
    desk: Desk, receiver: Receiver
) -> None:
    released = hanging(receiver)
    desk.attempt_max_s = 60
    desk.listen(receiver.url)
    with receiving() as quick:
        for _ in range(20):
            desk.issue()
        desk.listen(quick.url)
        for _ in range(20):
            desk.issue()
        with desk.delivering():
            try:
                quick.wait(20, within_s=25)
                # The one that hangs has its share under way and no more.
                assert len(receiver.wait(queue.PER_ENDPOINT_MAX)) == queue.PER_ENDPOINT_MAX
            finally:
                released.set()


@ON_SQLITE
def test_deliver__an_attempt_fails__what_was_claimed_behind_it_goes_back(
    desk: Desk, receiver: Receiver
) -> None:
    desk.listen(receiver.url)
    for _ in range(40):
        desk.issue()
    receiver.otherwise = answer(503, retry_after="600")
    now = int(desk.wall.time)
    # Nobody waits for a lease: all are due, or come again when the receiver wants them.
    rows = desk.deliver(
        lambda rows: any(r.tries for r in rows) and all(r.tries or r.due_at <= now for r in rows)
    )
    assert sum(row.tries for row in rows) <= queue.PER_ENDPOINT_MAX
    assert len(receiver.got) <= queue.PER_ENDPOINT_MAX
    assert desk.endpoint().not_before >= now + 600


@ON_SQLITE
def test_deliver__a_backlog__takes_few_transactions(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.listen(receiver.url)
    for _ in range(60):
        desk.issue()
    real, stored = queue.store, []

    def store(*args: Any) -> Any:
        stored.append(len(args[1]))
        return real(*args)

    monkeypatch.setattr(queue, "store", store)
    desk.deliver(all_are(DELIVERED))
    assert sum(stored) == len(receiver.got) == 60
    assert len(stored) <= 30


@ON_SQLITE
def test_deliver__stopped_with_messages_ahead__leaves_them_due_to_the_next(
    desk: Desk, receiver: Receiver
) -> None:
    released = hanging(receiver)
    desk.listen(receiver.url)
    for _ in range(20):
        desk.issue()
    with desk.delivering():
        receiver.wait(queue.PER_ENDPOINT_MAX)
        threading.Timer(0.3, released.set).start()
    now = int(desk.wall.time)
    waiting = [row for row in desk.rows() if row.state != DELIVERED]
    assert waiting
    assert all(row.due_at <= now for row in waiting)
    desk.deliver(all_are(DELIVERED))
    assert len({got.id for got in receiver.got}) == len(receiver.got) == 20


@ON_SQLITE
def test_claim__end_point_that_keeps_failing__is_probed_by_one_at_a_time(
    desk: Desk, receiver: Receiver
) -> None:
    desk.listen(receiver.url)
    for _ in range(20):
        desk.issue()
    receiver.otherwise = answer(500)
    desk.deliver(lambda rows: sum(row.tries for row in rows) >= queue.PER_ENDPOINT_MAX)
    assert desk.endpoint().failures >= queue.FAILING_AFTER
    desk.wall.time += 3_600
    with desk.house.database.write() as connection:
        jobs, _ = queue.claim(connection, desk.custody, int(desk.wall.time), {}, 100, Random(1))
    assert len(jobs) == 1


def test_store__result_of_a_holder_that_froze__changes_nothing(
    desk: Desk, receiver: Receiver
) -> None:
    desk.listen(receiver.url)
    desk.issue()
    database, now = desk.house.database, int(desk.wall.time)
    with database.write() as connection:
        (frozen,), _ = queue.claim(connection, desk.custody, now, {}, 10, Random(1))
    # While it is frozen its lease runs out, and another one delivers.
    desk.wall.time += queue.LEASE_S
    (row,) = desk.deliver(all_are(DELIVERED))
    late = queue.Result(frozen, now, 70_000, queue.Answer(500, "http_error"))
    with database.write() as connection:
        queue.store(connection, [late], now + 70, Random(1))
    assert desk.rows() == [row]


def test_claim__leased_by_somebody__is_left_until_the_lease_ends(
    desk: Desk, receiver: Receiver
) -> None:
    desk.listen(receiver.url)
    desk.issue()
    database, now = desk.house.database, int(desk.wall.time)
    for later, expected in ((0, 1), (0, 0), (queue.LEASE_S - 1, 0), (queue.LEASE_S, 1)):
        with database.write() as connection:
            jobs, _ = queue.claim(connection, desk.custody, now + later, {}, 10, Random(1))
        assert len(jobs) == expected


def test_deliver__three_processes_at_once__each_event_once(desk: Desk, receiver: Receiver) -> None:
    desk.listen(receiver.url)
    for _ in range(60):
        desk.issue()
    with desk.delivering(), desk.delivering(), desk.delivering():
        desk.wait(all_are(DELIVERED))
    ids = [got.id for got in receiver.got]
    assert (len(ids), len(set(ids))) == (60, 60)


@ON_SQLITE
def test_deliver__database_refuses_a_turn__goes_on_and_loses_nothing(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.listen(receiver.url)
    desk.issue()
    real, refused = queue.store, []

    def store(*args: object) -> object:
        if args[1] and not refused:
            refused.append(args)
            raise OSError("the disk is full")
        return real(*args)

    monkeypatch.setattr(queue, "store", store)
    monkeypatch.setattr("gateway.webhooks.delivery.BACK_OFF_S", 0.05)
    desk.deliver(all_are(DELIVERED))
    # The result was kept and stored a moment later: no second POST.
    assert (len(refused), len(receiver.got)) == (1, 1)


@ON_SQLITE
def test_deliver__a_message_cannot_be_sent_for_a_fault_of_ours__holds_up_no_other(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.listen(receiver.url)
    broken, _ = desk.issue(), desk.issue()
    real = delivery.signed

    def signed(job: queue.Job, at: int) -> dict[str, str]:
        if broken.encode() in job.payload:
            raise ValueError("a fault")
        return real(job, at)

    monkeypatch.setattr(delivery, "signed", signed)
    rows = desk.deliver(lambda rows: [row.state for row in rows] == [PENDING, DELIVERED])
    assert (rows[0].tries, rows[0].last_outcome) == (1, "connection")


@ON_SQLITE
def test_deliver__secret_damaged__holds_up_only_its_own_end_point(
    desk: Desk, receiver: Receiver
) -> None:
    with receiving() as other:
        desk.listen(other.url)
        with desk.house.database.write() as connection:
            connection.execute(
                update(secrets).where(secrets.c.purpose == "webhook").values(sealed=b"\x01" * 100)
            )
        # As in a process that has not opened it yet.
        desk.custody._kept.clear()
        desk.listen(receiver.url)
        desk.issue()
        desk.deliver(lambda rows: [r.state for r in rows] == [PENDING, DELIVERED])
        assert (len(other.got), len(receiver.got)) == (0, 1)


# ---- what is kept, and for how long


def test_sweep__after_thirty_days__forgets_what_ended(desk: Desk, receiver: Receiver) -> None:
    desk.listen(receiver.url)
    desk.issue()
    desk.deliver(all_are(DELIVERED))
    desk.issue()
    ended = int(desk.wall.time)
    assert sweep(desk.house.database, ended + 30 * 86_400) == 0
    assert sweep(desk.house.database, ended + 30 * 86_400 + 1) == 1
    assert [row.state for row in desk.rows()] == [PENDING]
    with desk.house.database.read() as connection:
        assert len(connection.execute(select(webhook_events)).all()) == 1
        assert connection.execute(select(webhook_attempts)).all() == []


@ON_SQLITE
def test_sweep__end_point_off_for_three_days__gives_up_what_waits(
    desk: Desk, receiver: Receiver
) -> None:
    made = desk.listen(receiver.url)
    desk.issue()
    desk.webhooks.change(1, "baker", made["id"], active=False)
    now = int(desk.wall.time)
    assert sweep(desk.house.database, now + 3 * 86_400) == 0
    assert sweep(desk.house.database, now + 3 * 86_400 + 1) == 1
    (row,) = desk.rows()
    assert (row.state, row.last_outcome) == (FAILED, "endpoint_off")
    assert desk.endpoint().state == EndpointState.DISABLED


def test_replay__of_what_was_given_up__arrives_under_its_old_id(
    desk: Desk, receiver: Receiver
) -> None:
    made = desk.listen(receiver.url)
    for _ in range(3):
        desk.issue()
    with desk.house.database.write() as connection:
        connection.execute(
            update(webhook_deliveries)
            .where(webhook_deliveries.c.id <= 2)
            .values(state=FAILED.value, ended_at=1, tries=18, expires_at=1)
        )
    ask = asked(key="again")
    done = desk.webhooks.again.replay(ask, made["id"], since=0, until=None, wanted="failed")
    assert done == {"events": 2, "more": False}
    # Asked twice by accident: stored, and not done once more.
    with desk.house.database.write() as connection:
        connection.execute(update(webhook_deliveries).values(state=FAILED.value))
    again = desk.webhooks.again.replay(ask, made["id"], since=0, until=None, wanted="failed")
    assert again == done
    assert {row.state for row in desk.rows()} == {FAILED}
    desk.webhooks.again.replay(asked(), made["id"], since=0, until=None, wanted="all")
    rows = desk.deliver(all_are(DELIVERED))
    assert {row.tries for row in rows} == {1}
    assert len({got.id for got in receiver.got}) == 3


def test_replay__end_point_that_came_later__gets_what_it_missed(
    desk: Desk, receiver: Receiver
) -> None:
    desk.listen("http://127.0.0.1:9009/")
    desk.issue()
    late = desk.listen(receiver.url)
    desk.issue()
    done = desk.webhooks.again.replay(asked(), late["id"], since=0, until=None, wanted="missing")
    assert done == {"events": 1, "more": False}
    with desk.delivering():
        receiver.wait(2)


@ON_SQLITE
def test_replay__more_than_one_request_takes__says_so(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.webhooks.again.REPLAY_MAX", 2)
    made = desk.listen(receiver.url)
    for _ in range(3):
        desk.issue()
    done = desk.webhooks.again.replay(asked(), made["id"], since=0, until=None, wanted="all")
    assert done == {"events": 2, "more": True}


@ON_SQLITE
def test_send_test__goes_to_that_end_point_alone(desk: Desk, receiver: Receiver) -> None:
    with receiving() as other:
        made = desk.listen(receiver.url, events.Event.FINAL)
        desk.listen(other.url)
        sent = desk.webhooks.again.send_test(asked(), made["id"])
        desk.deliver(all_are(DELIVERED))
        (got,) = receiver.got
        assert (got.id, got.event) == (sent["event"], "webhook.test")
        assert Webhook(made["secret"]).verify(got.body, got.headers)["data"] == {
            "endpoint": made["id"]
        }
        assert other.got == []
