#!/usr/bin/env python3
"""Writes docs/ERRORS.md from the gateway's refusals.

tools/export_errors.py            writes the file
tools/export_errors.py --check    writes nothing, exits 1 when the file differs
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gateway import strict  # noqa: E402
from gateway.errors import GatewayError, LeaseLost, NotReady  # noqa: E402
from gateway.orders.repository import FAILURES  # noqa: E402
from gateway.problems import FRAMEWORK_CODES, OTHER_CODES  # noqa: E402

TARGET = ROOT / "docs" / "ERRORS.md"

HEAD = """\
# Error codes

Written by `tools/export_errors.py` from `gateway/errors.py`; `make check` holds the two together.

Every refusal is a problem document (RFC 9457, `application/problem+json`) with a stable `code`;
`type` is `urn:banyan:problem:CODE`. Beside `detail`, a sentence for a person, stand the values that
were wrong, by name. Go by `code`, never by `detail`.

- **429**: nothing was done. `Retry-After` says when to come back.
- **408**: nothing was done; send it again.
- **5xx**: no answer. What was asked may have been stored (the reply to a commit can be lost like
  any other), so repeat it with the same `Idempotency-Key`: it is carried out now, or the stored
  answer comes. `Retry-After` says when.
- **409**: refused as things stand. The same wish may pass later, under a new key: the same key
  gives the stored answer again.
- **other 4xx**: it will be refused again as it stands.

"""

TAIL = """
## Why an order failed

An order that was accepted fails only with proof; its `failure.code` says why.

| code | meaning |
|---|---|
"""


def rows() -> list[tuple[int, str, str]]:
    """Status, code and meaning of everything that can be answered."""
    found: dict[str, tuple[int, str]] = {
        **{code: (status, meaning) for status, (code, meaning) in FRAMEWORK_CODES.items()},
        **{code: (status, meaning) for code, (status, meaning) in OTHER_CODES.items()},
    }
    for kind in _kinds(GatewayError):
        # Of 5xx what a client can meet; the others leave as `internal`.
        if kind.status < 500 or (issubclass(kind, NotReady) and kind is not LeaseLost):
            found[kind.code] = (kind.status, _first(kind))
    return sorted((status, code, meaning) for code, (status, meaning) in found.items())


def _kinds(kind: type[GatewayError]) -> list[type[GatewayError]]:
    inner = [deeper for each in kind.__subclasses__() for deeper in _kinds(each)]
    return [kind, *inner]


def _first(kind: type) -> str:
    doc = inspect.getdoc(kind) or ""
    return " ".join(doc.split("\n\n")[0].split())


def page() -> str:
    """The whole file."""
    assert strict  # its refusals are kinds too
    lines = ["| status | code | meaning |", "|---|---|---|"]
    lines += [f"| {status} | `{code}` | {meaning} |" for status, code, meaning in rows()]
    tail = "".join(f"| `{code}` | {meaning} |\n" for code, meaning in sorted(FAILURES.items()))
    return HEAD + "\n".join(lines) + "\n" + TAIL + tail


def main() -> int:
    """Exit code 1: the file differs."""
    text = page()
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != text:
            print("docs/ERRORS.md is not what the code says: run tools/export_errors.py")
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
