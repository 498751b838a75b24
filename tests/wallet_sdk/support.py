"""What several of the SDK's tests use beside the fixtures."""

from __future__ import annotations

import time
from typing import Any

from wallet_sdk.contracts import Call, refusal_in
from wallet_sdk.errors import RpcError
from wallet_sdk.rpc import Rpc
from wallet_sdk.signers import LocalSigner
from wallet_sdk.types import to_hex

GENESIS_TIME = 1_750_000_000
"""Unix second at which the test node's chain begins."""


def flat(part: dict[str, Any]) -> str:
    """The canonical type of an ABI parameter, structs written out."""
    if part["type"].startswith("tuple"):
        return f"({','.join(flat(member) for member in part['components'])})"
    return str(part["type"])


class Sender:
    """Signs and sends transactions of one key, and looks at how they went."""

    def __init__(self, rpc: Rpc, signer: LocalSigner) -> None:
        self.rpc = rpc
        self.signer = signer
        self.address = signer.address

    def send(self, to: str | None, data: bytes) -> dict[str, Any]:
        """The receipt of a transaction that succeeded."""
        chain_id, nonce = self.rpc.batch(
            [("eth_chainId", []), ("eth_getTransactionCount", [self.address, "latest"])]
        )
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": int(chain_id, 16),
            "nonce": int(nonce, 16),
            "gas": 16_777_216,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
            "value": 0,
            "data": data,
        }
        if to is not None:
            transaction["to"] = to
        raw, tx_hash = self.signer.sign_transaction(transaction)
        assert self.rpc.call("eth_sendRawTransaction", [to_hex(raw)]) == tx_hash
        receipt = self._receipt(tx_hash)
        assert receipt["status"] == "0x1", receipt
        return receipt

    def _receipt(self, tx_hash: str) -> dict[str, Any]:
        # The node mines a moment after it has taken the transaction.
        for _ in range(200):
            receipt: dict[str, Any] | None = self.rpc.call("eth_getTransactionReceipt", [tx_hash])
            if receipt is not None:
                return receipt
            time.sleep(0.02)
        raise AssertionError(f"{tx_hash} was not mined")

    def call(self, call: Call) -> dict[str, Any]:
        """The receipt of a call; a refusal is raised as itself."""
        try:
            self.rpc.call("eth_call", [call.rpc(self.address), "latest"])
        except RpcError as error:
            raise (refusal_in(error) or error) from error
        return self.send(call.to, call.data)
