"""`banyan serve`: the API and the pages of a network."""

import signal
import socket
import sys
import threading
from contextlib import ExitStack
from typing import Annotated

import typer
from fastapi import FastAPI

from gateway import heap
from gateway.cli.common import DataOption, JsonOption, settings_of
from gateway.cli.running import announced
from gateway.listening import server_of
from gateway.network import open_network
from gateway.observe import logs, tracing
from gateway.production import open_gateway
from gateway.settings import Settings
from indexer.cli.output import answer, failing, progress_bar


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    rpc: Annotated[
        str | None,
        typer.Option(
            help="JSON-RPC of the chain: a URL, or several separated by commas; without it the "
            "embedded one in DATA."
        ),
    ] = None,
    relay: Annotated[
        bool, typer.Option(help="Also seal, send and settle (one process of several is enough).")
    ] = True,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serves the API (/v1, /docs) and the pages (/) until Ctrl-C.

    Without --rpc the whole network runs in this one process: chain, contracts, gateway, mirror.
    With it, databases and deployment are those of the settings (BANYAN_...), and `banyan index run`
    fills the mirror.
    """
    heap.bound()
    with failing(as_json), ExitStack() as stack:
        settings = settings_of(data)
        logs.configure(settings)
        stack.callback(tracing.start(settings))
        app = _app(stack, settings, rpc, relay)
        tracing.instrument(app)
        listener = stack.enter_context(socket.create_server((host, port)))
        bound = listener.getsockname()[1]
        here = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        stack.enter_context(announced(app.state.gateway, f"http://{here}:{bound}"))
        heap.settle()
        answer({"listening_on": f"http://{host}:{bound}"}, as_json)
        sys.stdout.flush()
        run(app, listener)


def _app(stack: ExitStack, settings: Settings, rpc: str | None, relay: bool) -> FastAPI:
    url = rpc or (settings.rpc_url.get_secret_value() if settings.rpc_url else None)
    if url is not None:
        return stack.enter_context(open_gateway(settings, url, relay=relay))
    with progress_bar("blocks replayed") as shown:
        network = open_network(settings.data_dir, settings=settings, progress=shown)
    stack.callback(network.stop)
    return network.app


def run(app: FastAPI, listener: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM; requests in hand are answered first.

    The server hands the signal on when it has stopped: here it ends this function and no more, so
    that the relay stops at a safe point and the databases are closed.
    """
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        server_of(app).run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
