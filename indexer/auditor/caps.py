"""What share of its issues a merchant may take back: a constant in the code of each Coalition."""

from __future__ import annotations

from typing import Final

from indexer.auditor.codec import data_of, keccak
from indexer.auditor.errors import AuditError, Broken, CannotRun, NodeUnavailable
from indexer.auditor.ledger import BPS
from indexer.auditor.network import NetworkFile, immutables_of
from indexer.auditor.source import Rpc

CODE: Final = "code"


def code_at(rpc: Rpc, address: bytes) -> bytes:
    """The code that the node says stands there; nothing is proven yet."""
    return data_of(rpc.call("eth_getCode", ["0x" + address.hex(), "latest"]))


def return_cap(rpc: Rpc, network: NetworkFile, coalition: bytes) -> int:
    """Basis points of its issues that a merchant may take back. A constant of the Coalition's code:
    what the node says is believed only if it stands among the immutables of the pinned code, or, of
    a successor, of the code that is proven after the last block.
    """
    pinned = network.contracts["Coalition"]
    code = code_at(rpc, coalition)
    if coalition == pinned.address and keccak(code) != pinned.code_hash:
        raise Broken(
            CODE,
            None,
            "the Coalition runs other code than the deployment file pins",
            "0x" + pinned.code_hash.hex(),
            "0x" + keccak(code).hex(),
        )
    words = immutables_of("Coalition", code)
    answers = [word_of(rpc, coalition, name) for name in ("returnCapBps()", "faceValue()")]
    cap, face_value = answers
    if words is not None and (cap not in words or face_value not in words):
        raise Broken(CODE, None, "the node tells figures that the Coalition's code does not hold")
    if face_value != network.face_value:
        raise CannotRun(f"the file says face value {network.face_value}, the code {face_value}")
    return cap


def word_of(rpc: Rpc, contract: bytes, function: str) -> int:
    """What a call without arguments answers, one word."""
    call = {"to": "0x" + contract.hex(), "data": "0x" + keccak(function.encode())[:4].hex()}
    return int.from_bytes(data_of(rpc.call("eth_call", [call, "latest"]), 32), "big")


def cap_of(rpc: Rpc, network: NetworkFile, coalition: bytes) -> int:
    """As `return_cap`; of a successor that does not tell all of it: then there is no cap to hold it
    to, and its code is not called ours.
    """
    try:
        return return_cap(rpc, network, coalition)
    except NodeUnavailable:
        raise
    except AuditError:
        if coalition == network.address("Coalition"):
            raise
        return BPS
