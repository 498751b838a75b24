"""`banyan serve`: the API and the pages of a network."""

import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from gateway.cli.common import DataOption, JsonOption, settings_of
from gateway.network import open_network
from gateway.production import open_gateway
from indexer.cli.output import answer, failing, progress_bar


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    rpc: Annotated[
        str | None,
        typer.Option(help="JSON-RPC URL of the chain; without it the embedded one in DATA."),
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
    with failing(as_json), ExitStack() as stack:
        app = _app(stack, data, rpc, relay)
        listener = stack.enter_context(socket.create_server((host, port)))
        bound = listener.getsockname()[1]
        answer({"listening_on": f"http://{host}:{bound}"}, as_json)
        sys.stdout.flush()
        run(app, listener)


def _app(stack: ExitStack, data: Path | None, rpc: str | None, relay: bool) -> FastAPI:
    settings = settings_of(data)
    url = rpc or (settings.rpc_url.get_secret_value() if settings.rpc_url else None)
    if url is not None:
        return stack.enter_context(open_gateway(settings, url, relay=relay))
    with progress_bar("blocks replayed") as shown:
        network = open_network(settings.data_dir, settings=settings, progress=shown)
    stack.callback(network.stop)
    return network.app


def run(app: FastAPI, listener: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM; requests in hand are answered first."""
    # Ctrl-C is how a person ends it, not a mistake that needs a traceback.
    with suppress(KeyboardInterrupt):
        server_of(app).run(sockets=[listener])


def server_of(app: FastAPI) -> uvicorn.Server:
    """The server as `banyan serve` runs it."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=10,
            server_header=False,
        )
    )
