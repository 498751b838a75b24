"""One range of blocks, from raw answers to proven events and orders. Runs in worker processes.

Everything that leaves here was hashed: headers recomputed, bodies and receipts rebuilt to the roots
that stand in those headers, logs taken from the very bytes that were hashed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from indexer.auditor.calldata import EXECUTE, RELAY, addresses_in, orders_in
from indexer.auditor.codec import data_of, keccak
from indexer.auditor.decode import Decoder, Event, LogMalformed
from indexer.auditor.errors import AuditError, Broken, CannotRun, NodeUnavailable
from indexer.auditor.headers import HEADERS, Header, check_parent, header_of
from indexer.auditor.hidden import find_order
from indexer.auditor.orders import Order, domain_separator
from indexer.auditor.receipts import BLOOM, RECEIPTS, Receipt, encode_receipt
from indexer.auditor.source import RawRange, batch_answers, range_calls, result_of
from indexer.auditor.transactions import (
    KINDS,
    TRANSACTIONS,
    TypeUnknown,
    encode_transaction,
    kind_of,
    sender_of,
)
from indexer.auditor.tries import ordered_root

EVENTS: Final = "events"


class OurTransaction(NamedTuple):
    """A transaction that logged something of ours, or brought orders.

    `orders` in calldata order. `hidden`: they were found inside a call of another contract.
    `sender`: recovered from its signature where there are no orders. `named`: addresses in a call
    that is no relay of orders.
    """

    position: int
    hash: bytes
    to: bytes | None
    status: int
    selector: bytes
    orders: list[Order]
    hidden: bool
    events: list[Event]
    sender: bytes | None
    named: tuple[bytes, ...]


class CheckedBlock(NamedTuple):
    """A block whose header, bodies and receipts hold together."""

    header: Header
    transactions: list[OurTransaction]
    transaction_count: int
    log_count: int
    bodies_proven: bool


@dataclass(frozen=True)
class Watch:
    """What a worker has to know: which contracts are ours, and for which domains orders are signed.

    `coalitions`: the current Coalition and its successors so far.
    """

    chain_id: int
    contracts: Mapping[bytes, str]
    coalitions: tuple[bytes, ...]


class RangeChecker:
    """Checks raw ranges. One per process: readers and domains are built once."""

    def __init__(self, watch: Watch) -> None:
        self._decoder = Decoder(watch.contracts)
        self._watched = frozenset(watch.contracts)
        self._domains = {c: domain_separator(watch.chain_id, c) for c in watch.coalitions}
        self._costs: dict[str, float] = {}

    def take_costs(self) -> dict[str, float]:
        """Seconds by check since the last call."""
        costs, self._costs = self._costs, {}
        return costs

    def _spent(self, name: str, since: float) -> float:
        now = time.perf_counter()
        self._costs[name] = self._costs.get(name, 0.0) + now - since
        return now

    def check(self, raw: RawRange) -> list[CheckedBlock]:
        """The blocks of the range. Raises Broken: the first fact that does not hold."""
        began = time.perf_counter()
        count = raw.last - raw.first + 1
        answers = batch_answers(raw.raw, 2 * count)
        calls = range_calls(raw.first, raw.last)
        results = [result_of(a, c[0]) for a, c in zip(answers, calls, strict=True)]
        self._spent("reading JSON", began)
        checked: list[CheckedBlock] = []
        parent: Header | None = None
        for i in range(count):
            number = raw.first + i
            block, receipts = results[2 * i], results[2 * i + 1]
            if block is None or receipts is None:
                what = "block" if block is None else "receipts of block"
                raise NodeUnavailable(f"the node has no {what} {number}")
            try:
                found = self._check_block(number, block, receipts)
            except (Broken, CannotRun):
                raise
            except (AuditError, KeyError, TypeError, AttributeError, ValueError) as error:
                raise Broken(
                    HEADERS, number, f"the node's answer is malformed: {error!r:.200}"
                ) from error
            if parent is not None:
                check_parent(found.header, parent.hash, parent.timestamp)
            parent = found.header
            checked.append(found)
        return checked

    def _check_block(
        self, number: int, block: Mapping[str, Any], raw_receipts: Sequence[Any]
    ) -> CheckedBlock:
        now = time.perf_counter()
        header = header_of(block, number)
        now = self._spent("headers", now)
        bodies = block["transactions"]
        hashes, proven = _check_transactions(header, bodies)
        now = self._spent("transactions", now)
        receipts = _check_receipts(header, raw_receipts, len(bodies))
        now = self._spent("receipts and bloom", now)
        ours: list[OurTransaction] = []
        log_index = 0
        for i, (tx, receipt) in enumerate(zip(bodies, receipts, strict=True)):
            found = self._transaction(header, i, tx, hashes[i], receipt, log_index)
            log_index += len(receipt.logs)
            if found is not None:
                ours.append(found)
        self._spent("events, orders and signatures", now)
        return CheckedBlock(header, ours, len(bodies), log_index, proven)

    def _transaction(
        self,
        header: Header,
        position: int,
        tx: Mapping[str, Any],
        tx_hash: bytes | None,
        receipt: Receipt,
        first_log: int,
    ) -> OurTransaction | None:
        events: list[Event] = []
        to = data_of(tx["to"], 20) if tx.get("to") is not None else None
        shown = tx_hash if tx_hash is not None else data_of(tx["hash"], 32)
        for i, log in enumerate(receipt.logs):
            try:
                event = self._decoder.decode(first_log + i, log)
            except LogMalformed as error:
                raise Broken(
                    EVENTS, header.number, str(error), transaction="0x" + shown.hex()
                ) from error
            if event is not None:
                events.append(event)
        if not events and (to is None or to not in self._watched):
            return None
        domain = self._domains.get(to) if to is not None else None
        calldata = data_of(tx["input"])
        selector = calldata[:4]
        orders: list[Order] = []
        hidden = False
        if tx_hash is not None:
            if domain is not None and selector in (RELAY, EXECUTE):
                # Also of one that failed as a whole: what was read for it may stand in the trie.
                orders = orders_in(calldata, domain, tuple(self._domains.values()))
            elif receipt.status == 1:
                orders = self._hidden(calldata, events)
                hidden = bool(orders)
        sender = None
        named: tuple[bytes, ...] = ()
        if not orders and tx_hash is not None:
            sender = sender_of(tx)
            named = addresses_in(calldata, sender)
        return OurTransaction(
            position, shown, to, receipt.status, selector, orders, hidden, events, sender, named
        )

    def _hidden(self, calldata: bytes, events: Sequence[Event]) -> list[Order]:
        found = []
        for event in events:
            if event.contract == "Coalition" and (domain := self._domains.get(event.address)):
                order = find_order(event, calldata, domain)
                if order is not None:
                    found.append(order)
        return found


def _check_transactions(header: Header, bodies: Sequence[Any]) -> tuple[list[bytes | None], bool]:
    """(hash of each body, whether they make the root). None, and no root, where a type is unknown.

    The orders in the bodies that can be read are judged all the same: what makes them authentic is
    their own signature, and what they did stands in the receipts.
    """
    encoded: list[bytes | None] = []
    for tx in bodies:
        try:
            encoded.append(encode_transaction(tx))
        except TypeUnknown:
            encoded.append(None)
    hashes = [None if one is None else keccak(one) for one in encoded]
    whole = [one for one in encoded if one is not None]
    if len(whole) < len(encoded):
        return hashes, False
    root = ordered_root(whole)
    if root != header.transactions_root:
        raise Broken(
            TRANSACTIONS,
            header.number,
            "the transactions do not make the transactions root",
            "0x" + header.transactions_root.hex(),
            "0x" + root.hex(),
        )
    return hashes, True


def _check_receipts(header: Header, raw: Sequence[Any], transactions: int) -> list[Receipt]:
    receipts = [encode_receipt(r) for r in raw]
    root = ordered_root([r.encoded for r in receipts])
    if root != header.receipts_root or len(raw) != transactions:
        strange = {kind_of(r) for r in raw} - KINDS
        if strange and len(raw) == transactions:
            raise CannotRun(
                f"block {header.number} holds receipts of type {min(strange):#x}, which this "
                "auditor cannot encode: they do not make the receipts root, and nobody knows why"
            )
        fact = "the receipts do not make the receipts root"
        if len(raw) != transactions:
            fact = f"{transactions} transactions have another number of receipts: {len(raw)}"
        expected, got = "0x" + header.receipts_root.hex(), "0x" + root.hex()
        raise Broken(RECEIPTS, header.number, fact, expected, got)
    bloom = 0
    for receipt in receipts:
        bloom |= receipt.bloom
    if bloom != header.bloom:
        raise Broken(
            BLOOM,
            header.number,
            "the logs do not make the bloom filter of the header",
            f"0x{header.bloom:0512x}",
            f"0x{bloom:0512x}",
        )
    return receipts
