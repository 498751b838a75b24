"""What a receipt says about each order inside a relay."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.relay.chain import Receipt
from wallet_sdk.events.effects import Rejected
from wallet_sdk.refusals import ContractRefused, refusal_of

_REJECTED: Final = Rejected.LAYOUT.topic0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one receipt: the digests that took effect, and the reason where one was rejected.

    A rejection is news, never proof: anybody may relay the same order again until its deadline.
    """

    effective: frozenset[bytes]
    rejected: dict[bytes, bytes]


def read(receipt: Receipt, digests: Iterable[bytes]) -> Evidence:
    """Looks for the digests among the Coalition's logs; every effect names its digest first."""
    wanted = set(digests)
    effective: set[bytes] = set()
    rejected: dict[bytes, bytes] = {}
    for log in receipt.logs:
        if len(log.topics) < 2 or log.topics[1] not in wanted:
            continue
        if log.topics[0] == _REJECTED:
            rejected[log.topics[1]] = _reason(log.data)
        else:
            effective.add(log.topics[1])
    return Evidence(frozenset(effective), rejected)


def _reason(data: bytes) -> bytes:
    """The `bytes reason` of Rejected: offset word, length word, content."""
    length = int.from_bytes(data[32:64], "big")
    return data[64 : 64 + length]


def told(reason: bytes) -> str:
    """The reason as it is stored: the error's code and the revert data, for a person and for us."""
    return f"{refusal_of(reason).code} 0x{reason.hex()}"


def refusal_in(stored: str | None) -> ContractRefused | None:
    """The contract's error out of a stored reason; None where there is none."""
    _, found, digits = (stored or "").partition(" 0x")
    return refusal_of(bytes.fromhex(digits)) if found else None
