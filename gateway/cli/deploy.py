"""`banyan deploy`: the contracts of a network, on a chain of your choice."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import DataOption, JsonOption, network_of, settings_of
from gateway.clock import WallClock
from gateway.operator.deploy import ensure_deployment
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.service import open_custody
from indexer.cli.output import answer, failing
from wallet_sdk.contracts import Deployment
from wallet_sdk.deployment import QUARTER_S, DeploymentParams
from wallet_sdk.rpc import Rpc


def deploy(
    rpc: Annotated[
        str | None,
        typer.Option(help="JSON-RPC URL of the chain; without it the embedded one in DATA."),
    ] = None,
    epoch_length: Annotated[
        int,
        typer.Option(min=1, help="Length of an epoch in seconds (default: a quarter of a year)."),
    ] = QUARTER_S,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes the contracts of a network, or goes on where an earlier run stopped.

    Writes deployment.json into the data folder. The keys are made there too, sealed under the
    master key in DATA/secrets: keep a copy of that folder apart from the database. On a chain with
    fees the accounts that are listed need coin first.
    """
    with failing(as_json):
        if rpc is None:
            with network_of(data) as network:
                deployment, path = network.deployment, network.gateway.settings.deployment_path
        else:
            deployment, path = _on_chain(rpc, data, epoch_length)
        answer({"deployment_file": str(path), **_content(deployment)}, as_json)


def _on_chain(url: str, data: Path | None, epoch_length: int) -> tuple[Deployment, Path]:
    settings = settings_of(data)
    database, custody = open_custody(settings)
    clock = WallClock()
    accounts = custody.ensure_network_keys(clock.now())
    for purpose, address in accounts.items():
        typer.echo(f"{purpose.value:<16} {address}", err=True)
    first = clock.now() - clock.now() % 86_400
    try:
        with Rpc(url) as rpc:
            deployment = ensure_deployment(
                database,
                custody,
                rpc,
                Chain(rpc, finality=settings.finality),
                clock,
                settings.deployment_path,
                lambda actors: DeploymentParams(
                    actors=actors, epoch_first_start=first, epoch_length=epoch_length
                ),
                FeePolicy(settings.fee_cap_wei, settings.tip_wei),
            )
    finally:
        database.close()
    return deployment, settings.deployment_path


def _content(deployment: Deployment) -> dict[str, object]:
    return {
        "chain_id": deployment.chain_id,
        "first_block": deployment.first_block,
        **deployment.addresses,
    }
