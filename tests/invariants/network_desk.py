"""A network with named people on the compiled bytecode: every action in one line of a test."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from banyan_kit.revm import (
    ADMIN,
    Contract,
    Log,
    Network,
    Refused,
    Settings,
    deploy_network,
    signature_of,
)
from banyan_kit.revm import functions as functions_of
from banyan_kit.wire import Key, redemption_leaf, to_bytes
from eth_hash.auto import keccak

ATTESTOR = "0x" + "a1" * 20
TREASURY = "0x" + "b0" * 20
MINTED = 10**24


def buckets_of(word: int) -> dict[int, int]:
    """Points by epoch out of a `buckets` or account word (layout in contracts/interfaces)."""
    newest = word >> 240
    lanes = {newest - lane: (word >> (35 * lane)) & (2**35 - 1) for lane in range(6)}
    return {epoch: points for epoch, points in lanes.items() if points}


@dataclass
class Merchant:
    """Keys of one merchant, and the next nonce that none of its orders has had."""

    number: int
    owner: Key
    tills: list[Key]
    next_nonce: int = 0


@dataclass
class Redemption:
    """What a refund must know of the redemption that it reverses."""

    merchant: int
    leaf: bytes
    fields: dict[str, Any]


@dataclass
class Desk:
    """One deployed network. `make` signs an order, `execute` and `relay` are the two doors."""

    network: Network
    merchants: dict[int, Merchant] = field(default_factory=dict)
    effects: Counter[str] = field(default_factory=Counter)
    calls: int = 0

    @classmethod
    def open(cls, settings: Settings | None = None) -> Desk:
        """Deploys, and mints MINTED units of the settlement asset to the treasury."""
        desk = cls(deploy_network(settings))
        authority = desk.network.authority
        authority.send(ADMIN, "grantRole", 0, ATTESTOR, 0)
        proposal = {"bankReference": b"\1" * 32, "to": TREASURY, "amount": MINTED}
        asset = desk.network.asset
        asset.send(ADMIN, "proposeMint", *proposal.values())
        asset.send(ATTESTOR, "confirmMint", *named(asset, "confirmMint", proposal))
        asset.send(TREASURY, "approve", desk.network.coalition.address, 2**256 - 1)
        return desk

    # ---- people

    def register(self, number: int, name: str) -> Merchant:
        """A merchant with an owner's key and two till keys, of which the first is set."""
        owner, *tills = (Key.from_seed(f"{name} {part}") for part in ("owner", "till", "till 2"))
        merchant = Merchant(number, owner, tills)
        self.operate("registerMerchant", number, owner.address, tills[0].address, bytes(32))
        self.merchants[number] = merchant
        return merchant

    def nonce(self, merchant: int) -> int:
        """The next unused nonce of a merchant."""
        self.merchants[merchant].next_nonce += 1
        return self.merchants[merchant].next_nonce

    # ---- orders

    def make(self, kind: str, key: Key, /, **values: Any) -> bytes:
        """The signed order; without a deadline it lives to the end of the epoch."""
        values.setdefault("deadline", self.epoch_end())
        return self.network.wire.signed(kind, key, **values)

    def execute(self, order: bytes) -> list[Log]:
        """The door that reverts with the reason."""
        return self.send(self.network.coalition, TREASURY, "execute", order)

    def relay(self, *orders: bytes) -> list[Log]:
        """The door that isolates each order."""
        return self.send(self.network.coalition, TREASURY, "relay", list(orders))

    def operate(self, function: str, *arguments: Any) -> list[Log]:
        """A call of the operator."""
        return self.send(self.network.coalition, ADMIN, function, *arguments)

    def anyone(self, function: str, *arguments: Any) -> list[Log]:
        """A call that needs no role; the treasury's money and name."""
        return self.send(self.network.coalition, TREASURY, function, *arguments)

    def send(self, contract: Contract, caller: str, function: str, *arguments: Any) -> list[Log]:
        """One transaction; its logs. Counts it, and what took effect. Raises Refused."""
        self.calls += 1
        contract.send(caller, function, *arguments)
        self.effects.update(log.name for log in self.network.chain.logs)
        return self.network.chain.logs

    # ---- time

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.network.chain.now

    def epoch(self) -> int:
        """The current one."""
        return read_words(self.network.points, "currentEpoch")[0]

    def epoch_end(self) -> int:
        """Last second of the current epoch."""
        return read_words(self.network.points, "epochEnd", self.epoch())[0]

    def go_to_epoch(self, epoch: int) -> None:
        """Its first second."""
        self.network.chain.at(self.network.points.ask("epochStart", epoch))

    # ---- money

    def position(self, merchant: int) -> int:
        """Units of the settlement asset that the merchant has with the network."""
        return int(self.network.coalition.ask("positionOf", merchant))

    def cash(self) -> int:
        """What the Coalition holds of the settlement asset."""
        return read_words(self.network.asset, "balanceOf", self.network.coalition.address)[0]

    def redemption(self, log: Log, order: dict[str, Any], proof: list[bytes]) -> Redemption:
        """What a `Redeemed` log and the fields of its order tell a later refund."""
        fields = {key: order[key] for key in ("member", "points", "nonce", "deadline", "ref")}
        leaf = redemption_leaf(log.values["digest"], log.values["buckets"])
        fields |= {"buckets": log.values["buckets"], "proof": proof}
        return Redemption(log.values["merchant"], leaf, fields)


@cache
def selector(contract: str, function: str) -> bytes:
    """First four bytes of a call."""
    return keccak(signature_of(functions_of(contract)[function]).encode())[:4]


def read_words(contract: Contract, function: str, *arguments: int | str | bytes) -> list[int]:
    """Answer of a read as unsigned words: for functions that take and give nothing but words.

    The laws make a thousand reads a second; a general decoder would be most of their time.
    """
    words = (to_bytes(value, 32).rjust(32, b"\0") for value in arguments)
    data = selector(contract.name, function) + b"".join(words)
    answer = contract.chain.ask(TREASURY, contract.address, data)
    return [int.from_bytes(answer[at : at + 32], "big") for at in range(0, len(answer), 32)]


def named(contract: Contract, function: str, values: dict[str, Any]) -> list[Any]:
    """The arguments of a function taken by name, as many as it asks for."""
    return [values[part["name"]] for part in functions_of(contract.name)[function]["inputs"]]


def refusal(act: Any, *arguments: Any) -> str | None:
    """Name of the error with which a call was refused; None when it took effect."""
    try:
        act(*arguments)
    except Refused as refused:
        return refused.name
    return None
