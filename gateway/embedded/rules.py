"""Which RPC methods the public port answers, and what "latest" means there.

An allow-list: anvil's own `anvil_*`, `evm_*` and `hardhat_*` rewrite history without a transaction,
filters and subscriptions keep state in the node, and `debug_*` costs it minutes. Block tags become
the number of the last *committed* block, which is final on this chain; anvil itself would answer
block 0 for "finalized" and a block with the wall clock's time for "pending".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Method -> position of its block parameter, or None where it has none.
FORWARDED: dict[str, int | None] = {
    "eth_call": 1,
    "eth_createAccessList": 1,
    "eth_estimateGas": 1,
    "eth_feeHistory": 1,
    "eth_gasPrice": None,
    "eth_getBalance": 1,
    "eth_getBlockByHash": None,
    "eth_getBlockByNumber": 0,
    "eth_getBlockReceipts": 0,
    "eth_getBlockTransactionCountByHash": None,
    "eth_getBlockTransactionCountByNumber": 0,
    "eth_getCode": 1,
    "eth_getLogs": None,
    "eth_getProof": 2,
    "eth_getStorageAt": 2,
    "eth_getTransactionByBlockHashAndIndex": None,
    "eth_getTransactionByBlockNumberAndIndex": 0,
    "eth_getTransactionByHash": None,
    "eth_getTransactionCount": 1,
    "eth_getTransactionReceipt": None,
    "eth_maxPriorityFeePerGas": None,
    "eth_syncing": None,
    "net_listening": None,
    "net_version": None,
    "web3_clientVersion": None,
    "web3_sha3": None,
}
ANSWERED_HERE = frozenset({"eth_blockNumber", "eth_chainId", "eth_sendRawTransaction"})
# Where a call may leave out its block, "latest" is meant; everywhere else anvil says what is
# missing.
BLOCK_OPTIONAL = frozenset({"eth_call", "eth_createAccessList", "eth_estimateGas"})
BLOCK_OPTIONAL |= {"eth_getBalance", "eth_getCode", "eth_getTransactionCount"}
BLOCK_OPTIONAL |= {"eth_getStorageAt", "eth_getProof"}
COMMITTED_TAGS = frozenset({"latest", "safe", "finalized", "pending"})


def pin_block(method: str, params: Sequence[Any], head: int) -> list[Any]:
    """The parameters with block tags replaced by the committed head's number."""
    pinned = list(params)
    if method == "eth_getLogs" and pinned and isinstance(pinned[0], dict):
        pinned[0] = _pin_filter(pinned[0], head)
    position = FORWARDED[method]
    if position is None:
        return pinned
    if len(pinned) == position and method in BLOCK_OPTIONAL:
        pinned.append("latest")
    if len(pinned) > position:
        counts_pool = method == "eth_getTransactionCount" and pinned[position] == "pending"
        if not counts_pool:
            pinned[position] = _pin(pinned[position], head)
    return pinned


def _pin(block: Any, head: int) -> Any:
    if isinstance(block, dict) and "blockNumber" in block:
        return {**block, "blockNumber": _pin(block["blockNumber"], head)}
    return hex(head) if isinstance(block, str) and block in COMMITTED_TAGS else block


def _pin_filter(wanted: dict[str, Any], head: int) -> dict[str, Any]:
    if "blockHash" in wanted:
        return wanted
    # Both ends default to "latest" (EIP-1474).
    ends = {end: _pin(wanted.get(end) or "latest", head) for end in ("fromBlock", "toBlock")}
    return {**wanted, **ends}
