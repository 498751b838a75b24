"""`banyan relay`: processes that carry orders to the chain, and what to do when one is stuck."""

import getpass
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import heap
from gateway.cli.common import DataOption, JsonOption, settings_of
from gateway.clock import WallClock
from gateway.database import Database
from gateway.errors import InvalidRequest, NotFound
from gateway.production import open_relay
from gateway.relay import incidents, status
from gateway.settings import Settings
from indexer.cli.output import answer, failing
from wallet_sdk.types import address_bytes

app = typer.Typer(
    no_args_is_help=True,
    help="Carrying orders to the chain: processes that do nothing else, and help for incidents.",
)

RpcOption = Annotated[
    str | None,
    typer.Option(
        "--rpc",
        help="JSON-RPC of the chain: a URL, or several separated by commas (or BANYAN_RPC_URL).",
    ),
]
LISTED = 50


@app.command("run")
def run(rpc: RpcOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Seals, sends and settles until SIGTERM; answers no requests.

    Any number of these share one PostgreSQL: each holds a part of the work by a lease, and takes
    over from one that has died or stands still (BANYAN_LEASE_S). A graceful stop gives its part
    back at once. Set BANYAN_RELAYERS to have several lines of nonces to share.
    """
    heap.bound()
    with failing(as_json):
        settings = settings_of(data)
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        with open_relay(settings, url_of(rpc, settings)) as gateway:
            heap.settle()
            answer({"relaying_as": gateway.relay.name}, as_json)
            stopping.wait()


@app.command("status")
def status_(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Lines of nonces, what waits on them, who holds which lease, and open incidents.

    `oldest_waits_s` that grows past ten minutes: see `banyan relay unstick --help`.
    """
    with failing(as_json), _book(data) as (database, now):
        with database.read() as connection:
            found = {
                "lines": status.lines(connection, now),
                "waiting": status.waiting_slots(connection, now),
                "leases": status.holders(connection),
                "incidents": [_shown(row) for row in incidents.open_ones(connection)],
            }
        if as_json:
            answer(found, as_json)
            return
        for name, rows in found.items():
            typer.echo(f"{name}:" + ("" if rows else " none"))
            for row in rows:
                typer.echo("  " + "  ".join(f"{k}={v}" for k, v in row.items() if v is not None))


@app.command("incidents")
def incidents_(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """What happened that a person should know of, with what to do about each.

    relayer_drained ends by itself when the relayer is funded. strangers_nonce stays until it is
    acknowledged, call_undecided until a node shows what became of the call.
    reorg_below_finality, book_behind_chain and coalition_succeeded keep the relay closed
    until `banyan reconcile` has matched order book and chain.
    """
    with failing(as_json), _book(data) as (database, _):
        with database.read() as connection:
            rows = (
                incidents.newest(connection, LISTED) if every else incidents.open_ones(connection)
            )
        if as_json:
            answer({"incidents": [_shown(row) for row in rows]}, as_json)
            return
        for row in rows:
            _tell(row)
        if not rows:
            typer.echo("no incident is open")


@app.command("show")
def show(
    number: Annotated[int, typer.Argument(help="The incident's number.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """One incident: what happened, when, what to do, and who took note."""
    with failing(as_json), _book(data) as (database, _):
        with database.read() as connection:
            row = incidents.get(connection, number)
        if row is None:
            raise NotFound(f"there is no incident {number}", number=number)
        answer(_shown(row), as_json)


@app.command("acknowledge")
def acknowledge(
    number: Annotated[int, typer.Argument(help="The incident's number.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Says that a person has taken note of an incident; written into the audit."""
    with failing(as_json), _book(data) as (database, now):
        with database.write() as connection:
            done = incidents.acknowledge(connection, number, getpass.getuser(), now)
        if not done:
            raise NotFound(
                f"incident {number} is not open, or only `banyan reconcile` ends it", number=number
            )
        answer({"acknowledged": number}, as_json)


@app.command("unstick")
def unstick(
    relayer: Annotated[str, typer.Argument(help="The account, 0x...")],
    nonce: Annotated[int, typer.Argument(help="The nonce that does not move.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Frees what waits on a nonce that does not move; a no-op then uses the nonce up.

    Seldom needed: a transaction that is too cheap is outbid by itself, and a drained relayer's work
    goes to the others. It helps where a node refuses a transaction for good (`said` in
    `banyan relay status`). Harmless at any time: should the stuck transaction be mined after all,
    its orders still count once. A call of the operator's has no such nonce of its own and is not
    moved. Where relaying is free there is no outbidding, and the stored transaction goes out until
    it is mined.
    """
    with failing(as_json), _book(data) as (database, now):
        with database.settle() as connection:
            freed = status.unstick(connection, address_bytes(relayer), nonce, now)
        if freed is None:
            raise NotFound(f"nothing waits on nonce {nonce} of {relayer}", nonce=nonce)
        answer({"relayer": relayer, "nonce": nonce, "batches_freed": freed}, as_json)


@contextmanager
def _book(data: Path | None) -> Iterator[tuple[Database, int]]:
    """The order book as it is (no migration), and the time."""
    settings = settings_of(data)
    if settings.orders_url is None and not (settings.data_dir / "orders.db").exists():
        raise NotFound(f"there is no order book in {settings.data_dir}")
    database = Database(settings.orders_dsn)
    try:
        yield database, WallClock().now()
    finally:
        database.close()


def _shown(row: Any) -> dict[str, Any]:
    return {**row._mapping, "what_to_do": incidents.HELP[incidents.Incident(row.kind)]}


def _tell(row: Any) -> None:
    over = "" if row.ended_at is None and row.acknowledged_at is None else " (over)"
    typer.echo(f"{row.id}  {row.kind}{over}  {row.subject}: {row.detail}")
    if not over:
        typer.echo(f"   {incidents.HELP[incidents.Incident(row.kind)]}")


def url_of(rpc: str | None, settings: Settings) -> str:
    """The chain's URL. Raises InvalidRequest: none is named."""
    url = rpc or (settings.rpc_url.get_secret_value() if settings.rpc_url else None)
    if url is None:
        raise InvalidRequest("name the chain: --rpc URL or BANYAN_RPC_URL")
    return url
