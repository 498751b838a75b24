"""What the chain holds that the order book does not know: orders and transactions of our own keys
from a time that the book has forgotten.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import decode as decode_abi
from eth_abi.exceptions import DecodingError
from sqlalchemy import Connection, func, select, union_all

from gateway.custody import Custody
from gateway.database import Database
from gateway.mirror import MirrorBooks
from gateway.orders.known import parts
from gateway.tables import attempts, batches, members, merchants
from indexer.queries import Effect
from wallet_sdk.contracts.calls import EXECUTE, RELAY
from wallet_sdk.errors import OrderInvalid
from wallet_sdk.orders import Order, decode
from wallet_sdk.orders.base import Domain
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import Address, address_bytes, digest_bytes, from_hex

PAGE: Final = 1_000
BLOCKS_PER_REQUEST: Final = 50

WALLETS_AHEAD: Final = 2_000
"""Wallets tried for an address that the book does not know: members a lost day may have had."""

BY_MERCHANT: Final = ("Issued", "Refunded", "Returned", "Withdrawn")
"""Effects of orders that a merchant's key signs; the others are the member's."""


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An order that took effect and that the book does not know. `order` None: unreadable."""

    digest: bytes
    effect: Effect
    order: Order | None
    wire: bytes


@dataclass(frozen=True, slots=True)
class FoundTransaction:
    """A mined transaction of one of our accounts. `to` None: it created a contract."""

    hash: bytes
    sender: bytes
    nonce: int
    to: Address | None
    data: bytes
    gas_limit: int
    block_number: int
    block_hash: bytes


def newest_known_block(connection: Connection) -> int:
    """The newest block that the book has anything of; 0: none."""
    blocks = union_all(
        select(func.max(batches.c.block_number).label("n")),
        select(func.max(attempts.c.block_number).label("n")),
    ).subquery()
    return int(connection.execute(select(func.max(blocks.c.n))).scalar_one() or 0)


def unknown_effects(
    database: Database, custody: Custody, books: MirrorBooks, since: int | None = None
) -> Iterator[Effect]:
    """Effects from block `since` on (None: the newest that the book knows) of orders that our keys
    signed and the book does not know, oldest first. What others do on an open chain is no concern
    of the book's.

    Raises NotReady.
    """
    if since is None:
        with database.read() as connection:
            since = newest_known_block(connection)
    ours = _Ours(database, custody)
    after, seen = -1, set[str]()
    while page := books.effects_since(since, PAGE, after):
        after = page[-1].id
        known = _known(database, [effect.digest for effect in page if effect.digest])
        for effect in page:
            if effect.digest is None or effect.digest in known or effect.digest in seen:
                continue
            seen.add(effect.digest)
            if ours.signed(effect):
                yield effect


class _Ours:
    """Whose keys are in custody: merchants of the book, and wallets of its seed."""

    def __init__(self, database: Database, custody: Custody) -> None:
        self._database = database
        self._custody = custody
        self._ahead: set[Address] | None = None

    def signed(self, effect: Effect) -> bool:
        """Whether the order behind the effect was signed by a key of ours."""
        with self._database.read() as connection:
            if effect.name in BY_MERCHANT:
                found = select(merchants.c.id).where(merchants.c.id == effect.merchant)
                return connection.execute(found).first() is not None
            if effect.member is None:
                return False
            address = address_bytes(effect.member)
            known = select(members.c.id).where(members.c.address == address)
            if connection.execute(known).first() is not None:
                return True
            if self._ahead is None:
                highest = connection.execute(select(func.max(members.c.id))).scalar_one() or 0
                wallets = self._custody.wallets()
                numbers = range(highest + 1, highest + 1 + WALLETS_AHEAD)
                self._ahead = {wallets.address(number) for number in numbers}
        return effect.member in self._ahead


def _known(database: Database, digests: Sequence[str]) -> set[str]:
    by_raw = {digest_bytes(digest): digest for digest in digests}
    found: set[str] = set()
    with database.read() as connection:
        for part in parts(list(by_raw)):
            query = select(batches.c.digest).where(batches.c.digest.in_(part))
            found |= {by_raw[bytes(raw)] for raw in connection.execute(query).scalars()}
    return found


def read_orders(rpc: Rpc, domain: Domain, effects: Sequence[Effect]) -> list[FoundOrder]:
    """The orders behind these effects, out of the calldata that carried them.

    Raises RpcUnavailable.
    """
    hashes = list(dict.fromkeys(effect.transaction for effect in effects))
    answers = rpc.batch([("eth_getTransactionByHash", [tx_hash]) for tx_hash in hashes])
    carried: dict[bytes, tuple[Order | None, bytes]] = {}
    for answer in answers:
        for wire in _wires(from_hex(answer["input"]) if answer else b""):
            try:
                signed = decode(wire).order
            except OrderInvalid:
                continue
            carried[signed.digest(domain)] = (signed, wire)
    found = []
    for effect in effects:
        digest = digest_bytes(effect.digest or "")
        order, wire = carried.get(digest, (None, b""))
        found.append(FoundOrder(digest, effect, order, wire))
    return found


def _wires(data: bytes) -> list[bytes]:
    """Orders on the wire in the calldata of the two doors; none in any other."""
    try:
        if data[:4] == RELAY.selector:
            return list(decode_abi(["bytes[]"], data[4:])[0])
        if data[:4] == EXECUTE.selector:
            return [decode_abi(["bytes"], data[4:])[0]]
    except (DecodingError, ValueError):
        pass
    return []


def transactions_of(
    rpc: Rpc, accounts: Sequence[Address], first: int, last: int
) -> Iterator[FoundTransaction]:
    """Mined transactions of these accounts in the blocks `first` to `last`, in their order.

    Reads whole blocks: there is no question for it. Raises RpcUnavailable.
    """
    ours = {account.lower() for account in accounts}
    for start in range(first, last + 1, BLOCKS_PER_REQUEST):
        numbers = range(start, min(start + BLOCKS_PER_REQUEST, last + 1))
        for block in rpc.batch([("eth_getBlockByNumber", [hex(n), True]) for n in numbers]):
            for transaction in (block or {}).get("transactions", ()):
                if transaction["from"].lower() in ours:
                    yield found_transaction(transaction)


def found_transaction(transaction: dict[str, Any]) -> FoundTransaction:
    """A mined transaction as a node tells it."""
    to = transaction.get("to")
    return FoundTransaction(
        hash=from_hex(transaction["hash"], 32),
        sender=address_bytes(transaction["from"]),
        nonce=int(transaction["nonce"], 16),
        to=to,
        data=from_hex(transaction["input"]),
        gas_limit=int(transaction["gas"], 16),
        block_number=int(transaction["blockNumber"], 16),
        block_hash=from_hex(transaction["blockHash"], 32),
    )
