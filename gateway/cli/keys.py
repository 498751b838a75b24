"""`banyan keys`: master keys, and keys that lie in AWS KMS. Works beside running gateways."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import insert

from gateway.cli.common import DataOption, JsonOption, settings_of
from gateway.clock import WallClock
from gateway.custody import Custody, Purpose, rotation
from gateway.custody.purposes import NETWORK, SECRETS, merchant_tenant
from gateway.database import Database
from gateway.errors import InvalidRequest
from gateway.service import open_custody
from gateway.tables import audit
from indexer.cli.output import answer, failing, progress_bar

app = typer.Typer(
    no_args_is_help=True,
    help="Master keys and keys in KMS. Safe beside running gateways; secrets are named by file or "
    "by setting, never on the command line.",
)

ACTOR = "banyan keys"


@app.command("list")
def list_(data: DataOption = None, as_json: JsonOption = False) -> None:
    """The master keys that there ever were. A retired one is needed for older backups only."""
    with failing(as_json), _custody(data) as (_, custody):
        rows = custody.ring.rows()
        for row in rows:
            for name in ("created_at", "changed_at"):
                row[name] = datetime.fromtimestamp(row[name], UTC).isoformat()
        answer({"master_keys": rows}, as_json)


@app.command("check")
def check(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Opens every secret once; exits 1 and names those that do not open."""
    with failing(as_json), _custody(data) as (database, custody):
        opened, wrong = rotation.check(database, custody.ring)
        answer({"opened": opened, "wrong": wrong}, as_json)
        if wrong:
            raise typer.Exit(1)


@app.command("prepare")
def prepare(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Makes the next master key of BANYAN_MASTER's kind, without using it yet.

    Where several machines run gateways: prepare, bring the key file (or passphrase file) to each of
    them, then rotate.
    """
    with failing(as_json), _custody(data) as (database, custody):
        number = rotation.prepare(database, custody.ring, WallClock().now())
        answer({"prepared": number, "kind": custody.ring.sources.kind.value}, as_json)


@app.command("rotate")
def rotate(data: DataOption = None, as_json: JsonOption = False) -> None:
    """A new master key of BANYAN_MASTER's kind; every secret is re-wrapped under it.

    Gateways may run on: both keys are alive until all is re-wrapped. Interrupted anywhere, the
    same command goes on. The old key stays needed for backups that were made before.
    """
    with failing(as_json), _custody(data) as (database, custody):
        now = WallClock().now()
        with progress_bar("secrets re-wrapped") as shown:
            done = rotation.rotate(database, custody.ring, now, shown)
        _note(database, now, "rotate", f"master key {done.active} instead of {done.retired}")
        answer(
            {"active": done.active, "retired": done.retired, "rewrapped": done.rewrapped}, as_json
        )


@app.command("adopt")
def adopt(
    purpose: Annotated[Purpose, typer.Argument(help="What the key is for: relayer, till ...")],
    kms_key: Annotated[str, typer.Argument(help="ARN or id of the signing key (secp256k1).")],
    merchant: Annotated[
        int, typer.Option(help="The merchant's number on chain, for an owner's or a till key.")
    ] = 0,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Takes a signing key of AWS KMS into custody; it never leaves KMS.

    A till key signs once the merchant's owner has added its address on chain.
    """
    with failing(as_json), _custody(data) as (database, custody):
        of_merchant = purpose in (Purpose.OWNER, Purpose.TILL)
        if of_merchant != bool(merchant):
            raise InvalidRequest("--merchant goes with an owner's or a till key, and only there")
        if purpose in SECRETS:
            raise InvalidRequest(f"{purpose.value} is no signing key")
        now = WallClock().now()
        tenant = merchant_tenant(merchant) if of_merchant else NETWORK
        address = custody.adopt_kms_key(tenant, purpose, kms_key, now)
        _note(database, now, "adopt key", f"{purpose.value} of {tenant}: {address}")
        answer({"purpose": purpose.value, "tenant": tenant, "address": address}, as_json)


@contextmanager
def _custody(data: Path | None) -> Iterator[tuple[Database, Custody]]:
    settings = settings_of(data)
    if settings.orders_url is None and not (settings.data_dir / "orders.db").exists():
        # A mistyped folder must not become a new, empty network.
        raise InvalidRequest(f"there is no order book in {settings.data_dir}")
    database, custody = open_custody(settings)
    try:
        yield database, custody
    finally:
        database.close()


def _note(database: Database, now: int, action: str, detail: str) -> None:
    row = {"at": now, "actor": ACTOR, "action": action, "subject": "custody", "detail": detail}
    with database.write() as connection:
        connection.execute(insert(audit), row)
