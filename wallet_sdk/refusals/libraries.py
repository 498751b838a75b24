"""Refusals of OpenZeppelin's contracts and of Solidity itself."""

from __future__ import annotations

from wallet_sdk.refusals.base import ContractRefused
from wallet_sdk.types import Address


class Panic(ContractRefused, abi="Panic(uint256 reason)"):
    """A check of the compiler failed: an overflow, a bad index."""

    reason: int


class ERC20InsufficientBalance(
    ContractRefused,
    abi="ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)",
):
    """The balance does not reach."""

    sender: Address
    balance: int
    needed: int


class ERC20InsufficientAllowance(
    ContractRefused,
    abi="ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)",
):
    """The allowance does not reach."""

    spender: Address
    allowance: int
    needed: int


class ERC20InvalidApprover(ContractRefused, abi="ERC20InvalidApprover(address approver)"):
    """The zero address cannot approve."""

    approver: Address


class ERC20InvalidReceiver(ContractRefused, abi="ERC20InvalidReceiver(address receiver)"):
    """This address cannot receive."""

    receiver: Address


class ERC20InvalidSender(ContractRefused, abi="ERC20InvalidSender(address sender)"):
    """The zero address cannot send."""

    sender: Address


class ERC20InvalidSpender(ContractRefused, abi="ERC20InvalidSpender(address spender)"):
    """The zero address cannot spend."""

    spender: Address


class ERC721IncorrectOwner(
    ContractRefused,
    abi="ERC721IncorrectOwner(address sender, uint256 tokenId, address owner)",
):
    """The pass belongs to somebody else."""

    sender: Address
    token_id: int
    owner: Address


class ERC721InsufficientApproval(
    ContractRefused,
    abi="ERC721InsufficientApproval(address operator, uint256 tokenId)",
):
    """The pass is not approved to the operator."""

    operator: Address
    token_id: int


class ERC721InvalidApprover(ContractRefused, abi="ERC721InvalidApprover(address approver)"):
    """The address cannot approve a pass."""

    approver: Address


class ERC721InvalidOperator(ContractRefused, abi="ERC721InvalidOperator(address operator)"):
    """The address cannot be an operator of passes."""

    operator: Address


class ERC721InvalidOwner(ContractRefused, abi="ERC721InvalidOwner(address owner)"):
    """The zero address owns no pass."""

    owner: Address


class ERC721InvalidReceiver(ContractRefused, abi="ERC721InvalidReceiver(address receiver)"):
    """This address cannot receive a pass."""

    receiver: Address


class ERC721InvalidSender(ContractRefused, abi="ERC721InvalidSender(address sender)"):
    """The zero address cannot send a pass."""

    sender: Address


class ERC721NonexistentToken(ContractRefused, abi="ERC721NonexistentToken(uint256 tokenId)"):
    """There is no such pass."""

    token_id: int


class SafeERC20FailedOperation(ContractRefused, abi="SafeERC20FailedOperation(address token)"):
    """The settlement asset refused to move."""

    token: Address


class AddressEmptyCode(ContractRefused, abi="AddressEmptyCode(address target)"):
    """There is no contract at this address."""

    target: Address


class FailedCall(ContractRefused, abi="FailedCall()"):
    """A call into another contract failed."""


class InsufficientBalance(
    ContractRefused,
    abi="InsufficientBalance(uint256 balance, uint256 needed)",
):
    """The contract's own balance does not reach."""

    balance: int
    needed: int


class SafeCastOverflowedUintDowncast(
    ContractRefused,
    abi="SafeCastOverflowedUintDowncast(uint8 bits, uint256 value)",
):
    """The number does not fit."""

    bits: int
    value: int


class SafeCastOverflowedIntDowncast(
    ContractRefused,
    abi="SafeCastOverflowedIntDowncast(uint8 bits, int256 value)",
):
    """The signed number does not fit."""

    bits: int
    value: int


class SafeCastOverflowedUintToInt(
    ContractRefused, abi="SafeCastOverflowedUintToInt(uint256 value)"
):
    """The number does not fit a signed one."""

    value: int


class ReentrancyGuardReentrantCall(ContractRefused, abi="ReentrancyGuardReentrantCall()"):
    """A call came back into the contract that made it."""


class InvalidShortString(ContractRefused, abi="InvalidShortString()"):
    """A short text is malformed."""


class StringTooLong(ContractRefused, abi="StringTooLong(string str)"):
    """The text is too long for its place."""

    str: str
