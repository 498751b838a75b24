"""Calls of contract functions: calldata in, typed answers out, no ABI at run time.

Declarations stand here as Solidity writes them; the tests hold each against the exported ABI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from eth_abi.abi import decode, encode
from eth_abi.exceptions import EncodingError

from wallet_sdk.errors import DeploymentInvalid, InputInvalid
from wallet_sdk.names import Declaration, parse_declaration
from wallet_sdk.types import Address, keccak256, to_hex
from wallet_sdk.words import reader

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a contract. `returns` are the flat types of its answer; a static struct is
    its members.
    """

    contract: str
    declaration: Declaration
    returns: tuple[str, ...]
    selector: bytes

    def encode(self, *arguments: Any) -> bytes:
        """Selector and arguments. Raises InputInvalid when one does not fit its type."""
        types = [param.type for param in self.declaration.params]
        try:
            return self.selector + encode(types, [_plain(a) for a in arguments])
        except (EncodingError, TypeError, ValueError) as error:
            raise InputInvalid(f"{self.declaration.name}: {error}") from error

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """The answer's values, each in border form.

        Raises DeploymentInvalid when the answer has another shape: no contract of ours stands
        there.
        """
        if self.returns == ("string",):
            try:
                return tuple(decode(["string"], data))
            except Exception as error:  # eth_abi raises many kinds on foreign bytes
                raise DeploymentInvalid(f"{self.declaration.name}: no text came back") from error
        if len(data) != 32 * len(self.returns):
            raise DeploymentInvalid(
                f"{self.declaration.name} answered {len(data)} bytes: "
                f"not the {self.contract} of this version"
            )
        return tuple(
            reader(abi_type)(data[32 * i : 32 * i + 32]) for i, abi_type in enumerate(self.returns)
        )


def _plain(value: Any) -> Any:
    # eth_abi takes bytes for bytesN; at our borders digests are 0x text. Addresses are text for
    # both.
    if isinstance(value, str) and len(value) == 66:
        return bytes.fromhex(value[2:])
    return value


FUNCTIONS: Final[list[Function]] = []
"""All that were declared; a test goes through them."""


def function(contract: str, declaration: str, *returns: str) -> Function:
    """Declares a function of `contract`, such as `positionOf(uint32 merchant)`."""
    parsed = parse_declaration(declaration)
    made = Function(contract, parsed, returns, keccak256(parsed.signature.encode("ascii"))[:4])
    FUNCTIONS.append(made)
    return made


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """A question to a contract, not yet asked."""

    to: Address
    data: bytes
    parse: Callable[[bytes], T]

    def rpc(self) -> dict[str, str]:
        """The call object of eth_call."""
        return {"to": self.to, "data": to_hex(self.data)}


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction's target and data, not yet signed; `label` says what it does."""

    to: Address
    data: bytes
    label: str

    def rpc(self, sender: Address | None = None) -> dict[str, str]:
        """The call object of eth_call and eth_estimateGas."""
        call = {"to": self.to, "data": to_hex(self.data)}
        return call if sender is None else {**call, "from": sender}
