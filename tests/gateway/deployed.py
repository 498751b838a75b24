"""A network on a plain node, deployed as an operator does it; and what an administrator of its
PostgreSQL may do to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.clock import WallClock
from gateway.operator.deploy import ensure_deployment
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.service import Gateway, open_custody
from gateway.settings import Settings
from indexer.database import open_mirror
from indexer.sync import Indexer
from wallet_sdk.deployment import Actors, DeploymentParams
from wallet_sdk.rpc import Rpc


@dataclass(frozen=True)
class Deployed:
    """A gateway with nothing running but its writer. `mine`: enough blocks to make all final."""

    gateway: Gateway
    indexer: Indexer
    mine: Callable[[], None]


@contextmanager
def deployed(settings: Settings, node: Rpc, mirror_from: Rpc) -> Iterator[Deployed]:
    """The network of the settings on this node, whose coin is free; the mirror reads another line
    to it.
    """
    clock, confirmations = WallClock(), int(settings.finality)
    database, custody = open_custody(settings)

    def mine() -> None:
        for _ in range(confirmations + 1):
            node.call("evm_mine", [])

    def params(actors: Actors) -> DeploymentParams:
        first = clock.now() - clock.now() % 86_400
        return DeploymentParams(actors=actors, epoch_first_start=first, epoch_length=7_776_000)

    chain, free = Chain(node, finality=confirmations), FeePolicy(0, 0)
    path = settings.deployment_path
    deployment = ensure_deployment(database, custody, node, chain, clock, path, params, free, mine)
    mirror = open_mirror(settings.mirror_dsn)
    indexer = Indexer(mirror_from, deployment, mirror, confirmations=confirmations)
    gateway = Gateway(
        settings,
        clock=clock,
        database=database,
        custody=custody,
        rpc=node,
        deployment=deployment,
        mirror=mirror,
        advance_mirror=indexer.run_once,
    )
    try:
        yield Deployed(gateway, indexer, mine)
    finally:
        gateway.stop()
        mirror.dispose()


def end_sessions(engine: sa.Engine) -> None:
    """Ends every session at this PostgreSQL database but the one that asks."""
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
