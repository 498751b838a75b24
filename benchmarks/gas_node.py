"""A fresh anvil for gas measurements: fixed keys, fixed chain id and fixed times, so that every run
gives the same figures to the unit (addresses and signatures are calldata, and zero bytes are
cheaper).
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
ANVIL = ROOT / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
CHAIN_ID = 31_337
START = 1_767_225_600  # 2026-01-01
# EIP-7825: no transaction may carry more.
TRANSACTION_GAS_MAX = 16_777_216
# The first account of anvil's own mnemonic, unlocked there.
DEPLOYER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


class Node:
    """JSON-RPC to one anvil; each transaction is a block of its own, ten seconds after the last."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60)
        self.now = START

    def rpc(self, method: str, *params: Any) -> Any:
        """The answer. Raises RuntimeError with the node's words."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = self._client.post("", json=body).json()
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def tick(self) -> None:
        """Mines an empty block: eth_call sees the time of the last one."""
        self.now += 10
        self.rpc("evm_mine", self.now)

    def send(
        self, to: str | None, data: bytes, *, sender: str = DEPLOYER, gas: int | None = None
    ) -> dict[str, Any]:
        """Mines one transaction; returns its receipt. Raises RuntimeError when it reverts."""
        self.now += 10
        self.rpc("evm_setNextBlockTimestamp", self.now)
        transaction = {
            "from": sender,
            "data": "0x" + data.hex(),
            "gas": hex(gas or TRANSACTION_GAS_MAX),
        }
        if to is not None:
            transaction["to"] = to
        receipt = self._receipt(self.rpc("eth_sendTransaction", transaction))
        if receipt["status"] != "0x1":
            raise RuntimeError(f"reverted: {to} {data[:4].hex()}")
        return receipt

    def _receipt(self, transaction_hash: str) -> dict[str, Any]:
        """Waits for the block: the node answers before it has mined."""
        for _ in range(2_000):
            receipt: dict[str, Any] | None = self.rpc("eth_getTransactionReceipt", transaction_hash)
            if receipt is not None:
                return receipt
            time.sleep(0.002)
        raise RuntimeError(f"not mined: {transaction_hash}")

    def gas(self, to: str, data: bytes, *, sender: str = DEPLOYER) -> int:
        """Gas used by one transaction, everything in."""
        return int(self.send(to, data, sender=sender)["gasUsed"], 16)

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()


@contextmanager
def running_node() -> Iterator[Node]:
    """Starts an anvil under osaka on a free port and ends it afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="banyan-gas-") as folder:
        flags = (
            f"--port {port} --chain-id {CHAIN_ID} --hardfork osaka --enable-tx-gas-limit"
            f" --order fifo --timestamp {START} --base-fee 0 --gas-price 0 --gas-limit 60000000"
        )
        process = subprocess.Popen(
            [str(ANVIL), *flags.split(), "--quiet", "--cache-path", folder],
            stdin=subprocess.DEVNULL,
        )
        node = Node(f"http://127.0.0.1:{port}")
        try:
            for _ in range(200):
                try:
                    node.rpc("eth_chainId")
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield node
        finally:
            node.close()
            process.terminate()
            process.wait()
