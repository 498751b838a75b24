"""Keys that are made again the same, and never while somebody waits."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, select

from gateway import tables
from gateway.custody import Custody, MasterChanged, MasterKind, MasterRing, Purpose, rotation
from gateway.custody.making import derived
from gateway.database import Database
from gateway.errors import NotReady
from tests.gateway.custody.support import sources
from tests.gateway.helpers import NOON

SEED = b"\x5e" * 32


def test_derive__whose_and_which__each_is_a_key_of_its_own() -> None:
    named = [
        ("merchant:1", Purpose.TILL, 0),
        ("merchant:1", Purpose.TILL, 1),
        ("merchant:1", Purpose.OWNER, 0),
        ("merchant:11", Purpose.TILL, 0),
        ("network", Purpose.RELAYER, 0),
    ]
    keys = [derived(SEED, *which) for which in named]
    assert len(set(keys)) == len(named)
    assert keys == [derived(SEED, *which) for which in named]
    assert derived(b"\x5f" * 32, *named[0]) not in keys
    # Fixed for ever: backups of today are restored by programs of tomorrow.
    assert keys[0].hex().startswith("8dfff1166cd57dac")


def test_derive__no_key_of_the_curve__takes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([b"\xff" * 32, bytes(32), b"\x01" * 32])
    monkeypatch.setattr("gateway.custody.making.hmac.digest", lambda *given: next(drawn))
    assert derived(SEED, "merchant:1", Purpose.TILL, 0) == b"\x01" * 32


def test_make__after_its_rows_are_lost__is_the_same_key(
    database: Database, custody: Custody, tmp_path: Path
) -> None:
    made = [custody.new_key("merchant:7", Purpose.TILL, NOON) for _ in range(2)]
    relayers = custody.ensure_relayers(3, NOON)
    c = tables.secrets.c
    with database.write() as connection:
        connection.execute(delete(tables.secrets).where(c.tenant == "merchant:7"))
        connection.execute(delete(tables.secrets).where(c.address == relayers[2]))
    again = Custody(database, MasterRing(database, sources(tmp_path, MasterKind.FILE)))
    assert [again.new_key("merchant:7", Purpose.TILL, NOON) for _ in range(2)] == made
    assert again.ensure_relayers(3, NOON) == relayers
    assert again.ensure_network_keys(NOON) == custody.network_addresses()


def test_seed_of_keys__beside_gateways_of_the_version_before__is_none_of_their_rows(
    database: Database, custody: Custody
) -> None:
    custody.new_key("merchant:7", Purpose.TILL, NOON)
    # They read all rows of the network, and know no purpose of this name.
    assert Purpose.KEY_SEED not in custody.network_addresses()
    c = tables.secrets.c
    with database.read() as connection:
        query = select(c.tenant).where(c.purpose == Purpose.KEY_SEED.value)
        assert connection.execute(query).scalar_one() != "network"


def test_store__sealed_under_the_master_before__is_refused_and_made_again(
    database: Database, custody: Custody, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = custody.make("merchant:7", Purpose.TILL)
    rotation.rotate(database, custody.ring, NOON)
    with database.write() as connection, pytest.raises(MasterChanged):
        custody.store(connection, stale, NOON)
    # A rotation between making and storing is met by making once more.
    made = iter([stale, custody.make("merchant:7", Purpose.TILL)])
    monkeypatch.setattr(custody, "make", lambda *given: next(made))
    assert custody.new_key("merchant:7", Purpose.TILL, NOON) == stale.address
    monkeypatch.setattr(custody, "make", lambda *given: stale)
    with pytest.raises(NotReady, match="rotated"):
        custody.new_key("merchant:8", Purpose.TILL, NOON)
