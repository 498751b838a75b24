"""Solidity's errors in Python: declared beside each class, found by selector."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from wallet_sdk.errors import BanyanError
from wallet_sdk.names import Declaration, parse_declaration, snake_case
from wallet_sdk.types import keccak256, to_hex
from wallet_sdk.words import reader, word_of

REFUSALS: Final[dict[bytes, type[ContractRefused]]] = {}
"""By selector (the first four bytes of revert data)."""


class ContractRefused(BanyanError):
    """A contract reverted with one of its errors; the parameters are attributes.

    `code` is the error's name in snake case, the message is the class's sentence and the values. A
    parameter is None when the revert data was cut (`Rejected.reason` keeps 100 bytes: three
    parameters).
    """

    DECLARATION: ClassVar[Declaration]
    SELECTOR: ClassVar[bytes]

    def __init_subclass__(cls, *, abi: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abi:
            return
        cls.DECLARATION = parse_declaration(abi)
        cls.SELECTOR = keccak256(cls.DECLARATION.signature.encode("ascii"))[:4]
        if cls.SELECTOR in REFUSALS:
            raise ValueError(f"{abi} is declared twice")
        REFUSALS[cls.SELECTOR] = cls

    def __init__(self, **values: Any) -> None:
        self.values = values
        for name, value in values.items():
            setattr(self, name, value)
        told = ", ".join(f"{name.rstrip('_')} {_told(value)}" for name, value in values.items())
        sentence = (type(self).__doc__ or "").strip().split("\n")[0].rstrip(".")
        super().__init__(
            snake_case(self.DECLARATION.name), f"{sentence} ({told})" if told else sentence
        )

    def encode(self) -> bytes:
        """The revert data again: for tests and for a node of one's own."""
        params = self.DECLARATION.params
        if any(param.type == "string" for param in params):
            return self.SELECTOR + encode([p.type for p in params], list(self.values.values()))
        words = (word_of(p.type, self.values[p.attribute]) for p in params)
        return self.SELECTOR + b"".join(words)


class ContractRefusedUnknown(ContractRefused):
    """Revert data that no contract of ours gives: `data` holds it, empty where there was none."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.values = {"data": to_hex(data)}
        message = (
            f"the contract refused with {to_hex(data[:36])}" if data else "the contract refused"
        )
        BanyanError.__init__(self, "contract_refused", message)

    def encode(self) -> bytes:
        """The data as it came."""
        return self.data


class Reverted(ContractRefused, abi="Error(string reason)"):
    """The contract reverted with a text; none of ours does."""

    reason: str


def _told(value: object) -> str:
    return "cut off" if value is None else str(value)


def refusal_of(data: bytes) -> ContractRefused:
    """The error that revert data stands for; ContractRefusedUnknown when it is none of ours.

    The data may be cut after any whole word, as in `Rejected.reason`.
    """
    selector, body = data[:4], data[4:]
    refusal = REFUSALS.get(selector)
    if refusal is None:
        return ContractRefusedUnknown(data)
    params = refusal.DECLARATION.params
    if any(param.type == "string" for param in params):
        return _with_text(refusal, data)
    values: dict[str, Any] = {}
    for index, param in enumerate(params):
        word = body[32 * index : 32 * index + 32]
        values[param.attribute] = reader(param.type)(word) if len(word) == 32 else None
    return refusal(**values)


def _with_text(refusal: type[ContractRefused], data: bytes) -> ContractRefused:
    params = refusal.DECLARATION.params
    try:
        values = decode([param.type for param in params], data[4:])
    except (DecodingError, OverflowError, ValueError):
        return ContractRefusedUnknown(data)
    return refusal(**{p.attribute: v for p, v in zip(params, values, strict=True)})
