"""Every POST is carried out once under its key, whatever it is about."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select

from gateway.database import Database
from gateway.errors import IdempotencyKeyInUse, IdempotencyKeyReused, MemberUnknown, NotReady
from gateway.idempotency import Answer, Asked, Once
from gateway.tables import audit, idempotency
from tests.gateway.helpers import SetClock, Town, fresh

ASKED = Asked(tenant=1, actor="key", key="k-1", body_hash=b"h" * 32)


def note(connection: Connection, now: int) -> Answer:
    """Leaves one row behind."""
    row = {"at": now, "actor": "a", "action": "noted", "subject": "s", "detail": ""}
    connection.execute(insert(audit), row)
    return Answer(202, {"id": "x", "api_key": "bnk_secret"})


def notes(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(audit)).scalar_one())


# ---- refusals


def test_once__same_key_other_body__is_refused(database: Database) -> None:
    once = Once(database, SetClock())
    once.run(ASKED, note)
    with pytest.raises(IdempotencyKeyReused):
        once.run(Asked(1, "key", "k-1", b"i" * 32), note)
    assert notes(database) == 1


def test_once__while_the_first_is_running__is_told_to_come_back(database: Database) -> None:
    """In the same process, and (PostgreSQL) in another one."""
    inside, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection, now: int) -> Answer:
        inside.set()
        assert go_on.wait(20)
        return note(connection, now)

    first = Once(database, SetClock())
    others = [first] + ([Once(database, SetClock())] if database.is_postgres else [])
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first.run, ASKED, slow)
        assert inside.wait(20)
        try:
            for other in others:
                with pytest.raises(IdempotencyKeyInUse):
                    other.run(ASKED, note)
        finally:
            go_on.set()
        assert running.result().status == 202
    assert first.run(ASKED, note).status == 202
    assert notes(database) == 1


def test_once__refused__leaves_nothing_and_is_refused_again(database: Database) -> None:
    once = Once(database, SetClock())

    def refuse(connection: Connection, now: int) -> Answer:
        note(connection, now)
        raise MemberUnknown("there is no member x", member="x")

    for _ in range(2):
        answer = once.run(ASKED, refuse)
        assert (answer.status, answer.body["code"]) == (404, "member_unknown")
    assert once.run(ASKED, note).status == 404
    assert notes(database) == 0


def test_once__what_could_not_be_done_now__is_tried_again(database: Database) -> None:
    once = Once(database, SetClock())

    def down(connection: Connection, now: int) -> Answer:
        note(connection, now)
        raise NotReady("the chain cannot be asked")

    with pytest.raises(NotReady):
        once.run(ASKED, down)
    assert once.run(ASKED, note).status == 202
    assert notes(database) == 1


# ---- repetitions


def test_once__again__gives_the_stored_answer_without_its_secret(database: Database) -> None:
    once = Once(database, SetClock())
    first, again = once.run(ASKED, note), Once(database, SetClock()).run(ASKED, note)
    assert first.body == {"id": "x", "api_key": "bnk_secret"}
    assert again == Answer(202, {"id": "x", "api_key": None})
    assert notes(database) == 1
    with database.read() as connection:
        assert b"bnk_secret" not in bytes(connection.execute(select(idempotency.c.answer)).scalar())


def posts(town: Town) -> dict[str, tuple[str, Any, str | None]]:
    """A POST of each kind that is no order: path, body, by whom."""
    order = town.post(
        "/v1/issuances", {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    ).json()["id"]
    net = town.operator_key
    deposit = {"amount": 5, "bank_reference": fresh("b")}
    return {
        "members": ("/v1/members", {"external_id": fresh("card")}, None),
        "merchants": ("/v1/merchants", {"name": "Grocer", "slug": fresh("grocer")}, net),
        "deposits": (f"/v1/merchants/{town.baker.id}/deposits", deposit, net),
        "merchant key": (f"/v1/merchants/{town.florist.id}/api-keys", {"role": "cashier"}, net),
        "own key": ("/v1/api-keys", {"role": "cashier", "label": "till 60"}, None),
        "member key": (f"/v1/members/{town.ben.id}/api-keys", {"lives_s": 60}, net),
        "cancel": (f"/v1/orders/{order}/cancel", None, None),
    }


@pytest.mark.parametrize(
    "which",
    ["members", "merchants", "deposits", "merchant key", "own key", "member key", "cancel"],
)
def test_post__of_each_kind__is_answered_once_under_its_key(town: Town, which: str) -> None:
    path, body, by = posts(town)[which]
    key = fresh("key")
    first, again = (town.post(path, body, key=key, by=by) for _ in range(2))
    assert again.status_code == first.status_code, again.text
    assert again.json() | {"api_key": None} == first.json() | {"api_key": None}
    assert again.json().get("api_key") is None
    other = town.post(path, {"another": "body"}, key=key, by=by)
    assert other.status_code == 422
    if body is None:
        assert other.json()["code"] == "idempotency_key_reused"
    else:
        changed = town.post("/v1/members", {"external_id": fresh("card")}, key=key, by=by)
        assert changed.json()["code"] == "idempotency_key_reused"


def test_post__key_of_an_order__is_no_key_of_a_member(town: Town) -> None:
    key = fresh("key")
    body = {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    assert town.post("/v1/issuances", body, key=key).status_code == 202
    again = town.post("/v1/members", {"external_id": fresh("card")}, key=key)
    assert again.json()["code"] == "idempotency_key_reused"
