"""A small network on a real node, driven order by order: what the auditor is shown."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wallet_sdk.contracts.calls import Calls
from wallet_sdk.contracts.deployment import Deployment
from wallet_sdk.contracts.functions import Call
from wallet_sdk.deployment.plan import DeploymentParams, deployed, plan
from wallet_sdk.deployment.roles import Actors
from wallet_sdk.orders import (
    IssueBatch,
    Join,
    Order,
    Redeem,
    Return,
    Transfer,
)
from wallet_sdk.rpc import Rpc
from wallet_sdk.signers import LocalSigner
from wallet_sdk.types import keccak256

ROOT = Path(__file__).parents[3]
ANVIL = ROOT / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
CHAIN_ID = 424242
FIRST_TIME = 1_700_000_000
DAY = 86_400
EPOCH_LENGTH = 90 * DAY
BAKER, FLORIST = 1, 2
RICH_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"


@contextmanager
def running_anvil(*flags: str) -> Iterator[str]:
    """URL of a fresh node that mines when told to; ended and swept up behind the block."""
    with tempfile.TemporaryDirectory(prefix="banyan-audit-") as folder:
        command = [str(ANVIL), "--port", "0", "--no-mining", "--order", "fifo"]
        command += ["--chain-id", str(CHAIN_ID), "--hardfork", "osaka", "--gas-limit", "60000000"]
        command += ["--timestamp", str(FIRST_TIME), "--base-fee", "0", "--no-cors"]
        command += ["--enable-tx-gas-limit", "--no-request-size-limit"]
        command += ["--cache-path", folder, *flags]
        log = Path(folder) / "anvil.log"
        # A file, not a pipe: the node writes a line a call, and a full pipe stops it.
        with log.open("w") as output:
            node = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
        try:
            yield _address(node, log)
        finally:
            node.terminate()
            node.wait(timeout=20)


def _address(node: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 30
    while time.monotonic() < until and node.poll() is None:
        found = re.search(r"Listening on ([\d.]+):(\d+)", log.read_text())
        if found:
            return f"http://{found[1]}:{found[2]}"
        time.sleep(0.02)
    raise AssertionError(f"anvil did not start: {log.read_text()[-500:]}")


def key(name: str) -> LocalSigner:
    """The same key for the same name, always."""
    return LocalSigner(keccak256(name.encode()))


def tag(text: str) -> str:
    """32 bytes as hex."""
    return "0x" + keccak256(text.encode()).hex()


class Town:
    """Baker, florist, their members and the operator, on one node. Time is in the town's hands."""

    def __init__(self, url: str, folder: Path, merchants: Sequence[int] = (BAKER, FLORIST)) -> None:
        self.url = url
        self.rpc = Rpc(url, timeout_s=60)
        self.time = FIRST_TIME
        self._nonces: dict[str, int] = {}
        self._member_nonces: dict[str, int] = {}
        self._merchant_nonce = 0
        self.operator = key("operator")
        self.relayer = key("relayer")
        self.deployment = self._deploy()
        self.calls = Calls(self.deployment.addresses)
        self.file = folder / "deployment.json"
        self.file.write_text(json.dumps(self.deployment.to_dict()))
        self.owners = {m: key(f"owner {m}") for m in merchants}
        self.tills = {m: key(f"till {m}") for m in merchants}
        for merchant in merchants:
            self.open_shop(merchant)
        self.mine()

    # ---- transactions and blocks

    def send(self, signer: LocalSigner, call: Call | tuple[str | None, bytes], gas: int = 0) -> str:
        """Sends without mining."""
        to, data = (call.to, call.data) if isinstance(call, Call) else call
        nonce = self._nonces.get(signer.address, 0)
        fields: dict[str, Any] = {"chainId": CHAIN_ID, "nonce": nonce, "value": 0, "type": 2}
        fields |= {"gas": gas or 16_000_000, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0}
        fields |= {"data": "0x" + data.hex()} | ({"to": to} if to is not None else {})
        raw, digest = signer.sign_transaction(fields)
        self.rpc.call("eth_sendRawTransaction", ["0x" + raw.hex()])
        self._nonces[signer.address] = nonce + 1
        return digest

    def mine(self, at: int | None = None) -> int:
        """One block, a minute later or at `at`; every transaction in it must have succeeded."""
        self.time = self.time + 60 if at is None else at
        self.rpc.call("evm_mine", [self.time])
        block = self.rpc.call("eth_getBlockByNumber", ["latest", False])
        assert not self.rpc.call("txpool_content", [])["pending"], "not all fits into the block"
        return int(block["number"], 16)

    def reorg(self, depth: int) -> None:
        """Replaces the last blocks by empty ones; their transactions are lost."""
        self.rpc.call("anvil_reorg", [depth, []])
        for address in self._nonces:
            count = self.rpc.call("eth_getTransactionCount", [address, "latest"])
            self._nonces[address] = int(count, 16)

    def ask_all(self, digests: Sequence[str]) -> None:
        """Asserts that these succeeded."""
        for digest in digests:
            receipt = self.rpc.call("eth_getTransactionReceipt", [digest])
            assert receipt["status"] == "0x1", digest

    def _deploy(self) -> Deployment:
        deployer, operator = key("deployer"), self.operator.address
        actors = Actors(
            admin=operator,
            guardian=key("guardian").address,
            operator=operator,
            treasurer=operator,
            attestor=key("attestor").address,
        )
        params = DeploymentParams(
            actors=actors, epoch_first_start=FIRST_TIME, epoch_length=EPOCH_LENGTH
        )
        sent = [
            self.send(deployer, (step.to, step.data)) for step in plan(params, deployer.address, 0)
        ]
        self.mine()
        self.ask_all(sent)
        return deployed(self.rpc, params, deployer.address, 0, 1)

    def open_shop(self, merchant: int, deposit: int = 10**9) -> None:
        """Registers a merchant with a till key and a deposit."""
        owner, till = self.owners[merchant], self.tills[merchant]
        coalition = self.deployment.addresses["Coalition"]
        reference = tag(f"bank {merchant}")
        call = self.calls.register_merchant(merchant, owner.address, till.address, tag("profile"))
        self.send(self.operator, call)
        self.send(self.operator, self.calls.propose_mint(reference, owner.address, deposit))
        self.mine()
        self.send(key("attestor"), self.calls.confirm_mint(reference))
        self.mine()
        self.send(owner, self.calls.approve_receipts(coalition, deposit))
        self.mine()
        self.send(owner, self.calls.deposit(merchant, deposit))

    # ---- orders

    def relay(self, orders: Sequence[bytes]) -> str:
        """Hands orders to the relayer, without mining."""
        return self.send(self.relayer, self.calls.relay(list(orders)))

    def relayed(self, orders: Sequence[bytes], at: int | None = None) -> int:
        """The same in a block of its own."""
        digest = self.relay(orders)
        number = self.mine(at)
        self.ask_all([digest])
        return number

    def signed(self, order: Order, *signers: LocalSigner) -> bytes:
        """The wire of an order that these signed."""
        digest = order.digest(self.deployment.domain)
        return order.encode(signers[-1].sign(digest))

    @property
    def deadline(self) -> int:
        return self.time + 3600

    def member_nonce(self, name: str) -> int:
        nonce = self._member_nonces.get(name, 0) + 1
        self._member_nonces[name] = nonce
        return nonce

    def merchant_nonce(self) -> int:
        self._merchant_nonce += 1
        return self._merchant_nonce

    def join(self, name: str) -> bytes:
        member = key(name)
        order = Join(member.address, self.member_nonce(name), self.deadline)
        return self.signed(order, member)

    def issue(
        self, merchant: int, *entries: tuple[str, int], till: LocalSigner | None = None
    ) -> bytes:
        packed = tuple((key(name).address, points) for name, points in entries)
        order = IssueBatch(merchant, self.merchant_nonce(), self.deadline, packed, tag("refs"))
        return self.signed(order, till or self.tills[merchant])

    def redeem_order(self, name: str, merchant: int, points: int) -> Redeem:
        nonce = self.member_nonce(name)
        return Redeem(
            key(name).address, merchant, points, nonce, self.deadline, tag(f"{name} {nonce}")
        )

    def redeem(self, name: str, merchant: int, points: int) -> bytes:
        return self.signed(self.redeem_order(name, merchant, points), key(name))

    def transfer(self, name: str, to: str, points: int) -> bytes:
        nonce = self.member_nonce(name)
        order = Transfer(key(name).address, key(to).address, points, nonce, self.deadline)
        return self.signed(order, key(name))

    def returned(self, name: str, merchant: int, points: int, epoch: int) -> bytes:
        nonce = self.merchant_nonce()
        member = key(name)
        bare = Return(
            member.address, merchant, points, epoch, nonce, self.deadline, tag("goods"), b""
        )
        digest = bare.digest(self.deployment.domain)
        order = Return(
            *(member.address, merchant, points, epoch, nonce, self.deadline, tag("goods")),
            member.sign(digest),
        )
        return self.signed(order, self.tills[merchant])
