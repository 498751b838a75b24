"""A network on Ape's chain with named people: what every contract test acts with.

The contracts are the committed artefacts, so that nothing is compiled twice; that the artefacts are
those of the sources is proven by `tools/export_abi.py --check` and `test_compile.py`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ape
import pytest
from ape.api import AccountAPI, ReceiptAPI
from ape.contracts import ContractContainer, ContractInstance
from ape.exceptions import ContractLogicError, CustomError
from banyan_kit.revm import Log, create_address, decode_error, decode_log
from banyan_kit.wire import Key, Wire, redemption_leaf
from ethpm_types import ContractType

ARTEFACTS = Path(__file__).parents[2] / "wallet_sdk" / "abi"
DAY = 86_400
EPOCH_LENGTH = 90 * DAY
ZERO = "0x" + "00" * 20
ADMIN, GUARDIAN, OPERATOR, TREASURER, ATTESTOR = range(5)
BAKER, FLORIST = 1, 2
REF = b"\x42" * 32


def container(name: str) -> ContractContainer:
    """A committed artefact as Ape knows contracts."""
    found = json.loads((ARTEFACTS / f"{name}.json").read_text())
    return ContractContainer(
        ContractType.model_validate(
            {
                "contractName": name,
                "abi": found["abi"],
                "deploymentBytecode": {"bytecode": found["bytecode"]},
                "runtimeBytecode": {"bytecode": found["deployedBytecode"]},
            }
        )
    )


@contextmanager
def refused(name: str, *values: Any) -> Iterator[None]:
    """The call reverts with that error; with those values, if any are given."""
    with pytest.raises(ContractLogicError) as caught:
        yield
    found, found_values = error_of(caught.value)
    assert found == name
    if values:
        assert [plain(value) for value in found_values] == [plain(value) for value in values]


def error_of(error: ContractLogicError) -> tuple[str, list[Any]]:
    """Name and values, whether Ape knew the error or it came through from another contract."""
    if isinstance(error, CustomError):
        return error.abi.name, list(error.inputs.values())
    text = str(error.revert_message)
    if text.startswith(("b'", 'b"')):
        # Where the bytes are no text, Ape tells their repr.
        text = "0x" + bytes(ast.literal_eval(text)).hex()
    if text.startswith("0x"):
        name, values = decode_error(bytes.fromhex(text[2:]))
        return name, list(values)
    return text, []


def plain(value: Any) -> Any:
    """Addresses and bytes in one form."""
    if isinstance(value, bytes):
        return "0x" + bytes(value).hex()
    return value.lower() if isinstance(value, str) else value


@dataclass
class Shop:
    """Keys of a merchant; `till` signs its daily orders, `owner` its money and keys."""

    number: int
    owner: Key
    till: Key
    next_nonce: int = 0


@dataclass
class Town:
    """The contracts of one network, and the people in it."""

    authority: ContractInstance
    asset: ContractInstance
    points: ContractInstance
    membership: ContractInstance
    coalition: ContractInstance
    start: int
    admin: AccountAPI
    operator: AccountAPI
    guardian: AccountAPI
    treasurer: AccountAPI
    attestor: AccountAPI
    # Carries orders, holds money, and has no role at all.
    relayer: AccountAPI
    stranger: AccountAPI
    shops: dict[int, Shop] = field(default_factory=dict)
    nonces: dict[str, int] = field(default_factory=dict)

    # ---- time

    @property
    def now(self) -> int:
        """Time of the next block."""
        return int(ape.chain.pending_timestamp)

    def go(self, timestamp: int) -> None:
        """The next block has exactly this time."""
        ape.chain.pending_timestamp = timestamp

    def mine_at(self, timestamp: int) -> None:
        """A block of that time: reads answer as of the last block."""
        ape.chain.mine(1, timestamp=timestamp)

    def epoch_start(self, epoch: int) -> int:
        return self.start + (epoch - 1) * EPOCH_LENGTH

    def epoch(self) -> int:
        return (self.now - self.start) // EPOCH_LENGTH + 1

    def epoch_end(self) -> int:
        """Last second of the current epoch."""
        return self.epoch_start(self.epoch() + 1) - 1

    # ---- orders

    @property
    def wire(self) -> Wire:
        return Wire(ape.chain.chain_id, str(self.coalition.address))

    def member_nonce(self, member: Key) -> int:
        self.nonces[member.address] = self.nonces.get(member.address, 0) + 1
        return self.nonces[member.address]

    def shop_nonce(self, shop: int) -> int:
        self.shops[shop].next_nonce += 1
        return self.shops[shop].next_nonce

    def make(self, kind: str, key: Key, /, **values: Any) -> bytes:
        """A signed order; without a deadline it lives to the end of the epoch."""
        values.setdefault("deadline", self.epoch_end())
        return self.wire.signed(kind, key, **values)

    def execute(self, order: bytes) -> ReceiptAPI:
        """The door that reverts."""
        return self.coalition.execute(order, sender=self.relayer)

    def relay(self, *orders: bytes) -> ReceiptAPI:
        """The door that isolates."""
        return self.coalition.relay(list(orders), sender=self.relayer)

    # ---- the verbs, by the people who do them

    def join(self, member: Key) -> ReceiptAPI:
        return self.execute(
            self.make("Join", member, member=member.address, nonce=self.member_nonce(member))
        )

    def issue_order(self, shop: int, entries: list[tuple[str, int]], **over: Any) -> bytes:
        key = over.pop("key", self.shops[shop].till)
        values = {"merchant": shop, "entries": entries}
        values |= over if "nonce" in over else over | {"nonce": self.shop_nonce(shop)}
        return self.make("IssueBatch", key, **values)

    def issue(self, shop: int, member: Key, points: int) -> ReceiptAPI:
        return self.execute(self.issue_order(shop, [(member.address, points)]))

    def redeem_values(self, member: Key, shop: int, points: int, **over: Any) -> dict[str, Any]:
        values = {"member": member.address, "merchant": shop, "points": points, "ref": REF}
        values["deadline"] = self.epoch_end()
        values["nonce"] = over.pop("nonce", None) or self.member_nonce(member)
        return values | over

    def redeem(self, member: Key, shop: int, points: int) -> dict[str, Any]:
        """Redeems; returns what a refund must name (a redemption alone in its relay)."""
        values = self.redeem_values(member, shop, points)
        receipt = self.execute(self.make("Redeem", member, **values))
        return self.redemption(values, receipt)

    def redemption(self, values: dict[str, Any], receipt: ReceiptAPI) -> dict[str, Any]:
        buckets = log_of(receipt, "Redeemed")["buckets"]
        names = ("member", "points", "nonce", "deadline", "ref")
        return {name: values[name] for name in names} | {"buckets": buckets, "proof": []}

    def leaf(self, redemption: dict[str, Any], shop: int) -> bytes:
        names = ("member", "points", "nonce", "deadline", "ref")
        fields = {name: redemption[name] for name in names}
        return redemption_leaf(
            self.wire.digest("Redeem", merchant=shop, **fields), redemption["buckets"]
        )

    def refund_order(
        self, shop: int, redemption: dict[str, Any], points: int, **over: Any
    ) -> bytes:
        key = over.pop("key", self.shops[shop].till)
        values = {"merchant": shop, "points": points, "redemption": redemption} | over
        values.setdefault("nonce", self.shop_nonce(shop))
        return self.make("Refund", key, **values)

    def return_order(self, member: Key, shop: int, points: int, epoch: int, **over: Any) -> bytes:
        key = over.pop("key", self.shops[shop].till)
        values = {"member": member.address, "merchant": shop, "points": points, "epoch": epoch}
        values |= {"ref": REF, "member_key": member} | over
        values.setdefault("nonce", self.shop_nonce(shop))
        return self.make("Return", key, **values)

    def transfer_order(self, source: Key, target: str, points: int, **over: Any) -> bytes:
        key = over.pop("key", source)
        values = {"from": source.address, "to": target, "points": points} | over
        values.setdefault("nonce", self.member_nonce(source))
        return self.make("Transfer", key, **values)

    def withdraw_order(self, shop: int, amount: int, **over: Any) -> bytes:
        key = over.pop("key", self.shops[shop].owner)
        values = {"merchant": shop, "to": self.shops[shop].owner.address, "amount": amount} | over
        values.setdefault("nonce", self.shop_nonce(shop))
        return self.make("Withdraw", key, **values)

    # ---- what is

    def balance(self, member: Key) -> int:
        return int(self.points.balanceOf(member.address))

    def position(self, shop: int) -> int:
        return int(self.coalition.positionOf(shop))

    def cash(self) -> int:
        return int(self.asset.balanceOf(self.coalition.address))


def logs_of(receipt: ReceiptAPI) -> list[Log]:
    """All logs of ours in a receipt."""
    return [
        decode_log(
            str(log["address"]),
            ["0x" + bytes(topic).hex() for topic in log["topics"]],
            bytes(log["data"]),
        )
        for log in receipt.logs
    ]


def log_of(receipt: ReceiptAPI, name: str) -> dict[str, Any]:
    """Values of the one log of that name."""
    (found,) = [log.values for log in logs_of(receipt) if log.name == name]
    return found


def names_of(receipt: ReceiptAPI) -> list[str]:
    """Names of the logs, in order."""
    return [log.name for log in logs_of(receipt)]


def rejections(receipt: ReceiptAPI) -> list[str]:
    """Names of the reasons that a relay gave."""
    return [
        decode_error(log.values["reason"])[0] for log in logs_of(receipt) if log.name == "Rejected"
    ]


def deploy(admin: AccountAPI, start: int, policy: int = 1) -> tuple[ContractInstance, ...]:
    """All contracts, with the terms of the worked example; `admin` has every role at first."""
    authority = admin.deploy(container("AccessManager"), admin)
    asset = admin.deploy(container("BankReceipt"), "Receipt", "RCT", 10**15, authority)
    predicted = create_address(str(admin.address), admin.nonce + 3)
    points = admin.deploy(
        container("Points"), "Banyan", "BNP", start, EPOCH_LENGTH, policy, predicted, authority
    )
    membership = admin.deploy(container("MembershipPass"), points, authority, "Banyan", "BNY")
    parts = (points, asset, membership, 100, 1_000)
    office = admin.deploy(container("CoalitionOffice"), *parts, ZERO, authority)
    coalition = admin.deploy(
        container("Coalition"), *parts, (10, 2, 5_000), ZERO, authority, office
    )
    assert str(coalition.address).lower() == predicted
    return authority, asset, points, membership, coalition
