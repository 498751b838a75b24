"""Transactions of our accounts that the book has forgotten: their nonces are filled, and calls that
wait and were carried out are closed.
"""

from collections.abc import Iterable
from typing import Any

from eth_abi.abi import decode as decode_abi
from sqlalchemy import Connection, insert, select, update

from gateway.codes import AttemptState, BatchState, Kind, SlotState, has, lives
from gateway.database import Database
from gateway.relay import reorg
from gateway.relay.chain import Chain
from gateway.relay.onchain import FoundTransaction
from gateway.relay.transactions import call_wire
from gateway.tables import attempts, batches, deposits, nonce_slots
from wallet_sdk.contracts.calls import PROPOSE_MINT


def fill_slots(
    database: Database,
    chain: Chain,
    chain_id: int,
    coalition: bytes,
    found: Iterable[FoundTransaction],
    now: int,
) -> tuple[int, int]:
    """Returns how many nonces were filled, and how many waiting calls closed.

    Raises RpcUnavailable; what was written stays, and the rest is found again.
    """
    filled = closed = 0
    for transaction in found:
        with database.read() as connection:
            known = select(attempts.c.id).where(attempts.c.hash == transaction.hash)
            if connection.execute(known).first() is not None:
                continue
        (receipt,) = chain.receipts([transaction.hash], coalition)
        with database.settle() as connection:
            if receipt is not None and receipt.ok:
                closed += _close_call(connection, transaction, now)
                _keep_reference(connection, transaction, now)
            filled += _fill(connection, chain_id, transaction, now)
    return filled, closed


def _close_call(connection: Connection, transaction: FoundTransaction, now: int) -> int:
    """The oldest waiting call of this sender with these very bytes was this transaction."""
    c = batches.c
    query = (
        select(c.id)
        .where(
            lives(c.state),
            has(c.state, BatchState.SEALED),
            has(c.kind, Kind.CALL),
            c.signer == transaction.sender,
            c.wire == call_wire(transaction.to, transaction.data),
            c.block_number.is_(None),
        )
        .order_by(c.id)
        .limit(1)
    )
    number = connection.execute(query).scalar_one_or_none()
    if number is None:
        return 0
    place = {
        "block_number": transaction.block_number,
        "block_hash": transaction.block_hash,
        "tx_hash": transaction.hash,
    }
    connection.execute(
        update(batches).where(c.id == number).values(slot_id=None, changed_at=now, **place)
    )
    return 1


def _keep_reference(connection: Connection, transaction: FoundTransaction, now: int) -> None:
    """A bank reference that the chain has used is booked once, also by a book that forgot it."""
    if transaction.data[:4] != PROPOSE_MINT.selector:
        return
    reference, _to, amount = decode_abi(["bytes32", "address", "uint256"], transaction.data[4:])
    c = deposits.c
    if connection.execute(select(c.id).where(c.bank_reference == reference)).first() is None:
        # For whom it was is the chain's to say; the row only keeps the reference.
        row = {"merchant_id": 0, "batch_id": 0, "bank_reference": reference, "amount": amount}
        connection.execute(insert(deposits), row | {"created_at": now})


def _fill(connection: Connection, chain_id: int, transaction: FoundTransaction, now: int) -> int:
    """The nonce is ours and used up. What the book had planned for it goes on another."""
    c = nonce_slots.c
    key = {"chain_id": chain_id, "relayer": transaction.sender, "nonce": transaction.nonce}
    slot: Any = connection.execute(
        select(c.id, c.state).where(*(c[name] == value for name, value in key.items()))
    ).one_or_none()
    done = {"state": SlotState.OURS.value, "changed_at": now}
    if slot is None:
        row = {**key, **done, "gas_limit": transaction.gas_limit, "reserved_at": now}
        connection.execute(insert(nonce_slots), row)
        return 1
    if slot.state >= SlotState.OURS:
        return 0
    reorg.relieve(connection, [slot.id], now)
    connection.execute(
        update(attempts)
        .where(attempts.c.slot_id == slot.id, attempts.c.state < AttemptState.FINAL.value)
        .values(state=AttemptState.SUPERSEDED.value)
    )
    connection.execute(update(nonce_slots).where(c.id == slot.id).values(**done))
    return 1
