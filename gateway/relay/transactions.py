"""A slot's payload as a transaction: deterministic in the slot, its batches and the fees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.codes import Kind
from wallet_sdk.contracts.calls import RELAY
from wallet_sdk.types import Address, address_of, to_hex

DYNAMIC_FEE: Final = 2


@dataclass(frozen=True, slots=True)
class Fees:
    """Most wei a gas in all, and of it most for the block's maker."""

    cap: int
    tip: int


def call_wire(to: Address | None, data: bytes) -> bytes:
    """How a call is stored in a batch: 1 and the target, or 0 for a creation; then the data."""
    if to is None:
        return b"\x00" + data
    return b"\x01" + bytes.fromhex(to[2:]) + data


def read_call(wire: bytes) -> tuple[Address | None, bytes]:
    """Target (None: creation) and data of a stored call."""
    if wire[0] == 0:
        return None, wire[1:]
    return address_of(wire[1:21]), wire[21:]


NOOP_GAS: Final = 21_000


def build(slot: Any, inside: Sequence[Any], coalition: Address, fees: Fees) -> dict[str, Any]:
    """The unsigned transaction that carries the batches `inside` (by id) on the nonce of `slot`.

    With nothing inside it only uses up the nonce: nothing, sent to oneself.
    """
    to: Address | None
    gas = slot.gas_limit
    if not inside:
        to, data, gas = address_of(bytes(slot.relayer)), b"", NOOP_GAS
    elif inside[0].kind == Kind.CALL:
        (only,) = inside
        to, data = read_call(bytes(only.wire))
    else:
        to = coalition
        data = RELAY.encode([bytes(batch.wire) for batch in inside])
    transaction: dict[str, Any] = {
        "type": DYNAMIC_FEE,
        "chainId": slot.chain_id,
        "nonce": slot.nonce,
        "gas": gas,
        "maxFeePerGas": fees.cap,
        "maxPriorityFeePerGas": fees.tip,
        "value": 0,
        "data": to_hex(data),
    }
    if to is not None:
        transaction["to"] = to
    return transaction
