"""What the reading of the chain comes to, check by check, as far as it came."""

from __future__ import annotations

from indexer.auditor.outcome import Outcome


def conclude(outcome: Outcome) -> None:
    """Fills the checks that were made block by block."""
    if outcome.ledger is None:
        return
    counts, checks = outcome.ledger.counts, outcome.checks
    reached = outcome.ledger.block >= outcome.last
    unseen = "" if reached else f"up to block {outcome.ledger.block}"
    checks["headers"].held(max(0, outcome.ledger.block - outcome.first + 1), "blocks", unseen)
    if counts.bodies_unproven:
        unknown = f"{counts.bodies_unproven} blocks hold transactions of an unknown type"
        checks["transactions"].partly(counts.transactions, "transactions", unknown)
    else:
        checks["transactions"].held(counts.transactions, "transactions", unseen)
    checks["receipts"].held(counts.transactions, "receipts", unseen)
    checks["events"].held(counts.events, "events", unseen)
    checks["replay"].held(counts.events, "events", _moves_note(counts.allowance_moves))
    law = next((law.note for law in outcome.laws if law.number == 9), unseen)
    if counts.contract_signatures + counts.orders_unseen:
        checks["signatures"].partly(counts.signatures, "signatures", law)
    else:
        checks["signatures"].held(counts.signatures, "signatures", unseen)
    for name, part in (
        ("headers", "headers"),
        ("transactions", "transactions"),
        ("receipts", "receipts and bloom"),
        ("signatures", "events, orders and signatures"),
        ("replay", "replay"),
    ):
        checks[name].seconds += outcome.costs.seconds.get(part, 0.0)


def _moves_note(moves: int) -> str:
    if not moves:
        return ""
    return (
        f"{moves} ERC-20 transfers went by an allowance or through another contract: that the "
        "points moved was replayed, who allowed it is Points' own rule"
    )
