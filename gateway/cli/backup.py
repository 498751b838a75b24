"""`banyan backup` and `banyan restore`: the SQLite files of a network. PostgreSQL has pg_dump."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import DataOption, JsonOption, settings_of
from gateway.clock import WallClock
from gateway.operator.backup import back_up
from gateway.operator.backup import restore as put_back
from indexer.cli.output import answer, failing


def backup(
    to: Annotated[Path, typer.Argument(help="A new folder for the copy.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copies order book and chain journal while the network runs; exits 2 if it is not complete.

    DATA/secrets (or the passphrase) is not in it: keep a copy of that elsewhere, once for each
    master key. The mirror is not either: it is made anew from the chain.
    """
    with failing(as_json):
        done = back_up(settings_of(data).data_dir, to, WallClock().now())
        answer({"folder": str(done.folder), "bytes": done.sizes}, as_json)


def restore(
    backup: Annotated[Path, typer.Argument(help="The folder that `banyan backup` wrote.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Puts a backup into an empty data folder (secrets may lie there already), after checking it.

    Then reconcile: what happened on chain after the backup is matched before anything is sent.
    """
    with failing(as_json):
        done = put_back(backup, settings_of(data).data_dir)
        answer({"folder": str(done.folder), "bytes": done.sizes}, as_json)
