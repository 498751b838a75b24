"""Whose signature an order of a till, an owner or a canceller needs: each refusal in full."""

from __future__ import annotations

from typing import Any

import pytest
from banyan_kit.revm import ZERO, Chain, Refused
from banyan_kit.wire import Key, domain_separator, to_bytes
from network_desk import TREASURY, Desk, refusal
from pyrevm import AccountInfo

ADA, EVE = Key.from_seed("ada"), Key.from_seed("eve")
BAKER, FLORIST = 1, 2
WALLET = "0x" + "1271" * 10
# What a contract's code answers to isValidSignature (test_signatures.py).
APPROVES = bytes.fromhex("7f1626ba7e" + "00" * 28 + "5f5260205ff3")
REFUSES = bytes.fromhex("5f5f5260205ff3")


@pytest.fixture
def desk() -> Desk:
    """A baker, who also has a contract for a till, and a florist; Ada is a member."""
    desk = Desk.open()
    for number, name in ((BAKER, "baker"), (FLORIST, "florist")):
        desk.register(number, name)
        desk.anyone("deposit", number, 1_000_000)
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=1))
    keys = {"merchant": BAKER, "key": WALLET, "active": True, "nonce": 2**63}
    desk.execute(desk.make("SetTillKey", desk.merchants[BAKER].owner, **keys))
    place(desk, APPROVES)
    return desk


def place(desk: Desk, code: bytes) -> None:
    desk.network.chain.evm.insert_account_info(WALLET, AccountInfo(code=code))


def why(desk: Desk, order: bytes) -> tuple[str, tuple[Any, ...]]:
    with pytest.raises(Refused) as refused:
        desk.execute(order)
    return refused.value.name, refused.value.values


def batch(desk: Desk, signature: bytes, nonce: int = 1) -> bytes:
    values = {"merchant": BAKER, "nonce": nonce, "deadline": desk.epoch_end()}
    values["entries"] = [(ADA.address, 5)]
    return desk.network.wire.encode("IssueBatch", signature, **values)


def cancel(desk: Desk, key: Key, nonce: int, merchant: int = BAKER) -> bytes:
    return desk.make("Cancel", key, signer=key.address, merchant=merchant, nonce=nonce)


def test_till__of_no_signature_that_could_be_one__is_nobody(desk: Desk) -> None:
    for signature in (bytes(65), b"\1", to_bytes(WALLET, 20)[:19]):
        # Of nonces that leave something in scratch space, too.
        for nonce in (1, 600):
            order = batch(desk, signature, nonce)
            assert why(desk, order) == ("SignatureInvalid", (ZERO,))
            assert desk.relay(order) == []


def test_till__that_is_a_contract__needs_no_more_than_its_address_and_its_word(desk: Desk) -> None:
    place(desk, REFUSES)
    order = batch(desk, to_bytes(WALLET, 20))
    assert why(desk, order) == ("SignatureInvalid", (WALLET,))
    place(desk, APPROVES)
    desk.execute(order)
    stranger = batch(desk, to_bytes(TREASURY, 20) + b"words", nonce=2)
    assert why(desk, stranger) == ("NotTillKey", (BAKER, TREASURY))


def test_till__of_another_merchant_or_of_none__is_told(desk: Desk) -> None:
    values = {"merchant": BAKER, "nonce": 9, "entries": [(ADA.address, 1)]}
    for key in (desk.merchants[FLORIST].tills[0], EVE):
        order = desk.make("IssueBatch", key, **values)
        assert why(desk, order) == ("NotTillKey", (BAKER, key.address))


def test_till__in_its_last_nonce_and_one_later__is_heard_and_is_no_owner(desk: Desk) -> None:
    till = desk.merchants[BAKER].tills[0]
    values = {"merchant": BAKER, "entries": [(ADA.address, 1)]}
    desk.execute(desk.make("IssueBatch", till, nonce=2**63 - 1, **values))
    late = desk.make("IssueBatch", till, nonce=2**63 + 1, **values)
    assert why(desk, late) == ("NotOwner", (BAKER, till.address))


def test_cancel__of_a_merchants_nonce_by_a_stranger_or_forged__is_refused(desk: Desk) -> None:
    assert why(desk, cancel(desk, EVE, 3)) == ("NotTillKey", (BAKER, EVE.address))
    other = desk.merchants[FLORIST].owner
    assert why(desk, cancel(desk, other, 3)) == ("NotTillKey", (BAKER, other.address))
    owner, till = desk.merchants[BAKER].owner, desk.merchants[BAKER].tills[0]
    forged = desk.make("Cancel", EVE, signer=owner.address, merchant=BAKER, nonce=3)
    assert why(desk, forged) == ("SignatureInvalid", (owner.address,))
    assert desk.relay(forged, cancel(desk, EVE, 3)) == []
    assert why(desk, cancel(desk, till, 2**63 + 1)) == ("NotOwner", (BAKER, till.address))
    # The owner may cancel a till's nonce, and its own.
    desk.execute(cancel(desk, owner, 3))
    desk.execute(cancel(desk, owner, 2**63 + 1))


def test_owner__by_another_or_without_a_key__is_told_as_far_as_it_is_known(desk: Desk) -> None:
    wire = desk.network.wire
    values = {"merchant": BAKER, "to": EVE.address, "amount": 1, "nonce": 7}
    assert why(desk, desk.make("Withdraw", EVE, **values)) == ("NotOwner", (BAKER, EVE.address))
    values["deadline"] = desk.epoch_end()
    assert why(desk, wire.encode("Withdraw", b"words", **values)) == ("NotOwner", (BAKER, ZERO))
    place(desk, APPROVES)
    change = {"merchant": BAKER, "owner": WALLET, "nonce": 2**63 + 1}
    desk.execute(desk.make("SetOwner", desk.merchants[BAKER].owner, **change))
    desk.execute(wire.encode("Withdraw", b"words", **values))


def test_relay__of_a_forgery_with_the_gas_of_a_key__says_nothing(desk: Desk) -> None:
    """No contract is asked where there is none, so nothing is kept back for its answer."""
    order = desk.make("Join", EVE, member=TREASURY, nonce=1)
    coalition = desk.network.coalition
    assert refusal(lambda: coalition.send(TREASURY, "relay", [order], gas=150_000)) is None
    assert desk.network.chain.logs == []


@pytest.mark.parametrize(("contract", "name"), [("coalition", "Banyan"), ("points", "")])
def test_domain__after_the_chain_has_forked__is_that_of_the_fork(
    desk: Desk, contract: str, name: str
) -> None:
    here = getattr(desk.network, contract)
    question = "domainSeparator" if name else "DOMAIN_SEPARATOR"
    fork = Chain(desk.now, chain_id=1)
    code = bytes(desk.network.chain.evm.get_code(here.address))
    fork.evm.insert_account_info(here.address, AccountInfo(code=code))
    there = fork.contract(here.name, here.address).ask(question)
    assert there != here.ask(question)
    if name:
        assert there == domain_separator(1, here.address)
