"""How an audit ended, in one word and one exit code."""

from __future__ import annotations

from typing import Final

from indexer.auditor.checks import BROKEN, HELD, PARTLY, UNCHECKED, Check

EXIT_HELD: Final = 0
EXIT_BROKEN: Final = 1
EXIT_INCOMPLETE: Final = 2

# Asked only when the auditor gave something to compare with.
OPTIONAL: Final = frozenset({"published heads", "references", "mirror", "calls"})
WORDS: Final = {
    EXIT_HELD: "everything held",
    EXIT_BROKEN: "a fact did not hold",
    EXIT_INCOMPLETE: "nothing broke, but not all could be checked",
}


def open_checks(checks: dict[str, Check], asked: frozenset[str]) -> list[Check]:
    """Checks that were to be made and could not be, or only in part."""
    due = [c for name, c in checks.items() if name not in OPTIONAL or name in asked]
    return [check for check in due if check.verdict in (PARTLY, UNCHECKED)]


def exit_code(
    checks: dict[str, Check], asked: frozenset[str], accepted: frozenset[str] = frozenset()
) -> int:
    """0: every check that was asked for held. 1: a fact did not hold. 2: nothing broke, but a check
    could not be made, or not wholly, and the auditor did not accept that by naming it.
    """
    if any(check.verdict == BROKEN for check in checks.values()):
        return EXIT_BROKEN
    missing = [check for check in open_checks(checks, asked) if check.name not in accepted]
    return EXIT_INCOMPLETE if missing else EXIT_HELD


__all__ = ["EXIT_BROKEN", "EXIT_HELD", "EXIT_INCOMPLETE", "HELD", "WORDS", "exit_code"]
