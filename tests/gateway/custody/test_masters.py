"""Master keys: what is refused, and that each kind opens what it sealed."""

from __future__ import annotations

import os
import secrets
import stat
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import insert, select, update

from gateway import tables
from gateway.custody import Custody, MasterKind, MasterRing, MasterSources, Place, Purpose
from gateway.custody.envelope import Envelope
from gateway.custody.files import read_secret
from gateway.custody.masters import KmsMaster, LocalMaster
from gateway.database import Database
from gateway.errors import CustodyError, MasterKeyUnsafe, NotReady, SecretDamaged
from tests.gateway.custody.support import PHRASES, deployment, phrase_file, sources
from tests.gateway.helpers import NOON, SetClock
from wallet_sdk.orders import Cancel
from wallet_sdk.signers import kms_client, recover
from wallet_sdk.types import address_bytes, address_of

PLACE = Place("merchant:1", "till", b"\x11" * 20)


@pytest.fixture
def ring(database: Database, tmp_path: Path) -> MasterRing:
    found = MasterRing(database, sources(tmp_path, MasterKind.FILE))
    found.ensure(NOON)
    return found


def sealed_and_opened(database: Database, ring: MasterRing, secret: bytes) -> bytes:
    sealed = ring.seal(secret, PLACE)
    return ring.open(sealed, PLACE)


# ---- files


def test_key_file__readable_by_others__is_refused(
    database: Database, ring: MasterRing, tmp_path: Path
) -> None:
    file = tmp_path / "secrets" / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.chmod(0o640)
    with pytest.raises(MasterKeyUnsafe, match="0640"):
        MasterRing(database, ring.sources).ensure(NOON)


def test_key_file__gone__is_refused_and_not_made_anew(
    database: Database, ring: MasterRing, tmp_path: Path
) -> None:
    file = tmp_path / "secrets" / "master.key"
    file.unlink()
    with pytest.raises(MasterKeyUnsafe, match="there is no master key"):
        MasterRing(database, ring.sources).ensure(NOON)
    assert not file.exists()


def test_key_file__of_another_network__is_refused(
    database: Database, ring: MasterRing, tmp_path: Path
) -> None:
    (tmp_path / "secrets" / "master.key").write_bytes(secrets.token_bytes(32))
    with pytest.raises(MasterKeyUnsafe, match="is not master key 1 of this database"):
        MasterRing(database, ring.sources).ensure(NOON)


def test_key_file__gone_in_a_database_from_before_masters_had_rows__is_refused(
    database: Database, tmp_path: Path
) -> None:
    row = {"tenant": "network", "purpose": "relayer", "address": b"\1" * 20, "sealed": b"\1"}
    with database.write() as connection:
        connection.execute(insert(tables.secrets), row | {"created_at": NOON})
    for kind in (MasterKind.FILE, MasterKind.PASSPHRASE):
        with pytest.raises(MasterKeyUnsafe, match="put it back"):
            MasterRing(database, sources(tmp_path, kind)).ensure(NOON)
    assert not (tmp_path / "secrets").exists()


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_key_file__of_another_size__is_refused(
    database: Database, ring: MasterRing, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "secrets" / "master.key").write_bytes(content)
    with pytest.raises(MasterKeyUnsafe, match="has 32 bytes"):
        MasterRing(database, ring.sources).ensure(NOON)


def test_secret_file__folder_device_or_endless__is_refused(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    endless.write_bytes(b"x" * 5_000)
    endless.chmod(0o600)
    for path in (tmp_path, Path("/dev/null"), endless):
        with pytest.raises(MasterKeyUnsafe):
            read_secret(path, "passphrase")


def test_secret_file__of_another_user__is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    file = phrase_file(tmp_path, "old")
    os.chown(file, 12_345, 12_345)
    with pytest.raises(MasterKeyUnsafe, match="uid 12345"):
        read_secret(file, "passphrase")


def test_secret_file__handed_over_by_systemd__may_show_the_mask_of_its_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = phrase_file(tmp_path, "old")
    file.chmod(0o440)
    with pytest.raises(MasterKeyUnsafe):
        read_secret(file, "passphrase")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(file, "passphrase").decode() == PHRASES["old"] + "\n"
    file.chmod(0o444)
    with pytest.raises(MasterKeyUnsafe):
        read_secret(file, "passphrase")


# ---- envelopes


def test_envelope__every_flipped_bit_and_every_cut__does_not_open() -> None:
    master, secret = LocalMaster(secrets.token_bytes(32), 1), secrets.token_bytes(32)
    sealed = Envelope.seal(secret, PLACE, 1, master).to_bytes()
    assert Envelope.parse(sealed, PLACE).open(PLACE, master) == secret
    for position in range(len(sealed)):
        if position in (1, 2):  # the master's number: names another key
            continue
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(SecretDamaged):
            Envelope.parse(bytes(damaged), PLACE).open(PLACE, master)
    for length in range(len(sealed)):
        with pytest.raises(SecretDamaged):
            Envelope.parse(sealed[:length], PLACE).open(PLACE, master)


@pytest.mark.parametrize(
    "moved",
    [
        Place("merchant:2", "till", b"\x11" * 20),
        Place("merchant:1", "owner", b"\x11" * 20),
        Place("merchant:1", "till", b"\x12" * 20),
        Place("merchant:1till", "", b"\x11" * 20),
    ],
)
def test_envelope__moved_to_another_place__does_not_open(moved: Place) -> None:
    master = LocalMaster(secrets.token_bytes(32), 1)
    sealed = Envelope.seal(b"s" * 32, PLACE, 1, master).to_bytes()
    with pytest.raises(SecretDamaged):
        Envelope.parse(sealed, moved).open(moved, master)


def test_envelope__of_version_1__still_opens_and_is_rewrapped_to_version_2() -> None:
    # Written by the program before masters had numbers; the key is of this test alone.
    master, new = LocalMaster(b"\x01" * 32, 1), LocalMaster(b"\x02" * 32, 2)
    second = Envelope.seal(b"s" * 32, PLACE, 1, master)
    first = b"\x01" + second.wrapped + second.inner
    parsed = Envelope.parse(first, PLACE)
    assert (parsed.version, parsed.master) == (1, 1)
    assert parsed.to_bytes() == first
    assert parsed.open(PLACE, master) == b"s" * 32
    moved = parsed.rewrapped(PLACE, master, 2, new)
    assert moved.inner == parsed.inner
    assert Envelope.parse(moved.to_bytes(), PLACE).open(PLACE, new) == b"s" * 32
    with pytest.raises(SecretDamaged):
        moved.open(PLACE, master)


def test_seal__twice__is_unlike(database: Database, ring: MasterRing) -> None:
    assert ring.seal(b"s", PLACE) != ring.seal(b"s", PLACE)


# ---- a passphrase


@pytest.mark.parametrize("phrase", ["", "short", "nineteen characters"])
def test_passphrase__too_short__is_refused(database: Database, tmp_path: Path, phrase: str) -> None:
    file = tmp_path / "phrase"
    file.write_text(phrase)
    file.chmod(0o600)
    ring = MasterRing(database, sources(tmp_path, MasterKind.PASSPHRASE, passphrase_file=file))
    with pytest.raises(MasterKeyUnsafe, match="shorter than 20"):
        ring.ensure(NOON)


def test_passphrase__not_named__is_refused(database: Database, tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnsafe, match="BANYAN_MASTER_PASSPHRASE_FILE"):
        MasterRing(database, sources(tmp_path, MasterKind.PASSPHRASE)).ensure(NOON)


def test_passphrase__wrong__is_refused_and_right_opens(database: Database, tmp_path: Path) -> None:
    old, new = phrase_file(tmp_path, "old"), phrase_file(tmp_path, "new")
    made = sources(tmp_path, MasterKind.PASSPHRASE, passphrase_file=old)
    ring = MasterRing(database, made)
    ring.ensure(NOON)
    sealed = ring.seal(b"s" * 32, PLACE)
    wrong = MasterRing(database, sources(tmp_path, MasterKind.PASSPHRASE, passphrase_file=new))
    with pytest.raises(MasterKeyUnsafe, match="no passphrase fits master key 1"):
        wrong.ensure(NOON)
    both = sources(tmp_path, MasterKind.PASSPHRASE, passphrase_file=new, passphrase_file_before=old)
    assert MasterRing(database, both).open(sealed, PLACE) == b"s" * 32
    assert not (tmp_path / "secrets").exists()


def test_passphrase__by_default__costs_what_owasp_names(tmp_path: Path) -> None:
    assert MasterSources(tmp_path).scrypt_n == 2**17


# ---- AWS KMS


def in_kms(folder: Path, region: str) -> tuple[Any, MasterSources]:
    client = kms_client(region)
    key = client.create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    made = sources(folder, MasterKind.KMS, kms_key=key, kms=cache(partial(kms_client, region)))
    return client, made


def test_kms__no_key_named__is_refused(database: Database, tmp_path: Path) -> None:
    with pytest.raises(MasterKeyUnsafe, match="BANYAN_MASTER_KMS_KEY"):
        MasterRing(database, sources(tmp_path, MasterKind.KMS)).ensure(NOON)


def test_kms__key_unknown__is_refused(database: Database, tmp_path: Path, kms_region: str) -> None:
    made = sources(tmp_path, MasterKind.KMS, kms_key="nowhere", kms=partial(kms_client, kms_region))
    with pytest.raises(MasterKeyUnsafe, match="KMS refuses: NotFoundException"):
        MasterRing(database, made).ensure(NOON)


def test_kms__row_moved_to_another_tenant__is_refused_by_kms(
    database: Database, tmp_path: Path, kms_region: str
) -> None:
    _, made = in_kms(tmp_path, kms_region)
    ring = MasterRing(database, made)
    ring.ensure(NOON)
    sealed = ring.seal(b"s" * 32, PLACE)
    assert ring.open(sealed, PLACE) == b"s" * 32
    moved = Place("merchant:2", "till", b"\x11" * 20)
    with pytest.raises(SecretDamaged):
        ring.open(sealed, moved)


def test_kms__switched_off__is_refused_and_says_why() -> None:
    class Disabled:
        def decrypt(self, **_asked: Any) -> Any:
            said = {"Error": {"Code": "DisabledException", "Message": "the key is disabled"}}
            raise ClientError(said, "Decrypt")  # type: ignore[arg-type]

    with pytest.raises(MasterKeyUnsafe, match="DisabledException: the key is disabled"):
        KmsMaster(Disabled, "arn", 1).unwrap(b"wrapped", PLACE)


def test_kms__not_to_be_reached__may_be_asked_again(
    database: Database, tmp_path: Path, kms_region: str
) -> None:
    client, made = in_kms(tmp_path, kms_region)
    MasterRing(database, made).ensure(NOON)

    class Silent:
        def __getattr__(self, name: str) -> Any:
            raise ConnectionError("nobody there")

    silent = sources(tmp_path, MasterKind.KMS, kms=Silent)
    with pytest.raises(NotReady, match="cannot be asked"):
        MasterRing(database, silent).seal(b"s", PLACE)


def test_kms__keys_of_a_purpose_made_there__sign_and_never_lie_in_the_database(
    database: Database, tmp_path: Path, kms_region: str
) -> None:
    client, made = in_kms(tmp_path, kms_region)
    ring = MasterRing(database, made)
    custody = Custody(database, ring, in_kms=frozenset({Purpose.TILL, Purpose.RELAYER}))
    custody.ensure_network_keys(NOON)
    custody.new_key("merchant:7", Purpose.TILL, NOON)
    with database.read() as connection:
        rows = {r.purpose: r for r in connection.execute(tables.secrets.select())}
    assert rows["till"].kms_key
    assert bytes(rows["till"].sealed) == b""
    assert rows["relayer"].kms_key
    assert rows["operator"].kms_key is None
    listed = client.list_resource_tags(KeyId=rows["till"].kms_key)["Tags"]
    tags = {tag["TagKey"]: tag["TagValue"] for tag in listed}
    assert tags == {"banyan:tenant": "merchant:7", "banyan:purpose": "till"}


def test_kms__row_that_names_another_key__signs_nothing(
    database: Database, tmp_path: Path, kms_region: str
) -> None:
    _, made = in_kms(tmp_path, kms_region)
    custody = Custody(database, MasterRing(database, made), in_kms=frozenset({Purpose.TILL}))
    custody.ensure_network_keys(NOON)
    custody.bind(deployment(), SetClock(), lambda at: 110)
    first, second = (
        address_bytes(custody.new_key("merchant:7", Purpose.TILL, NOON)) for _ in range(2)
    )
    cancel = Cancel(address_of(first), 7, 1, NOON)
    digest, signature = custody.signer(first).sign_order(cancel)
    assert recover(digest, signature) == address_of(first)
    c = tables.secrets.c
    with database.write() as connection:
        other = select(c.kms_key).where(c.address == second).scalar_subquery()
        connection.execute(update(tables.secrets).where(c.address == first).values(kms_key=other))
    fresh = Custody(database, MasterRing(database, made))
    fresh.bind(deployment(), SetClock(), lambda at: 110)
    with pytest.raises(CustodyError, match="signs for another address"):
        fresh.signer(first).sign_order(cancel)
