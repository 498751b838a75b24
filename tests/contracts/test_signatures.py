"""What counts as a signature; and one order has one effect, on one chain, once, as one kind."""

from __future__ import annotations

from typing import Any

import pytest
from banyan_kit.wire import Key, Wire
from coalition_town import BAKER, Town, names_of, refused
from coincurve import PrivateKey

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PUSH_ANSWER = "1626ba7e" + "00" * 28


def runtime(code: str) -> bytes:
    """Creation code of a contract that is exactly these bytes."""
    body = bytes.fromhex(code)
    return bytes.fromhex(f"61{len(body):04x}80600a3d393df3") + body


# Wallets in a few bytes each, so that no compiler is needed. ERC-1271's answer is its own selector.
YES = "7f" + PUSH_ANSWER + "60005260206000f3"
# A call without data flips slot 0; while it is set, the wallet answers nothing.
CHANGES_ITS_MIND = (
    "36600c57" + "60005415600055" + "00"  # no data: slot 0 = not slot 0, stop
    "5b" + "600054" + "603c57"  # slot 0 is set: go to the last line
    "7f" + PUSH_ANSWER + "600052" + "60206000f3"  # else the answer of ERC-1271
    "5b" + "60006000f3"
)
EATS_GAS = "5b600056"
RUBBISH = "7f" + "ff" * 32 + "60005260206000f3"
SHORT_ANSWER = "7f" + PUSH_ANSWER + "60005260046000f3"
LONG_ANSWER = "7f" + "ee" * 32 + "60005262010000" + "6000f3"
REVERTS = "60006000fd"


@pytest.fixture
def redeem(town: Town, ada: Key) -> dict[str, Any]:
    """Ada's wish to redeem ten of ten points."""
    town.issue(BAKER, ada, 10)
    return town.redeem_values(ada, BAKER, 10)


def with_signature(town: Town, values: dict[str, Any], signature: bytes) -> bytes:
    return town.wire.encode("Redeem", signature, **values)


def high_s(signature: bytes) -> bytes:
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


@pytest.mark.parametrize(
    "bend",
    [
        high_s,
        lambda s: s[:64],
        lambda s: s[:64] + bytes([s[64] - 27]),
        lambda s: s[:64] + b"\0",
        lambda s: s[:32] + bytes([s[32] | (0x80 if s[64] == 28 else 0)]) + s[33:64],
        lambda s: bytes(65),
        lambda s: s + b"\0",
        lambda s: s[:1],
        lambda s: s[::-1],
    ],
    ids=[
        "high s",
        "64 bytes",
        "v 0 or 1",
        "v 0",
        "EIP-2098",
        "zeros",
        "66 bytes",
        "1 byte",
        "backwards",
    ],
)
def test_signature__in_another_form__is_refused(
    town: Town, ada: Key, redeem: dict[str, Any], bend: Any
) -> None:
    signature = ada.sign(town.wire.digest("Redeem", **redeem))
    order = with_signature(town, redeem, bend(signature))
    with refused("SignatureInvalid", ada.address):
        town.execute(order)
    assert names_of(town.relay(order)) == []


def test_signature__missing__is_malformed(town: Town, redeem: dict[str, Any]) -> None:
    order = with_signature(town, redeem, b"")
    with refused("OrderMalformed", len(order)):
        town.execute(order)


def test_signature__for_signer_zero__is_refused(town: Town, redeem: dict[str, Any]) -> None:
    nobody = redeem | {"member": "0x" + "00" * 20}
    with refused("SignatureInvalid"):
        town.execute(with_signature(town, nobody, bytes(64) + b"\x1b"))


@pytest.mark.parametrize("kind", [0, 15, 255])
def test_order__of_an_unknown_kind__is_refused(town: Town, kind: int) -> None:
    with refused("OrderKindUnknown", kind):
        town.execute(bytes([kind]) + bytes(200))


def test_order__empty__is_malformed(town: Town) -> None:
    with refused("OrderMalformed", 0):
        town.execute(b"")


@pytest.mark.parametrize(
    "field", [("points", 9), ("merchant", 2), ("ref", b"\1" * 32), ("nonce", 3)]
)
def test_signature__over_other_values__is_refused(
    town: Town, ada: Key, redeem: dict[str, Any], field: tuple[str, Any]
) -> None:
    signature = ada.sign(town.wire.digest("Redeem", **redeem))
    with refused("SignatureInvalid", ada.address):
        town.execute(with_signature(town, redeem | dict([field]), signature))


def test_replay__from_another_chain__is_refused(
    town: Town, ada: Key, redeem: dict[str, Any]
) -> None:
    wire = Wire(town.wire.chain_id + 1, town.wire.coalition)
    with refused("SignatureInvalid", ada.address):
        town.execute(wire.signed("Redeem", ada, **redeem))


def test_replay__from_another_contract__is_refused(
    town: Town, ada: Key, redeem: dict[str, Any]
) -> None:
    wire = Wire(town.wire.chain_id, str(town.points.address))
    with refused("SignatureInvalid", ada.address):
        town.execute(wire.signed("Redeem", ada, **redeem))


def test_replay__of_a_join_as_a_leave__is_refused(town: Town, ada: Key) -> None:
    """Two kinds with the same fields: only the type hash tells them apart."""
    values = {"member": ada.address, "nonce": 2, "deadline": town.epoch_end()}
    signature = ada.sign(town.wire.digest("Join", **values))
    with refused("SignatureInvalid", ada.address):
        town.execute(town.wire.encode("Leave", signature, **values))


def test_replay__of_an_order_that_took_effect__changes_nothing(
    town: Town, ada: Key, redeem: dict[str, Any]
) -> None:
    order = town.make("Redeem", ada, **redeem | {"points": 4})
    town.relay(order, order, order)
    assert town.balance(ada) == 6
    assert names_of(town.relay(order)) == []
    assert town.balance(ada) == 6


def test_relay__premature__is_news_and_the_order_lives(
    town: Town, ada: Key, redeem: dict[str, Any]
) -> None:
    """A stranger relays before the points are there: that costs the member nothing."""
    order = town.make("Redeem", ada, **redeem | {"points": 15})
    assert names_of(town.relay(order)) == ["Rejected"]
    town.issue(BAKER, ada, 5)
    town.execute(order)
    assert town.balance(ada) == 0


# ---- members that are contracts (ERC-1271)


def wallet(town: Town, code: str) -> str:
    """A wallet contract of that code."""
    provider = town.relayer.provider
    transaction = provider.network.ecosystem.create_transaction(
        type=0, data=runtime(code), gas_limit=3_000_000
    )
    receipt = town.relayer.call(transaction)
    return str(receipt.contract_address).lower()


def flip_mind(town: Town, address: str) -> None:
    """A call without data."""
    ecosystem = town.relayer.provider.network.ecosystem
    town.relayer.call(ecosystem.create_transaction(type=0, receiver=address, gas_limit=100_000))


def make_member(town: Town, address: str) -> None:
    town.execute(
        town.wire.encode("Join", b"\1", member=address, nonce=1, deadline=town.epoch_end())
    )


def test_erc1271__a_wallet_that_approves__is_a_member_like_any(town: Town) -> None:
    address = wallet(town, YES)
    make_member(town, address)
    town.execute(town.issue_order(BAKER, [(address, 10)]))
    values = {"member": address, "merchant": BAKER, "points": 10, "nonce": 2, "ref": bytes(32)}
    values["deadline"] = town.epoch_end()
    town.execute(town.wire.encode("Redeem", b"anything", **values))
    assert town.points.balanceOf(address) == 0


@pytest.mark.parametrize(
    "code",
    [EATS_GAS, RUBBISH, SHORT_ANSWER, LONG_ANSWER, REVERTS],
    ids=["eats gas", "rubbish", "4 bytes", "64 KiB", "reverts"],
)
def test_erc1271__a_wallet_that_does_not_approve__is_refused(town: Town, code: str) -> None:
    address = wallet(town, code)
    order = town.wire.encode("Join", b"\1", member=address, nonce=1, deadline=town.epoch_end())
    with refused("SignatureInvalid", address):
        town.execute(order)
    assert names_of(town.relay(order)) == []


def test_erc1271__a_wallet_that_changes_its_mind__is_asked_at_the_moment(town: Town) -> None:
    address = wallet(town, CHANGES_ITS_MIND)
    make_member(town, address)
    town.execute(town.issue_order(BAKER, [(address, 10)]))
    values = {"member": address, "merchant": BAKER, "points": 10, "nonce": 2, "ref": bytes(32)}
    values["deadline"] = town.epoch_end()
    order = town.wire.encode("Redeem", b"yes", **values)
    flip_mind(town, address)
    assert names_of(town.relay(order)) == []
    flip_mind(town, address)
    town.execute(order)
    assert town.points.balanceOf(address) == 0


def test_erc1271__a_till_that_is_a_contract__names_itself_in_the_signature(
    town: Town, ada: Key
) -> None:
    address = wallet(town, YES)
    values = {"merchant": BAKER, "entries": [(ada.address, 7)], "nonce": town.shop_nonce(BAKER)}
    values["deadline"] = town.epoch_end()
    order = town.wire.encode("IssueBatch", bytes.fromhex(address[2:]) + b"\1", **values)
    with refused("NotTillKey", BAKER, address):
        town.execute(order)
    key = {"merchant": BAKER, "key": address, "active": True, "nonce": town.shop_nonce(BAKER)}
    town.execute(town.make("SetTillKey", town.shops[BAKER].owner, **key))
    town.execute(order)
    assert town.balance(ada) == 7


def test_erc1271__a_wallet_that_eats_gas__spoils_no_other_order(
    town: Town, ada: Key, redeem: dict[str, Any]
) -> None:
    address = wallet(town, EATS_GAS)
    bad = town.wire.encode("Join", b"\1", member=address, nonce=1, deadline=town.epoch_end())
    town.relay(bad, town.make("Redeem", ada, **redeem), bad)
    assert town.balance(ada) == 0


def test_signature__of_the_till_by_a_key_that_is_no_till__is_refused(town: Town, ada: Key) -> None:
    wild = Key(PrivateKey(b"\7" * 32), "")
    with refused("NotTillKey"):
        town.execute(town.issue_order(BAKER, [(ada.address, 1)], key=wild))
