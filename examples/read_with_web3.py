"""Reads a network with web3.py alone: what anybody with a node and deployment.json can do.

    python examples/read_with_web3.py http://127.0.0.1:8545 .banyan/demo/deployment.json [ADDRESS]

Prints the live supply, the reserve and the newest redemptions; with ADDRESS, what that account
holds and how much of it was earned in which epoch.
"""

import json
import sys
from pathlib import Path
from typing import Any

from web3 import Web3

from wallet_sdk import abi

REDEMPTIONS_SHOWN = 3


def contract(w3: Web3, deployment: dict[str, Any], name: str) -> Any:
    """A contract of the network, with the ABI that the SDK carries."""
    address = deployment["contracts"][name]["address"]
    return w3.eth.contract(Web3.to_checksum_address(address), abi=abi.load(name)["abi"])


def main(url: str, deployment_file: str, address: str | None = None) -> None:
    w3 = Web3(Web3.HTTPProvider(url))
    deployment = json.loads(Path(deployment_file).read_text())
    points = contract(w3, deployment, "Points")
    coalition = contract(w3, deployment, "Coalition")
    print(f"live points  {points.functions.totalSupply().call():>16,}")
    print(f"reserve      {coalition.functions.reserve().call():>16,}")
    first = int(deployment["first_block"])
    redemptions = coalition.events.Redeemed().get_logs(from_block=first)
    for log in redemptions[-REDEMPTIONS_SHOWN:]:
        print(f"redeemed     {log.args.points:>16,} at merchant {log.args.merchant}")
    if address:
        print(f"{address} holds {points.functions.balanceOf(address).call():,}")
        epoch = points.functions.currentEpoch().call()
        for past in range(
            max(1, epoch - points.functions.validityDuration().call() + 1), epoch + 1
        ):
            earned = points.functions.balanceOfAtEpoch(past, address).call()
            print(f"  epoch {past}: {earned:,}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
