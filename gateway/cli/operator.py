"""`banyan operator`: what only the operator may ask for."""

import typer

from gateway.cli.common import DataOption, JsonOption
from gateway.cli.desk import desk_of
from indexer.cli.output import answer, failing

app = typer.Typer(
    no_args_is_help=True, help="The operator; where the network is running, through its API."
)


@app.callback()
def operator() -> None:
    """Keeps `key` a command of its own while it is the only one."""


@app.command("key")
def key(data: DataOption = None, as_json: JsonOption = False) -> None:
    """A fresh API key of the operator, shown this once; of older ones the latest stays alive.

    With it: onboarding merchants and booking deposits over the API, transfers, and /metrics.
    """
    with failing(as_json), desk_of(data) as desk:
        answer({"role": "operator", "api_key": desk.operator_key()}, as_json)
