"""A new master key while the network works, and kill -9 in the middle of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import cache, partial
from pathlib import Path

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from gateway import tables
from gateway.cli import app
from gateway.custody import Custody, MasterKind, MasterRing, MasterSources, Purpose, rotation
from gateway.custody.envelope import header
from gateway.custody.making import undisturbed
from gateway.database import Database, migrate
from gateway.errors import MasterKeyUnsafe
from tests.gateway.custody.support import deployment, phrase_file, sources
from tests.gateway.helpers import NOON, SetClock
from wallet_sdk.orders import Cancel
from wallet_sdk.signers import kms_client, recover
from wallet_sdk.types import address_bytes

ROOT = Path(rotation.__file__).parents[2]
ROTATING = """
import sys
from pathlib import Path
from gateway.custody import MasterRing, MasterSources, rotation
from gateway.database import Database
database = Database(sys.argv[1])
rotation.rotate(database, MasterRing(database, MasterSources(Path(sys.argv[2]))), 1)
"""


def custody_of(database: Database, made: MasterSources) -> Custody:
    found = Custody(database, MasterRing(database, made))
    found.ensure_network_keys(NOON)
    found.bind(deployment(), SetClock(), lambda at: 110)
    return found


def tills(custody: Custody, first: int, count: int) -> dict[int, str]:
    """In one commit, where nothing comes in between."""

    def once() -> dict[int, str]:
        made = {n: custody.make(f"merchant:{n}", Purpose.TILL) for n in range(first, first + count)}
        with custody._database.write() as connection:
            return {n: custody.store(connection, key, NOON) for n, key in made.items()}

    return undisturbed(once)


def all_sign(database: Database, made: MasterSources, keys: dict[int, str]) -> None:
    """Every key opens and signs, in a process that has just started."""
    custody = custody_of(database, made)
    for merchant, address in keys.items():
        order = Cancel(address, merchant, 1, NOON)
        digest, signature = custody.signer(address_bytes(address)).sign_order(order)
        assert recover(digest, signature) == address


def states(custody: Custody) -> dict[int, str]:
    return {row["id"]: row["state"] for row in custody.ring.rows()}


# ---- refusals


def test_rotate__before_there_is_a_master__is_refused(database: Database, tmp_path: Path) -> None:
    ring = MasterRing(database, sources(tmp_path, MasterKind.FILE))
    with pytest.raises(MasterKeyUnsafe, match="no master key yet"):
        rotation.rotate(database, ring, NOON)


def test_rotate__old_passphrase_gone__changes_nothing(database: Database, tmp_path: Path) -> None:
    old, new = phrase_file(tmp_path, "old"), phrase_file(tmp_path, "new")
    kind = MasterKind.PASSPHRASE
    custody = custody_of(database, sources(tmp_path, kind, passphrase_file=old))
    keys = tills(custody, 1, 3)
    ring = MasterRing(database, sources(tmp_path, kind, passphrase_file=new))
    with pytest.raises(MasterKeyUnsafe, match="no passphrase fits master key 1"):
        rotation.rotate(database, ring, NOON)
    both = sources(tmp_path, kind, passphrase_file=new, passphrase_file_before=old)
    all_sign(database, both, keys)
    # With both at hand the same command goes on where it stopped.
    assert rotation.rotate(database, MasterRing(database, both), NOON).active == 2
    all_sign(database, sources(tmp_path, kind, passphrase_file=new), keys)


def test_rotate__a_damaged_secret__stops_and_keeps_the_old_key(
    database: Database, tmp_path: Path
) -> None:
    made = sources(tmp_path, MasterKind.FILE)
    custody = custody_of(database, made)
    address = tills(custody, 1, 1)[1]
    damaged = b"\x01" + bytes(120)
    with database.write() as connection:
        connection.execute(
            update(tables.secrets)
            .where(tables.secrets.c.address == address_bytes(address))
            .values(sealed=damaged)
        )
    opened, wrong = rotation.check(database, custody.ring)
    assert opened == 10
    assert len(wrong) == 1
    assert address.lower() in wrong[0]
    with pytest.raises(Exception, match="does not open"):
        rotation.rotate(database, custody.ring, NOON)
    assert states(custody) == {1: "retiring", 2: "active"}


# ---- from each kind to each


def test_rotate__from_file_to_passphrase_to_kms__opens_under_the_last_alone(
    database: Database, tmp_path: Path, kms_region: str
) -> None:
    custody = custody_of(database, sources(tmp_path, MasterKind.FILE))
    keys = tills(custody, 1, 4)
    phrase = phrase_file(tmp_path, "old")
    passphrase = sources(tmp_path, MasterKind.PASSPHRASE, passphrase_file=phrase)
    done = rotation.rotate(database, MasterRing(database, passphrase), NOON)
    assert (done.active, done.retired, done.rewrapped) == (2, 1, 14)
    # The old key is not needed any more, by nobody.
    shutil.rmtree(tmp_path / "secrets")
    all_sign(database, passphrase, keys)
    region = cache(partial(kms_client, kms_region))
    key = region().create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    in_kms = sources(tmp_path, MasterKind.KMS, passphrase_file=phrase, kms_key=key, kms=region)
    rotation.rotate(database, MasterRing(database, in_kms), NOON)
    phrase.unlink()
    all_sign(database, sources(tmp_path, MasterKind.KMS, kms=region), keys)
    assert states(custody) == {1: "retired", 2: "retired", 3: "active"}


def test_prepare__then_rotate__uses_the_prepared_key(database: Database, tmp_path: Path) -> None:
    made = sources(tmp_path, MasterKind.FILE)
    custody = custody_of(database, made)
    assert rotation.prepare(database, custody.ring, NOON) == 2
    assert rotation.prepare(database, custody.ring, NOON) == 2
    assert states(custody) == {1: "active", 2: "prepared"}
    prepared = (tmp_path / "secrets" / "master-2.key").read_bytes()
    rotation.rotate(database, custody.ring, NOON)
    assert (tmp_path / "secrets" / "master-2.key").read_bytes() == prepared
    assert states(custody) == {1: "retired", 2: "active"}


# ---- under load, and killed


def test_rotate__while_keys_are_made_and_used__misses_none(
    database: Database, tmp_path: Path
) -> None:
    made = sources(tmp_path, MasterKind.FILE)
    keys = tills(custody_of(database, made), 1, 60)
    stopping, failures = threading.Event(), []

    def making() -> None:
        custody = custody_of(database, made)
        number = 1_000
        while not stopping.is_set():
            keys.update(tills(custody, number, 1))
            number += 1
            time.sleep(0.002)

    def using() -> None:
        try:
            while not stopping.is_set():
                all_sign(database, made, {n: keys[n] for n in (1, 30, 60)})
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for work in (making, using)]
    for thread in threads:
        thread.start()
    rotator = MasterRing(database, made)
    for number in (2, 3):
        assert rotation.rotate(database, rotator, NOON).active == number
    stopping.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(keys) > 60, "no key was made meanwhile"
    opened, wrong = rotation.check(database, rotator)
    assert (opened, wrong) == (len(keys) + 10, [])
    with database.read() as connection:
        sealed = connection.execute(select(tables.secrets.c.sealed)).scalars().all()
    assert {bytes(s)[:3] for s in sealed} == {header(3)}
    all_sign(database, made, keys)


@pytest.mark.parametrize(
    ("fault", "before"),
    [
        pytest.param("rotate.activated:1", 0, marks=pytest.mark.soak),
        ("rotate.before_commit:2", 50),
        pytest.param("rotate.rewrapped:1", 50, marks=pytest.mark.soak),
    ],
)
def test_rotate__killed__goes_on_where_it_stopped(tmp_path: Path, fault: str, before: int) -> None:
    url = f"sqlite:///{tmp_path / 'orders.db'}"
    database = Database(url)
    migrate(database)
    made = sources(tmp_path, MasterKind.FILE)
    custody = custody_of(database, made)
    keys = tills(custody, 1, 90)
    killed = subprocess.run(
        [sys.executable, "-c", ROTATING, url, str(tmp_path / "secrets")],
        env=os.environ | {"FAULT": fault, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert states(custody) == {1: "retiring", 2: "active"}
    assert rotation.left(database, 2) == 100 - before
    # Both masters are alive: old keys open, new ones are made.
    all_sign(database, made, keys)
    keys |= tills(custody, 1_000, 1)
    result = CliRunner().invoke(app, ["keys", "rotate", "--data", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    assert f'"rewrapped": {100 - before}' in result.output
    assert states(custody) == {1: "retired", 2: "active"}
    (tmp_path / "secrets" / "master.key").unlink()
    all_sign(database, made, keys)
    result = CliRunner().invoke(app, ["keys", "check", "--data", str(tmp_path), "--json"])
    assert result.output == '{"opened": 101, "wrong": []}\n'
    database.close()


def test_keys__in_a_folder_without_an_order_book__makes_none(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["keys", "list", "--data", str(tmp_path), "--json"])
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []
