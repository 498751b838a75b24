"""Joining, leaving, sending points to another member, and cancelling what was signed."""

from __future__ import annotations

from banyan_kit.wire import Key
from coalition_town import BAKER, FLORIST, ZERO, Town, log_of, names_of, refused


def test_join__signed_by_another__is_refused(town: Town, mallory: Key, ada: Key) -> None:
    order = town.make("Join", ada, member=mallory.address, nonce=1)
    with refused("SignatureInvalid", mallory.address):
        town.execute(order)


def test_join__twice__is_refused(town: Town, ada: Key) -> None:
    with refused("AlreadyMember", ada.address):
        town.join(ada)


def test_join__by_a_newcomer__makes_a_member_with_a_pass(town: Town, mallory: Key) -> None:
    receipt = town.join(mallory)
    assert log_of(receipt, "Joined")["member"] == mallory.address
    assert town.points.isMember(mallory.address)
    token = town.membership.tokenIdOf(0, mallory.address)
    assert str(town.membership.ownerOf(token)).lower() == mallory.address
    assert town.membership.locked(token)


def test_leave__by_one_who_is_no_member__is_refused(town: Town, mallory: Key) -> None:
    with refused("NotMember", mallory.address):
        town.execute(town.make("Leave", mallory, member=mallory.address, nonce=1))


def test_leave__with_points__keeps_them_until_spent(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    town.execute(town.make("Leave", ada, member=ada.address, nonce=town.member_nonce(ada)))
    assert not town.points.isMember(ada.address)
    assert town.membership.balanceOf(ada.address) == 0
    with refused("NotMember", ada.address):
        town.issue(BAKER, ada, 1)
    town.redeem(ada, FLORIST, 10)
    assert town.balance(ada) == 0


def test_transfer__signed_by_the_receiver__is_refused(town: Town, ada: Key, bob: Key) -> None:
    town.issue(BAKER, ada, 10)
    with refused("SignatureInvalid", ada.address):
        town.execute(town.transfer_order(ada, bob.address, 10, key=bob))


def test_transfer__to_one_who_is_no_member__is_refused(town: Town, ada: Key, mallory: Key) -> None:
    town.issue(BAKER, ada, 10)
    with refused("NotMember", mallory.address):
        town.execute(town.transfer_order(ada, mallory.address, 10))


def test_transfer__to_nobody__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    with refused("ERC20InvalidReceiver", ZERO):
        town.execute(town.transfer_order(ada, ZERO, 10))


def test_transfer__of_nothing__is_refused(town: Town, ada: Key, bob: Key) -> None:
    with refused("ZeroPoints"):
        town.execute(town.transfer_order(ada, bob.address, 0))


def test_transfer__more_than_there_is__is_refused(town: Town, ada: Key, bob: Key) -> None:
    with refused("ERC20InsufficientBalance", ada.address, 0, 1):
        town.execute(town.transfer_order(ada, bob.address, 1))


def test_transfer__of_old_points__does_not_make_them_young(town: Town, ada: Key, bob: Key) -> None:
    town.issue(BAKER, ada, 10)
    town.go(town.epoch_start(6))
    town.execute(town.transfer_order(ada, bob.address, 10))
    assert town.points.balanceOfAtEpoch(1, bob.address) == 10
    town.mine_at(town.epoch_start(7))
    assert town.balance(bob) == 0


def test_transfer__to_oneself__moves_nothing_and_uses_the_nonce(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    order = town.transfer_order(ada, ada.address, 10)
    assert "Transfer" in names_of(town.execute(order))
    assert town.balance(ada) == 10
    with refused("NonceUsed"):
        town.execute(order)


def test_issue__into_a_full_bucket__is_refused(town: Town, ada: Key) -> None:
    """A bucket is 35 bits wide; nothing is ever carried into the next."""
    full = 2**35 - 1
    town.coalition.deposit(BAKER, 5 * 10**11, sender=town.relayer)
    town.issue(BAKER, ada, 4 * 10**9)
    with refused("BucketFull", ada.address, 1, full - 4 * 10**9 + 1):
        town.issue(BAKER, ada, full - 4 * 10**9 + 1)


def test_transfer_at_epoch__at_both_edges_of_its_life__to_the_second(
    town: Town, clerk: Key, bob: Key
) -> None:
    """The clerk is a member who sends transactions of her own, without any order."""
    sender = town.stranger
    town.join(clerk)
    town.issue(BAKER, clerk, 10)
    town.go(town.epoch_start(7) - 1)
    town.points.transferAtEpoch(1, bob.address, 4, sender=sender)
    assert town.points.balanceOfAtEpoch(1, bob.address) == 4
    with refused("ERC7818TransferredExpiredToken"):
        town.go(town.epoch_start(7))
        town.points.transferAtEpoch(1, bob.address, 1, sender=sender)


def test_cancel__of_anothers_nonce__is_refused(town: Town, ada: Key, mallory: Key) -> None:
    with refused("SignatureInvalid", ada.address):
        town.execute(town.make("Cancel", mallory, signer=ada.address, merchant=0, nonce=2))


def test_cancel__of_a_merchants_nonce_by_a_stranger__is_refused(town: Town, mallory: Key) -> None:
    order = town.make("Cancel", mallory, signer=mallory.address, merchant=BAKER, nonce=2)
    with refused("NotTillKey", BAKER, mallory.address):
        town.execute(order)


def test_cancel__by_the_member__the_order_never_takes_effect(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    values = town.redeem_values(ada, BAKER, 10)
    cancel = town.make("Cancel", ada, signer=ada.address, merchant=0, nonce=values["nonce"])
    town.execute(cancel)
    order = town.make("Redeem", ada, **values)
    with refused("NonceUsed"):
        town.execute(order)
    assert names_of(town.relay(order)) == []
    assert town.balance(ada) == 10


def test_cancel__by_the_till__the_batch_never_takes_effect(town: Town, ada: Key) -> None:
    till = town.shops[BAKER].till
    order = town.issue_order(BAKER, [(ada.address, 1)], nonce=44)
    town.execute(town.make("Cancel", till, signer=till.address, merchant=BAKER, nonce=44))
    with refused("MerchantNonceUsed", BAKER, 44):
        town.execute(order)


def test_recover__by_one_who_was_not_named__is_refused(town: Town, ada: Key, mallory: Key) -> None:
    order = town.make("Recover", mallory, member=ada.address, recovery=mallory.address, nonce=1)
    with refused("RecoveryUnknown", ada.address):
        town.execute(order)


def test_recover__named_and_after_the_delay__moves_points_and_pass(
    town: Town, ada: Key, mallory: Key
) -> None:
    spare = Key.from_seed("ada's spare key")
    town.issue(BAKER, ada, 10)
    named = {"member": ada.address, "recovery": spare.address}
    town.execute(town.make("NameRecovery", ada, **named, nonce=town.member_nonce(ada)))
    receipt = town.execute(town.make("Recover", spare, **named, nonce=1))
    finishable_at = log_of(receipt, "RecoveryStarted")["finishableAt"]
    town.go(finishable_at - 1)
    with refused("RecoveryTooEarly", finishable_at):
        town.coalition.finishRecovery(ada.address, sender=town.stranger)
    town.go(finishable_at)
    town.coalition.finishRecovery(ada.address, sender=town.stranger)
    assert (town.balance(ada), town.balance(spare)) == (0, 10)
    assert town.points.isMember(spare.address)
    assert town.membership.balanceOf(spare.address) == 1


def test_recover__the_old_key_objects__stops_it(town: Town, ada: Key) -> None:
    spare = Key.from_seed("ada's spare key")
    named = {"member": ada.address, "recovery": spare.address}
    town.execute(town.make("NameRecovery", ada, **named, nonce=town.member_nonce(ada)))
    town.execute(town.make("Recover", spare, **named, nonce=1))
    nobody = {"member": ada.address, "recovery": ZERO, "nonce": town.member_nonce(ada)}
    town.execute(town.make("NameRecovery", ada, **nobody))
    town.go(town.now + 8 * 86_400)
    with refused("RecoveryUnknown", ada.address):
        town.coalition.finishRecovery(ada.address, sender=town.stranger)
