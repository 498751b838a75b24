"""Backup and restore of the SQLite files: refusals, and the drill of docs/OPERATING.md."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from gateway.errors import BackupFailed
from gateway.model import NewOrder, OrderKind
from gateway.network import open_network
from gateway.operator.backup import MANIFEST, back_up, restore
from indexer import audit
from tests.gateway.helpers import NOON, Town, fresh


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A data folder with one little database and secrets."""
    data = tmp_path / "data"
    (data / "secrets").mkdir(parents=True)
    (data / "secrets" / "master.key").write_bytes(b"k" * 32)
    (data / "version").write_text("1")
    with sqlite3.connect(data / "orders.db") as book:
        book.execute("PRAGMA journal_mode=WAL")
        book.execute("CREATE TABLE t (x)")
        book.execute("INSERT INTO t VALUES (1)")
    book.close()
    return data


def test_back_up__without_an_order_book__is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="no orders"):
        back_up(tmp_path, tmp_path / "to", NOON)
    assert not (tmp_path / "to").exists()


def test_back_up__into_a_folder_that_is_there__is_refused(small: Path) -> None:
    with pytest.raises(BackupFailed, match="is there already"):
        back_up(small, small.parent, NOON)


def test_back_up__of_a_damaged_book__is_refused_and_does_not_restore(small: Path) -> None:
    file = small / "orders.db"
    file.write_bytes(b"\0" * file.stat().st_size)
    with pytest.raises(BackupFailed, match="not complete"):
        back_up(small, small.parent / "to", NOON)
    with pytest.raises(BackupFailed, match="no complete backup"):
        restore(small.parent / "to", small.parent / "again")


def test_back_up__holds_no_key(small: Path) -> None:
    back_up(small, small.parent / "to", NOON)
    held = b"".join(path.read_bytes() for path in (small.parent / "to").rglob("*"))
    assert b"k" * 32 not in held


def test_back_up__written_to_all_the_while__comes_to_its_end(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.operator.backup.PAGES_A_STEP", 1)
    stopping = threading.Event()

    def write() -> None:
        with sqlite3.connect(small / "orders.db") as book:
            book.execute("PRAGMA synchronous=OFF")
            while not stopping.is_set():
                book.execute("INSERT INTO t VALUES (zeroblob(5000))")
                book.commit()
        book.close()

    writer = threading.Thread(target=write)
    copier = threading.Thread(target=back_up, args=(small, small.parent / "to", NOON), daemon=True)
    writer.start()
    try:
        while (small / "orders.db").stat().st_size < 500_000:
            pass
        copier.start()
        copier.join(20)
        ended = not copier.is_alive()
    finally:
        stopping.set()
        writer.join()
        copier.join()
    assert ended


@pytest.mark.parametrize("change", ["flipped", "missing", "manifest"])
def test_restore__of_a_changed_backup__is_refused(small: Path, change: str) -> None:
    to, data = small.parent / "to", small.parent / "again"
    back_up(small, to, NOON)
    if change == "flipped":
        content = bytearray((to / "orders.db").read_bytes())
        content[2_000] ^= 1
        (to / "orders.db").write_bytes(content)
    elif change == "missing":
        (to / "version").unlink()
    else:
        (to / MANIFEST).write_text(json.dumps({"files": {"../orders.db": "00"}}))
    with pytest.raises(BackupFailed):
        restore(to, data)
    assert not data.exists()


def test_restore__over_a_network__is_refused(small: Path) -> None:
    back_up(small, small.parent / "to", NOON)
    with pytest.raises(BackupFailed, match="is not empty"):
        restore(small.parent / "to", small)


def test_drill__backed_up_under_load_and_restored__is_a_network_that_audits(
    town: Town, tmp_path: Path
) -> None:
    """What is backed up goes on elsewhere; what came later is not in it."""
    gateway, data = town.network.gateway, town.network.gateway.settings.data_dir
    gateway.drain()
    stopping = threading.Event()

    def selling() -> None:
        while not stopping.is_set():
            line = NewOrder(OrderKind.ISSUE, town.ada.id, 1, fresh("load"), town.baker.id)
            gateway.accept_many([line], idempotency_key=fresh("k"))

    # The relay does not send meanwhile, so that this backup has nothing to reconcile.
    town.network.chain.hold()
    seller = threading.Thread(target=selling)
    seller.start()
    try:
        backup = back_up(data, tmp_path / "backup", NOON)
    finally:
        stopping.set()
        seller.join()
        town.network.chain.release()
    assert set(backup.sizes) == {"orders.db", "chain.db", "deployment.json", "version"}
    gateway.drain()

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(data / "secrets", elsewhere / "secrets")
    restore(tmp_path / "backup", elsewhere)
    with open_network(elsewhere, background=False) as network:
        network.chain.hold()
        assert network.gateway.drain(mine=network.chain.mine).open_orders == 0
        network.advance_mirror()
        found = audit.check(network.mirror, network.chain.rpc_url, network.deployment)
        assert found.holds, found
        assert network.deployment == town.network.deployment
