"""Cursors of lists: opaque outside, the number of the last row shown inside."""

import base64
import binascii
import struct

from gateway.errors import InvalidRequest


def encode(row_id: int) -> str:
    """The cursor of the page after this row."""
    return base64.urlsafe_b64encode(struct.pack(">Q", row_id)).rstrip(b"=").decode()


def decode(cursor: str) -> int:
    """The row behind a cursor. Raises InvalidRequest."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        (row_id,) = struct.unpack(">Q", raw)
    except (binascii.Error, struct.error, ValueError) as error:
        raise InvalidRequest(f"not a page cursor: {cursor[:60]!r}") from error
    return min(int(row_id), 2**63 - 1)
