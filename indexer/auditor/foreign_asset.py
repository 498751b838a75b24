"""A settlement token that is not ours: does its storage hold what its logs say the Coalition has?

Its layout is not known here. But nearly every token keeps its balances in one mapping, and a word
that stands under the Coalition's address and equals the replayed balance is there by no accident:
the slot is a hash of both. That the token's code reads its balances there is not shown by that.
"""

from __future__ import annotations

from typing import Final

from indexer.auditor.codec import keccak
from indexer.auditor.ledger import Ledger
from indexer.auditor.storage import StorageProver, mapping_slot

_BALANCE_MASK: Final = 2**255 - 1  # some keep a mark of blocked holders in the highest bit


def _namespace(name: bytes) -> int:
    """Where the state of an upgradeable OpenZeppelin contract begins (ERC-7201)."""
    inner = int.from_bytes(keccak(name), "big") - 1
    return int.from_bytes(keccak(inner.to_bytes(32, "big")), "big") & ~0xFF


_MAPPINGS: Final[tuple[int, ...]] = (*range(300), _namespace(b"openzeppelin.storage.ERC20"))
"""Slots tried: upgradeable tokens keep up to some two hundred slots free before their own."""


def mapping_that_holds(prover: StorageProver, asset: bytes, ledger: Ledger) -> int | None:
    """The mapping's slot; None: no mapping that was tried holds the figure, or no proof."""
    holder = int.from_bytes(ledger.coalition, "big")
    slots = [mapping_slot(holder, at) for at in _MAPPINGS]
    slots += [_vyper_slot(holder, at) for at in _MAPPINGS]
    values = prover.values(asset, slots)
    for at, value in zip((*_MAPPINGS, *_MAPPINGS), values or (), strict=False):
        if value & _BALANCE_MASK == ledger.assets:
            return at
    return None


def _vyper_slot(key: int, slot: int) -> int:
    return int.from_bytes(keccak(slot.to_bytes(32, "big") + key.to_bytes(32, "big")), "big")
