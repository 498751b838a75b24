"""The embedded network in one process: chain, contracts, gateway, mirror, behind one call.

`open_network` starts everything in a data folder, deploys what is not there yet, and may be killed
at any point: the next start goes on from what was stored.
"""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastapi import FastAPI

from gateway.service import Gateway


@dataclass
class Network:
    """A running network. Use as a context manager, or call `stop`.

    Attributes:
        chain: the EmbeddedChain (`rpc_url`, `clock`, `hold`, `release`, `mine`).
        deployment: wallet_sdk's Deployment.
        indexer: the Indexer of the mirror; `advance_mirror` brings it to the head.
        mirror: the mirror's engine, for the query functions.
        app: the web application: API and pages.
    """

    chain: Any
    deployment: Any
    gateway: Gateway
    indexer: Any
    mirror: Any
    app: FastAPI

    def advance_mirror(self) -> None:
        """Brings the mirror to the chain's head; safe beside the background thread."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stops relay, indexer and chain, in this order, and releases the data folder."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def open_network(
    data_dir: Path,
    *,
    first_time: int | None = None,
    rpc_port: int = 0,
    background: bool = True,
    chain_id: int | None = None,
) -> Network:
    """Starts (or resumes) the embedded network in `data_dir`.

    Args:
        first_time: unix second of the first block of a new network, and the first epoch's start is
            the beginning of that day's quarter; None: now. A resumed network goes on from its head.
        rpc_port: port of the allow-list RPC proxy on 127.0.0.1; 0 takes a free one.
        background: run relay and indexer in threads. A driver that holds the chain and calls
            `gateway.drain` itself says False.
        chain_id: of a new network; None draws a random one.
    """
    raise NotImplementedError
