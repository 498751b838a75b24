"""Several relays on one PostgreSQL share the work; one that froze and woke up writes nothing."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import insert, select, update

from gateway.database import Database
from gateway.errors import LeaseLost, NotReady
from gateway.relay import leases
from gateway.relay.leases import Fenced, Leases
from gateway.tables import facts

LANES = ["sealing", "settling", "calls", "line A"]
LONG, SHORT = 60.0, 0.2


POSTGRES = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def due(process: Leases) -> None:
    """As if a quarter of the lease's life had passed."""
    process._renewed_at = -time.monotonic()


@SQLITE
def test_lease__a_second_process_on_sqlite__is_refused(database: Database) -> None:
    first, second = Leases(database, LONG), Leases(database, LONG)
    assert first.hold(LANES) == set(LANES)
    with pytest.raises(NotReady):
        second.hold(LANES)
    first.release()
    assert second.hold(LANES) == set(LANES)
    second.release()


@POSTGRES
def test_lease__holder_frozen_past_its_life__writes_nothing_when_it_wakes(
    database: Database,
) -> None:
    frozen, other = Leases(database, SHORT), Leases(database, LONG)
    book = Fenced(database, frozen)
    assert frozen.hold(LANES) == set(LANES)
    # It has begun a scan and stands still; meanwhile its lease runs out.
    time.sleep(SHORT * 1.5)
    assert other.hold(LANES) == set(LANES)
    with pytest.raises(LeaseLost), book.write() as connection:
        connection.execute(insert(facts), {"name": "late", "value": "1"})
    with pytest.raises(LeaseLost), book.settle():
        pass
    with database.read() as connection:
        assert connection.execute(select(facts)).all() == []
        fences = connection.execute(
            select(leases.leases.c.fence).where(leases.leases.c.name.in_(LANES))
        ).scalars()
        assert set(fences) == {2}


@POSTGRES
def test_lease__taken_over_while_a_write_is_under_way__waits_for_its_commit(
    database: Database,
) -> None:
    first, other = Leases(database, LONG), Leases(database, LONG)
    first.hold(LANES)
    table = leases.leases
    with Fenced(database, first).write() as connection:
        connection.execute(insert(facts), {"name": "under way", "value": "1"})
        with database.engine.connect() as thief, thief.begin() as transaction:
            thief.exec_driver_sql("SET lock_timeout = 200")
            with pytest.raises(Exception, match="lock timeout"):
                thief.execute(update(table).where(table.c.name == "sealing").values(fence=9))
            transaction.rollback()
    assert other.hold(LANES) == set()


@POSTGRES
def test_lease__scan_longer_than_its_life__is_renewed_by_its_writes(database: Database) -> None:
    # A write each fifth of its life: a machine that stalls for less than the rest proves nothing.
    slow, other = Leases(database, 3 * SHORT), Leases(database, 3 * SHORT)
    book = Fenced(database, slow)
    slow.hold(LANES)
    for _ in range(6):
        time.sleep(3 * SHORT / 5)
        with book.write():
            pass
    assert not other.hold(LANES)


@POSTGRES
def test_lease__a_second_process_comes__the_work_is_shared(database: Database) -> None:
    first, second = Leases(database, LONG), Leases(database, LONG)
    assert first.hold(LANES) == set(LANES)
    # Nothing is free yet; the first one learns that there are two, and gives half away.
    assert second.hold(LANES) == set()
    due(first)
    assert len(first.hold(LANES)) == 2
    due(second)
    assert first.hold(LANES) | second.hold(LANES) == set(LANES)
    assert not first.hold(LANES) & second.hold(LANES)


@POSTGRES
def test_lease__graceful_stop__hands_over_at_once(database: Database) -> None:
    first, second = Leases(database, LONG), Leases(database, LONG)
    first.hold(LANES)
    first.release()
    assert second.hold(LANES) == set(LANES)
    assert second.fence("sealing") == 2
    with pytest.raises(LeaseLost), Fenced(database, first).write():
        pass
