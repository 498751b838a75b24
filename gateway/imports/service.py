"""Imports a file in parts of one commit each. The same file again gives the same answers, so an
import that was killed is simply started anew.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from gateway.imports.parse import FileInvalid, Lines, Reject, Wish
from gateway.model import Accepted, Member, Merchant, NewOrder, OrderKind, Refused

# Lines of one commit: a commit of about half a second, and small enough to see progress.
LINES_A_PART = 5_000


class Target(Protocol):
    """What an import needs of a gateway, in process or over HTTP."""

    def ensure_members(self, external_ids: Sequence[str]) -> dict[str, Member]:
        """Members by external id."""
        ...

    def accept_many(
        self, requests: Sequence[NewOrder], *, idempotency_key: str
    ) -> list[Accepted | Refused]:
        """One answer a wish, in order."""
        ...


@dataclass(slots=True)
class ImportResult:
    """What became of a file's lines (the header is none)."""

    lines: int = 0
    accepted: int = 0
    points: int = 0
    refused: int = 0


def import_file(
    target: Target,
    merchant: Merchant,
    path: Path,
    rejects: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportResult:
    """Imports the file for `merchant`; what was not taken is written to `rejects` with the reason.

    `progress` is told (bytes done, bytes in all). Raises FileInvalid.
    """
    result = ImportResult()
    digest = _digest(path)
    size = path.stat().st_size
    with (
        path.open("rb") as binary,
        io.TextIOWrapper(binary, "utf-8-sig", errors="replace", newline="") as text,
        rejects.open("w", newline="", encoding="utf-8") as out,
    ):
        lines = Lines(text, merchant.earn_rule)
        writer = csv.writer(out)
        writer.writerow(["line", "code", "detail", *lines.header])
        for number, part in enumerate(_parts(iter(lines))):
            key = f"import {digest} {merchant.number} {number}"
            for reject in _import_part(target, merchant, part, key, result):
                writer.writerow([reject.line, reject.code, reject.detail, *reject.raw])
            progress(min(binary.tell(), size), size)
        out.flush()
    return result


def _import_part(
    target: Target,
    merchant: Merchant,
    part: Sequence[Wish | Reject],
    key: str,
    result: ImportResult,
) -> list[Reject]:
    wishes = [line for line in part if isinstance(line, Wish)]
    rejects = [line for line in part if isinstance(line, Reject)]
    if wishes:
        known = target.ensure_members([wish.member for wish in wishes])
        orders = [
            NewOrder(
                OrderKind.ISSUE, known[wish.member].id, wish.points, wish.reference, merchant.id
            )
            for wish in wishes
        ]
        answers = target.accept_many(orders, idempotency_key=key)
        for wish, answer in zip(wishes, answers, strict=True):
            if isinstance(answer, Accepted):
                result.accepted += 1
                result.points += answer.points
            else:
                rejects.append(Reject(wish.line, answer.code, answer.detail, wish.raw))
    result.lines += len(part)
    result.refused += len(rejects)
    return sorted(rejects, key=lambda reject: reject.line)


def _parts(lines: Iterator[Wish | Reject]) -> Iterator[list[Wish | Reject]]:
    while part := list(islice(lines, LINES_A_PART)):
        yield part


def _digest(path: Path) -> str:
    """Names the content, so that the same file has the same idempotency keys."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise FileInvalid(f"{path}: {error.strerror}") from error
