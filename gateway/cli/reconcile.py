"""`banyan reconcile`: order book and chain matched again, after a restore."""

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import DataOption, JsonOption, network_of, settings_of
from gateway.cli.relay import RpcOption
from gateway.errors import NotReady
from gateway.production import open_for_commands
from gateway.service import Gateway
from indexer.cli.output import EXIT_DIFFERENT, answer, failing
from wallet_sdk.errors import RpcUnavailable

PAUSE_S = 1.0


def reconcile(
    rpc: RpcOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether it is needed (exit code 1: it is).")
    ] = False,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the mirror and for blocks to be final.")
    ] = 60.0,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Matches the order book with the chain after it was restored from an older backup.

    Until then nothing is accepted or relayed. Stop the gateways and relays, restore the database,
    let `banyan index run` bring the mirror along, run this, start them again. What took effect
    since the backup is written into the book: orders that wait there are closed by what they did;
    entries of orders that the backup does not know become orders `found on chain`; wallets of
    members that it does not know are kept for them; keys of merchants that it does not know are
    made again. After a reorg below finality it takes up again what is gone, and finds what had
    been proven dead and took effect (`batches_alive`). Harmless to repeat.

    Read the answer: `merchants_found` were onboarded after the backup; onboard each again under the
    same name and slug, and it has its number, its keys and its position, and a new API key.
    `merchants_unknown` have keys that custody does not hold; the book keeps them closed.
    `orders_assumed` are equal to what is on chain, and nothing shows that they are the same: ask
    their merchants (docs/OPERATING.md). `members_found` have no external id any more; `unreadable`
    orders came through a contract and are to be looked at by hand.
    """
    with failing(as_json), _gateway(rpc, data) as gateway:
        if check:
            behind = gateway.reconciler.is_behind()
            answer({"needed": behind}, as_json)
            raise typer.Exit(EXIT_DIFFERENT if behind else 0)
        until = time.monotonic() + wait
        while True:
            try:
                report = gateway.reconciler.run(getpass.getuser())
                break
            except (NotReady, RpcUnavailable) as error:
                if time.monotonic() > until:
                    raise
                typer.echo(f"waiting: {error.message}", err=True)
                time.sleep(PAUSE_S)
        answer(report.content(), as_json)


@contextmanager
def _gateway(rpc: str | None, data: Path | None) -> Iterator[Gateway]:
    settings = settings_of(data)
    url = rpc or (settings.rpc_url.get_secret_value() if settings.rpc_url else None)
    if url is None:
        with network_of(data) as network:
            yield network.gateway
        return
    with open_for_commands(settings, url) as gateway:
        yield gateway
