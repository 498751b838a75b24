"""Why the chain rejected an order: who is to blame, what may pass, and what never will.

One bad entry must not hold up the others of its batch until the deadline. Where the cause will not
go away by waiting, the batch's nonce is used up by a Cancel: a final block then proves that it can
never take effect, and its orders are sealed anew; the one that the chain named fails, and where it
named nobody, the new batches are smaller each time, until the bad one stands alone.
"""

from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from gateway.codes import BY_MEMBER, BatchState, Kind, has, lives
from gateway.relay import evidence, gas
from gateway.tables import batches, members, orders
from wallet_sdk.refusals import (
    BucketFull,
    ContractRefused,
    CreditLimitExceeded,
    EpochExpired,
    ERC20InsufficientBalance,
    IssuingIsPaused,
    MerchantNotActive,
    NotMember,
    NotTillKey,
    RedemptionUnknown,
    RefundExceedsRedemption,
    ReturnExceedsIssued,
    ReturnWindowOver,
)
from wallet_sdk.types import address_bytes

FOR_EVER: Final = (
    EpochExpired,
    RedemptionUnknown,
    RefundExceedsRedemption,
    ReturnExceedsIssued,
    ReturnWindowOver,
)
"""What the chain says of a refund or a return and will say again; they stand alone in their batch.
"""

PASSING: Final = (CreditLimitExceeded, IssuingIsPaused, MerchantNotActive, NotTillKey)
"""What a deposit, the operator or a new till key mends; it meets all orders of the merchant alike,
so there is nobody to be told apart."""

SPENT: Final = (ERC20InsufficientBalance,)
"""The member's points are gone: they expired before the order was mined, or a wallet of the
member's own spent them. A till does not wait for others to come."""

PASSING_MAX_S: Final = 3 * 86_400
"""But nobody waits for ever: orders that met such a cause fail after so many seconds."""

UNNAMED_TRIES: Final = 3
"""A cause that names nobody is given so many tries before the batch is taken apart."""

SPLIT: Final = 8
"""Batches of orders that died once, twice, ... are so many times smaller: 600, 75, 9, 1."""


def entries_max(voids: int) -> int:
    """How many entries a batch of orders may have whose batches died so often."""
    return max(gas.ISSUE_ENTRIES_MAX // int(SPLIT**voids), 1)


def culprit(refusal: ContractRefused | None) -> bytes | None:
    """The account whose entry the chain will not take; None: it named nobody."""
    if isinstance(refusal, BucketFull | NotMember):
        return address_bytes(refusal.values["account"])
    return None


def must_part(connection: Connection, batch: Any, reason: str | None) -> bool:
    """Whether a rejected batch of issues is to be taken apart now, and what spends points that are
    gone to be ended, instead of tried again.
    """
    refusal = evidence.refusal_in(reason)
    if batch.kind in (Kind.REDEEM, Kind.TRANSFER) and isinstance(refusal, SPENT):
        return bool(batch.tries + 1 >= UNNAMED_TRIES)
    if batch.kind != Kind.ISSUE or refusal is None or isinstance(refusal, PASSING):
        return False
    if batch.order_count == 1 and not isinstance(refusal, BucketFull):
        # Nobody else waits for it.
        return False
    named = culprit(refusal)
    if named is None:
        return bool(batch.tries + 1 >= UNNAMED_TRIES)
    return not (isinstance(refusal, NotMember) and _is_joining(connection, named))


def _is_joining(connection: Connection, address: bytes) -> bool:
    """The member's Join is on its way, so that this will pass."""
    c = orders.c
    # Asked of the order, not of its batch: between a batch that died and the next there is none.
    query = (
        select(c.id)
        .join(members, members.c.id == c.member_id)
        .where(members.c.address == address, lives(c.state), has(c.kind, Kind.JOIN))
    )
    return connection.execute(query.limit(1)).first() is not None


def use_nonce_up(connection: Connection, batch: Any, now: int) -> None:
    """Sets a Cancel of this batch's nonce on the way; once, however often it is asked for."""
    c = batches.c
    of_member = batch.kind in BY_MEMBER
    row = {
        "kind": Kind.CANCEL.value,
        "state": BatchState.OPEN.value,
        "signer": bytes(batch.signer),
        "merchant_id": None if of_member else batch.merchant_id,
        "member_id": batch.member_id if of_member else None,
        "nonce": batch.nonce,
        "order_count": 0,
        "gas": gas.of_order(Kind.CANCEL),
        "created_at": now,
        "changed_at": now,
    }
    if batch.cancel_id is None:
        number = connection.execute(insert(batches).returning(c.id), row).scalar_one()
        connection.execute(
            update(batches).where(c.id == batch.id).values(cancel_id=number, changed_at=now)
        )
