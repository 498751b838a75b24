"""Custody: that keys survive, that a moved row does not open, and that no key ever shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from gateway import tables
from gateway.custody import Custody, MasterRing, MasterSources, Purpose
from gateway.database import Database
from gateway.errors import KeyUnknown, SecretDamaged
from tests.gateway.custody.support import deployment
from tests.gateway.helpers import NOON, SetClock
from wallet_sdk.orders import Cancel
from wallet_sdk.signers import recover
from wallet_sdk.types import address_bytes


def test_signer__unknown_address__is_refused(custody: Custody) -> None:
    with pytest.raises(KeyUnknown):
        custody.signer(b"\x77" * 20)


def test_row__moved_to_another_tenant__does_not_open(database: Database, custody: Custody) -> None:
    relayer = custody.network_addresses()[Purpose.RELAYER]
    with database.write() as connection:
        connection.execute(
            update(tables.secrets)
            .where(tables.secrets.c.address == address_bytes(relayer))
            .values(tenant="merchant:9")
        )
    with pytest.raises(SecretDamaged):
        custody.signer(address_bytes(relayer))


def test_check__before_the_network_is_set_up__is_refused(
    database: Database, tmp_path: Path
) -> None:
    bare = Custody(database, MasterRing(database, MasterSources(tmp_path / "secrets")))
    with pytest.raises(KeyUnknown):
        bare.check()


def test_keys__made_once__are_the_same_after_a_restart(
    database: Database, custody: Custody, tmp_path: Path
) -> None:
    accounts = custody.network_addresses()
    till = custody.new_key("merchant:1", Purpose.TILL, NOON)
    wallet = custody.member_signer(7).address
    again = Custody(database, MasterRing(database, MasterSources(tmp_path / "secrets")))
    assert again.ensure_network_keys(NOON) == accounts
    again.check()
    assert again.member_signer(7).address == wallet
    again.bind(deployment(), SetClock(), lambda at: 110)
    order = Cancel(till, 1, 1, NOON)
    digest, signature = again.signer(address_bytes(till)).sign_order(order)
    assert recover(digest, signature) == till
    assert again.salted_reference(1, "r") == custody.salted_reference(1, "r")
    assert again.salted_reference(2, "r") != custody.salted_reference(1, "r")
    assert again.salted_reference(1, "s") != custody.salted_reference(1, "r")
