"""A gateway process on a chain and databases of its own: the way of production.

Several such processes share one PostgreSQL order book; any of them may relay, and some may do
nothing else, or only deliver webhooks. The mirror is filled by `banyan index run` elsewhere.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fastapi import FastAPI
from sqlalchemy import make_url

from gateway.app import make_app
from gateway.clock import WallClock
from gateway.errors import InvalidRequest
from gateway.relay.nodes import Nodes
from gateway.service import Gateway, open_custody
from gateway.settings import Settings
from gateway.web.router import pages_router
from gateway.webhooks.delivery import Deliverer
from gateway.webhooks.targets import TargetRules
from gateway.webhooks.transport import Line
from indexer.database import READER_CACHE_KB, open_mirror
from wallet_sdk.contracts import Deployment, Network
from wallet_sdk.errors import RpcUnavailable
from wallet_sdk.rpc import Rpc

log = logging.getLogger(__name__)

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
def open_deliverer(settings: Settings) -> Iterator[Deliverer]:
    """A process that only delivers webhooks; others share the work, each event is one's at a time.
    Opens the order book and the keys, no chain and no mirror.

    Raises InvalidRequest: the order book is a file, which one process writes.
    """
    with ExitStack() as stack:
        if make_url(settings.orders_dsn).get_backend_name() == "sqlite":
            raise InvalidRequest(
                "an order book in SQLite is written by one process, and that one delivers; a "
                "process for webhooks needs PostgreSQL (BANYAN_ORDERS_URL)"
            )
        database, custody = open_custody(settings)
        stack.callback(database.close)
        rules = TargetRules.named(settings.webhook_targets)
        deliverer = Deliverer(database, custody, lambda: Line(rules))
        deliverer.start()
        stack.callback(deliverer.stop)
        yield deliverer


def nodes_of(urls: str, deployment: Deployment) -> Nodes:
    """The nodes of these URLs (several: separated by commas), each that answers checked.

    Raises DeploymentInvalid: a node serves another network; RpcUnavailable: none answers.
    """
    rpcs = [Rpc(url.strip(), timeout_s=RPC_TIMEOUT_S) for url in urls.split(",") if url.strip()]
    if not rpcs:
        raise InvalidRequest("name the chain: at least one URL")
    silent: list[RpcUnavailable] = []
    for rpc in rpcs:
        try:
            Network(rpc, deployment).check()
        except RpcUnavailable as error:
            log.warning("a node does not answer yet: %s", error)
            silent.append(error)
    if len(silent) == len(rpcs):
        raise silent[-1]
    return Nodes(rpcs, chain_id=deployment.chain_id, genesis=deployment.genesis_hash)


@contextmanager
def open_for_commands(settings: Settings, rpc_url: str) -> Iterator[Gateway]:
    """The same without relaying and without asking whether book and chain belong together: for
    commands that put that right.
    """
    with _gateway(settings, rpc_url, match=False) as gateway:
        yield gateway


@contextmanager
def _gateway(settings: Settings, rpc_url: str, *, match: bool = True) -> Iterator[Gateway]:
    with ExitStack() as stack:
        deployment = Deployment.load(settings.deployment_path)
        rpc = stack.enter_context(nodes_of(rpc_url, deployment))
        database, custody = open_custody(settings)
        stack.callback(database.close)
        # Tables of the mirror are the indexer's to make: a gateway of another version must not.
        mirror = open_mirror(settings.mirror_dsn, create=False, cache_kb=READER_CACHE_KB)
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
        if match:
            gateway.match()
        yield gateway
