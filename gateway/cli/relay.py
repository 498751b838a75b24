"""`banyan relay`: processes that carry orders to the chain, and what to do when one is stuck."""

import logging
import signal
import threading
from typing import Annotated

import typer

from gateway.cli.common import DataOption, JsonOption, settings_of
from gateway.errors import InvalidRequest
from gateway.production import open_relay
from gateway.settings import Settings
from indexer.cli.output import answer, failing

app = typer.Typer(
    no_args_is_help=True,
    help="Carrying orders to the chain: processes that do nothing else, and help for incidents.",
)

RpcOption = Annotated[
    str | None, typer.Option("--rpc", help="JSON-RPC URL of the chain (or BANYAN_RPC_URL).")
]


@app.callback()
def relay() -> None:
    """Keeps `run` a command of its own while it is the only one."""


@app.command("run")
def run(rpc: RpcOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Seals, sends and settles until SIGTERM; answers no requests.

    Any number of these share one PostgreSQL: each holds a part of the work by a lease, and takes
    over from one that has died or stands still (BANYAN_LEASE_S). A graceful stop gives its part
    back at once. Set BANYAN_RELAYERS to have several lines of nonces to share.
    """
    with failing(as_json):
        settings = settings_of(data)
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        with open_relay(settings, url_of(rpc, settings)) as gateway:
            answer({"relaying": gateway.relay.name}, as_json)
            while not stopping.wait(0.2):
                if gateway.relay.stopped_by is not None:
                    logging.getLogger(__name__).critical("%s", gateway.relay.stopped_by)
                    raise typer.Exit(1)


def url_of(rpc: str | None, settings: Settings) -> str:
    """The chain's URL. Raises InvalidRequest: none is named."""
    url = rpc or (settings.rpc_url.get_secret_value() if settings.rpc_url else None)
    if url is None:
        raise InvalidRequest("name the chain: --rpc URL or BANYAN_RPC_URL")
    return url
