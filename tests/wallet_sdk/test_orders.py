"""Orders: refused before they are signed, hashed as EIP-712 says, the same on both sides of the
wire.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet_sdk.buckets import LANE_MAX, POINTS_MAX, pack_buckets
from wallet_sdk.errors import InputInvalid, OrderInvalid
from wallet_sdk.orders import (
    ENTRIES_MAX,
    ORDER_TYPES,
    Cancel,
    Domain,
    IssueBatch,
    Join,
    Kind,
    Leave,
    NameRecovery,
    Order,
    Recover,
    Redeem,
    Redemption,
    Refund,
    Return,
    SetOwner,
    SetProfile,
    SetTillKey,
    SignedOrder,
    Transfer,
    Withdraw,
    decode,
)
from wallet_sdk.types import ZERO_ADDRESS, address_of, to_hex

ROOT = Path(__file__).parents[2]
ADA = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
BEN = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
REF = "0x" + "5e" * 32
SIGNATURE = bytes(range(65))

# ---- any order that can be signed

addresses = st.binary(min_size=20, max_size=20).filter(any).map(address_of)
words = st.binary(min_size=32, max_size=32).map(to_hex)
merchants = st.integers(1, 2**32 - 1)
member_nonces = st.integers(1, 2**24 - 1)
merchant_nonces = st.integers(0, 2**64 - 1)
deadlines = st.integers(0, 2**40 - 1)
points = st.integers(1, POINTS_MAX)
lane_points = st.integers(1, LANE_MAX)
signatures = st.binary(min_size=1, max_size=200)
domains = st.builds(Domain, st.integers(1, 2**256 - 1), addresses)

membership = {"member": addresses, "nonce": member_nonces, "deadline": deadlines}
owners = {"merchant": merchants, "nonce": merchant_nonces, "deadline": deadlines}


@st.composite
def refunds(draw: st.DrawFn) -> Refund:
    newest = draw(st.integers(6, 2**16 - 1))
    six = draw(st.lists(st.integers(0, LANE_MAX), min_size=6, max_size=6).filter(any))
    redeemed = sum(six)
    redemption = Redemption(
        member=draw(addresses),
        points=redeemed,
        nonce=draw(member_nonces),
        deadline=draw(deadlines),
        ref=draw(words),
        buckets=pack_buckets(newest, {newest - lane: held for lane, held in enumerate(six)}),
    )
    return Refund(
        merchant=draw(merchants),
        points=draw(st.integers(1, redeemed)),
        nonce=draw(merchant_nonces),
        deadline=draw(deadlines),
        redemption=redemption,
        proof=tuple(draw(st.lists(words, max_size=4))),
    )


ORDERS: dict[type[Order], st.SearchStrategy[Any]] = {
    Join: st.builds(Join, **membership),
    Leave: st.builds(Leave, **membership),
    IssueBatch: st.builds(
        IssueBatch,
        **owners,
        entries=st.lists(st.tuples(addresses, lane_points), min_size=1, max_size=5).map(tuple),
        references_root=words,
    ),
    Redeem: st.builds(Redeem, **membership, merchant=merchants, points=points, ref=words),
    Refund: refunds(),
    Return: st.builds(
        Return,
        **owners,
        member=addresses,
        points=lane_points,
        epoch=st.integers(1, 2**16 - 1),
        ref=words,
        member_signature=signatures,
    ),
    Transfer: st.builds(
        Transfer,
        from_=addresses,
        to=addresses,
        points=points,
        nonce=member_nonces,
        deadline=deadlines,
    ),
    Cancel: st.one_of(
        st.builds(
            Cancel, signer=addresses, merchant=st.just(0), nonce=member_nonces, deadline=deadlines
        ),
        st.builds(Cancel, signer=addresses, **owners),
    ),
    Withdraw: st.builds(Withdraw, **owners, to=addresses, amount=st.integers(1, 2**128 - 1)),
    SetTillKey: st.builds(SetTillKey, **owners, key=addresses, active=st.booleans()),
    SetOwner: st.builds(SetOwner, **owners, owner=addresses),
    SetProfile: st.builds(SetProfile, **owners, profile_hash=words),
    NameRecovery: st.builds(NameRecovery, **membership, recovery=addresses),
    Recover: st.builds(Recover, **membership, recovery=addresses),
}
any_order = st.one_of(*ORDERS.values())


def redemption(**changed: Any) -> Redemption:
    values: dict[str, Any] = {
        "member": ADA,
        "points": 100,
        "nonce": 1,
        "deadline": 10,
        "ref": REF,
        "buckets": pack_buckets(2, {2: 60, 1: 40}),
    }
    return Redemption(**{**values, **changed})


REFUSED: list[tuple[str, Any]] = [
    ("member", lambda: Join(ZERO_ADDRESS, 1, 10)),
    ("member", lambda: Join(ADA[:-1], 1, 10)),
    ("member", lambda: Join(ADA[:-1] + "c", 1, 10)),
    ("nonce", lambda: Join(ADA, 0, 10)),
    ("nonce", lambda: Join(ADA, 2**24, 10)),
    ("nonce", lambda: Leave(ADA, -1, 10)),
    ("nonce", lambda: Leave(ADA, True, 10)),
    ("deadline", lambda: Leave(ADA, 1, 2**40)),
    ("deadline", lambda: Leave(ADA, 1, 1.5)),  # type: ignore[arg-type]
    ("points", lambda: Redeem(ADA, 1, 0, 1, 10, REF)),
    ("points", lambda: Redeem(ADA, 1, POINTS_MAX + 1, 1, 10, REF)),
    ("points", lambda: Redeem(ADA, 1, True, 1, 10, REF)),
    ("points", lambda: Redeem(ADA, 1, "7", 1, 10, REF)),  # type: ignore[arg-type]
    ("merchant", lambda: Redeem(ADA, 0, 1, 1, 10, REF)),
    ("merchant", lambda: Redeem(ADA, 2**32, 1, 1, 10, REF)),
    ("ref", lambda: Redeem(ADA, 1, 1, 1, 10, REF[:-2])),
    ("points", lambda: Transfer(ADA, BEN, 0, 1, 10)),
    ("to", lambda: Transfer(ADA, ZERO_ADDRESS, 1, 1, 10)),
    ("from", lambda: Transfer(ZERO_ADDRESS, BEN, 1, 1, 10)),
    ("nonce", lambda: Cancel(ADA, 0, 2**24, 10)),
    ("nonce", lambda: Cancel(ADA, 1, 2**64, 10)),
    ("amount", lambda: Withdraw(1, ADA, 0, 1, 10)),
    ("amount", lambda: Withdraw(1, ADA, 2**128, 1, 10)),
    ("to", lambda: Withdraw(1, ZERO_ADDRESS, 1, 1, 10)),
    ("key", lambda: SetTillKey(1, ZERO_ADDRESS, True, 1, 10)),
    ("active", lambda: SetTillKey(1, ADA, 1, 1, 10)),  # type: ignore[arg-type]
    ("owner", lambda: SetOwner(1, ZERO_ADDRESS, 1, 10)),
    ("merchant", lambda: SetProfile(0, REF, 1, 10)),
    ("recovery", lambda: Recover(ADA, ZERO_ADDRESS, 1, 10)),
    ("entries", lambda: IssueBatch(1, 0, 10, ())),
    ("entries", lambda: IssueBatch(1, 0, 10, ((ADA, 1),) * (ENTRIES_MAX + 1))),
    ("entries", lambda: IssueBatch(1, 0, 10, ((ZERO_ADDRESS, 1),))),
    ("entries", lambda: IssueBatch(1, 0, 10, ((ADA.upper(), 1),))),
    ("points", lambda: IssueBatch(1, 0, 10, ((ADA, 0),))),
    ("points", lambda: IssueBatch(1, 0, 10, ((ADA, -1),))),
    ("points", lambda: IssueBatch(1, 0, 10, ((ADA, True),))),
    ("points", lambda: IssueBatch(1, 0, 10, ((ADA, LANE_MAX + 1),))),
    ("merchant", lambda: IssueBatch(0, 0, 10, ((ADA, 1),))),
    ("points", lambda: Refund(1, 0, 0, 10, redemption())),
    ("points", lambda: Refund(1, 101, 0, 10, redemption())),
    ("buckets", lambda: Refund(1, 1, 0, 10, redemption(points=99))),
    ("proof", lambda: Refund(1, 1, 0, 10, redemption(), (REF,) * 17)),
    ("redemption", lambda: Refund(1, 1, 0, 10, redemption(), ("0x12",))),
    ("epoch", lambda: Return(ADA, 1, 1, 0, 1, 10, REF)),
    ("points", lambda: Return(ADA, 1, LANE_MAX + 1, 1, 1, 10, REF)),
    ("member", lambda: Return(ZERO_ADDRESS, 1, 1, 1, 1, 10, REF)),
]


@pytest.mark.parametrize(("named", "make"), REFUSED)
def test_order__could_never_take_effect__refused_and_named(named: str, make: Any) -> None:
    with pytest.raises(OrderInvalid, match=named):
        make()


@pytest.mark.parametrize("chain_id", [0, -1, 2**256])
def test_domain__no_chain_id__refused(chain_id: int) -> None:
    with pytest.raises(InputInvalid):
        Domain(chain_id, ADA)


@pytest.mark.parametrize("signature", [b"", bytes(8_193)])
def test_encode__impossible_signature__refused(signature: bytes) -> None:
    with pytest.raises(OrderInvalid, match="signature"):
        Join(ADA, 1, 10).encode(signature)


def test_encode__return_without_the_members_signature__refused() -> None:
    with pytest.raises(OrderInvalid, match="member_signature"):
        Return(ADA, 1, 1, 1, 1, 10, REF).encode(SIGNATURE)


@pytest.mark.parametrize("wire", [b"", b"\x00", b"\x0f" + bytes(200), b"\xff"])
def test_decode__no_kind__refused(wire: bytes) -> None:
    with pytest.raises(OrderInvalid):
        decode(wire)


@pytest.mark.parametrize("kind", list(ORDERS), ids=lambda kind: kind.__name__)
@settings(max_examples=15)
@given(data=st.data())
def test_decode__cut_anywhere_before_the_signature__refused(
    kind: type[Order], data: st.DataObject
) -> None:
    wire = data.draw(ORDERS[kind]).encode(SIGNATURE)
    cut = data.draw(st.integers(0, len(wire) - len(SIGNATURE)))
    with pytest.raises(OrderInvalid):
        decode(wire[:cut])


def test_decode__another_byte_than_0_or_1_for_a_bool__refused() -> None:
    wire = bytearray(SetTillKey(1, ADA, True, 1, 10).encode(SIGNATURE))
    assert wire[25] == 1
    wire[25] = 2
    with pytest.raises(OrderInvalid, match="active"):
        decode(bytes(wire))


@pytest.mark.parametrize("kind", list(ORDERS), ids=lambda kind: kind.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_digest__any_order__is_that_of_eip_712(kind: type[Order], data: st.DataObject) -> None:
    order, domain = data.draw(ORDERS[kind]), data.draw(domains)
    typed = encode_typed_data(full_message=order.typed_data(domain))
    assert order.digest(domain) == _hash_eip191_message(typed)


@pytest.mark.parametrize("kind", list(ORDERS), ids=lambda kind: kind.__name__)
@settings(max_examples=40)
@given(data=st.data())
def test_decode__what_was_encoded__is_the_same_order(
    kind: type[Order], data: st.DataObject
) -> None:
    order, signature = data.draw(ORDERS[kind]), data.draw(signatures)
    wire = order.encode(signature)
    found = decode(wire)
    assert found == SignedOrder(order, signature)
    assert found.kind == wire[0] == order.KIND
    assert found.encode() == wire


def test_order__other_chain_or_contract_or_kind__has_another_digest() -> None:
    here = Domain(31337, ADA)
    digests = {
        Join(ADA, 1, 10).digest(here),
        Leave(ADA, 1, 10).digest(here),
        Join(ADA, 1, 10).digest(Domain(31338, ADA)),
        Join(ADA, 1, 10).digest(Domain(31337, BEN)),
    }
    assert len(digests) == 4


def test_issue_batch__lower_case_addresses__equal_the_checksummed_batch() -> None:
    assert IssueBatch(1, 0, 10, ((ADA.lower(), 5),)) == IssueBatch(1, 0, 10, ((ADA, 5),))


def test_issue_batch__600_entries__are_25_bytes_each() -> None:
    batch = IssueBatch(1, 0, 10, ((ADA, 5), (BEN, 6)) * 300)
    assert len(batch.packed_entries) == 600 * 25
    assert batch.points == 3_300


def test_issue_batch__one_entry_more_than_the_contract_takes__refused() -> None:
    text = (ROOT / "contracts/coalition/DailyOrders.sol").read_text()
    most = re.search(r"ENTRIES_MAX = (\d+);", text)
    assert most is not None
    assert int(most[1]) == ENTRIES_MAX
    with pytest.raises(OrderInvalid, match="601"):
        IssueBatch(1, 0, 10, ((ADA, 5),) * 601)


# ---- the same words as in Solidity


def solidity() -> str:
    return (ROOT / "contracts/types/Orders.sol").read_text()


def test_types__in_solidity__are_letter_by_letter_the_same() -> None:
    declared = re.findall(r"(\w+)_TYPEHASH\s*=\s*keccak256\(\s*((?:\"[^\"]*\"\s*)+)\)", solidity())
    there = {name: "".join(re.findall(r'"([^"]*)"', text)) for name, text in declared}
    here = {order.KIND.name: order.TYPE for order in ORDER_TYPES}
    assert there == here


def test_kinds__in_solidity__have_the_same_numbers() -> None:
    body = re.search(r"enum Kind \{([^}]*)\}", solidity())
    assert body is not None
    names = [name.strip() for name in body[1].split(",")]
    assert {name: names.index(name) for name in names[1:]} == {k.name: int(k) for k in Kind}


def test_orders__every_kind__is_tested_here() -> None:
    assert set(ORDERS) == set(ORDER_TYPES)
    assert {order.KIND for order in ORDER_TYPES} == set(Kind)
