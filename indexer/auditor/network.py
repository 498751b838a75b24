"""The deployment file, read anew: which contracts make the network, and their pinned code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from indexer.auditor.codec import data_of, keccak
from indexer.auditor.errors import AuditError, InputInvalid
from wallet_sdk.abi import load
from wallet_sdk.epochs import EpochSchedule
from wallet_sdk.types import Policy

NEEDED: Final = ("AccessManager", "BankReceipt", "Points", "MembershipPass", "Coalition")
_WATCHED_TOO: Final = ("CoalitionOffice",)
"""The half of the Coalition that it runs by delegation; by itself it has no state."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """Where a contract stands, and the Keccak of its deployed code."""

    address: bytes
    code_hash: bytes


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """What an auditor is given, and trusts: nothing else of the network is believed."""

    chain_id: int
    genesis_hash: bytes
    first_block: int
    contracts: Mapping[str, Pinned]
    face_value: int
    schedule: EpochSchedule
    policy: Policy
    digest: bytes
    """Keccak of the file's bytes, for the report."""

    def address(self, name: str) -> bytes:
        """Where a contract stands."""
        return self.contracts[name].address

    @property
    def watched(self) -> dict[bytes, str]:
        """Contract name by address: whose logs are ours."""
        names = (*NEEDED, *(n for n in _WATCHED_TOO if n in self.contracts))
        return {self.address(name): name for name in names}


def read_network(path: Path) -> NetworkFile:
    """Reads deployment.json. Raises InputInvalid."""
    try:
        raw = path.read_bytes()
        content = orjson.loads(raw)
        return _network(content, keccak(raw))
    except OSError as error:
        raise InputInvalid(f"{path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputInvalid(f"{path} is not JSON") from error
    except (KeyError, TypeError, ValueError, AttributeError, AuditError) as error:
        raise InputInvalid(f"{path} is no deployment file: {error!r}") from error


def _network(content: Mapping[str, Any], digest: bytes) -> NetworkFile:
    if content["schema"] != 1:
        raise InputInvalid(f"deployment schema {content['schema']!r}, this auditor reads 1")
    contracts = {
        str(name): Pinned(data_of(at["address"], 20), data_of(at["code_hash"], 32))
        for name, at in content["contracts"].items()
    }
    missing = [name for name in NEEDED if name not in contracts]
    if missing:
        raise InputInvalid(f"the deployment names no {', '.join(missing)}")
    return NetworkFile(
        chain_id=int(content["chain_id"]),
        genesis_hash=data_of(content["genesis_hash"], 32),
        first_block=int(content["first_block"]),
        contracts=contracts,
        face_value=int(content["face_value"]),
        schedule=EpochSchedule(
            int(content["epoch_first_start"]),
            int(content["epoch_length"]),
            int(content["validity"]),
        ),
        policy=Policy[str(content["policy"]).upper()],
        digest=digest,
    )


def immutables_of(name: str, code: bytes) -> list[int] | None:
    """The words that stand in the code where the artefact leaves its immutables open; None: the
    code is not that of this version's contract.
    """
    try:
        artefact = load(name)
        expected = data_of(artefact["deployedBytecode"])
    except (KeyError, AuditError, ValueError):
        return None
    if not expected or len(code) != len(expected):
        return None
    masked = bytearray(code)
    words = []
    for start, length in artefact["immutableReferences"]:
        words.append(int.from_bytes(code[start : start + length], "big"))
        masked[start : start + length] = bytes(length)
    return words if bytes(masked) == expected else None
