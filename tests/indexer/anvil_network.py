"""Our contracts on a real anvil, its clock in the test's hand: for the mirror's tests and its
benchmark.

Roles are anvil's own unlocked accounts; members and tills sign their orders with real keys.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wallet_sdk.buckets import unpack_buckets
from wallet_sdk.contracts import Call, Deployment, Network
from wallet_sdk.deployment import Actors, DeploymentParams, deployed, plan
from wallet_sdk.merkle import redemption_leaf, redemptions_proof
from wallet_sdk.orders import (
    IssueBatch,
    Join,
    Leave,
    Order,
    Redeem,
    Redemption,
    Refund,
    Return,
    Transfer,
    Withdraw,
)
from wallet_sdk.rpc import Rpc
from wallet_sdk.signers import LocalSigner
from wallet_sdk.types import Policy, keccak256, to_hex

ANVIL = Path(__file__).parents[2] / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
GENESIS_TIME = 1_750_000_000
EPOCH_S = 100_000
GAS_CAP = 16_777_216
WIRE_BYTES_PER_RELAY = 12_000
"""480 entries to new members, or 80 orders of members: within the gas of one transaction."""


def key(name: str) -> LocalSigner:
    """The same person every time."""
    return LocalSigner(keccak256(b"key of " + name.encode()))


@contextlib.contextmanager
def anvil(folder: Path) -> Iterator[str]:
    """The URL of a fresh node that mines when told."""
    log = folder / "anvil.out"
    flags = ["--port", "0", "--accounts", "5", "--no-mining", "--order", "fifo", "--no-cors"]
    flags += ["--hardfork", "osaka", "--base-fee", "0", "--gas-price", "0"]
    flags += ["--gas-limit", "60000000", "--timestamp", str(GENESIS_TIME)]
    flags += ["--no-request-size-limit", "--cache-path", str(folder)]
    with log.open("wb") as out:
        node = subprocess.Popen(
            [ANVIL, *flags], stdout=out, stderr=subprocess.STDOUT, env={"HOME": str(folder)}
        )
    try:
        yield f"http://127.0.0.1:{_port(node, log)}"
    finally:
        node.kill()
        node.wait()


def _port(node: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(600):
        listening = re.search(r"Listening on 127\.0\.0\.1:(\d+)", log.read_text())
        if listening:
            return listening[1]
        if node.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"anvil did not start: {log.read_text()}")


@dataclass
class AnvilNetwork:
    """A deployed network. Acts wait in the pool until `mine`, in the order they were made."""

    url: str
    rpc: Rpc
    deployment: Deployment
    network: Network
    accounts: list[str]
    nonces: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    till_nonce: int = 0
    sent: list[str] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)

    @classmethod
    def deploy(cls, url: str, *, policy: Policy = Policy.MEMBERS) -> AnvilNetwork:
        rpc = Rpc(url, timeout_s=120)
        accounts: list[str] = rpc.call("eth_accounts")
        params = DeploymentParams(
            actors=Actors(*accounts[:1], *accounts[:1], *accounts[1:4]),
            epoch_first_start=GENESIS_TIME,
            epoch_length=EPOCH_S,
            policy=policy,
        )
        for step in plan(params, accounts[0], 0):
            transaction = {"from": accounts[0], "data": to_hex(step.data), "gas": hex(GAS_CAP)}
            if step.to is not None:
                transaction["to"] = step.to
            rpc.call("eth_sendTransaction", [transaction])
            rpc.call("evm_mine", [])
        deployment = deployed(rpc, params, accounts[0], 0, first_block=1)
        return cls(url, rpc, deployment, Network(rpc, deployment), accounts)

    # ---- the chain

    @property
    def now(self) -> int:
        """Time of the newest block."""
        return self.network.head().timestamp

    def mine(self, at: int | None = None) -> dict[str, Any]:
        """One block with everything that waits; fails when anything of it reverted."""
        self.flush()
        self.rpc.call("anvil_setNextBlockTimestamp", [self.now + 1 if at is None else at])
        self.rpc.call("evm_mine", [])
        sent, self.sent = self.sent, []
        receipts = self.rpc.batch([("eth_getTransactionReceipt", [h]) for h in sent])
        assert all(r is not None and r["status"] == "0x1" for r in receipts), receipts
        topics = [log["topics"] for receipt in receipts for log in receipt["logs"]]
        self.expected -= {t[1] for t in topics if len(t) > 1 and t[0] != REJECTED}
        assert not self.expected, "orders had no effect"
        block: dict[str, Any] = self.rpc.call("eth_getBlockByNumber", ["latest", False])
        return block

    def flush(self) -> None:
        """Puts the orders that wait into one transaction."""
        if self.waiting:
            orders, self.waiting = self.waiting, []
            self.send(self.network.calls.relay(orders), self.accounts[4])

    def send(self, call: Call, sender: str) -> None:
        """A transaction of an unlocked account."""
        transaction = {**call.rpc(sender), "gas": hex(GAS_CAP)}
        self.sent.append(self.rpc.call("eth_sendTransaction", [transaction]))

    def relay(self, order: Order, signer: LocalSigner) -> None:
        """Signs; orders that wait share a transaction as far as its gas goes."""
        digest = order.digest(self.deployment.domain)
        self.expected.add(to_hex(digest))
        wire = order.encode(signer.sign(digest))
        if sum(map(len, self.waiting)) + len(wire) > WIRE_BYTES_PER_RELAY:
            self.flush()
        self.waiting.append(wire)

    def reorg(self, depth: int) -> None:
        """Replaces the newest blocks by empty ones; their transactions are gone."""
        self.rpc.call("anvil_reorg", [depth, []])

    # ---- the operator's side

    def fund(self, merchant: int, amount: int) -> None:
        """Registers the merchant if need be, and deposits."""
        calls, (_, operator, treasurer, attestor, _) = self.network.calls, self.accounts
        owner, till = key(f"owner {merchant}"), key(f"till {merchant}")
        if int(self.network.merchant_of(merchant).status) == 0:
            self.send(calls.register_merchant(merchant, owner.address, till.address), operator)
        self.till_nonce += 1
        reference = to_hex(keccak256(f"bank {self.till_nonce}".encode()))
        self.send(calls.propose_mint(reference, treasurer, amount), treasurer)
        self.send(calls.confirm_mint(reference), attestor)
        coalition = self.deployment.address("Coalition")
        self.send(calls.approve_receipts(coalition, amount), treasurer)
        self.send(calls.deposit(merchant, amount), treasurer)

    # ---- orders

    def deadline(self) -> int:
        """An hour, but never beyond the epoch."""
        schedule = self.deployment.schedule
        return min(self.now + 3_600, schedule.end(schedule.epoch_at(self.now)))

    def _nonce(self, who: str) -> int:
        self.nonces[who] += 1
        return self.nonces[who]

    def _till_nonce(self) -> int:
        self.till_nonce += 1
        return self.till_nonce

    def join(self, *names: str) -> None:
        for name in names:
            who = key(name)
            self.relay(Join(who.address, self._nonce(name), self.deadline()), who)

    def leave(self, name: str) -> None:
        who = key(name)
        self.relay(Leave(who.address, self._nonce(name), self.deadline()), who)

    def issue(self, merchant: int, entries: Sequence[tuple[str, int]]) -> None:
        """Entries are (address, points)."""
        order = IssueBatch(merchant, self._till_nonce(), self.deadline(), tuple(entries))
        self.relay(order, key(f"till {merchant}"))

    def redeem(self, name: str, merchant: int, points: int) -> Redeem:
        who = key(name)
        nonce = self._nonce(name)
        ref = to_hex(keccak256(f"{name} {nonce}".encode()))
        order = Redeem(who.address, merchant, points, nonce, self.deadline(), ref)
        self.relay(order, who)
        return order

    def transfer(self, sender: str, receiver: str, points: int) -> None:
        who = key(sender)
        to = key(receiver).address
        order = Transfer(who.address, to, points, self._nonce(sender), self.deadline())
        self.relay(order, who)

    def give_back_goods(self, name: str, merchant: int, points: int, epoch: int) -> None:
        """A Return, signed by the member and a till."""
        who = key(name)
        order = Return(
            member=who.address,
            merchant=merchant,
            points=points,
            epoch=epoch,
            nonce=self._till_nonce(),
            deadline=self.deadline(),
            ref=to_hex(keccak256(f"return {self.till_nonce}".encode())),
        )
        by_member = who.sign(order.digest(self.deployment.domain))
        self.relay(replace(order, member_signature=by_member), key(f"till {merchant}"))

    def refund(self, redeemed: Redeem, points: int, block: int) -> None:
        """Gives back out of a redemption that block `block` relayed."""
        logs = self.rpc.call(
            "eth_getLogs",
            [
                {
                    "fromBlock": hex(block),
                    "toBlock": hex(block),
                    "address": self.deployment.address("Coalition"),
                    "topics": [to_hex(keccak256(REDEEMED.encode()))],
                }
            ],
        )
        domain = self.deployment.domain
        leaves = [
            redemption_leaf(bytes.fromhex(log["topics"][1][2:]), _buckets(log)) for log in logs
        ]
        digest = redeemed.digest(domain)
        at = [log["topics"][1] for log in logs].index(to_hex(digest))
        redemption = Redemption(
            member=redeemed.member,
            points=redeemed.points,
            nonce=redeemed.nonce,
            deadline=redeemed.deadline,
            ref=redeemed.ref,
            buckets=_buckets(logs[at]),
        )
        order = Refund(
            redeemed.merchant,
            points,
            self._till_nonce(),
            self.deadline(),
            redemption,
            tuple(to_hex(step) for step in redemptions_proof(leaves, at)),
        )
        self.relay(order, key(f"till {redeemed.merchant}"))

    def withdraw(self, merchant: int, to: str, amount: int) -> None:
        order = Withdraw(merchant, to, amount, self._till_nonce(), self.deadline())
        self.relay(order, key(f"owner {merchant}"))


REJECTED = to_hex(keccak256(b"Rejected(bytes32,address,bytes)"))
REDEEMED = "Redeemed(bytes32,address,uint32,uint256,uint256,uint256,bytes32)"


def _buckets(log: dict[str, Any]) -> int:
    word = int(log["data"][2 + 128 : 2 + 192], 16)
    assert unpack_buckets(word)
    return word
