"""A merchant's own list of references against the roots on chain.

The file is JSON: {"batches": [{"digest": "0x...", "references": ["0x...", ...]}, ...]}; each
reference is the salted 32 bytes of one purchase, in entry order. That every reference stands there
once shows that one purchase led to one issue, for all batches in the list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from indexer.auditor.checks import Check
from indexer.auditor.codec import data_of
from indexer.auditor.errors import AuditError, Broken, InputInvalid
from indexer.auditor.orders import references_root

REFERENCES: Final = "references"


class ReferenceList:
    """What the merchant says its batches were for. Ask it for each batch, then `finish`."""

    def __init__(self, path: Path, check: Check) -> None:
        self._check = check
        self._lists: dict[bytes, list[bytes]] = {}
        self._met = 0
        try:
            content: dict[str, Any] = orjson.loads(path.read_bytes())
            for batch in content["batches"]:
                words = [data_of(reference, 32) for reference in batch["references"]]
                self._lists[data_of(batch["digest"], 32)] = words
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AuditError) as error:
            raise InputInvalid(f"{path} is no list of references: {error!r}") from error

    def issued(self, block: int, digest: bytes, entries: int, root: bytes) -> None:
        """A batch that took effect."""
        references = self._lists.get(digest)
        if references is None:
            return
        self._met += 1
        shown = "0x" + digest.hex()
        if len(references) != entries:
            fact = f"batch {shown} has another number of entries than the list"
            self._check.broken(Broken(REFERENCES, block, fact, len(references), entries).finding)
        elif references_root(references) != root:
            expected = "0x" + references_root(references).hex()
            fact = f"the references of batch {shown} make another root"
            got = "0x" + root.hex()
            self._check.broken(Broken(REFERENCES, block, fact, expected, got).finding)

    def finish(self) -> None:
        """Every reference once, and every batch of the list on chain."""
        seen: set[bytes] = set()
        for references in self._lists.values():
            for reference in references:
                if reference in seen:
                    fact = f"reference 0x{reference.hex()} stands there twice"
                    self._check.broken(Broken(REFERENCES, None, fact).finding)
                seen.add(reference)
        missing = len(self._lists) - self._met
        if missing:
            note = f"{missing} batches of the list are not on chain in these blocks"
            self._check.partly(len(seen), "references", note)
        else:
            self._check.held(len(seen), "references")
