"""Transactions that wait for a block, in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# A sender that never sees a block must not fill the memory: about as much as anvil's own pool took.
PENDING_MAX = 5_000
PENDING_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PendingTransaction:
    """`gas` is the transaction's gas limit; `raw` its signed bytes; `hash` and `sender` `0x`
    strings."""

    hash: str
    sender: str
    nonce: int
    gas: int
    raw: bytes


class PendingList:
    """First come, first mined; a sender's nonces in sequence. Not thread safe: the chain's lock
    is."""

    def __init__(self) -> None:
        self._by_slot: dict[tuple[str, int], PendingTransaction] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._by_slot)

    def all(self) -> list[PendingTransaction]:
        return list(self._by_slot.values())

    def has_room(self, raw: bytes) -> bool:
        return len(self) < PENDING_MAX and self._bytes + len(raw) <= PENDING_BYTES_MAX

    def add(self, transaction: PendingTransaction) -> None:
        """A replacement (same sender and nonce) takes the place of the one it replaces."""
        slot = (transaction.sender, transaction.nonce)
        replaced = self._by_slot.get(slot)
        self._bytes += len(transaction.raw) - (len(replaced.raw) if replaced else 0)
        self._by_slot[slot] = transaction

    def senders(self) -> list[str]:
        return list(dict.fromkeys(sender for sender, _ in self._by_slot))

    def choose(self, nonces: Mapping[str, int], gas_limit: int) -> list[PendingTransaction]:
        """What goes into the next block, in order; `nonces` is each sender's next one on chain.

        A nonce beyond a gap waits. Gas is counted by the transactions' limits, so that everything
        chosen fits whatever it uses; the first that does not fit ends the block, so nobody is
        overtaken.
        """
        following = dict(nonces)
        early: dict[tuple[str, int], PendingTransaction] = {}
        chosen: list[PendingTransaction] = []
        gas_left = gas_limit
        for arrived in self._by_slot.values():
            ready: PendingTransaction | None = arrived
            while ready is not None:
                if ready.nonce != following[ready.sender]:
                    early[ready.sender, ready.nonce] = ready
                    break
                if ready.gas > gas_left:
                    return chosen
                gas_left -= ready.gas
                chosen.append(ready)
                following[ready.sender] = ready.nonce + 1
                ready = early.pop((ready.sender, ready.nonce + 1), None)
        return chosen

    def remove(self, transactions: Iterable[PendingTransaction]) -> None:
        for transaction in transactions:
            if self._by_slot.pop((transaction.sender, transaction.nonce), None) is not None:
                self._bytes -= len(transaction.raw)

    def drop_stale(self, nonces: Mapping[str, int]) -> None:
        """Forget what can never be mined because its nonce is used up."""
        self.remove([t for t in self._by_slot.values() if t.nonce < nonces[t.sender]])
