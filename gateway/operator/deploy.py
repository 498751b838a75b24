"""Makes a network's contracts: planned, stored, then sent; may be killed anywhere and goes on.

The plan goes into the order book as calls of a key that sends nothing else, so its nonces are
those that the contracts' addresses were computed from. What is mined is never sent again, and
deployment.json is only a copy of what the chain and the stored plan say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from gateway import faults
from gateway.books import Effect, Head, Position, Redemption, Window
from gateway.clock import NetworkClock
from gateway.custody import Custody, Purpose
from gateway.database import Database
from gateway.errors import NotReady, WrongChain
from gateway.operator import calls
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.relay.lines import Lines
from gateway.relay.send import Sender
from gateway.relay.settle import Settler
from gateway.relay.slots import SlotKeeper
from gateway.tables import batches, facts
from wallet_sdk.contracts import ContractAt, Deployment, Network, Terms
from wallet_sdk.contracts.calls import Calls
from wallet_sdk.deployment import (
    Actors,
    DeploymentParams,
    deployed,
    plan,
    planned_addresses,
)
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import ZERO_DIGEST, Address, Policy, address_bytes

FACT = "deployment"

# Receipts that Coalition may pull from the operator: without bound, since deposits come one by one
# and each is the operator's own call.
UNBOUNDED = 2**256 - 1

# A chain that mines nothing for so long will not; the next start goes on.
PATIENCE_S = 120.0

ParamsOf = Callable[[Actors], DeploymentParams]
"""Makes the parameters once the network's accounts are known."""


def ensure_deployment(
    database: Database,
    custody: Custody,
    rpc: Rpc,
    chain: Chain,
    clock: NetworkClock,
    path: Path,
    params_of: ParamsOf,
    fee_policy: FeePolicy,
    mine: Callable[[], None] | None = None,
) -> Deployment:
    """The network's deployment; makes what is missing of it.

    Raises WrongChain when the node serves another chain than the plan was made for, CallFailed when
    a transaction was mined and reverted.
    """
    if path.exists():
        deployment = Deployment.load(path)
        Network(rpc, deployment).check()
        return deployment
    accounts = custody.ensure_network_keys(clock.now())
    planned = _stored_plan(database) or _store_plan(
        database, chain, clock, accounts, params_of(_actors(accounts))
    )
    if planned["chain_id"] != chain.chain_id():
        raise WrongChain(
            f"the plan was made for chain {planned['chain_id']}, the node serves another",
            chain_id=planned["chain_id"],
        )
    faults.point("deploy.planned")
    params = _params(planned["params"])
    deployer = planned["deployer"]
    provisional = _provisional(rpc, chain, params, deployer, planned)
    _carry_out(database, custody, chain, provisional, clock, fee_policy, planned["batches"], mine)
    deployment = deployed(rpc, params, deployer, 0, planned["first_block"])
    faults.point("deploy.file_not_written")
    deployment.save(path)
    return deployment


def _actors(accounts: dict[Purpose, Address]) -> Actors:
    return Actors(
        admin=accounts[Purpose.ADMIN],
        guardian=accounts[Purpose.GUARDIAN],
        operator=accounts[Purpose.OPERATOR],
        treasurer=accounts[Purpose.TREASURER],
        attestor=accounts[Purpose.ATTESTOR],
    )


def _stored_plan(database: Database) -> dict[str, Any] | None:
    with database.read() as connection:
        return _read_plan(connection)


def _read_plan(connection: Connection) -> dict[str, Any] | None:
    query = select(facts.c.value).where(facts.c.name == FACT)
    value = connection.execute(query).scalar_one_or_none()
    return None if value is None else orjson.loads(value)


def _store_plan(
    database: Database,
    chain: Chain,
    clock: NetworkClock,
    accounts: dict[Purpose, Address],
    params: DeploymentParams,
) -> dict[str, Any]:
    """The plan and its calls, in one commit."""
    deployer, operator = accounts[Purpose.DEPLOYER], accounts[Purpose.OPERATOR]
    if chain.transaction_count(address_bytes(deployer)):
        raise WrongChain(f"the deployer {deployer} has already sent transactions on this chain")
    latest = chain.block("latest")
    if latest is None:
        raise NotReady("the node has no block yet")
    now = clock.now()
    with database.write() as connection:
        database.lock_name(connection, FACT)
        there = _read_plan(connection)
        if there is not None:
            return there
        numbers = [
            calls.enqueue(connection, sender=deployer, to=t.to, data=t.data, label=t.label, now=now)
            for t in plan(params, deployer, 0)
        ]
        at = planned_addresses(deployer, 0)
        approve = Calls(at).approve_receipts(at["Coalition"], UNBOUNDED)
        numbers.append(
            calls.enqueue(
                connection,
                sender=operator,
                to=approve.to,
                data=approve.data,
                label="approve receipts",
                after=numbers[-1],
                now=now,
            )
        )
        planned = {
            "chain_id": chain.chain_id(),
            "deployer": deployer,
            "first_block": latest.number + 1,
            "params": asdict(params),
            "batches": numbers,
        }
        connection.execute(insert(facts), {"name": FACT, "value": orjson.dumps(planned).decode()})
    return planned


def _params(stored: dict[str, Any]) -> DeploymentParams:
    return DeploymentParams(
        **{
            **stored,
            "actors": Actors(**stored["actors"]),
            "terms": Terms(**stored["terms"]),
            "policy": Policy(stored["policy"]),
        }
    )


def _provisional(
    rpc: Rpc, chain: Chain, params: DeploymentParams, deployer: Address, planned: dict[str, Any]
) -> Network:
    """The network as it will be: enough to send the calls that make it."""
    at = planned_addresses(deployer, 0)
    return Network(
        rpc,
        Deployment(
            chain_id=planned["chain_id"],
            genesis_hash=ZERO_DIGEST,
            first_block=planned["first_block"],
            contracts={name: ContractAt(address, ZERO_DIGEST) for name, address in at.items()},
            face_value=params.face_value,
            epoch_first_start=params.epoch_first_start,
            epoch_length=params.epoch_length,
            policy=params.policy,
        ),
    )


def _carry_out(
    database: Database,
    custody: Custody,
    chain: Chain,
    network: Network,
    clock: NetworkClock,
    fee_policy: FeePolicy,
    numbers: Sequence[int],
    mine: Callable[[], None] | None,
) -> None:
    """Sends the plan's calls until all are final. Raises CallFailed, NotReady."""
    deployment = network.deployment
    lines = Lines.all_of(custody.relayers())
    books = _NoMirrorYet(chain)
    coalition = deployment.address("Coalition")
    custody.bind(deployment, clock, books.issue_price)
    slots = SlotKeeper(database, chain, clock, deployment.chain_id)
    sender = Sender(database, custody, chain, clock, coalition, fee_policy)
    settler = Settler(database, chain, network, books, clock)
    until = time.monotonic() + PATIENCE_S
    while True:
        slots.run_once(lines)
        sender.run_once(lines)
        if mine is not None:
            mine()
        settler.run_once()
        with database.read() as connection:
            if calls.check_done(connection, numbers):
                return
        if time.monotonic() > until:
            raise NotReady("the chain does not mine the contracts; start again to go on")
        if mine is None:
            time.sleep(0.05)


class _NoMirrorYet:
    """Books before there is a mirror: calls need none, and the chain's own head is enough."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def head(self) -> Head | None:
        final = self._chain.final_block()
        return None if final is None else Head(final.number, final.hash, final.time)

    def balances(self, addresses: Sequence[bytes], at: int) -> dict[bytes, int]:
        raise NotReady("there is no mirror yet")

    def position(self, merchant: int) -> Position | None:
        raise NotReady("there is no mirror yet")

    def effects(self, digests: Sequence[bytes]) -> dict[bytes, Effect]:
        return {}

    def issue_price(self, at: int) -> int:
        raise NotReady("there is no mirror yet")

    def redemption(self, digest: bytes) -> Redemption | None:
        raise NotReady("there is no mirror yet")

    def return_window(self, digest: bytes, merchant: int, address: bytes, at: int) -> Window | None:
        raise NotReady("there is no mirror yet")

    def coalition(self) -> None:
        """There is none yet that could be succeeded."""

    def live_until(self, epoch: int) -> int:
        raise NotReady("there is no mirror yet")

    def redeem_price(self, epoch: int) -> int:
        raise NotReady("there is no mirror yet")

    @property
    def face_value(self) -> int:
        raise NotReady("there is no mirror yet")


def unfinished(database: Database) -> bool:
    """Whether a plan is stored whose calls are not all final."""
    planned = _stored_plan(database)
    if planned is None:
        return False
    with database.read() as connection:
        query = select(batches.c.id).where(
            batches.c.id.in_(planned["batches"]), batches.c.block_number.is_(None)
        )
        return connection.execute(query).first() is not None
