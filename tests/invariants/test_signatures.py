"""Who may sign, in which form, and what cannot be made of a signature.

Contract signers are a few bytes of code each, written out here.
"""

from __future__ import annotations

import pytest
from banyan_kit.revm import ZERO, decode_error
from banyan_kit.wire import Key, Wire, to_bytes
from network_desk import TREASURY, Desk, refusal
from pyrevm import AccountInfo

ADA, MALLORY = Key.from_seed("ada"), Key.from_seed("mallory")
BAKER, FLORIST = 1, 2
WALLET = "0x" + "1271" * 10
ORDER_OF_CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

MAGIC = "7f1626ba7e" + "00" * 28
ANSWER_WORD = "5f5260205ff3"  # MSTORE at 0, return 32 bytes
APPROVES = bytes.fromhex(MAGIC + ANSWER_WORD)
REFUSES = bytes.fromhex("5f" + ANSWER_WORD)
# The magic value times what stands in slot 0: changes its mind with its storage.
CHANGES_ITS_MIND = bytes.fromhex(MAGIC + "5f5402" + ANSWER_WORD)
EATS_ALL_GAS = bytes.fromhex("5b5f56")
# Half a megabyte of zeros, and 31 bytes of the right answer.
ANSWERS_AT_LENGTH = bytes.fromhex("6207ffff5ff3")
ANSWERS_TOO_SHORT = bytes.fromhex(MAGIC + "5f52601f5ff3")
REVERTS = bytes.fromhex("5f5ffd")
# Approves when it may write: SSTORE first, which a static call forbids.
WRITES = bytes.fromhex("60015f55" + MAGIC + ANSWER_WORD)


@pytest.fixture
def desk() -> Desk:
    """A baker, a florist, and Ada with 100 points."""
    desk = Desk.open()
    for number, name in ((BAKER, "baker"), (FLORIST, "florist")):
        desk.register(number, name)
        desk.anyone("deposit", number, 1_000_000)
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=1))
    issue(desk, ADA.address, 100)
    return desk


def issue(desk: Desk, to: str, points: int) -> None:
    till = desk.merchants[BAKER].tills[0]
    values = {"merchant": BAKER, "nonce": desk.nonce(BAKER), "entries": [(to, points)]}
    desk.execute(desk.make("IssueBatch", till, **values))


def redemption(desk: Desk, nonce: int = 2, member: str = ADA.address) -> dict[str, object]:
    return {
        "member": member,
        "merchant": BAKER,
        "points": 10,
        "nonce": nonce,
        "deadline": desk.epoch_end(),
        "ref": bytes(32),
    }


def place(desk: Desk, code: bytes) -> None:
    desk.network.chain.evm.insert_account_info(WALLET, AccountInfo(code=code))


def wallet_joins(desk: Desk, code: bytes, signature: bytes = b"any words") -> bytes:
    place(desk, code)
    values = {"member": WALLET, "nonce": 1, "deadline": desk.epoch_end()}
    return desk.network.wire.encode("Join", signature, **values)


def high_s(signature: bytes) -> bytes:
    """The twin of a signature, valid on the curve and refused here."""
    s = ORDER_OF_CURVE - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def compact(signature: bytes) -> bytes:
    """EIP-2098: 64 bytes."""
    s = int.from_bytes(signature[32:64], "big") | ((signature[64] - 27) << 255)
    return signature[:32] + s.to_bytes(32, "big")


BAD_FORMS = {
    "high s": high_s,
    "64 bytes": compact,
    "v 0 or 1": lambda s: s[:64] + bytes([s[64] - 27]),
    "v 29": lambda s: s[:64] + bytes([29]),
    "zeros": lambda s: bytes(65),
    "one byte more": lambda s: s + b"\0",
    "one byte less": lambda s: s[:64],
    "the other v": lambda s: s[:64] + bytes([55 - s[64]]),
}


@pytest.mark.parametrize("form", BAD_FORMS)
def test_execute__another_form_of_the_signature__is_not_authentic(desk: Desk, form: str) -> None:
    wire, values = desk.network.wire, redemption(desk)
    signature = ADA.sign(wire.digest("Redeem", **values))
    order = wire.encode("Redeem", BAD_FORMS[form](signature), **values)
    assert refusal(desk.execute, order) == "SignatureInvalid"
    assert desk.relay(order) == []


def test_execute__without_a_signature__is_malformed(desk: Desk) -> None:
    order = desk.network.wire.encode("Redeem", b"", **redemption(desk))
    assert refusal(desk.execute, order) == "OrderMalformed"
    assert desk.relay(order, b"", b"\0", b"\xff" * 99) == []


def test_execute__signed_for_another_chain_contract_or_type__is_not_authentic(desk: Desk) -> None:
    here, values = desk.network.wire, redemption(desk)
    for other in (Wire(here.chain_id + 1, here.coalition), Wire(here.chain_id, ZERO)):
        order = here.encode("Redeem", ADA.sign(other.digest("Redeem", **values)), **values)
        assert refusal(desk.execute, order) == "SignatureInvalid"
    names = {"member": ADA.address, "nonce": 2, "deadline": desk.epoch_end()}
    leaving = here.encode("Leave", ADA.sign(here.digest("Join", **names)), **names)
    assert refusal(desk.execute, leaving) == "SignatureInvalid"


def test_execute__signer_zero__is_not_authentic(desk: Desk) -> None:
    order = desk.network.wire.encode("Redeem", bytes(65), **redemption(desk, member=ZERO))
    assert refusal(desk.execute, order) == "SignatureInvalid"


@pytest.mark.parametrize("field", ["merchant", "points", "nonce", "deadline", "ref"])
def test_execute__one_field_changed_after_signing__is_not_authentic(desk: Desk, field: str) -> None:
    wire, values = desk.network.wire, redemption(desk)
    signature = ADA.sign(wire.digest("Redeem", **values))
    changed = {"merchant": FLORIST, "points": 11, "nonce": 3, "ref": b"\1" * 32}
    changed["deadline"] = values["deadline"] - 1
    order = wire.encode("Redeem", signature, **(values | {field: changed[field]}))
    assert refusal(desk.execute, order) == "SignatureInvalid"


def test_relay__the_same_order_twice_in_one_relay__has_one_effect_and_no_news(desk: Desk) -> None:
    order = desk.make("Redeem", ADA, **redemption(desk))
    logs = desk.relay(order, order)
    assert [log.name for log in logs].count("Redeemed") == 1
    assert "Rejected" not in {log.name for log in logs}


def test_execute__a_till_key_after_its_revocation__is_no_till_key(desk: Desk) -> None:
    merchant = desk.merchants[BAKER]
    till = merchant.tills[0]
    order = desk.make("IssueBatch", till, merchant=BAKER, nonce=9, entries=[(ADA.address, 1)])
    values = {"merchant": BAKER, "key": till.address, "active": False, "nonce": 2**63}
    desk.execute(desk.make("SetTillKey", merchant.owner, **values))
    assert refusal(desk.execute, order) == "NotTillKey"
    assert desk.relay(order) == []


@pytest.mark.parametrize("kind", ["IssueBatch", "Cancel"])
def test_execute__a_till_in_the_owners_half_of_the_nonces__is_refused(
    desk: Desk, kind: str
) -> None:
    till = desk.merchants[BAKER].tills[0]
    values = {"merchant": BAKER, "nonce": 2**63}
    values |= {"entries": [(ADA.address, 1)]} if kind == "IssueBatch" else {"signer": till.address}
    assert refusal(desk.execute, desk.make(kind, till, **values)) == "NotOwner"


def test_execute__an_order_of_the_owner_signed_by_the_till__is_refused(desk: Desk) -> None:
    till = desk.merchants[BAKER].tills[0]
    theft = {"merchant": BAKER, "to": MALLORY.address, "amount": 1, "nonce": 5}
    assert refusal(desk.execute, desk.make("Withdraw", till, **theft)) == "NotOwner"
    keys = {"merchant": BAKER, "key": MALLORY.address, "active": True, "nonce": 5}
    assert refusal(desk.execute, desk.make("SetTillKey", till, **keys)) == "NotOwner"


# ---- contracts that sign


@pytest.mark.parametrize(
    "code", [REFUSES, EATS_ALL_GAS, ANSWERS_AT_LENGTH, ANSWERS_TOO_SHORT, REVERTS, WRITES, b""]
)
def test_execute__a_contract_that_does_not_approve__is_not_authentic(
    desk: Desk, code: bytes
) -> None:
    order = wallet_joins(desk, code)
    assert refusal(desk.execute, order) == "SignatureInvalid"
    good = desk.make("Redeem", ADA, **redemption(desk))
    assert "Redeemed" in {log.name for log in desk.relay(order, good)}


def test_execute__a_contract_that_approves__joins(desk: Desk) -> None:
    desk.execute(wallet_joins(desk, APPROVES))
    assert desk.network.points.ask("isMember", WALLET) is True


def test_relay__a_contract_that_changes_its_mind__counts_at_the_moment_alone(desk: Desk) -> None:
    order = wallet_joins(desk, CHANGES_ITS_MIND)
    assert desk.relay(order) == []
    desk.network.chain.evm.insert_account_storage(WALLET, 0, 1)
    assert "Joined" in {log.name for log in desk.relay(order)}
    desk.network.chain.evm.insert_account_storage(WALLET, 0, 0)
    assert desk.network.points.ask("isMember", WALLET) is True


def test_execute__an_account_with_delegated_code__signs_with_its_key(desk: Desk) -> None:
    # EIP-7702: the code would refuse, the key is asked first.
    designator = bytes.fromhex("ef0100") + to_bytes(WALLET, 20)
    place(desk, REFUSES)
    desk.network.chain.evm.insert_account_info(MALLORY.address, AccountInfo(code=designator))
    desk.execute(desk.make("Join", MALLORY, member=MALLORY.address, nonce=1))
    assert desk.network.points.ask("isMember", MALLORY.address) is True


def test_execute__a_contract_as_till__signs_with_its_address_in_front(desk: Desk) -> None:
    place(desk, APPROVES)
    keys = {"merchant": BAKER, "key": WALLET, "active": True, "nonce": 2**63}
    desk.execute(desk.make("SetTillKey", desk.merchants[BAKER].owner, **keys))
    values = {"merchant": BAKER, "nonce": 7, "deadline": desk.epoch_end()}
    values["entries"] = [(ADA.address, 5)]
    wire = desk.network.wire
    stranger = wire.encode("IssueBatch", to_bytes(TREASURY, 20) + b"words", **values)
    assert refusal(desk.execute, stranger) == "NotTillKey"
    desk.execute(wire.encode("IssueBatch", to_bytes(WALLET, 20) + b"words", **values))
    assert desk.network.points.ask("balanceOf", ADA.address) == 105


# ---- forged and premature rejections


def test_relay__too_little_gas_for_the_worst_case__reverts_as_a_whole(desk: Desk) -> None:
    order = desk.make("Redeem", ADA, **redemption(desk))
    coalition = desk.network.coalition
    seen = set()
    for gas in range(60_000, 420_000, 10_000):
        checkpoint = desk.network.chain.evm.snapshot()
        result = refusal(lambda g=gas: coalition.send(TREASURY, "relay", [order], gas=g))
        names = {log.name for log in desk.network.chain.logs}
        assert "Rejected" not in names
        seen.add(result)
        desk.network.chain.evm.revert(checkpoint)
    # Refused as a whole or carried out: nothing between.
    assert seen == {"GasTooLow", None}


def test_relay__a_refund_with_a_strangers_proof__says_nothing(desk: Desk) -> None:
    values = redemption(desk)
    logs = desk.execute(desk.network.wire.signed("Redeem", ADA, **values))
    log = next(log for log in logs if log.name == "Redeemed")
    genuine = desk.redemption(log, values, []).fields
    till = desk.merchants[BAKER].tills[0]
    fields = {"merchant": BAKER, "points": 4, "nonce": 50}
    forged = desk.make("Refund", till, redemption=genuine | {"proof": [b"\7" * 32]}, **fields)
    assert desk.relay(forged) == []
    assert refusal(desk.execute, forged) == "RedemptionUnknown"
    assert "Refunded" in {
        log.name for log in desk.relay(desk.make("Refund", till, redemption=genuine, **fields))
    }


def test_relay__an_authentic_order_that_fails__is_rejected_with_its_reason_and_lives_on(
    desk: Desk,
) -> None:
    order = desk.make("Redeem", ADA, **(redemption(desk) | {"points": 150}))
    (log,) = desk.relay(order)
    assert decode_error(log.values["reason"])[0] == "ERC20InsufficientBalance"
    issue(desk, ADA.address, 50)
    assert "Redeemed" in {log.name for log in desk.relay(order)}
    assert desk.relay(order) == []
