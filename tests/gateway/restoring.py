"""An order book put back as it was, under a chain that has gone on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from gateway.codes import SlotState
from gateway.custody import Custody
from gateway.database import Database
from gateway.service import Gateway, open_custody
from gateway.tables import members, merchants, nonce_slots
from indexer import audit
from tests.gateway.node import NodeHouse


def backup(house: NodeHouse) -> Path:
    """A consistent copy of the order book, as SQLite's own backup makes it."""
    copy = house.gateway.settings.data_dir / "backup.db"
    copy.unlink(missing_ok=True)
    book = house.gateway.settings.data_dir / "orders.db"
    with closing(sqlite3.connect(book)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def restore(house: NodeHouse, copy: Path) -> None:
    """The backup instead of the book, and a gateway that starts on it."""

    def put_back() -> None:
        book = house.gateway.settings.data_dir / "orders.db"
        for old in book.parent.glob("orders.db*"):
            old.unlink()
        shutil.copy(copy, book)

    restart(house, put_back)


def gateway_like(one: Gateway, database: Database, custody: Custody, **more: Any) -> Gateway:
    """Another gateway on the same chain and mirror, on this order book."""
    return Gateway(
        one.settings,
        clock=one.clock,
        database=database,
        custody=custody,
        rpc=one.network.rpc,
        deployment=one.deployment,
        mirror=one.mirror,
        **more,
    )


def restart(house: NodeHouse, put_back: Callable[[], None]) -> None:
    """Ends the gateway, puts the book back, and starts one on it."""
    house.gateway.stop()
    put_back()
    database, custody = open_custody(house.gateway.settings)
    house.database, house.custody = database, custody
    house.gateway = gateway_like(
        house.gateway, database, custody, advance_mirror=house.indexer.run_once
    )
    house.gateway.match()


def reconcile(house: NodeHouse) -> dict[str, object]:
    """Matches book and chain; what the command answers."""
    content = house.gateway.reconciler.run("the operator").content()
    house.gateway.match()
    return content


def right(house: NodeHouse) -> None:
    """Every order is final and counted once, nothing is held, and the mirror is the chain."""
    house.settle()
    states = house.states()
    assert set(states) == {"final"}, states
    with house.database.read() as connection:
        assert connection.execute(select(func.sum(merchants.c.held))).scalar_one() == 0
        assert connection.execute(select(func.sum(members.c.held))).scalar_one() == 0
        strangers = select(func.count()).where(nonce_slots.c.state == SlotState.STRANGERS.value)
        assert connection.execute(strangers).scalar_one() == 0
    house.indexer.run_once()
    assert audit.check(house.gateway.mirror, house.node, house.gateway.deployment).holds
