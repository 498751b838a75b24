"""A gateway process on a chain and databases of its own: the way of production.

Several such processes share one PostgreSQL order book; any of them may relay, and some may do
nothing else. The mirror is filled by `banyan index run` elsewhere.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fastapi import FastAPI

from gateway.app import make_app
from gateway.clock import WallClock
from gateway.service import Gateway, open_custody
from gateway.settings import Settings
from gateway.web.router import pages_router
from indexer.database import open_mirror
from wallet_sdk.contracts import Deployment, Network
from wallet_sdk.rpc import Rpc

RPC_TIMEOUT_S = 30.0


@contextmanager
def open_gateway(settings: Settings, rpc_url: str, *, relay: bool) -> Iterator[FastAPI]:
    """The application over databases and chain of the settings; closes what it opened.

    Raises DeploymentInvalid: no deployment.json, or the node serves another network.
    """
    with _gateway(settings, rpc_url) as gateway:
        if relay:
            gateway.start()
        yield make_app(gateway, [pages_router(gateway, open_members=False)])


@contextmanager
def open_relay(settings: Settings, rpc_url: str) -> Iterator[Gateway]:
    """A process that only seals, sends and settles; others share the work by leases.

    Raises DeploymentInvalid.
    """
    with _gateway(settings, rpc_url) as gateway:
        gateway.start()
        yield gateway


@contextmanager
def _gateway(settings: Settings, rpc_url: str) -> Iterator[Gateway]:
    with ExitStack() as stack:
        deployment = Deployment.load(settings.deployment_path)
        rpc = stack.enter_context(Rpc(rpc_url, timeout_s=RPC_TIMEOUT_S))
        Network(rpc, deployment).check()
        database, custody = open_custody(settings)
        stack.callback(database.close)
        mirror = open_mirror(settings.mirror_dsn)
        stack.callback(mirror.dispose)
        gateway = Gateway(
            settings,
            clock=WallClock(),
            database=database,
            custody=custody,
            rpc=rpc,
            deployment=deployment,
            mirror=mirror,
        )
        stack.callback(gateway.stop)
        yield gateway
