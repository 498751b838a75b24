"""`banyan webhooks`: who is told, what waits, and telling again what was missed."""

import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway import heap
from gateway.cli.common import DataOption, JsonOption, settings_of
from gateway.clock import WallClock
from gateway.database import Database, current_revision, head_revision
from gateway.errors import InvalidRequest, NotReady
from gateway.idempotency import Asked, Once
from gateway.observe import logs
from gateway.production import open_deliverer
from gateway.webhooks import events, repository
from gateway.webhooks.again import Again
from indexer.cli.output import answer, failing

app = typer.Typer(
    no_args_is_help=True,
    help="Webhooks of a network, running or not: only the order book is opened. What is put before "
    "an end point is delivered by the process that runs for it, or by the next one.",
)

ACTOR = "banyan webhooks"


class Only(StrEnum):
    """Which events of a stretch of time."""

    FAILED = "failed"
    MISSING = "missing"
    ALL = "all"


@app.command("run")
def run(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Delivers webhooks until SIGTERM; answers no requests and relays nothing.

    For gateways with BANYAN_WEBHOOK_DELIVERY=apart, which then spend no time on it. Any number of
    these share one PostgreSQL; an event is one's at a time by a lease, and when a process dies
    another sends what it held a minute later. A graceful stop waits five seconds for attempts under
    way and gives the rest back at once.
    """
    heap.bound()
    with failing(as_json):
        settings = settings_of(data)
        logs.configure(settings)
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        with open_deliverer(settings):
            heap.settle()
            answer({"delivering_to": settings.webhook_targets or "public"}, as_json)
            sys.stdout.flush()
            stopping.wait()


@app.command("list")
def list_(data: DataOption = None, as_json: JsonOption = False) -> None:
    """All end points, with what waits for each and what was given up."""
    with failing(as_json), _order_book(data) as database:
        now = int(time.time())
        with database.read() as connection:
            rows = repository.all_of(connection, None)
            counted = repository.waiting_by_endpoint(connection)
        found = []
        for row in rows:
            waiting, failed = counted.get(row.id, (0, 0))
            shown = repository.shown_endpoint(row, now)
            shown |= {"events": events.words(row.events), "merchant_number": row.merchant_id}
            found.append(shown | {"waiting": waiting, "failed": failed})
        if as_json:
            answer({"endpoints": found}, as_json)
            return
        if not found:
            typer.echo("no end point is registered")
        for shown in found:
            typer.echo(
                f"{shown['id']}  merchant {shown['merchant_number']:<4} {shown['state']:<9}"
                f"{shown['waiting']:>7} wait {shown['failed']:>7} given up  {shown['url']}"
            )


@app.command("replay")
def replay(
    endpoint: Annotated[str, typer.Argument(help="The end point, wep_...")],
    event: Annotated[str | None, typer.Option(help="One event, evt_...")] = None,
    since: Annotated[
        int | None, typer.Option(help="Or events from this unix second of network time on.")
    ] = None,
    until: Annotated[int | None, typer.Option(help="Up to this unix second, without it.")] = None,
    only: Annotated[
        Only, typer.Option(help="Those given up, those it was never meant to get, or all.")
    ] = Only.FAILED,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tells an end point again: the same payloads under the same webhook-id."""
    with failing(as_json), _order_book(data) as database:
        if (event is None) == (since is None):
            raise InvalidRequest("name either --event or --since")
        with database.read() as connection:
            merchant = repository.find(connection, endpoint, None).merchant_id
        again = Again(Once(database, WallClock()), lambda: None, time.time)
        asked = Asked(merchant, ACTOR, f"{ACTOR} {secrets.token_hex(16)}", bytes(32))
        if event is not None:
            done = again.replay_event(asked, endpoint, event)
        else:
            assert since is not None
            done = again.replay(asked, endpoint, since=since, until=until, wanted=only.value)
        answer({"endpoint": endpoint, **done}, as_json)


@contextmanager
def _order_book(data: Path | None) -> Iterator[Database]:
    """The order book alone. Raises NotReady: there is none, or one of another version."""
    settings = settings_of(data)
    if settings.orders_url is None and not (settings.data_dir / "orders.db").exists():
        raise NotReady(f"there is no order book in {settings.data_dir}")
    database = Database(settings.orders_dsn)
    try:
        if current_revision(database) != head_revision():
            raise NotReady("the order book is of another version; start the gateway to migrate it")
        yield database
    finally:
        database.close()
