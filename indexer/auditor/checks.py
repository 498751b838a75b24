"""What was checked, how it ended, and what could not be: the words of the report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from indexer.auditor.errors import Finding

HELD, BROKEN, PARTLY, UNCHECKED = "held", "broken", "partly", "not checked"

# In the order of the report: what each check is about, in words for people.
CHECKS: Final[dict[str, str]] = {
    "headers": "Every block hashes to the hash that the next one names",
    "transactions": "The transactions make the root in their header",
    "receipts": "The receipts and their bloom filter make the root in their header",
    "events": "Every log of our contracts has the shape of a known event",
    "signatures": "Every order was signed by the party it charges, with a key valid at that log",
    "replay": "Points, positions, fees, terms, refunds and passes follow the rules at every step",
    "code": "The contracts run the pinned code",
    "storage": "Storage holds what the replay gives, by Merkle proof",
    "complete storage": "Storage holds nothing that the logs do not explain",
    "calls": "What the node answers to wallets is what its state holds",
    "laws": "The laws of the network hold after the last block",
    "published heads": "The chain is the one whose heads were published before",
    "references": "A merchant's list of references makes the roots on chain",
    "mirror": "The SQL mirror holds what the replay gives, row by row",
}


@dataclass(slots=True)
class Check:
    """One check. `count` of `unit` were looked at; `note` says what was not."""

    name: str
    verdict: str = UNCHECKED
    count: int = 0
    unit: str = ""
    note: str = ""
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def about(self) -> str:
        """The check in a sentence."""
        return CHECKS[self.name]

    def held(self, count: int, unit: str, note: str = "") -> None:
        """It held, as far as nothing broke before."""
        self.count, self.unit, self.note = count, unit, note
        if self.verdict != BROKEN:
            self.verdict = HELD

    def partly(self, count: int, unit: str, note: str) -> None:
        """What could be checked held, and not all could be."""
        self.held(count, unit, note)
        if self.verdict != BROKEN:
            self.verdict = PARTLY

    def broken(self, finding: Finding) -> None:
        """A fact did not hold."""
        self.verdict = BROKEN
        self.findings.append(finding)

    def as_json(self) -> dict[str, Any]:
        """As the report's schema has it."""
        return {
            **asdict(self),
            "about": self.about,
            "findings": [f.as_json() for f in self.findings],
        }


def check_of(finding: Finding) -> str:
    """Which check of the report a finding belongs to."""
    name = finding.check
    if name in CHECKS:
        return name
    if name.startswith("law 9"):
        return "signatures"
    if name == "parents":
        return "headers"
    if name == "bloom":
        return "receipts"
    return "replay"
