"""Events of OpenZeppelin's AccessManager and of the contracts under it: who may do what."""

from __future__ import annotations

from dataclasses import dataclass

from wallet_sdk.events.base import Event
from wallet_sdk.types import Address, Digest, Seconds


@dataclass(frozen=True)
class AuthorityUpdated(Event, abi="AuthorityUpdated(address authority)"):
    """A contract obeys another AccessManager from now on."""

    authority: Address


@dataclass(frozen=True)
class Eip712DomainChanged(Event, abi="EIP712DomainChanged()"):
    """ERC-5267; never emitted by us, the domain is fixed."""


@dataclass(frozen=True)
class RoleGranted(
    Event,
    abi=(
        "RoleGranted(uint64 indexed roleId, address indexed account, "
        "uint32 delay, uint48 since, bool newMember)"
    ),
):
    """An account has a role from `since` on, its calls delayed by `delay` seconds."""

    role_id: int
    account: Address
    delay: int
    since: Seconds
    new_member: bool


@dataclass(frozen=True)
class RoleRevoked(Event, abi="RoleRevoked(uint64 indexed roleId, address indexed account)"):
    """An account lost a role."""

    role_id: int
    account: Address


@dataclass(frozen=True)
class RoleLabel(Event, abi="RoleLabel(uint64 indexed roleId, string label)"):
    """A role has a name."""

    role_id: int
    label: str


@dataclass(frozen=True)
class RoleAdminChanged(Event, abi="RoleAdminChanged(uint64 indexed roleId, uint64 indexed admin)"):
    """Who may grant and revoke a role."""

    role_id: int
    admin: int


@dataclass(frozen=True)
class RoleGuardianChanged(
    Event, abi="RoleGuardianChanged(uint64 indexed roleId, uint64 indexed guardian)"
):
    """Who may take back what a role scheduled."""

    role_id: int
    guardian: int


@dataclass(frozen=True)
class RoleGrantDelayChanged(
    Event, abi="RoleGrantDelayChanged(uint64 indexed roleId, uint32 delay, uint48 since)"
):
    """How many seconds a grant of the role takes."""

    role_id: int
    delay: int
    since: Seconds


@dataclass(frozen=True)
class TargetClosed(Event, abi="TargetClosed(address indexed target, bool closed)"):
    """A contract's guarded functions were closed or opened."""

    target: Address
    closed: bool


@dataclass(frozen=True)
class TargetFunctionRoleUpdated(
    Event,
    abi=(
        "TargetFunctionRoleUpdated(address indexed target, bytes4 selector, uint64 indexed roleId)"
    ),
):
    """Which role may call a function."""

    target: Address
    selector: str
    role_id: int


@dataclass(frozen=True)
class TargetAdminDelayUpdated(
    Event,
    abi="TargetAdminDelayUpdated(address indexed target, uint32 delay, uint48 since)",
):
    """How many seconds a change of a target's rules takes."""

    target: Address
    delay: int
    since: Seconds


@dataclass(frozen=True)
class OperationScheduled(
    Event,
    abi=(
        "OperationScheduled(bytes32 indexed operationId, uint32 indexed nonce, "
        "uint48 schedule, address caller, address target, bytes data)"
    ),
):
    """A delayed call was scheduled for `schedule`."""

    operation_id: Digest
    nonce: int
    schedule: Seconds
    caller: Address
    target: Address
    data: bytes


@dataclass(frozen=True)
class OperationExecuted(
    Event, abi="OperationExecuted(bytes32 indexed operationId, uint32 indexed nonce)"
):
    """A delayed call was made."""

    operation_id: Digest
    nonce: int


@dataclass(frozen=True)
class OperationCanceled(
    Event, abi="OperationCanceled(bytes32 indexed operationId, uint32 indexed nonce)"
):
    """A delayed call was taken back."""

    operation_id: Digest
    nonce: int
