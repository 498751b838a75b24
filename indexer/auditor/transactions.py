"""Transactions: the bytes that were signed, their hash, and who signed them.

Types 0 to 4 (EIP-155, 2930, 1559, 4844, 7702) and 0x7e, the deposits of OP-stack rollups.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from indexer.auditor.codec import data_of, encode_bytes, encode_int, encode_list, keccak, quantity
from indexer.auditor.errors import AuditError
from indexer.auditor.signatures import recover

TRANSACTIONS: Final = "transactions"
KINDS: Final = frozenset((0, 1, 2, 3, 4, 0x7E))
"""Types whose transactions and receipts are encoded as here."""


class TypeUnknown(AuditError):
    """A transaction of a type whose encoding this auditor does not know."""

    def __init__(self, kind: int) -> None:
        self.kind = kind
        super().__init__(f"transactions of type {kind} cannot be rebuilt")


def _number(tx: Mapping[str, Any], name: str) -> bytes:
    return encode_int(quantity(tx.get(name)))


def _bytes(tx: Mapping[str, Any], name: str, length: int | None = None) -> bytes:
    return encode_bytes(data_of(tx.get(name), length))


def _to(tx: Mapping[str, Any]) -> bytes:
    return b"\x80" if tx.get("to") is None else _bytes(tx, "to", 20)


def _access_list(tx: Mapping[str, Any]) -> bytes:
    return encode_list(
        [
            encode_list(
                [
                    _bytes(entry, "address", 20),
                    encode_list([encode_bytes(data_of(k, 32)) for k in entry["storageKeys"]]),
                ]
            )
            for entry in tx.get("accessList") or ()
        ]
    )


def _authorizations(tx: Mapping[str, Any]) -> bytes:
    return encode_list(
        [
            encode_list(
                [
                    _number(entry, "chainId"),
                    _bytes(entry, "address", 20),
                    _number(entry, "nonce"),
                    _parity(entry),
                    _number(entry, "r"),
                    _number(entry, "s"),
                ]
            )
            for entry in tx.get("authorizationList") or ()
        ]
    )


def _parity(fields: Mapping[str, Any]) -> bytes:
    name = "yParity" if fields.get("yParity") is not None else "v"
    return encode_int(quantity(fields.get(name)))


def _fees(tx: Mapping[str, Any]) -> list[bytes]:
    return [_number(tx, "maxPriorityFeePerGas"), _number(tx, "maxFeePerGas"), _number(tx, "gas")]


def _call(tx: Mapping[str, Any]) -> list[bytes]:
    return [_to(tx), _number(tx, "value"), _bytes(tx, "input")]


def _legacy(tx: Mapping[str, Any]) -> list[bytes]:
    return [_number(tx, "nonce"), _number(tx, "gasPrice"), _number(tx, "gas"), *_call(tx)]


def _unsigned(kind: int, tx: Mapping[str, Any]) -> list[bytes]:
    if kind == 0x7E:
        mint = encode_int(quantity(tx["mint"])) if tx.get("mint") else b"\x80"
        system = encode_int(int(bool(tx.get("isSystemTx"))))
        who = [_bytes(tx, "sourceHash", 32), _bytes(tx, "from", 20), _to(tx)]
        return [*who, mint, _number(tx, "value"), _number(tx, "gas"), system, _bytes(tx, "input")]
    head = [_number(tx, "chainId"), _number(tx, "nonce")]
    if kind == 1:
        fees = [_number(tx, "gasPrice"), _number(tx, "gas")]
        return [*head, *fees, *_call(tx), _access_list(tx)]
    parts = [*head, *_fees(tx), *_call(tx), _access_list(tx)]
    if kind == 2:
        return parts
    if kind == 3:
        hashes = [encode_bytes(data_of(h, 32)) for h in tx["blobVersionedHashes"]]
        return [*parts, _number(tx, "maxFeePerBlobGas"), encode_list(hashes)]
    assert kind == 4
    return [*parts, _authorizations(tx)]


def kind_of(fields: Mapping[str, Any]) -> int:
    """The EIP-2718 type of a transaction or receipt; 0 where the node leaves it out."""
    return quantity(fields["type"]) if fields.get("type") is not None else 0


def encode_transaction(tx: Mapping[str, Any]) -> bytes:
    """The bytes that stand in the block's transactions trie. Raises TypeUnknown, AuditError."""
    kind = kind_of(tx)
    if kind not in KINDS:
        raise TypeUnknown(kind)
    if kind == 0:
        signature = [_number(tx, "v"), _number(tx, "r"), _number(tx, "s")]
        return encode_list([*_legacy(tx), *signature])
    parts = _unsigned(kind, tx)
    if kind != 0x7E:
        parts += [_parity(tx), _number(tx, "r"), _number(tx, "s")]
    return bytes([kind]) + encode_list(parts)


def sender_of(tx: Mapping[str, Any]) -> bytes | None:
    """The address whose key signed the transaction, None when the signature is none.

    A deposit of a rollup (0x7e) has no signature: its sender is what the rollup says.
    """
    kind = kind_of(tx)
    if kind == 0x7E:
        return data_of(tx["from"], 20)
    r, s = quantity(tx["r"]), quantity(tx["s"])
    if kind == 0:
        v = quantity(tx["v"])
        parts = _legacy(tx)
        if v >= 35:
            parts += [encode_int((v - 35) // 2), b"\x80", b"\x80"]
            parity = (v - 35) % 2
        else:
            parity = v - 27
        return recover(keccak(encode_list(parts)), r, s, parity)
    parity = quantity(tx["yParity"] if tx.get("yParity") is not None else tx["v"])
    return recover(keccak(bytes([kind]) + encode_list(_unsigned(kind, tx))), r, s, parity)
