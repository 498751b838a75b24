"""Answers to accepted and refused wishes, and the bytes in which an idempotency key keeps them."""

import zlib
from collections.abc import Sequence

import orjson

from gateway.model import Accepted, Refused

Answer = Accepted | Refused

# Below this a header costs more than compression saves.
COMPRESS_FROM_BYTES = 512


def encode(answers: Sequence[Answer]) -> bytes:
    """The answers as stored: one byte that says how, then JSON."""
    rows = [
        [a.id, a.reference, a.points, a.accepted_at]
        if isinstance(a, Accepted)
        else [a.reference, a.code, a.detail, a.order, a.values]
        for a in answers
    ]
    body = orjson.dumps(rows)
    if len(body) < COMPRESS_FROM_BYTES:
        return b"j" + body
    return b"z" + zlib.compress(body, 1)


def decode(stored: bytes) -> list[Answer]:
    """The answers again, as they were given."""
    body = stored[1:] if stored[:1] == b"j" else zlib.decompress(stored[1:])
    return [
        Accepted(id=row[0], reference=row[1], points=row[2], accepted_at=row[3])
        if len(row) == 4
        else Refused(reference=row[0], code=row[1], detail=row[2], order=row[3], values=row[4])
        for row in orjson.loads(body)
    ]
