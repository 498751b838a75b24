"""The transactions that make a network, in order, from one key with consecutive nonces.

Points must know its Coalition before it exists: the address follows from the deployer's nonce. So
the plan holds only while nothing else is sent from that key in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError

from wallet_sdk import abi
from wallet_sdk.contracts.answers import Terms
from wallet_sdk.contracts.deployment import CONTRACT_NAMES, ContractAt, Deployment
from wallet_sdk.deployment.roles import Actors, one_transaction, wiring
from wallet_sdk.epochs import EpochSchedule
from wallet_sdk.errors import DeploymentInvalid, RpcUnavailable
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import (
    ZERO_ADDRESS,
    Address,
    Money,
    Policy,
    Seconds,
    create_address,
    from_hex,
    keccak256,
    to_hex,
)

QUARTER_S: Final = 7_889_400
"""A quarter of the mean Gregorian year of 365.2425 days, in seconds."""


@dataclass(frozen=True, slots=True)
class DeploymentParams:
    """What a network is made with. Money in units of the settlement asset (6 decimals).

    `terms` are those of epoch 1; `daily_limit` the most receipts that may be minted in one day.
    """

    actors: Actors
    epoch_first_start: Seconds
    epoch_length: Seconds = QUARTER_S
    policy: Policy = Policy.MEMBERS
    face_value: Money = 100
    terms: Terms = Terms(issue_fee=10, redeem_fee=2, issuers_share_bps=5_000)
    return_cap_bps: int = 1_000
    daily_limit: Money = 10**15
    points_name: str = "Banyan Points"
    points_symbol: str = "BNYN"
    pass_name: str = "Banyan Membership"
    pass_symbol: str = "BNYNP"
    receipt_name: str = "Banyan Bank Receipt"
    receipt_symbol: str = "BNYNR"

    @property
    def schedule(self) -> EpochSchedule:
        """The network's epochs."""
        return EpochSchedule(self.epoch_first_start, self.epoch_length)


@dataclass(frozen=True, slots=True)
class PlannedTransaction:
    """One transaction; `to` None creates a contract. Value is 0."""

    to: Address | None
    data: bytes
    label: str


def planned_addresses(deployer: Address, start_nonce: int) -> dict[str, Address]:
    """Where each contract will stand."""
    return {
        name: create_address(deployer, start_nonce + i) for i, name in enumerate(CONTRACT_NAMES)
    }


def plan(params: DeploymentParams, deployer: Address, start_nonce: int) -> list[PlannedTransaction]:
    """Six creations and one wiring of roles, to be sent with nonces from `start_nonce` on.

    Raises ArtefactMissing, or DeploymentInvalid when a parameter does not fit its constructor.
    """
    at = planned_addresses(deployer, start_nonce)
    authority = at["AccessManager"]
    terms = (params.terms.issue_fee, params.terms.redeem_fee, params.terms.issuers_share_bps)
    arguments: dict[str, tuple[Any, ...]] = {
        "AccessManager": (deployer,),
        "BankReceipt": (
            params.receipt_name,
            params.receipt_symbol,
            params.daily_limit,
            authority,
        ),
        "Points": (
            params.points_name,
            params.points_symbol,
            params.epoch_first_start,
            params.epoch_length,
            int(params.policy),
            at["Coalition"],
            authority,
        ),
        "MembershipPass": (at["Points"], authority, params.pass_name, params.pass_symbol),
        "CoalitionOffice": (
            at["Points"],
            at["BankReceipt"],
            at["MembershipPass"],
            params.face_value,
            params.return_cap_bps,
            ZERO_ADDRESS,
            authority,
        ),
        "Coalition": (
            at["Points"],
            at["BankReceipt"],
            at["MembershipPass"],
            params.face_value,
            params.return_cap_bps,
            terms,
            ZERO_ADDRESS,
            authority,
            at["CoalitionOffice"],
        ),
    }
    made = [
        PlannedTransaction(None, _creation(name, arguments[name]), f"create {name}")
        for name in CONTRACT_NAMES
    ]
    calls = wiring(at, params.actors, deployer)
    return [*made, PlannedTransaction(authority, one_transaction(calls), "wire roles")]


def deployed(
    rpc: Rpc, params: DeploymentParams, deployer: Address, start_nonce: int, first_block: int
) -> Deployment:
    """The network as it stands on chain once the plan's transactions are mined.

    Raises DeploymentInvalid when a contract is missing or its code is not the artefact's.
    """
    at = planned_addresses(deployer, start_nonce)
    contracts = {}
    for name, address in at.items():
        code = from_hex(rpc.call("eth_getCode", [address, "latest"]))
        if not is_artefact(name, code):
            raise DeploymentInvalid(f"the code at {address} is not the {name} of this version")
        contracts[name] = ContractAt(address, to_hex(keccak256(code)))
    genesis = rpc.call("eth_getBlockByNumber", ["0x0", False])
    if not isinstance(genesis, dict):
        raise RpcUnavailable("eth_getBlockByNumber", "the node has no genesis block")
    return Deployment(
        chain_id=int(rpc.call("eth_chainId"), 16),
        genesis_hash=genesis["hash"],
        first_block=first_block,
        contracts=contracts,
        face_value=params.face_value,
        epoch_first_start=params.epoch_first_start,
        epoch_length=params.epoch_length,
        policy=params.policy,
    )


def _creation(name: str, arguments: tuple[Any, ...]) -> bytes:
    inputs: list[dict[str, Any]] = next(
        (item["inputs"] for item in abi.load(name)["abi"] if item["type"] == "constructor"), []
    )
    try:
        encoded = encode([_type_of(part) for part in inputs], arguments)
    except (EncodingError, TypeError, ValueError) as error:
        raise DeploymentInvalid(f"constructor of {name}: {error}") from error
    return abi.bytecode(name) + encoded


def _type_of(part: dict[str, Any]) -> str:
    if part["type"] == "tuple":
        return f"({','.join(_type_of(member) for member in part['components'])})"
    return str(part["type"])


def is_artefact(name: str, code: bytes) -> bool:
    """Whether deployed code is the artefact's, immutables (zero in the artefact) left out."""
    artefact = abi.load(name)
    expected = from_hex(artefact["deployedBytecode"])
    if not expected or len(code) != len(expected):
        return False
    masked = bytearray(code)
    for start, length in artefact["immutableReferences"]:
        masked[start : start + length] = bytes(length)
    return bytes(masked) == expected
