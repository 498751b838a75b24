"""What keys in custody refuse to sign, and the caps of a day."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway import tables
from gateway.custody import Caps, Custody, MasterKind, MasterRing, Purpose
from gateway.custody.guard import ORDERS
from gateway.database import Database
from gateway.errors import SigningCapReached, SigningRefused
from gateway.relay.seal import cut
from tests.gateway.custody.support import deployment, sources
from tests.gateway.helpers import NOON, SetClock
from wallet_sdk.contracts.calls import DEPOSIT, RELAY
from wallet_sdk.orders import (
    Cancel,
    IssueBatch,
    Join,
    NameRecovery,
    Order,
    Recover,
    Redeem,
    SetTillKey,
    Transfer,
    Withdraw,
)
from wallet_sdk.signers import recover
from wallet_sdk.types import ZERO_DIGEST, address_bytes, address_of, to_hex

DAY_S = 86_400
NETWORK = deployment()
COALITION = NETWORK.address("Coalition")
STRANGER = address_of(b"\x66" * 20)
PRICE = 110


class House:
    """Custody of a network with the baker (merchant 1) and ada (member 1)."""

    def __init__(self, database: Database, folder: Path, caps: Caps | None = None) -> None:
        self.database = database
        self.clock = SetClock()
        self.custody = Custody(
            database, MasterRing(database, sources(folder, MasterKind.FILE)), caps=caps
        )
        self.accounts = self.custody.ensure_network_keys(NOON)
        self.till, self.owner = (
            self.custody.new_key("merchant:1", purpose, NOON)
            for purpose in (Purpose.TILL, Purpose.OWNER)
        )
        self.ada = self.custody.member_signer(1)

    def bind(self) -> House:
        self.custody.bind(NETWORK, self.clock, lambda at: PRICE)
        return self

    def sign(self, order: Order, by: str | None = None) -> tuple[bytes, bytes]:
        return self.custody.signer(address_bytes(by or self.till)).sign_order(order)

    def send(self, by: Purpose = Purpose.RELAYER, **changed: Any) -> tuple[bytes, str]:
        signer = self.custody.signer(address_bytes(self.accounts[by]))
        return signer.sign_transaction(transaction(**changed))


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path).bind()


def issue(points: int = 100, nonce: int = 1, merchant: int = 1) -> IssueBatch:
    entries = ((address_of(b"\xaa" * 20), points),)
    return IssueBatch(merchant, nonce, NOON, entries, ZERO_DIGEST)


def transaction(**changed: Any) -> dict[str, Any]:
    return {
        "type": 2,
        "chainId": 777,
        "nonce": 0,
        "gas": 100_000,
        "maxFeePerGas": 10**9,
        "maxPriorityFeePerGas": 0,
        "value": 0,
        "data": to_hex(RELAY.encode([b"\x01"])),
        "to": COALITION,
    } | changed


# ---- orders


def test_sign__a_bare_digest__is_refused(house: House) -> None:
    for signer in (house.custody.signer(address_bytes(house.till)), house.ada):
        with pytest.raises(SigningRefused) as found:
            signer.sign(secrets.token_bytes(32))
        assert found.value.code == "signing_refused"


def test_sign__before_a_network_is_known__is_refused(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path)
    with pytest.raises(SigningRefused, match="no network"):
        house.sign(issue())
    with pytest.raises(SigningRefused, match="no network"):
        house.send()


def test_sign__an_order_of_another_kind__is_refused(house: House) -> None:
    withdraw = Withdraw(1, STRANGER, 5, 1, NOON)
    with pytest.raises(SigningRefused, match="till key signs no withdraw"):
        house.sign(withdraw)
    with pytest.raises(SigningRefused, match="owner key signs no issue_batch"):
        house.sign(issue(), by=house.owner)
    for purpose in (Purpose.RELAYER, Purpose.OPERATOR, Purpose.ADMIN):
        with pytest.raises(SigningRefused):
            house.sign(withdraw, by=house.accounts[purpose])


def test_sign__for_another_merchant__is_refused(house: House) -> None:
    for order in (
        issue(merchant=2),
        Cancel(house.till, 2, 1, NOON),
        Cancel(house.till, 0, 1, NOON),
    ):
        with pytest.raises(SigningRefused):
            house.sign(order)
    with pytest.raises(SigningRefused, match="nothing of merchant 2"):
        house.sign(SetTillKey(2, STRANGER, True, 1, NOON), by=house.owner)


def test_sign__a_member_for_somebody_else__is_refused(house: House) -> None:
    ada = house.ada.address
    for order in (
        Join(STRANGER, 1, NOON),
        Redeem(STRANGER, 1, 5, 1, NOON, ZERO_DIGEST),
        Transfer(STRANGER, ada, 5, 1, NOON),
        Cancel(STRANGER, 0, 1, NOON),
        Cancel(ada, 1, 1, NOON),
        NameRecovery(STRANGER, ada, 1, NOON),
        Recover(ada, STRANGER, 1, NOON),
        issue(),
        Withdraw(1, ada, 5, 1, NOON),
    ):
        with pytest.raises(SigningRefused):
            house.ada.sign_order(order)


def test_sign__what_the_keys_are_for__is_signed_for_this_network(house: House) -> None:
    ada = house.ada.address
    for order in (
        Join(ada, 1, NOON),
        Redeem(ada, 1, 5, 1, NOON, ZERO_DIGEST),
        Transfer(ada, STRANGER, 5, 1, NOON),
        Cancel(ada, 0, 1, NOON),
        NameRecovery(ada, STRANGER, 1, NOON),
        Recover(STRANGER, ada, 1, NOON),
    ):
        digest, signature = house.ada.sign_order(order)
        assert digest == order.digest(NETWORK.domain)
        assert recover(digest, signature) == ada
    for order, by in ((issue(), house.till), (Withdraw(1, STRANGER, 5, 1, NOON), house.owner)):
        digest, signature = house.sign(order, by)
        assert recover(digest, signature) == by


def test_orders__kinds_of_all_purposes__are_all_that_there_are() -> None:
    from wallet_sdk.orders import Kind

    assert frozenset().union(*ORDERS.values()) == set(Kind)


# ---- transactions


@pytest.mark.parametrize(
    "changed",
    [
        {"chainId": 1},
        {"value": 1},
        {"type": 0},
        {"to": STRANGER},
        {"to": None},
        {"to": NETWORK.address("Points")},
        {"data": "0x"},
        {"data": to_hex(DEPOSIT.encode(1, 5))},
    ],
)
def test_send__by_a_relayer__anything_but_relaying__is_refused(
    house: House, changed: dict[str, Any]
) -> None:
    with pytest.raises(SigningRefused) as found:
        house.send(**changed)
    assert found.value.code == "signing_refused"


def test_send__by_an_office__to_a_stranger_or_a_creation__is_refused(house: House) -> None:
    for by in (Purpose.OPERATOR, Purpose.TREASURER, Purpose.ADMIN, Purpose.GUARDIAN):
        for to in (STRANGER, None):
            with pytest.raises(SigningRefused):
                house.send(by, to=to)
        house.send(by, data=to_hex(DEPOSIT.encode(1, 5)))


def test_send__relaying_and_using_up_a_nonce__is_signed(house: House) -> None:
    house.send()
    house.send(to=house.accounts[Purpose.RELAYER], data="0x")


# ---- caps


def test_cap__of_points__stops_the_till_until_tomorrow(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path, Caps(till_points=250)).bind()
    house.sign(issue(100, 1))
    house.sign(issue(150, 2))
    with pytest.raises(SigningCapReached) as found:
        house.sign(issue(1, 3))
    assert found.value.code == "signing_cap_reached"
    assert found.value.until == (NOON // DAY_S + 1) * DAY_S
    house.clock.time = found.value.until - 1
    with pytest.raises(SigningCapReached):
        house.sign(issue(1, 3))
    house.clock.time = found.value.until
    house.sign(issue(250, 3))


def test_cap__the_same_nonce_signed_again__is_charged_once(
    database: Database, tmp_path: Path
) -> None:
    house = House(database, tmp_path, Caps(till_points=250)).bind()
    for points in (100, 100, 40, 120):
        house.sign(issue(points, 1))
    with pytest.raises(SigningCapReached):
        house.sign(issue(131, 2))
    house.sign(issue(130, 2))
    with database.read() as connection:
        charges = select(func.count(), func.sum(tables.signing_charges.c.points))
        assert connection.execute(charges).one() == (2, 250)


def test_cap__of_money__counts_the_price_of_a_point(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path, Caps(till_money=250 * PRICE + 109)).bind()
    assert house.custody.issue_points_max(NOON) == 250
    house.sign(issue(250))
    with pytest.raises(SigningCapReached, match="money"):
        house.sign(issue(1, 2))


def test_cap__of_one_merchant__leaves_the_others_alone(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path, Caps(till_points=250)).bind()
    florist = house.custody.new_key("merchant:2", Purpose.TILL, NOON)
    house.sign(issue(250))
    house.sign(issue(250, merchant=2), by=florist)


def test_cap__of_gas__stops_a_relayer_and_no_office(database: Database, tmp_path: Path) -> None:
    # One transaction of 100,000 gas at 1 gwei, and half of one more.
    house = House(database, tmp_path, Caps(relayer_gwei=150_000)).bind()
    house.send()
    house.send()
    with pytest.raises(SigningCapReached):
        house.send(nonce=1)
    house.send(nonce=1, gas=50_000)
    with pytest.raises(SigningCapReached):
        house.send(nonce=2, gas=1, maxFeePerGas=1)
    house.send(Purpose.OPERATOR, data=to_hex(DEPOSIT.encode(1, 5)), gas=10**7)


def test_cut__by_entries_and_by_points__keeps_the_order() -> None:
    lines = [(1, 60), (2, 60), (3, 10), (4, 500), (5, 40), (6, 1), (7, 1), (8, 1)]
    assert cut(lines, 3, None) == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert cut(lines, 3, 100) == [[1], [2, 3], [4], [5, 6, 7], [8]]
    assert cut([], 3, 100) == []
