"""Logs as one JSON object a line (or as text for a person), each with the request's id.

Modules log by the standard library, values in `extra`; here they are put together: who logged,
when, under which request, for which orders. API keys and passwords in addresses are blotted out
wherever they stand, and tracebacks show lines, never values.
"""

import logging
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import orjson
from asgi_correlation_id import correlation_id

from gateway import ids
from gateway.settings import Settings

# A line names the first orders of a batch; the rest are found by the batch's number.
ORDERS_SHOWN_MAX: Final = 50

# Each with a mark that any text has which it could be in: looking for that is a tenth of the work.
_SECRETS: Final = (
    ("bnk_", re.compile(r"bnk_([0-9a-f]{16})_[0-9A-Za-z_-]{20,}"), r"bnk_\1_…"),
    ("whsec_", re.compile(r"whsec_[0-9A-Za-z+/=_-]{16,}"), "whsec_…"),
    ("://", re.compile(r"(://[^\s/:@]*):[^\s/@]+@"), r"\1:…@"),
)
# Others' chatter: a line a request to the node would bury everything else.
_QUIET: Final = ("httpx", "httpcore", "asgi_correlation_id", "botocore", "urllib3", "alembic")

# What every record has; the rest of it is somebody's `extra`.
_OF_ANY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

_Event = dict[str, Any]


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Sends all logs of this process to `stream` (standard error), as the settings say."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(as_json=settings.log_format == "json"))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def formatter(*, as_json: bool) -> logging.Formatter:
    """Formats a record of the standard library."""
    return _Lines(_json if as_json else _readable)


class _Lines(logging.Formatter):
    """One event a record: what was said, by whom, when, under which request, and the `extra`."""

    def __init__(self, render: Callable[[_Event], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """The line. Every request pays for one, so this is all there is between record and line."""
        event: _Event = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
        }
        for name, value in vars(record).items():
            if name not in _OF_ANY_RECORD:
                event[name] = value
        at = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        event["at"] = at.isoformat(timespec="microseconds") + "Z"
        request = correlation_id.get()
        if request is not None:
            event.setdefault("request", request)
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        # Last, so that it sees all there is: a traceback carries what was raised.
        for name, value in event.items():
            event[name] = blotted(value)
        return self._render(event)


def orders(raw_ids: Sequence[bytes]) -> dict[str, Any]:
    """The `extra` of a line about these orders."""
    shown = [ids.encode(ids.ORDER, raw) for raw in raw_ids[:ORDERS_SHOWN_MAX]]
    return {"orders": shown, "order_count": len(raw_ids)}


def blotted(value: Any) -> Any:
    """Without what must not be read in a log."""
    if isinstance(value, str):
        for mark, pattern, instead in _SECRETS:
            if mark in value:
                value = pattern.sub(instead, value)
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        # Raw bytes are keys, signatures or bodies: none of them helps a reader.
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return {name: blotted(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [blotted(inner) for inner in value]
    return value


def _readable(event: _Event) -> str:
    """One line for a person, and a traceback under it."""
    begin = [event.pop(name, "") for name in ("at", "level", "event")]
    trace = event.pop("exception", None)
    words = [str(begin[0]), f"[{begin[1]}]", str(begin[2]).replace("\n", "\\n")]
    for name, value in event.items():
        text = value if isinstance(value, str) else repr(value)
        words.append(f"{name}={text if text.isprintable() else repr(text)}")
    line = " ".join(words)
    return line if trace is None else f"{line}\n{trace}"


def _json(event: _Event) -> str:
    return orjson.dumps(event, default=repr).decode()
