"""A year and a half of trade, with everything in it that can happen to an honest network."""

from __future__ import annotations

from audit_town import BAKER, DAY, EPOCH_LENGTH, FIRST_TIME, FLORIST, Town, key, tag

from wallet_sdk.contracts.answers import Terms
from wallet_sdk.contracts.functions import Call
from wallet_sdk.merkle import redemption_leaf, redemptions_proof
from wallet_sdk.orders import (
    Cancel,
    Leave,
    NameRecovery,
    Recover,
    Redemption,
    Refund,
    SetOwner,
    SetProfile,
    SetTillKey,
    Withdraw,
)
from wallet_sdk.signers import LocalSigner
from wallet_sdk.types import Status, keccak256

MEMBERS = ("ada", "ben", "cleo", "dan", "eve", "fay")


def epoch_start(epoch: int) -> int:
    return FIRST_TIME + (epoch - 1) * EPOCH_LENGTH


def tell(town: Town) -> None:
    """The whole story. Each step is a block or two."""
    town.relayed([town.join(name) for name in MEMBERS])
    town.relayed(
        [
            town.issue(BAKER, ("ada", 50_000), ("ben", 20_000), ("ada", 1)),
            town.issue(FLORIST, ("cleo", 9_000), ("dan", 30_000)),
        ]
    )
    _trade(town)
    _refused(town)
    _keys_and_money(town)
    _later_epochs(town)
    _recoveries(town)
    _the_end_of_an_epoch(town)


def _trade(town: Town) -> None:
    first = town.redeem_order("ada", BAKER, 300)
    second = town.redeem_order("ben", FLORIST, 7_000)
    orders = [town.signed(first, key("ada")), town.signed(second, key("ben"))]
    town.relayed([*orders, town.transfer("dan", "eve", 500), town.transfer("cleo", "cleo", 10)])
    leaves, redemptions = [], []
    for order in (first, second):
        buckets = (1 << 240) | order.points
        digest = order.digest(town.deployment.domain)
        leaves.append(redemption_leaf(digest, buckets))
        redemptions.append(
            Redemption(order.member, order.points, order.nonce, order.deadline, order.ref, buckets)
        )
    refunds = []
    for points in (100, 150):
        proof = tuple("0x" + step.hex() for step in redemptions_proof(leaves, 1))
        refund = Refund(
            FLORIST, points, town.merchant_nonce(), town.deadline, redemptions[1], proof
        )
        refunds.append(town.signed(refund, town.tills[FLORIST]))
    town.relayed(refunds)
    town.relayed([town.returned("ada", BAKER, 2_000, 1)])
    # Refused on chain: more than she has, and a batch that the pass-less stranger is in.
    town.relayed([town.redeem("eve", BAKER, 10**6), town.issue(BAKER, ("stranger", 5))])
    # Its calldata carries an order that takes effect only once.
    again = town.issue(BAKER, ("ben", 77))
    town.relayed([again, again])
    # A transaction that fails as a whole.
    failed = town.send(town.relayer, town.calls.execute(again))
    town.mine()
    assert town.rpc.call("eth_getTransactionReceipt", [failed])["status"] == "0x0"
    town.relayed([town.redeem("dan", FLORIST, 1)])
    digest = town.send(town.relayer, town.calls.execute(town.redeem("ben", BAKER, 123)))
    town.mine()
    town.ask_all([digest])


def _refused(town: Town) -> None:
    """Orders and calls of strangers, all in vain. The contracts read slots for each of them."""
    mallory, calls = key("mallory"), town.calls
    owner, deadline = key("an owner of nothing"), town.deadline
    unknown = Redemption(mallory.address, 5, 1, deadline, tag("no receipt"), (1 << 240) | 5)
    refund = Refund(BAKER, 5, town.merchant_nonce() + 5_000, deadline, unknown, (tag("step"),))
    cancel = Cancel(mallory.address, 70, 700_000, deadline)
    profile = SetProfile(71, tag("a shop"), 900_000, deadline)
    named = NameRecovery(mallory.address, owner.address, 9, deadline)
    recover = Recover(key("a victim").address, mallory.address, 1, deadline)
    town.relayed(
        [
            town.redeem("a stranger", 77, 10),
            town.transfer("ada", "a second stranger", 3),
            town.signed(refund, town.tills[BAKER]),
            town.signed(cancel, mallory),
            town.signed(profile, mallory),
            town.signed(named, mallory),
            town.signed(recover, mallory),
            town.issue(FLORIST, ("dan", 1), till=mallory),
            town.returned("a third stranger", BAKER, 1, 9),
        ]
    )
    points, receipts = town.deployment.addresses["Points"], town.deployment.addresses["BankReceipt"]
    thief, place = key("thief"), key("a hiding place").address
    vain = [
        calls.execute(town.redeem("a fourth stranger", BAKER, 10)),
        calls.deposit(FLORIST, 5),
        calls.claim_breakage(1, FLORIST),
        calls.finish_recovery(key("a fifth stranger").address),
        calls.confirm_mint(tag("no such mint")),
        calls.enroll(BAKER, key("a sixth stranger").address, 1),
        erc20(points, "transfer(address,uint256)", place, 1),
        erc20(points, "transferFrom(address,address,uint256)", key("ada").address, place, 1),
        erc20(points, "approve(address,uint256)", place, 7),
        erc20(receipts, "transferFrom(address,address,uint256)", thief.address, place, 1),
    ]
    sent = [town.send(thief, call, gas=1_000_000) for call in vain]
    town.mine()
    states = [town.rpc.call("eth_getTransactionReceipt", [hash_])["status"] for hash_ in sent]
    assert states == ["0x0"] * 8 + ["0x1", "0x0"]


def erc20(token: str, signature: str, *arguments: str | int) -> tuple[str, bytes]:
    """A call of a token, by anybody."""
    numbers = [int(a, 16) if isinstance(a, str) else a for a in arguments]
    words = b"".join(number.to_bytes(32, "big") for number in numbers)
    return token, keccak256(signature.encode())[:4] + words


def _keys_and_money(town: Town) -> None:
    owner, deadline = town.owners[BAKER], town.deadline
    fresh = key("till 1, the second")
    add = SetTillKey(BAKER, fresh.address, True, town.merchant_nonce(), deadline)
    revoke = SetTillKey(BAKER, town.tills[BAKER].address, False, town.merchant_nonce(), deadline)
    town.relayed([town.signed(add, owner)])
    # In one relay: the old key signs, is revoked, and the new one goes on.
    last = town.issue(BAKER, ("fay", 400))
    town.relayed([last, town.signed(revoke, owner), town.issue(BAKER, ("fay", 600), till=fresh)])
    town.tills[BAKER] = fresh
    nonce = town.merchant_nonce()
    cancel = Cancel(fresh.address, BAKER, nonce, town.deadline)
    own = Cancel(key("fay").address, 0, town.member_nonce("fay"), town.deadline)
    takes = Withdraw(BAKER, owner.address, 5_000, town.merchant_nonce(), town.deadline)
    profile = SetProfile(BAKER, tag("a new profile"), town.merchant_nonce(), town.deadline)
    town.relayed(
        [
            town.signed(cancel, fresh),
            town.signed(own, key("fay")),
            town.signed(takes, owner),
            town.signed(profile, owner),
        ]
    )
    for name in ("baker's son", "baker's daughter"):
        heir = key(name)
        sells = SetOwner(BAKER, heir.address, town.merchant_nonce(), town.deadline)
        town.relayed([town.signed(sells, town.owners[BAKER])])
        town.owners[BAKER] = heir
        # The son's address is read among the till keys, and no log says so.
        if name == "baker's son":
            enrolled = town.send(heir, town.calls.enroll(BAKER, key("ben").address, 2))
            town.mine()
            town.ask_all([enrolled])
    leave = Leave(key("fay").address, town.member_nonce("fay"), town.deadline)
    town.relayed([town.signed(leave, key("fay"))])
    calls, operator = town.calls, town.operator
    coalition = town.deployment.addresses["Coalition"]
    town.send(operator, calls.propose_mint(tag("guarantee"), operator.address, 10**6))
    town.mine()
    town.send(key("attestor"), calls.confirm_mint(tag("guarantee")))
    town.send(key("attestor"), calls.attest_balance(20231130, 2 * 10**9, tag("statement")))
    town.mine()
    sent = [
        town.send(operator, calls.approve_receipts(coalition, 10**6)),
        town.send(operator, calls.deposit_guarantee(900_000)),
        town.send(operator, calls.set_credit_limit(FLORIST, 500_000)),
        town.send(operator, calls.set_terms(3, Terms(20, 5, 4_000))),
    ]
    town.mine()
    sent.append(town.send(operator, calls.withdraw_guarantee(operator.address, 100_000)))
    sent.append(town.send(operator, calls.pause_issuing(True)))
    town.mine()
    sent.append(town.send(operator, calls.pause_issuing(False)))
    town.mine()
    town.ask_all(sent)
    _offices(town)


def _offices(town: Town) -> None:
    """Pay-outs, a mint that was a mistake, a successor that was vetoed, statuses, tiers."""
    calls, operator, attestor = town.calls, town.operator, key("attestor")
    receipts, token = town.deployment.addresses["BankReceipt"], int(key("ada").address, 16)
    eve, till = key("eve"), town.tills[FLORIST]

    def each(*steps: tuple[LocalSigner, Call | tuple[str, bytes]]) -> None:
        sent = [town.send(signer, call) for signer, call in steps]
        town.mine()
        town.ask_all(sent)

    each(
        (operator, calls.request_payout(40_000, tag("an account"))),
        (operator, calls.request_payout(7, tag("an account"))),
        (operator, calls.propose_mint(tag("typing mistake"), operator.address, 5)),
        (operator, calls.propose_mint(tag("waits"), operator.address, 6)),
        (operator, calls.propose_coalition(key("a first draft").address)),
        (operator, calls.set_merchant_status(FLORIST, Status.SUSPENDED)),
        (operator, calls.set_tier(token, 3)),
        (till, calls.enroll(FLORIST, eve.address, 1)),
    )
    each(
        (operator, calls.settle_payout(1, tag("paid out"))),
        (operator, calls.cancel_payout(2)),
        (attestor, erc20(receipts, "rejectMint(bytes32)", tag("typing mistake"))),
        (key("guardian"), calls.veto_coalition()),
        (operator, calls.set_merchant_status(FLORIST, Status.ACTIVE)),
        (eve, calls.discard(FLORIST)),
    )
    each((operator, calls.propose_coalition(key("a second draft").address)))
    manager, passes = (town.deployment.addresses[n] for n in ("AccessManager", "MembershipPass"))
    clerk, guest = key("clerk").address, key("guest").address
    grant, close = "grantRole(uint64,address,uint32)", "setTargetClosed(address,bool)"
    roles = (
        ((grant, 77, clerk, 0), (grant, 77, guest, 3_600), (close, passes, 1)),
        (
            (grant, 77, clerk, 7_200),
            ("revokeRole(uint64,address)", 77, guest),
            ("setRoleAdmin(uint64,uint64)", 77, 5),
            ("setRoleGuardian(uint64,uint64)", 77, 6),
            ("setGrantDelay(uint64,uint32)", 77, 60),
            ("setTargetAdminDelay(address,uint32)", key("nothing").address, 60),
            (close, passes, 0),
        ),
    )
    for steps in roles:
        each(*((operator, erc20(manager, *step)) for step in steps))


def _later_epochs(town: Town) -> None:
    town.mine(epoch_start(2) - 1)
    town.relayed([town.issue(BAKER, ("ada", 10_000), ("cleo", 40))], at=epoch_start(2))
    town.relayed([town.redeem("ada", FLORIST, 48_000), town.redeem("cleo", BAKER, 9_001)])
    town.relayed([town.returned("ada", BAKER, 500, 1), town.returned("ada", BAKER, 900, 2)])
    town.mine(epoch_start(3))
    town.relayed([town.issue(BAKER, ("ada", 5_000)), town.issue(FLORIST, ("eve", 12_345))])
    # Draws on its credit: the deposit is nearly gone.
    town.relayed([town.redeem("ada", BAKER, 6_000)])


def _recoveries(town: Town) -> None:
    ben, safe = key("ben"), key("ben's safe")
    deadline = town.deadline
    named = NameRecovery(ben.address, safe.address, town.member_nonce("ben"), deadline)
    town.relayed([town.signed(named, ben)])
    recover = Recover(ben.address, safe.address, town.member_nonce("ben's safe"), deadline)
    town.relayed([town.signed(recover, safe)])
    town.mine(town.time + 8 * DAY)
    digest = town.send(town.relayer, town.calls.finish_recovery(ben.address))
    town.mine()
    town.ask_all([digest])
    town.relayed([town.join("ben")])


def _the_end_of_an_epoch(town: Town) -> None:
    town.mine(epoch_start(7))
    calls = town.calls
    sent = [town.send(town.relayer, calls.close_epoch(1))]
    sent += [town.send(town.relayer, calls.claim_breakage(1, m)) for m in (FLORIST, BAKER)]
    town.mine()
    sent.append(town.send(town.operator, calls.withdraw_income(town.operator.address, 12_345)))
    town.mine()
    town.ask_all(sent)
    town.relayed([town.issue(FLORIST, ("ada", 11), ("dan", 12)), town.join("gil")])
