"""The report as plain data: what `--json` writes and what the page is made of.

The shape is `report.schema.json`; a test holds every report against it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from indexer.auditor.checks import UNCHECKED, Check
from indexer.auditor.errors import Finding
from indexer.auditor.ledger import Flow, Ledger
from indexer.auditor.outcome import Options, Outcome
from indexer.auditor.statement import ReserveStatement, reserve_statement
from indexer.auditor.verdict import OPTIONAL, WORDS, exit_code, open_checks

SCHEMA: Final = 1
_STATUS: Final = {1: "active", 2: "suspended", 3: "leaving", 4: "closed"}


def asked_checks(options: Options) -> frozenset[str]:
    """The optional checks that these options ask for."""
    asked = {
        "published heads": options.heads,
        "references": options.references,
        "mirror": options.mirror,
        "calls": options.calls or None,
    }
    return frozenset(name for name, given in asked.items() if given is not None)


def statement_of(outcome: Outcome) -> ReserveStatement | None:
    """The reserve statement, once the chain was read to the end."""
    ledger, money = outcome.ledger, outcome.money
    if ledger is None or money is None:
        return None
    return reserve_statement(
        ledger,
        money,
        chain_id=outcome.network.chain_id,
        face_value=outcome.network.face_value,
        is_receipt=outcome.asset_is_receipt,
        storage_proven=outcome.checks["storage"].verdict in ("held", "partly"),
        token_proven=outcome.asset_mapping is not None,
    )


def findings_of(outcome: Outcome) -> list[Finding]:
    """All findings, the earliest block first."""
    found = [finding for check in outcome.checks.values() for finding in check.findings]
    return sorted(found, key=lambda f: (f.block is None, f.block or 0))


def report_of(
    outcome: Outcome, options: Options, accepted: frozenset[str], command: str
) -> dict[str, Any]:
    """The whole report. Addresses and hashes as 0x hex, money in units of the settlement asset."""
    # Long because it is the schema, written out once from top to bottom.
    asked = asked_checks(options)
    code = exit_code(outcome.checks, asked, accepted)
    network, ledger, header = outcome.network, outcome.ledger, outcome.header
    statement = statement_of(outcome)
    return {
        "schema": SCHEMA,
        "exit_code": code,
        "verdict": WORDS[code],
        "network": {
            "chain_id": network.chain_id,
            "rpc": outcome.rpc_url,
            "deployment": "0x" + network.digest.hex(),
            "contracts": {n: "0x" + p.address.hex() for n, p in network.contracts.items()},
            "face_value": network.face_value,
        },
        "range": {
            "first": outcome.first,
            "last": outcome.last if ledger is None else max(ledger.block, outcome.first - 1),
            "wanted": outcome.last,
            "hash": None if header is None else "0x" + header.hash.hex(),
            "time": None if header is None else header.timestamp,
            "resumed_at": outcome.resumed_at,
        },
        "findings": [finding.as_json() for finding in findings_of(outcome)],
        "not_checked": [
            {"check": c.name, "about": c.about, "why": c.note or "not reached"}
            for c in open_checks(outcome.checks, asked)
        ],
        "accepted": sorted(accepted),
        "trusted": outcome.trusted,
        "checks": [_check(check, asked) for check in outcome.checks.values()],
        "laws": [law.as_json() for law in outcome.laws],
        "reserve": None if statement is None else asdict(statement),
        "epochs": [] if ledger is None else _epochs(outcome, ledger),
        "merchants": [] if ledger is None else _merchants(ledger),
        "counts": {} if ledger is None else asdict(ledger.counts),
        "speed": {
            "seconds": round(outcome.seconds, 3),
            "events": outcome.events_replayed,
            "seconds_by_part": {k: round(v, 3) for k, v in outcome.costs.seconds.items()},
        },
        "repeat": command,
    }


def _check(check: Check, asked: frozenset[str]) -> dict[str, Any]:
    content = check.as_json()
    if check.verdict == UNCHECKED and check.name in OPTIONAL - asked:
        content["verdict"] = "not asked"
    return content


def _epochs(outcome: Outcome, ledger: Ledger) -> list[dict[str, Any]]:
    schedule = outcome.network.schedule
    rows = []
    for epoch, supply in sorted(ledger.supply.items()):
        terms = ledger.terms_in(epoch)
        rows.append(
            {
                "epoch": epoch,
                "begins": schedule.start(epoch),
                "expires": schedule.expires_at(epoch),
                "expired": schedule.is_expired(epoch, ledger.timestamp),
                "closed": epoch in ledger.closings,
                "issued": supply.issued,
                "returned": supply.returned,
                "redeemed": supply.redeemed,
                "refunded": supply.refunded,
                "unspent": supply.live,
                "issue_fee": terms.issue_fee,
                "redeem_fee": terms.redeem_fee,
            }
        )
    return rows


def _merchants(ledger: Ledger) -> list[dict[str, Any]]:
    rows = []
    for number, merchant in sorted(ledger.merchants.items()):
        months = {m: f for (n, m), f in sorted(ledger.flows.items()) if n == number}
        total = Flow()
        for flow in months.values():
            for name, value in asdict(flow).items():
                setattr(total, name, getattr(total, name) + value)
        rows.append(
            {
                "merchant": number,
                "owner": "0x" + merchant.owner.hex(),
                "status": _STATUS.get(merchant.status, str(merchant.status)),
                "position": merchant.position,
                "credit_limit": merchant.limit,
                "tills": sum(1 for n, active in ledger.tills.values() if active and n == number),
                "total": asdict(total),
                "months": [{"month": month, **asdict(flow)} for month, flow in months.items()],
            }
        )
    return rows
