#!/usr/bin/env python3
"""Writes docs/CONFIG.md from the settings of the gateway and the indexer.

tools/export_config.py            writes the file
tools/export_config.py --check    writes nothing, exits 1 when the file differs
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gateway.settings import Settings  # noqa: E402
from indexer.settings import IndexerSettings  # noqa: E402

TARGET = ROOT / "docs" / "CONFIG.md"

SECTIONS = (
    ("What and where", ("data_dir", "orders_", "mirror_", "rpc_", "ws_", "anvil", "deployment_")),
    ("Keys and what they may sign", ("master", "kms_", "till_", "relayer_daily")),
    (
        "Chain, fees and the relay",
        ("finality", "fee_", "tip_", "bump_", "relay", "lease_", "order_", "gas_"),
    ),
    ("Accepting", ("group_", "queue_", "requests_", "bulk_", "member_")),
    ("Webhooks", ("webhook",)),
    ("Logs, traces, readiness", ("log_", "otel_", "ready_")),
    ("Pages", ("currency_", "time_zone")),
)
REST = "More"

HEAD = """\
# Settings

Written by `tools/export_config.py` from `gateway/settings.py`; `make check` holds the two together.

Every setting is an environment variable. A file of the same name in lower case
(`banyan_orders_url`) in the folder that `CREDENTIALS_DIRECTORY` names does as well, and so comes
from systemd's `LoadCredential=` or from a mounted secret; the variable goes before the file.
Nothing secret is ever taken from the command line, where every user of the machine could read it.
What is marked *secret* shows in no log, no error and no `repr`.
"""

TAIL = """
## Variables that are not ours

| variable | meaning |
|---|---|
| `CREDENTIALS_DIRECTORY` | Folder of secret files; systemd sets it. |
| `AWS_*` | Credentials and region of KMS, wherever boto3 looks for them. |
| `FAULT` | `point:n` ends the process at the n-th pass of a kill point (`faults.py`). For tests. |

`banyan index` reads the variables marked with an `i` too. The auditor, who trusts nobody, takes
what it needs from its command line.
"""


def document() -> str:
    """The whole page."""
    read_too = set(IndexerSettings.model_fields)
    # What both know is told as the gateway tells it; the indexer's own comes after.
    ours = IndexerSettings.model_fields | Settings.model_fields
    ours = {name: ours[name] for name in [*Settings.model_fields, *IndexerSettings.model_fields]}
    parts = [HEAD]
    for title in [title for title, _ in SECTIONS] + [REST]:
        names = [name for name in ours if section_of(name) == title]
        if names:
            parts.append(f"\n## {title}\n\n| variable | default | meaning |\n|---|---|---|\n")
            parts += [row(name, ours[name], name in read_too) for name in names]
    return "".join([*parts, TAIL])


def section_of(name: str) -> str:
    """The title that a setting stands under."""
    for title, beginnings in SECTIONS:
        if name.startswith(beginnings):
            return title
    return REST


def row(name: str, field: FieldInfo, read_too: bool) -> str:
    """One line of the table."""
    if not field.description:
        raise SystemExit(f"the setting {name} has no description")
    marks = (" *secret*" if "SecretStr" in str(field.annotation) else "") + (
        " i" if read_too else ""
    )
    values = " ".join(filter(None, [field.description, _bounds(field), _choices(field)]))
    return f"| `{_prefix()}{name.upper()}`{marks} | {_default(field)} | {values} |\n"


def _prefix() -> str:
    return str(Settings.model_config["env_prefix"])


def _default(field: FieldInfo) -> str:
    default: Any = field.default
    if default is None or default is PydanticUndefined or default == frozenset():
        return ""
    return f"`{default}`"


def _bounds(field: FieldInfo) -> str:
    words = []
    for bound in field.metadata:
        for name, word in (("ge", "from"), ("gt", "over"), ("le", "to"), ("lt", "under")):
            if (value := getattr(bound, name, None)) is not None:
                words.append(f"{word} {value}")
    return f"({', '.join(words)})" if words else ""


def _choices(field: FieldInfo) -> str:
    found = sorted(_literals(field.annotation))
    return "One of " + ", ".join(f"`{choice}`" for choice in found) + "." if len(found) > 1 else ""


def _literals(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _literals(get_args(annotation)[0])
    found: set[str] = set()
    for part in get_args(annotation):
        if part is not NoneType:
            found |= _literals(part)
    return found


def main() -> int:
    """Exit code 1: the file differs."""
    assert issubclass(Settings, BaseSettings)
    text = document()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
        return 0
    if TARGET.read_text() != text:
        print(f"{TARGET.name} is not what tools/export_config.py writes: run it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
