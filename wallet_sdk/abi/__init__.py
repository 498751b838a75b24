"""Contract artefacts as the compiler made them; nothing at run time compiles.

`<Name>.json` holds contractName, abi, bytecode, deployedBytecode and immutableReferences. They are
exported and checked for drift by `tools/export_abi.py`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import orjson

from wallet_sdk.errors import ArtefactMissing
from wallet_sdk.types import from_hex


def names() -> list[str]:
    """The contracts there are artefacts of, sorted."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json"))


@cache
def load(name: str) -> dict[str, Any]:
    """The artefact of a contract; do not change what is returned. Raises ArtefactMissing."""
    file = resources.files(__name__).joinpath(f"{name}.json")
    if not file.is_file():
        raise ArtefactMissing(name)
    artefact: dict[str, Any] = orjson.loads(file.read_bytes())
    return artefact


def bytecode(name: str) -> bytes:
    """What a creating transaction carries before the constructor's arguments. Raises
    ArtefactMissing.
    """
    code = from_hex(load(name)["bytecode"])
    if not code:
        raise ArtefactMissing(f"{name} (with bytecode)")
    return code
