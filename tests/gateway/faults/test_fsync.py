"""The disk says "I/O error" to fsync: nothing that it did not keep is answered, sent or built upon.

What a refused commit has left in the write-ahead log may turn up after a crash (SQLite finds a
whole, valid frame there), so the refusal promises nothing but this: the same request under the same
key is carried out once.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway import faults
from gateway.database import Database
from gateway.errors import NotReady
from gateway.model import OrderKind
from gateway.tables import orders
from tests.faults.test_rpc import right, wish
from tests.gateway.faults.failing_fsync import BAD_DISK, fail_in_this_thread, in_a_thread
from tests.gateway.faults.test_storage import ask, holds_once, sqlite_house
from tests.gateway.helpers import House, Town, fresh, writer_of
from tests.gateway.node import NodeHouse, open_house


def writer_goes_bad(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of the thread that accepts fails from its next commit on."""

    def goes_bad(name: str) -> None:
        # Other networks of this test run may have writers of their own.
        if threading.current_thread() is house.writer._thread:
            fail_in_this_thread()

    monkeypatch.setattr(faults, "point", goes_bad)


def writer_is_well(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread accepts, on a good disk."""
    monkeypatch.undo()
    house.writer.stop()
    house.writer.start()


def test_accept__fsync_fails__refuses_and_goes_on_when_the_disk_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_house(tmp_path) as house:
        ask(house, "before")
        writer_goes_bad(house, monkeypatch)
        with pytest.raises(NotReady) as caught:
            ask(house, "during")
        assert caught.value.status == 503
        with house.database.read() as connection:
            query = sa.select(orders.c.reference)
            assert connection.execute(query).scalars().all() == ["before"]
        writer_is_well(house, monkeypatch)
        holds_once(house, "before", "during")


def test_accept__fsync_fails_and_then_a_crash__holds_it_once_however_it_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, left = tmp_path / "live", tmp_path / "left"
    live.mkdir()
    with sqlite_house(live) as house:
        ask(house, "before")
        writer_goes_bad(house, monkeypatch)
        with pytest.raises(NotReady):
            ask(house, "during")
        # The files as a kill -9 in this moment leaves them.
        shutil.copytree(live, left)
        writer_is_well(house, monkeypatch)
        found = Database(f"sqlite:///{left / 'orders.db'}")
        house.writer.stop()
        house.database, house.writer = found, writer_of(found, house.books, house.clock)
        house.writer.start()
        holds_once(house, "before", "during")
        found.close()


# ---- the relay


@pytest.fixture(scope="module")
def node_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeHouse]:
    with open_house(tmp_path_factory.mktemp("fsync")) as found:
        yield found


@pytest.mark.parametrize(
    "window",
    [
        "seal.before_commit",
        "seal.signed_not_stored",
        "seal.sealed",
        "relay.signed_not_stored",
        "relay.sent_not_marked",
        "settle.receipt_not_stored",
        "settle.included",
        "settle.before_release",
    ],
)
def test_relay__fsync_fails__sends_only_what_is_kept_and_each_order_once(
    node_house: NodeHouse, monkeypatch: pytest.MonkeyPatch, window: str
) -> None:
    house = node_house
    supply = house.gateway.network.total_supply()
    assert wish(house, OrderKind.ISSUE, 100)

    def goes_bad(name: str) -> None:
        if name == window and threading.current_thread().name.startswith(BAD_DISK):
            fail_in_this_thread()

    def pass_once() -> None:
        house.gateway.relay.send()
        house.mine(3)
        house.indexer.run_once()
        house.gateway.relay.settle()

    monkeypatch.setattr(faults, "point", goes_bad)
    house.gateway.relay._sender._offered.clear()
    with pytest.raises(sa.exc.OperationalError, match="disk I/O error"):
        in_a_thread(pass_once)
    monkeypatch.undo()
    # What a node has was stored before.
    sent = house.node.call("txpool_content", [])["pending"]
    assert bool(sent) == (window == "relay.sent_not_marked")
    house.gateway.relay._sender._offered.clear()
    right(house, supply + 100)


# ---- what is told


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/orders", None),
        ("POST", "/v1/issuances", {"points": 1}),
        ("POST", "/v1/webhook-endpoints", {"url": "https://shop.example/hook"}),
    ],
)
def test_request__the_disk_is_broken__is_told_to_come_back(
    town: Town, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: dict[str, object]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    town.get("/v1/orders")  # the key is known from here on
    if path == "/v1/issuances":
        body |= {"member": town.ada.id, "reference": fresh("r")}
    headers = town.headers() | {"Idempotency-Key": fresh("k")}
    with monkeypatch.context() as patch:
        patch.setattr(town.network.gateway.database.engine.dialect, "do_execute", broken)
        answer = town.client.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.headers["retry-after"] == "1"
    assert "I/O" not in answer.text
    assert town.client.request(method, path, json=body, headers=headers).is_success
