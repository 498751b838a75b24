"""`banyan deploy`: the contracts of a network, on a chain of your choice."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import DataOption, JsonOption, network_of, settings_of
from gateway.clock import WallClock
from gateway.custody import Purpose
from gateway.errors import NotReady
from gateway.operator.deploy import ensure_deployment
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.service import open_custody
from gateway.settings import Settings
from indexer.cli.output import answer, failing
from wallet_sdk.contracts import Deployment
from wallet_sdk.deployment import QUARTER_S, DeploymentParams
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import Address

PAYING = (
    Purpose.DEPLOYER,
    Purpose.OPERATOR,
    Purpose.TREASURER,
    Purpose.ATTESTOR,
    Purpose.RELAYER,
)
"""Accounts that send transactions in the daily run of a network, and so pay fees."""


def deploy(
    rpc: Annotated[
        str | None,
        typer.Option(
            help="JSON-RPC URL of the chain (or BANYAN_RPC_URL); without both the embedded one in "
            "DATA."
        ),
    ] = None,
    epoch_length: Annotated[
        int,
        typer.Option(min=1, help="Length of an epoch in seconds (default: a quarter of a year)."),
    ] = QUARTER_S,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes the contracts of a network, or goes on where an earlier run stopped.

    Writes deployment.json into the data folder. The keys are made too, and kept in the order book,
    sealed under the master key: keep that apart from the database. On a chain with fees it names
    the accounts that need coin, and goes on when it is started again.
    """
    with failing(as_json):
        settings = settings_of(data)
        url = rpc or (settings.rpc_url.get_secret_value() if settings.rpc_url else None)
        if url is None:
            with network_of(data) as network:
                deployment, path = network.deployment, network.gateway.settings.deployment_path
        else:
            # One node makes the contracts; of several the first.
            deployment, path = _on_chain(url.split(",")[0].strip(), settings, epoch_length)
        answer({"deployment_file": str(path), **_content(deployment)}, as_json)


def _on_chain(url: str, settings: Settings, epoch_length: int) -> tuple[Deployment, Path]:
    database, custody = open_custody(settings)
    clock = WallClock()
    accounts = custody.ensure_network_keys(clock.now())
    first = clock.now() - clock.now() % 86_400
    try:
        with Rpc(url) as rpc:
            _check_coin(rpc, {p: accounts[p] for p in PAYING}, free=settings.fee_cap_wei == 0)
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


def _check_coin(rpc: Rpc, payers: dict[Purpose, Address], *, free: bool) -> None:
    """Says which accounts pay fees. Raises NotReady: the one that must pay first has nothing."""
    free = free or int(rpc.call("eth_gasPrice", []), 16) == 0
    poor = []
    for purpose, address in payers.items():
        has_coin = int(rpc.call("eth_getBalance", [address, "latest"]), 16) > 0
        lacks = "" if has_coin or free else "  has no coin"
        typer.echo(f"{purpose.value:<10} {address}{lacks}", err=True)
        if not has_coin and not free:
            poor.append(address)
    if payers[Purpose.DEPLOYER] in poor:
        raise NotReady(
            f"these accounts have no coin to pay fees with: {', '.join(poor)}; send each some and "
            "start again"
        )


def _content(deployment: Deployment) -> dict[str, object]:
    return {
        "chain_id": deployment.chain_id,
        "first_block": deployment.first_block,
        **deployment.addresses,
    }
