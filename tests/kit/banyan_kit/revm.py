"""A whole network on an in-process EVM (pyrevm): deployment, calls, logs, time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import eth_abi
import rlp
from banyan_kit.wire import Wire, to_bytes
from eth_hash.auto import keccak
from pyrevm import EVM, BlockEnv, CfgEnv, Env

ARTEFACTS = Path(__file__).resolve().parents[3] / "wallet_sdk" / "abi"
CHAIN_ID = 31_337
DAY = 86_400
ZERO = "0x" + "00" * 20


@cache
def artefact(name: str) -> dict[str, Any]:
    """The committed artefact of one contract."""
    return json.loads((ARTEFACTS / f"{name}.json").read_text())


def type_of(argument: dict[str, Any]) -> str:
    """ABI type with tuples written out."""
    if not argument["type"].startswith("tuple"):
        return argument["type"]
    inner = ",".join(type_of(part) for part in argument["components"])
    return f"({inner})" + argument["type"][len("tuple") :]


def signature_of(item: dict[str, Any]) -> str:
    """name(type,...)"""
    return f"{item['name']}({','.join(type_of(part) for part in item['inputs'])})"


@cache
def functions(name: str) -> dict[str, dict[str, Any]]:
    """Functions by name and by full signature."""
    found: dict[str, dict[str, Any]] = {}
    for item in artefact(name)["abi"]:
        if item["type"] == "function":
            found.setdefault(item["name"], item)
            found[signature_of(item)] = item
    return found


@cache
def errors() -> dict[bytes, dict[str, Any]]:
    """Every error of every artefact by selector."""
    found = {}
    for path in ARTEFACTS.glob("*.json"):
        for item in json.loads(path.read_text())["abi"]:
            if item["type"] == "error":
                found[keccak(signature_of(item).encode())[:4]] = item
    return found


@cache
def events() -> dict[tuple[bytes, int], dict[str, Any]]:
    """Every event by topic and number of topics: two of ours are both called Transfer."""
    found = {}
    for path in ARTEFACTS.glob("*.json"):
        for item in json.loads(path.read_text())["abi"]:
            if item["type"] == "event" and not item["anonymous"]:
                topics = 1 + sum(part["indexed"] for part in item["inputs"])
                found[keccak(signature_of(item).encode()), topics] = item
    return found


class Refused(Exception):
    """A call reverted: `name` of the error and its values; name "" for a revert without data."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.name, self.values = decode_error(data)
        super().__init__(f"{self.name}{self.values}")


def decode_error(data: bytes) -> tuple[str, tuple[Any, ...]]:
    """Error name and values; Panic and Error(string) of Solidity too."""
    if data[:4] == bytes.fromhex("4e487b71"):
        return "Panic", (int.from_bytes(data[4:36], "big"),)
    if data[:4] == bytes.fromhex("08c379a0"):
        return "Error", eth_abi.decode(["string"], data[4:])
    item = errors().get(data[:4])
    if item is None:
        return "", (data.hex(),) if data else ()
    types = [type_of(part) for part in item["inputs"]]
    try:
        return item["name"], eth_abi.decode(types, data[4:])
    except eth_abi.exceptions.DecodingError:
        # A reason in `Rejected` is cut at 100 bytes; its name is still there.
        return item["name"], ()


@dataclass(frozen=True)
class Log:
    """One decoded event."""

    address: str
    name: str
    values: dict[str, Any]


def decode_log(address: str, topics: list[str], data: bytes) -> Log:
    """Any event of ours."""
    words = [to_bytes(topic, 32) for topic in topics]
    item = events()[words[0], len(words)]
    values: dict[str, Any] = {}
    indexed = iter(words[1:])
    for part in item["inputs"]:
        if part["indexed"]:
            values[part["name"]] = eth_abi.decode([type_of(part)], next(indexed))[0]
    plain = [part for part in item["inputs"] if not part["indexed"]]
    decoded = eth_abi.decode([type_of(part) for part in plain], data)
    values |= {part["name"]: value for part, value in zip(plain, decoded, strict=True)}
    return Log(address.lower(), item["name"], values)


def create_address(deployer: str, nonce: int) -> str:
    """Address of the contract that `deployer` creates with `nonce`."""
    return "0x" + keccak(rlp.encode([to_bytes(deployer, 20), nonce]))[-20:].hex()


@dataclass
class Contract:
    """A deployed contract: `contract.name(args)` asks, `contract.send(caller, name, args)` acts."""

    chain: Chain
    address: str
    name: str

    def encode_selector(self, function: str) -> bytes:
        """The first four bytes of calldata."""
        return keccak(signature_of(functions(self.name)[function]).encode())[:4]

    def encode(self, function: str, *arguments: Any) -> bytes:
        """Calldata."""
        item = functions(self.name)[function]
        types = [type_of(part) for part in item["inputs"]]
        return keccak(signature_of(item).encode())[:4] + eth_abi.encode(types, arguments)

    def send(self, caller: str, function: str, *arguments: Any, gas: int | None = None) -> Any:
        """A transaction of `caller`; raises Refused."""
        data = self.encode(function, *arguments)
        return self.decode(function, self.chain.transact(caller, self.address, data, gas=gas))

    def ask(self, function: str, *arguments: Any, caller: str = ZERO) -> Any:
        """A read."""
        data = self.chain.ask(caller, self.address, self.encode(function, *arguments))
        return self.decode(function, data)

    def decode(self, function: str, data: bytes) -> Any:
        """The answer; a single value comes bare."""
        outputs = functions(self.name)[function]["outputs"]
        values = eth_abi.decode([type_of(part) for part in outputs], data)
        return values[0] if len(values) == 1 else values


@dataclass
class Chain:
    """One EVM. Every transaction is a block of its own at the chain's present time."""

    now: int
    chain_id: int = CHAIN_ID
    logs: list[Log] = field(default_factory=list)
    gas_used: int = 0

    def __post_init__(self) -> None:
        # Prague is what the contracts are compiled for.
        env = Env(cfg=CfgEnv(chain_id=self.chain_id), block=BlockEnv(number=1, timestamp=self.now))
        self.evm = EVM(env=env, spec_id="PRAGUE", gas_limit=60_000_000)

    def at(self, timestamp: int) -> None:
        """Moves the time."""
        self.now = timestamp
        number = self.evm.env.block.number
        self.evm.set_block_env(BlockEnv(number=number + 1, timestamp=timestamp))

    def deploy(self, deployer: str, code: bytes) -> str:
        """Creates a contract; returns its address. Raises Refused."""
        try:
            address = self.evm.deploy(deployer, code)
        except RuntimeError as error:
            raise Refused(revert_data(error)) from None
        return str(address).lower()

    def nonce_of(self, account: str) -> int:
        """How many transactions the account has sent."""
        return self.evm.basic(account).nonce

    def deploy_artefact(self, deployer: str, name: str, *arguments: Any) -> Contract:
        """Creates a contract of ours."""
        compiled = artefact(name)
        constructor = next(item for item in compiled["abi"] if item["type"] == "constructor")
        types = [type_of(part) for part in constructor["inputs"]]
        code = to_bytes(compiled["bytecode"], 0) + eth_abi.encode(types, arguments)
        return Contract(self, self.deploy(deployer, code), name)

    def transact(self, caller: str, to: str, data: bytes, gas: int | None = None) -> bytes:
        """One transaction; raises Refused. Its decoded logs are in `logs` (of the last alone)."""
        self.logs = []
        try:
            answer = self.evm.message_call(caller, to, calldata=data, gas=gas)
        except RuntimeError as error:
            raise Refused(revert_data(error)) from None
        result = self.evm.result
        self.gas_used = result.gas_used
        known = events()
        self.logs = [
            decode_log(log.address, log.topics, bytes(log.data[1]))
            for log in result.logs
            if log.topics and (to_bytes(log.topics[0], 32), len(log.topics)) in known
        ]
        # pyrevm keeps one journal for all transactions; what is transient ends with each.
        self.evm.reset_transient_storage()
        return bytes(answer)

    def ask(self, caller: str, to: str, data: bytes) -> bytes:
        """One eth_call; raises Refused."""
        try:
            return bytes(self.evm.message_call(caller, to, calldata=data, is_static=True))
        except RuntimeError as error:
            raise Refused(revert_data(error)) from None
        finally:
            self.evm.reset_transient_storage()

    def contract(self, name: str, address: str) -> Contract:
        """A contract that is there already."""
        return Contract(self, address, name)


def revert_data(error: RuntimeError) -> bytes:
    """pyrevm tells the output inside the error's text."""
    found = re.search(r"output: 0x([0-9a-fA-F]*)", str(error))
    return bytes.fromhex(found.group(1)) if found else b""


@dataclass
class Network:
    """The contracts of one network, with the roles of its test."""

    chain: Chain
    authority: Contract
    asset: Contract
    points: Contract
    membership: Contract
    office: Contract
    coalition: Contract

    @property
    def wire(self) -> Wire:
        """Makes orders for it."""
        return Wire(self.chain.chain_id, self.coalition.address)


@dataclass(frozen=True)
class Settings:
    """What a deployment fixes; the defaults are those of the worked example."""

    start: int = 1_767_225_600  # 2026-01-01
    epoch_length: int = 90 * DAY
    policy: int = 1
    face_value: int = 100
    return_cap_bps: int = 1_000
    terms: tuple[int, int, int] = (10, 2, 5_000)
    daily_limit: int = 10**30


ADMIN = "0x" + "a0" * 20


def deploy_network(
    settings: Settings | None = None, asset: Callable[[Chain], str] | None = None
) -> Network:
    """Deploys all contracts by ADMIN, who holds every role; `asset` deploys another settlement
    asset than BankReceipt, by one transaction of ADMIN, and returns its address.
    """
    fixed = settings or Settings()
    chain = Chain(fixed.start)
    authority = chain.deploy_artefact(ADMIN, "AccessManager", ADMIN)
    if asset is None:
        receipts = chain.deploy_artefact(
            ADMIN, "BankReceipt", "Receipt", "RCT", fixed.daily_limit, authority.address
        )
    else:
        receipts = chain.contract("BankReceipt", asset(chain))
    predicted = create_address(ADMIN, chain.nonce_of(ADMIN) + 3)
    points = chain.deploy_artefact(
        ADMIN,
        "Points",
        "Banyan Points",
        "BNP",
        fixed.start,
        fixed.epoch_length,
        fixed.policy,
        predicted,
        authority.address,
    )
    membership = chain.deploy_artefact(
        ADMIN, "MembershipPass", points.address, authority.address, "Banyan", "BNY"
    )
    parts = (
        points.address,
        receipts.address,
        membership.address,
        fixed.face_value,
        fixed.return_cap_bps,
    )
    office = chain.deploy_artefact(ADMIN, "CoalitionOffice", *parts, ZERO, authority.address)
    coalition = chain.deploy_artefact(
        ADMIN, "Coalition", *parts, fixed.terms, ZERO, authority.address, office.address
    )
    assert coalition.address == predicted
    return Network(chain, authority, receipts, points, membership, office, coalition)
