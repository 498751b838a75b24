"""Refusals of AccessManager and of the contracts under it."""

from __future__ import annotations

from wallet_sdk.refusals.base import ContractRefused
from wallet_sdk.types import Address, Digest


class AccessManagedUnauthorized(ContractRefused, abi="AccessManagedUnauthorized(address caller)"):
    """The caller's roles do not allow this call."""

    caller: Address


class AccessManagedRequiredDelay(
    ContractRefused,
    abi="AccessManagedRequiredDelay(address caller, uint32 delay)",
):
    """The caller must schedule this call first."""

    caller: Address
    delay: int


class AccessManagedInvalidAuthority(
    ContractRefused,
    abi="AccessManagedInvalidAuthority(address authority)",
):
    """This address is no AccessManager."""

    authority: Address


class AccessManagerAlreadyScheduled(
    ContractRefused,
    abi="AccessManagerAlreadyScheduled(bytes32 operationId)",
):
    """The operation is scheduled already."""

    operation_id: Digest


class AccessManagerBadConfirmation(ContractRefused, abi="AccessManagerBadConfirmation()"):
    """The caller must name itself to renounce a role."""


class AccessManagerExpired(ContractRefused, abi="AccessManagerExpired(bytes32 operationId)"):
    """The scheduled operation has lapsed."""

    operation_id: Digest


class AccessManagerInvalidInitialAdmin(
    ContractRefused,
    abi="AccessManagerInvalidInitialAdmin(address initialAdmin)",
):
    """The first admin cannot be this address."""

    initial_admin: Address


class AccessManagerLockedFunction(
    ContractRefused,
    abi="AccessManagerLockedFunction(bytes4 selector)",
):
    """The function's role cannot be changed."""

    selector: str


class AccessManagerLockedRole(ContractRefused, abi="AccessManagerLockedRole(uint64 roleId)"):
    """The role cannot be changed."""

    role_id: int


class AccessManagerNotReady(ContractRefused, abi="AccessManagerNotReady(bytes32 operationId)"):
    """The scheduled operation's time has not come."""

    operation_id: Digest


class AccessManagerNotScheduled(
    ContractRefused,
    abi="AccessManagerNotScheduled(bytes32 operationId)",
):
    """The operation is not scheduled."""

    operation_id: Digest


class AccessManagerUnauthorizedAccount(
    ContractRefused,
    abi="AccessManagerUnauthorizedAccount(address msgsender, uint64 roleId)",
):
    """The caller does not have the role."""

    msgsender: Address
    role_id: int


class AccessManagerUnauthorizedCall(
    ContractRefused,
    abi="AccessManagerUnauthorizedCall(address caller, address target, bytes4 selector)",
):
    """The caller may not make this call."""

    caller: Address
    target: Address
    selector: str


class AccessManagerUnauthorizedCancel(
    ContractRefused,
    abi=(
        "AccessManagerUnauthorizedCancel(address msgsender, address caller, "
        "address target, bytes4 selector)"
    ),
):
    """The caller may not take this operation back."""

    msgsender: Address
    caller: Address
    target: Address
    selector: str | None


class AccessManagerUnauthorizedConsume(
    ContractRefused,
    abi="AccessManagerUnauthorizedConsume(address target)",
):
    """The target does not use up scheduled operations."""

    target: Address
