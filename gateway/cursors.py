"""Cursors of lists: opaque outside, the number of the last row shown inside, and sealed.

The seal binds a cursor to the path and to whom it was given out: what was made up, changed, or
given out to somebody else or for another list is refused and never looked for.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Callable
from typing import Final, TypeVar

from gateway.errors import CursorInvalid

T = TypeVar("T")
Page = tuple[T, str | None]
"""What a list shows, and the cursor of what comes after it; None: nothing does."""

SEAL_BYTES: Final = 16


class Seal:
    """Seals cursors on their way out, and opens them on their way in. Thread safe.

    Args:
        key: the key of all processes of a network; asked each time, since it may have to be opened.
    """

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    def sealed(self, cursor: str | None, path: str, tenant: int) -> str | None:
        """The cursor as it is given out; None stays None (the last page)."""
        if cursor is None:
            return None
        inner = cursor.encode()
        return _text(inner + self._seal(inner, path, tenant))

    def opened(self, cursor: str | None, path: str, tenant: int) -> str | None:
        """The cursor that was given out there to this tenant. Raises CursorInvalid."""
        if cursor is None:
            return None
        try:
            raw = _bytes(cursor)
            inner, seal = raw[:-SEAL_BYTES], raw[-SEAL_BYTES:]
            # One cursor has one spelling, or unused bits would make others of it.
            if _text(raw) == cursor and hmac.compare_digest(seal, self._seal(inner, path, tenant)):
                return inner.decode()
        except ValueError:
            pass
        raise CursorInvalid(f"this list has given out no page cursor {cursor[:60]!r}")

    def turn(
        self, cursor: str | None, path: str, tenant: int, read: Callable[[str | None], Page[T]]
    ) -> Page[T]:
        """One page of the list at `path`: what `read` finds behind the cursor, and the cursor of
        the next page as it is given out. Raises CursorInvalid.
        """
        found, after = read(self.opened(cursor, path, tenant))
        return found, self.sealed(after, path, tenant)

    def _seal(self, inner: bytes, path: str, tenant: int) -> bytes:
        content = f"{tenant} {path} ".encode("utf-8", "surrogateescape") + inner
        return hmac.digest(self._key(), content, "sha256")[:SEAL_BYTES]


def encode(row_id: int) -> str:
    """The cursor of the page after this row, not sealed yet."""
    return _text(struct.pack(">Q", row_id))


def decode(cursor: str) -> int:
    """The row behind a cursor whose seal was opened. Raises CursorInvalid."""
    try:
        (row_id,) = struct.unpack(">Q", _bytes(cursor))
    except (struct.error, ValueError) as error:
        raise CursorInvalid(f"not a page cursor: {cursor[:60]!r}") from error
    return min(int(row_id), 2**63 - 1)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
