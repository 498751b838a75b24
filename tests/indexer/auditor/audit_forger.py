"""A chain rewritten with valid hashes: roots, headers and parent links computed anew.

What remains wrong then is what the blocks say, and that is what the auditor must find.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from indexer.auditor.codec import keccak
from indexer.auditor.headers import encode_header
from indexer.auditor.receipts import encode_receipt
from indexer.auditor.source import Rpc
from indexer.auditor.transactions import encode_transaction
from indexer.auditor.tries import ordered_root

Change = Callable[[dict[str, Any], list[dict[str, Any]]], None]
"""Changes a block and its receipts in place."""


class Forger:
    """Answers for blocks from `first` on as if `change` had happened in it, up to `last` or the
    newest. A proxy's rule.
    """

    def __init__(self, url: str, first: int, change: Change, last: int | None = None) -> None:
        rpc = Rpc(url, timeout_s=60)
        head = last or int(rpc.call("eth_blockNumber", []), 16)
        self.blocks: dict[int, dict[str, Any]] = {}
        self.receipts: dict[int, list[dict[str, Any]]] = {}
        parent: str | None = None
        for number in range(first, head + 1):
            block = rpc.call("eth_getBlockByNumber", [hex(number), True])
            receipts = rpc.call("eth_getBlockReceipts", [hex(number)])
            if number == first:
                change(block, receipts)
            self._seal(block, receipts, parent)
            parent = block["hash"]
            self.blocks[number], self.receipts[number] = block, receipts
        self.head = head
        rpc.close()

    @staticmethod
    def _seal(block: dict[str, Any], receipts: list[dict[str, Any]], parent: str | None) -> None:
        if parent is not None:
            block["parentHash"] = parent
        encoded = [encode_receipt(receipt) for receipt in receipts]
        bloom = 0
        for receipt in encoded:
            bloom |= receipt.bloom
        bodies = [encode_transaction(tx) for tx in block["transactions"]]
        block["transactionsRoot"] = "0x" + ordered_root(bodies).hex()
        block["receiptsRoot"] = "0x" + ordered_root([r.encoded for r in encoded]).hex()
        block["logsBloom"] = f"0x{bloom:0512x}"
        block["hash"] = "0x" + keccak(encode_header(block)).hex()

    def __call__(self, method: str, params: list[Any], result: Any) -> Any:
        """The proxy's rule."""
        if method not in ("eth_getBlockByNumber", "eth_getBlockReceipts"):
            return result
        tag = params[0]
        number = self.head if tag == "latest" else int(tag, 16) if tag[:2] == "0x" else None
        if number is None or number not in self.blocks:
            return result
        return (self.blocks if method == "eth_getBlockByNumber" else self.receipts)[number]
