"""deployment.json: which contracts make one network, on which chain, under which fixed figures.

Everything that reads a network takes this file and trusts nothing else about it; the auditor pins
the code hashes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import orjson

from wallet_sdk.epochs import VALIDITY_EPOCHS, EpochSchedule
from wallet_sdk.errors import DeploymentInvalid, InputInvalid
from wallet_sdk.orders import Domain
from wallet_sdk.types import Address, Digest, Money, Policy, Seconds, digest_bytes, to_address

SCHEMA: Final = 1
CONTRACT_NAMES: Final = (
    "AccessManager",
    "BankReceipt",
    "Points",
    "MembershipPass",
    "CoalitionOffice",
    "Coalition",
)
"""In the order in which they are deployed."""
_SPOKEN_TO: Final = tuple(name for name in CONTRACT_NAMES if name != "CoalitionOffice")
"""The office is Coalition's own code, run by delegation; nobody else calls it."""


@dataclass(frozen=True, slots=True)
class ContractAt:
    """Where a contract stands, and the Keccak of its deployed code."""

    address: Address
    code_hash: Digest


@dataclass(frozen=True)
class Deployment:
    """One network. `face_value` in units of the settlement asset per point, `epoch_length` in
    seconds.

    `first_block`: no log of the network lies before it. `genesis_hash` tells two chains of the same
    id apart.
    """

    chain_id: int
    genesis_hash: Digest
    first_block: int
    contracts: Mapping[str, ContractAt]
    face_value: Money
    epoch_first_start: Seconds
    epoch_length: Seconds
    validity: int = VALIDITY_EPOCHS
    policy: Policy = Policy.MEMBERS

    def __post_init__(self) -> None:
        missing = [name for name in _SPOKEN_TO if name not in self.contracts]
        if missing:
            raise DeploymentInvalid(f"the deployment names no {', '.join(missing)}")

    def address(self, name: str) -> Address:
        """Where the contract of that name stands. Raises DeploymentInvalid."""
        found = self.contracts.get(name)
        if found is None:
            raise DeploymentInvalid(f"the deployment names no {name}")
        return found.address

    @property
    def addresses(self) -> dict[str, Address]:
        """Address by contract name."""
        return {name: at.address for name, at in self.contracts.items()}

    def with_coalition(self, address: Address) -> Deployment:
        """The same network spoken to through another Coalition: a successor. No code is pinned for
        it: the hash stays that of the first.
        """
        contracts = dict(self.contracts)
        contracts["Coalition"] = ContractAt(address, contracts["Coalition"].code_hash)
        return replace(self, contracts=contracts)

    @cached_property
    def domain(self) -> Domain:
        """What orders of this network are signed for."""
        return Domain(self.chain_id, self.address("Coalition"))

    @cached_property
    def schedule(self) -> EpochSchedule:
        """Its epochs."""
        return EpochSchedule(self.epoch_first_start, self.epoch_length, self.validity)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of deployment.json."""
        return {
            "schema": SCHEMA,
            "chain_id": self.chain_id,
            "genesis_hash": self.genesis_hash,
            "first_block": self.first_block,
            "contracts": {
                name: {"address": at.address, "code_hash": at.code_hash}
                for name, at in self.contracts.items()
            },
            "face_value": self.face_value,
            "epoch_first_start": self.epoch_first_start,
            "epoch_length": self.epoch_length,
            "validity": self.validity,
            "policy": self.policy.name.lower(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Deployment:
        """Reads the JSON object. Raises DeploymentInvalid: another schema, a part missing or
        wrong.
        """
        schema = content.get("schema")
        if schema != SCHEMA:
            raise DeploymentInvalid(f"deployment schema {schema!r}, this version reads {SCHEMA}")
        try:
            contracts = {
                str(name): ContractAt(to_address(at["address"]), _digest(at["code_hash"]))
                for name, at in content["contracts"].items()
            }
            return cls(
                chain_id=_number(content, "chain_id"),
                genesis_hash=_digest(content["genesis_hash"]),
                first_block=_number(content, "first_block"),
                contracts=contracts,
                face_value=_number(content, "face_value"),
                epoch_first_start=_number(content, "epoch_first_start"),
                epoch_length=_number(content, "epoch_length"),
                validity=_number(content, "validity"),
                policy=Policy[content["policy"].upper()],
            )
        except DeploymentInvalid:
            raise
        except KeyError as error:
            raise DeploymentInvalid(f"the deployment lacks {error}") from error
        except (InputInvalid, TypeError, AttributeError) as error:
            raise DeploymentInvalid(f"the deployment is malformed: {error}") from error

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Reads deployment.json. Raises DeploymentInvalid."""
        try:
            content = orjson.loads(path.read_bytes())
        except OSError as error:
            raise DeploymentInvalid(f"{path}: {error.strerror}") from error
        except orjson.JSONDecodeError as error:
            raise DeploymentInvalid(f"{path} is no JSON") from error
        if not isinstance(content, dict):
            raise DeploymentInvalid(f"{path} holds no JSON object")
        return cls.from_dict(content)

    def save(self, path: Path) -> None:
        """Writes deployment.json whole or not at all: a new file takes the old one's place."""
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with beside.open("wb") as file:
            file.write(orjson.dumps(self.to_dict(), option=orjson.OPT_INDENT_2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)


def _digest(value: Any) -> Digest:
    digest_bytes(value)
    return str(value).lower()


def _number(content: Mapping[str, Any], name: str) -> int:
    value = content[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DeploymentInvalid(f"{name}: expected a number from 0, got {value!r}")
    return value
