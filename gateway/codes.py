"""Small numbers for states and kinds in SQL, and their words. Never renumber: rows depend on it."""

from enum import IntEnum
from typing import Final

from sqlalchemy import ColumnElement, literal_column

from gateway.model import MerchantState, OrderKind, OrderState


class Kind(IntEnum):
    """Kinds of orders and batches; those of signed orders are the wire's (`Orders.sol`)."""

    CALL = 0
    JOIN = 1
    ISSUE = 3
    REDEEM = 4
    REFUND = 5
    RETURN = 6
    TRANSFER = 7
    CANCEL = 8
    WITHDRAW = 9


BY_TILL: Final = (Kind.ISSUE, Kind.REFUND, Kind.RETURN)
"""Kinds that a till key signs, on the merchant's lower nonces."""
BY_MEMBER: Final = (Kind.JOIN, Kind.REDEEM, Kind.TRANSFER)
"""Kinds that the member alone signs, on the member's own nonces."""
HOLDS_MONEY: Final = (Kind.ISSUE, Kind.REFUND, Kind.WITHDRAW)
"""Kinds whose hold is money of the merchant; the others' is points of the member."""
HOLDS_POINTS: Final = (Kind.REDEEM, Kind.RETURN, Kind.TRANSFER)

OWNERS_NONCES_FROM: Final = -(2**63)
"""As a row keeps it: the chain's nonces have 64 unsigned bits, and from 2^63 on they are the
owner's. SQL's integers are signed, so that half lies below zero there."""


def chain_nonce(stored: int) -> int:
    """A nonce as the chain counts it."""
    return stored % 2**64


class State(IntEnum):
    """States of an order. `FAILED` is named by a partial index."""

    ACCEPTED = 1
    BATCHED = 2
    SUBMITTED = 3
    INCLUDED = 4
    FINAL = 8
    FAILED = 9


class BatchState(IntEnum):
    """open: fixed, not yet signed. sealed: signed and stored. done: final. void: proven dead."""

    OPEN = 1
    SEALED = 2
    DONE = 8
    VOID = 9


class SlotState(IntEnum):
    """A nonce of a relayer: reserved, filled with a stored attempt, then used up."""

    RESERVED = 1
    FILLED = 2
    OURS = 8
    STRANGERS = 9


class AttemptState(IntEnum):
    """Signed bytes: stored, offered to a node, in a block, in a final block, or overtaken."""

    SIGNED = 1
    OFFERED = 2
    MINED = 3
    FINAL = 8
    SUPERSEDED = 9


class Purpose(IntEnum):
    """What an attempt puts on its slot."""

    PAYLOAD = 1
    BUMP = 2
    NOOP = 3


class EndpointState(IntEnum):
    """Of a webhook end point: told, switched off by its owner, gone (it answered 410), deleted."""

    ACTIVE = 1
    DISABLED = 2
    GONE = 3
    DELETED = 9


class DeliveryState(IntEnum):
    """Of one event to one end point: waits for its (next) attempt, taken with 2xx, given up."""

    PENDING = 1
    DELIVERED = 8
    FAILED = 9


KIND_WORDS: Final[dict[int, OrderKind]] = {
    Kind.JOIN: OrderKind.JOIN,
    Kind.ISSUE: OrderKind.ISSUE,
    Kind.REDEEM: OrderKind.REDEEM,
    Kind.REFUND: OrderKind.REFUND,
    Kind.RETURN: OrderKind.RETURN,
    Kind.TRANSFER: OrderKind.TRANSFER,
    Kind.WITHDRAW: OrderKind.WITHDRAW,
}
KIND_CODES: Final[dict[OrderKind, Kind]] = {word: Kind(code) for code, word in KIND_WORDS.items()}

STATE_WORDS: Final[dict[int, OrderState]] = {
    State.ACCEPTED: OrderState.ACCEPTED,
    State.BATCHED: OrderState.BATCHED,
    State.SUBMITTED: OrderState.SUBMITTED,
    State.INCLUDED: OrderState.INCLUDED,
    State.FINAL: OrderState.FINAL,
    State.FAILED: OrderState.FAILED,
}
STATE_CODES: Final[dict[OrderState, State]] = {
    word: State(code) for code, word in STATE_WORDS.items()
}

MERCHANT_STATES: Final[dict[int, MerchantState]] = {
    0: MerchantState.ONBOARDING,
    1: MerchantState.ACTIVE,
    2: MerchantState.SUSPENDED,
    3: MerchantState.LEAVING,
    4: MerchantState.CLOSED,
}
"""The contract's `Status`; 0 is a merchant that is not registered there yet."""


def has(column: ColumnElement[int], code: IntEnum) -> ColumnElement[bool]:
    """`column = code`, the number written into the statement.

    A partial index is used only where the statement itself names its condition: a bound value
    could be any.
    """
    return column == literal_column(str(code.value))


def lives(column: ColumnElement[int]) -> ColumnElement[bool]:
    """The state is not an end: the condition of the partial indexes over live rows."""
    return column < literal_column("8")
