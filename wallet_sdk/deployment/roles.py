"""Who may call what: the roles of the AccessManager and the functions under them.

No role reaches relay, execute, deposit, closeEpoch, claimBreakage or finishRecovery, so no call of
the AccessManager can stop a redemption, a refund or a withdrawal. What no role is named for needs
ADMIN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from wallet_sdk.contracts.functions import function
from wallet_sdk.types import Address, keccak256

_MANAGER: Final = "AccessManager"

GRANT_ROLE: Final = function(
    _MANAGER, "grantRole(uint64 roleId, address account, uint32 executionDelay)"
)
RENOUNCE_ROLE: Final = function(_MANAGER, "renounceRole(uint64 roleId, address callerConfirmation)")
LABEL_ROLE: Final = function(_MANAGER, "labelRole(uint64 roleId, string label)")
SET_TARGET_FUNCTION_ROLE: Final = function(
    _MANAGER, "setTargetFunctionRole(address target, bytes4[] selectors, uint64 roleId)"
)
MULTICALL: Final = function(_MANAGER, "multicall(bytes[] data)", "bytes[]")


class Role(IntEnum):
    """Ids in the AccessManager; 0 is its own ADMIN_ROLE."""

    ADMIN = 0
    GUARDIAN = 1
    OPERATOR = 2
    TREASURER = 3
    ATTESTOR = 4


@dataclass(frozen=True, slots=True)
class Actors:
    """Who holds each role at the start. Treasurer and attestor are two people, or no receipt is
    ever minted.
    """

    admin: Address
    guardian: Address
    operator: Address
    treasurer: Address
    attestor: Address


GUARDED: Final[tuple[tuple[str, Role, tuple[str, ...]], ...]] = (
    ("Points", Role.ADMIN, ("proposeCoalition(address)",)),
    ("Points", Role.GUARDIAN, ("vetoCoalition()",)),
    (
        "Coalition",
        Role.OPERATOR,
        (
            "registerMerchant(uint32,address,address,bytes32)",
            "setMerchantStatus(uint32,uint8)",
            "setCreditLimit(uint32,uint256)",
            "setTerms(uint256,(uint32,uint32,uint16))",
            "pauseIssuing(bool)",
            "withdrawGuarantee(address,uint256)",
            "withdrawIncome(address,uint256)",
        ),
    ),
    ("MembershipPass", Role.OPERATOR, ("setTier(uint256,uint256)",)),
    (
        "BankReceipt",
        Role.TREASURER,
        ("proposeMint(bytes32,address,uint256)", "settlePayout(uint256,bytes32)"),
    ),
    (
        "BankReceipt",
        Role.ATTESTOR,
        (
            "confirmMint(bytes32)",
            "rejectMint(bytes32)",
            "attestBalance(uint256,uint256,bytes32)",
        ),
    ),
)


def wiring(addresses: Mapping[str, Address], actors: Actors, deployer: Address) -> list[bytes]:
    """Calldata for the AccessManager, in order: functions, labels, grants, and last the deployer's
    own leave.

    The deployer is the AccessManager's first admin and keeps nothing unless it is `actors.admin`
    itself.
    """
    calls: list[bytes] = []
    for contract, role, signatures in GUARDED:
        selectors = [keccak256(text.encode("ascii"))[:4] for text in signatures]
        calls.append(SET_TARGET_FUNCTION_ROLE.encode(addresses[contract], selectors, int(role)))
    holders: dict[Role, Address] = {
        Role.GUARDIAN: actors.guardian,
        Role.OPERATOR: actors.operator,
        Role.TREASURER: actors.treasurer,
        Role.ATTESTOR: actors.attestor,
    }
    for role, holder in holders.items():
        calls.append(LABEL_ROLE.encode(int(role), role.name))
        calls.append(GRANT_ROLE.encode(int(role), holder, 0))
    if actors.admin != deployer:
        calls.append(GRANT_ROLE.encode(int(Role.ADMIN), actors.admin, 0))
        calls.append(RENOUNCE_ROLE.encode(int(Role.ADMIN), deployer))
    return calls


def one_transaction(calls: list[bytes]) -> bytes:
    """All of them in one transaction: a network is wired whole or not at all."""
    return MULTICALL.encode(calls)
