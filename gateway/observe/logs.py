"""Logs as one JSON object a line (or as text for a person), each with the request's id.

Modules log by the standard library, values in `extra`; here they are put together: who logged,
when, under which request, for which orders. API keys and passwords in addresses are blotted out
wherever they stand, and tracebacks show lines, never values.
"""

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, TextIO

import orjson
import structlog
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

_Event = MutableMapping[str, Any]


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
    last: list[Any] = [blot_out]
    if as_json:
        last += [structlog.processors.JSONRenderer(serializer=_json)]
    else:
        last += [_readable]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _add_request,
            # Before anything is blotted out: a traceback carries what was raised.
            structlog.processors.format_exc_info,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def orders(raw_ids: Sequence[bytes]) -> dict[str, Any]:
    """The `extra` of a line about these orders."""
    shown = [ids.encode(ids.ORDER, raw) for raw in raw_ids[:ORDERS_SHOWN_MAX]]
    return {"orders": shown, "order_count": len(raw_ids)}


def blot_out(_logger: Any, _method: str, event: _Event) -> _Event:
    """Without what must not be read in a log."""
    for name, value in event.items():
        event[name] = _blotted(value)
    return event


def _blotted(value: Any) -> Any:
    if isinstance(value, str):
        for mark, pattern, instead in _SECRETS:
            if mark in value:
                value = pattern.sub(instead, value)
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        # Raw bytes are keys, signatures or bodies: none of them helps a reader.
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return {name: _blotted(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_blotted(inner) for inner in value]
    return value


def _add_request(_logger: Any, _method: str, event: _Event) -> _Event:
    request = correlation_id.get()
    if request is not None:
        event.setdefault("request", request)
    return event


def _readable(_logger: Any, _method: str, event: _Event) -> str:
    """One line for a person, and a traceback under it. structlog's own renderer takes longer than
    all the rest of a line, and every request pays for one.
    """
    begin = [event.pop(name, "") for name in ("at", "level", "event")]
    trace = event.pop("exception", None)
    words = [str(begin[0]), f"[{begin[1]}]", str(begin[2]).replace("\n", "\\n")]
    for name, value in event.items():
        text = value if isinstance(value, str) else repr(value)
        words.append(f"{name}={text if text.isprintable() else repr(text)}")
    line = " ".join(words)
    return line if trace is None else f"{line}\n{trace}"


def _json(event: Any, default: Callable[[Any], Any] = repr, **_unused: Any) -> str:
    return orjson.dumps(event, default=default).decode()
