"""Custody: what must not open, what must not show, and that keys survive."""

from __future__ import annotations

import logging
import pickle
import secrets
import stat
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from gateway import tables
from gateway.custody import Custody, MasterKey, Purpose
from gateway.database import Database
from gateway.errors import CustodyError, KeyUnknown, MasterKeyUnsafe, SecretDamaged
from tests.gateway.helpers import NOON
from wallet_sdk.signers import recover
from wallet_sdk.types import address_bytes

PLACE = {"tenant": "merchant:1", "purpose": "till", "address": b"\x11" * 20}


def test_master_key__readable_by_others__is_refused(tmp_path: Path) -> None:
    MasterKey.from_file(tmp_path, create=True)
    file = tmp_path / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    with pytest.raises(MasterKeyUnsafe, match="0640"):
        MasterKey.from_file(tmp_path, create=True)


def test_master_key__missing_and_not_to_be_made__is_refused(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnsafe):
        MasterKey.from_file(tmp_path, create=False)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_master_key__of_another_size__is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "master.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(MasterKeyUnsafe):
        MasterKey.from_file(tmp_path, create=False)


def test_seal__every_flipped_bit__does_not_open() -> None:
    master, secret = MasterKey(secrets.token_bytes(32)), secrets.token_bytes(32)
    sealed = master.seal(secret, **PLACE)
    assert master.open(sealed, **PLACE) == secret
    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(SecretDamaged):
            master.open(bytes(damaged), **PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SecretDamaged):
            master.open(sealed[:length], **PLACE)


@pytest.mark.parametrize(
    "moved",
    [
        {"tenant": "merchant:2"},
        {"purpose": "owner"},
        {"address": b"\x12" * 20},
        {"tenant": "merchant:1till", "purpose": ""},
    ],
)
def test_seal__moved_to_another_place__does_not_open(moved: dict[str, object]) -> None:
    master = MasterKey(secrets.token_bytes(32))
    sealed = master.seal(b"s" * 32, **PLACE)
    with pytest.raises(SecretDamaged):
        master.open(sealed, **(PLACE | moved))  # type: ignore[arg-type]


def test_seal__under_another_master_key__does_not_open() -> None:
    sealed = MasterKey(b"a" * 32).seal(b"s" * 32, **PLACE)
    with pytest.raises(SecretDamaged):
        MasterKey(b"b" * 32).open(sealed, **PLACE)


def test_seal__twice__is_unlike() -> None:
    master = MasterKey(b"a" * 32)
    assert master.seal(b"s" * 32, **PLACE) != master.seal(b"s" * 32, **PLACE)


def test_signer__unknown_address__is_refused(custody: Custody) -> None:
    with pytest.raises(KeyUnknown):
        custody.signer(b"\x77" * 20)


def test_keys__made_once__are_the_same_after_a_restart(
    database: Database, custody: Custody, tmp_path: Path
) -> None:
    accounts = custody.network_addresses()
    wallet = custody.member_signer(7).address
    again = Custody(database, MasterKey.from_file(tmp_path / "secrets", create=False))
    assert again.ensure_network_keys(NOON) == accounts
    assert again.member_signer(7).address == wallet
    relayer = accounts[Purpose.RELAYER]
    digest = secrets.token_bytes(32)
    signature = again.signer(address_bytes(relayer)).sign(digest)
    assert recover(digest, signature) == relayer
    assert again.salted_reference(b"o" * 16, "r") == custody.salted_reference(b"o" * 16, "r")
    assert again.salted_reference(b"p" * 16, "r") != custody.salted_reference(b"o" * 16, "r")


def test_row__moved_to_another_tenant__does_not_open(
    database: Database, custody: Custody, tmp_path: Path
) -> None:
    relayer = custody.network_addresses()[Purpose.RELAYER]
    with database.write() as connection:
        connection.execute(
            update(tables.secrets)
            .where(tables.secrets.c.address == address_bytes(relayer))
            .values(tenant="merchant:9")
        )
    with pytest.raises(SecretDamaged):
        custody.signer(address_bytes(relayer))


def test_canary__no_key_shows__in_logs_errors_or_tables(
    database: Database,
    custody: Custody,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = secrets.token_bytes(32)
    drawn = SimpleNamespace(token_bytes=lambda n: canary)
    monkeypatch.setattr("gateway.custody.keys.randomness", drawn)
    with database.write() as connection:
        address = custody.new_key(connection, "merchant:5", Purpose.TILL, NOON)
    signer = custody.signer(address_bytes(address))
    shown = [repr(signer), repr(custody), repr(custody._master), str(vars(signer))]
    for broken in (b"", b"\x02" + b"\0" * 200):
        with database.write() as connection:
            connection.execute(
                update(tables.secrets)
                .where(tables.secrets.c.address == address_bytes(address))
                .values(sealed=broken)
            )
        fresh = Custody(database, MasterKey.from_file(tmp_path / "secrets", create=False))
        try:
            fresh.signer(address_bytes(address))
        except CustodyError as error:
            shown += [str(error), repr(error.values), "".join(traceback.format_exception(error))]
    with pytest.raises(Exception, match="not pickled"):
        pickle.dumps(custody._master)
    with database.read() as connection:
        shown += [str(row) for row in connection.execute(select(tables.secrets))]
    text = "\n".join([*shown, caplog.text])
    for form in (canary.hex(), str(int.from_bytes(canary, "big")), repr(canary)[2:-1]):
        assert form not in text
