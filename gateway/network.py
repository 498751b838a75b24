"""The embedded network in one process: chain, contracts, gateway, mirror, behind one call.

`open_network` starts everything in a data folder, deploys what is not there yet, and may be killed
at any point: the next start goes on from what was stored.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from fastapi import FastAPI
from sqlalchemy import Engine

from gateway import soundness
from gateway.app import make_app
from gateway.custody import Custody
from gateway.database import WRITER_CACHE_KB, Database
from gateway.embedded import EmbeddedChain, MinedBlock
from gateway.operator.deploy import ensure_deployment
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.service import Gateway, open_custody
from gateway.settings import Settings
from gateway.web.router import pages_router
from indexer.database import READER_CACHE_KB, open_mirror
from indexer.errors import SourceContradicts
from indexer.sync import Indexer
from wallet_sdk.deployment import QUARTER_S, Actors, Deployment, DeploymentParams
from wallet_sdk.errors import RpcUnavailable
from wallet_sdk.rpc import Rpc

log = logging.getLogger(__name__)

DAY_S = 86_400

# One relay transaction of the largest size executes in well under a second; a replaying node and
# a busy machine may take longer.
RPC_TIMEOUT_S = 60.0

FREE = FeePolicy(cap_wei=0, tip_wei=0)
"""The embedded chain has a base fee of 0, and relayers hold no coin."""

POLL_S = 1.0


@dataclass
class Network:
    """A running network. Use as a context manager, or call `stop`.

    Attributes:
        chain: the embedded chain (`rpc_url`, `clock`, `hold`, `release`, `mine`).
        mirror: the mirror's engine, for the query functions.
        app: the web application: API and pages.
    """

    chain: EmbeddedChain
    deployment: Deployment
    gateway: Gateway
    indexer: Indexer
    mirror: Engine
    app: FastAPI
    _advance: "_Advance" = field(repr=False)
    _closing: ExitStack = field(repr=False)

    def advance_mirror(self) -> None:
        """Brings the mirror to the chain's head; safe beside the background thread."""
        self._advance()

    def start_background(self) -> None:
        """Runs relay and mirror in threads from now on (a network that was opened without)."""
        _run_in_background(self.chain, self.gateway, self._advance, self._closing)

    def stop(self) -> None:
        """Stops relay, indexer and chain, in this order, and releases the data folder."""
        self._closing.close()

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
    settings: Settings | None = None,
    progress: Callable[[int, int], None] | None = None,
    open_members: bool = True,
) -> Network:
    """Starts (or resumes) the embedded network in `data_dir`.

    Args:
        first_time: unix second of the first block of a new network; its first epoch begins with
            that day. None: now. A resumed network goes on from its head.
        rpc_port: port of the allow-list RPC proxy on 127.0.0.1; 0 takes a free one.
        background: run relay and indexer in threads. A driver that holds the chain and calls
            `gateway.drain` itself says False.
        chain_id: of a new network; None draws a random one.
        settings: other settings; its data folder must be `data_dir`.
        progress: told (blocks done, blocks in all) while the chain's journal is replayed.
        open_members: whether a member's page is shown to whoever has its link.

    Raises EmbeddedChainError (another one runs, a damaged journal), GatewayError.
    """
    settings = settings or Settings(data_dir=data_dir)
    with ExitStack() as stack:
        chain = EmbeddedChain.start(
            data_dir,
            chain_id=chain_id,
            genesis_time=first_time,
            progress=progress,
            rpc_port=rpc_port,
            anvil=settings.anvil,
        )
        stack.callback(chain.stop)
        rpc = Rpc(chain.rpc_url, timeout_s=RPC_TIMEOUT_S)
        stack.callback(rpc.close)
        if settings.orders_url is None:
            soundness.check(settings.data_dir / "orders.db")
        database, custody = open_custody(settings)
        stack.callback(database.close)
        # The contracts belong to the network's first day: a block of today would be the end of all
        # that is to happen before it, since time never goes back.
        chain.clock.set(first_time)
        deployment = _deployment(chain, rpc, database, custody, settings)
        chain.clock.set(None)
        written, mirror = _mirror(stack, settings)
        indexer = Indexer(rpc, deployment, written)
        advance = _Advance(indexer)
        gateway = Gateway(
            _for_one_machine(settings),
            clock=chain.clock,
            database=database,
            custody=custody,
            rpc=rpc,
            deployment=deployment,
            mirror=mirror,
            advance_mirror=advance,
        )
        stack.callback(gateway.stop)
        advance()
        gateway.match()
        if background:
            _run_in_background(chain, gateway, advance, stack)
        app = make_app(gateway, [pages_router(gateway, open_members=open_members)])
        return Network(chain, deployment, gateway, indexer, mirror, app, advance, stack.pop_all())


def _mirror(stack: ExitStack, settings: Settings) -> tuple[Engine, Engine]:
    """The mirror twice: for the indexer that writes it, and for all who ask."""
    written = open_mirror(settings.mirror_dsn, cache_kb=WRITER_CACHE_KB)
    stack.callback(written.dispose)
    asked = open_mirror(settings.mirror_dsn, create=False, cache_kb=READER_CACHE_KB)
    stack.callback(asked.dispose)
    return written, asked


def _for_one_machine(settings: Settings) -> Settings:
    """A chain without fees whose blocks are final, and developers' receivers on this machine."""
    targets = settings.webhook_targets or "loopback"
    fixed = {"fee_cap_wei": 0, "finality": "finalized", "webhook_targets": targets}
    # SQLite has one writing process, which is this one.
    return settings.model_copy(update={**fixed, "webhook_delivery": "here"})


def _deployment(
    chain: EmbeddedChain, rpc: Rpc, database: Database, custody: Custody, settings: Settings
) -> Deployment:
    """The network's contracts; the first epoch of a new one begins with the day of the head."""
    first_second = chain.head.time - chain.head.time % DAY_S

    def params_of(actors: Actors) -> DeploymentParams:
        return DeploymentParams(
            actors=actors, epoch_first_start=first_second, epoch_length=QUARTER_S
        )

    def mine() -> None:
        chain.mine()

    return ensure_deployment(
        database,
        custody,
        rpc,
        Chain(rpc, finality="finalized"),
        chain.clock,
        settings.deployment_path,
        params_of,
        FREE,
        mine,
    )


class _Advance:
    """Brings the mirror to the head; one at a time, whoever calls."""

    def __init__(self, indexer: Indexer) -> None:
        self._lock = threading.Lock()
        self._indexer = indexer

    def __call__(self) -> None:
        with self._lock:
            self._indexer.run_once()


def _run_in_background(
    chain: EmbeddedChain, gateway: Gateway, advance: _Advance, stack: ExitStack
) -> None:
    """The relay's thread, and one for the mirror that a new block wakes."""
    stopping, woken = threading.Event(), threading.Event()

    def on_block(_block: MinedBlock) -> None:
        woken.set()

    def follow() -> None:
        while not stopping.is_set():
            woken.wait(POLL_S)
            woken.clear()
            if stopping.is_set():
                return
            try:
                advance()
                gateway.relay.wake()
            except (RpcUnavailable, SourceContradicts) as error:
                log.warning("the mirror waits: %s", error)
            except Exception:
                log.exception("the mirror could not be brought along; it is tried again")

    def stop() -> None:
        stopping.set()
        woken.set()
        thread.join()

    thread = threading.Thread(target=follow, name="mirror", daemon=True)
    chain.on_block(on_block)
    thread.start()
    stack.callback(stop)
    gateway.start()
