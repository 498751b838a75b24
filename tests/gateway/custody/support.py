"""What the tests of custody share: cheap masters, and a network to sign for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.custody import MasterKind, MasterSources
from wallet_sdk.contracts import ContractAt
from wallet_sdk.contracts.deployment import CONTRACT_NAMES
from wallet_sdk.deployment import Deployment
from wallet_sdk.types import ZERO_DIGEST, Policy, address_of

PHRASES = {
    "old": "correct horse battery staple, old",
    "new": "correct horse battery staple, new",
}
"""Test passphrases."""

# 2^17 in earnest; a test needs the way, not the cost.
SCRYPT_N = 2**4


def phrase_file(folder: Path, name: str) -> Path:
    """A passphrase file as an operator makes it: with a line end, readable by its owner."""
    path = folder / f"{name}.txt"
    path.write_text(PHRASES[name] + "\n")
    path.chmod(0o600)
    return path


def sources(folder: Path, kind: MasterKind, **more: Any) -> MasterSources:
    return MasterSources(folder / "secrets", kind, scrypt_n=SCRYPT_N, **more)


def deployment(chain_id: int = 777) -> Deployment:
    """A network that is nowhere but in this file."""
    return Deployment(
        chain_id=chain_id,
        genesis_hash=ZERO_DIGEST,
        first_block=1,
        contracts={
            name: ContractAt(address_of(bytes([0xC0 + n]) * 20), ZERO_DIGEST)
            for n, name in enumerate(CONTRACT_NAMES)
        },
        face_value=100,
        epoch_first_start=0,
        epoch_length=7_776_000,
        policy=Policy.MEMBERS,
    )
