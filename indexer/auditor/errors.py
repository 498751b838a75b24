"""What an audit can end with, other than a pass.

AuditError(message)
├── Broken(finding)          a fact that did not hold: exit 1
├── CannotRun(message)       the audit could not be done: exit 2
│   ├── NodeUnavailable      the node did not answer, or not in JSON-RPC
│   └── NodeRefused          the node answered with an error of its own
└── InputInvalid(message)    a file given to the auditor is not what it should be: exit 2
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


class AuditError(Exception):
    """Root of all that the auditor raises."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact that did not hold. `block` None: the fact belongs to no single block."""

    check: str
    block: int | None
    fact: str
    expected: str = ""
    got: str = ""
    transaction: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The finding as the report's schema has it."""
        return asdict(self)

    def __str__(self) -> str:
        where = "" if self.block is None else f"block {self.block}"
        if self.transaction:
            where += f", transaction {self.transaction}"
        sides = f": expected {self.expected}, got {self.got}" if self.expected or self.got else ""
        return f"{where}{': ' if where else ''}{self.fact}{sides} [{self.check}]"


class Broken(AuditError):
    """A fact did not hold."""

    def __init__(
        self,
        check: str,
        block: int | None,
        fact: str,
        expected: object = "",
        got: object = "",
        transaction: str | None = None,
    ) -> None:
        self.finding = Finding(check, block, fact, str(expected), str(got), transaction)
        super().__init__(str(self.finding))

    def __reduce__(self) -> tuple[Any, ...]:
        # Crosses a process border: the default would call __init__ with the message alone.
        f = self.finding
        return Broken, (f.check, f.block, f.fact, f.expected, f.got, f.transaction)


class CannotRun(AuditError):
    """The audit could not be done."""


class NodeUnavailable(CannotRun):
    """No answer, or none that is JSON-RPC: time-out, 429, HTML, a closed connection."""


class NodeRefused(CannotRun):
    """The node's own error answer."""

    def __init__(self, method: str, code: int, message: str) -> None:
        self.method, self.code, self.message = method, code, message
        super().__init__(f"the node refused {method}: {message} ({code})")

    def __reduce__(self) -> tuple[Any, ...]:
        return NodeRefused, (self.method, self.code, self.message)


class InputInvalid(CannotRun):
    """A file given to the auditor cannot be read as what it should be."""
