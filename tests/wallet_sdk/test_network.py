"""The SDK against the compiled contracts on a node: deployment, every order's digest, trade, reads,
refusals.
"""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.wallet_sdk.support import GENESIS_TIME, Sender, flat
from wallet_sdk import abi
from wallet_sdk import events as ev
from wallet_sdk.buckets import pack_buckets
from wallet_sdk.contracts import (
    Closing,
    ContractAt,
    Function,
    IssuedBy,
    Ledger,
    MerchantState,
    Network,
    Read,
    Recovery,
    Terms,
)
from wallet_sdk.contracts.functions import function
from wallet_sdk.deployment import (
    CONTRACT_NAMES,
    GUARDED,
    Actors,
    Deployment,
    DeploymentParams,
    Role,
    deployed,
    plan,
    planned_addresses,
)
from wallet_sdk.errors import DeploymentInvalid, RpcUnavailable
from wallet_sdk.merkle import redemptions_proof, redemptions_root
from wallet_sdk.orders import (
    Cancel,
    IssueBatch,
    Join,
    Order,
    Redeem,
    Redemption,
    Refund,
    Transfer,
    Withdraw,
    decode,
)
from wallet_sdk.refusals import (
    AccessManagedUnauthorized,
    CreditLimitExceeded,
    MerchantNonceUsed,
    NotMember,
    OrderExpired,
    SignatureInvalid,
    refusal_of,
)
from wallet_sdk.rpc import Rpc
from wallet_sdk.signers import HDWallets, LocalSigner
from wallet_sdk.types import ZERO_ADDRESS, Status, from_hex, keccak256, to_hex

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors" / "orders.json"
BAKERY = 1
DEADLINE = GENESIS_TIME + 10_000
REF = to_hex(keccak256(b"a reference, salted"))
EPOCH_LENGTH = 10**9


@dataclass
class Town:
    """A network with its people."""

    network: Network
    deployment: Deployment
    deployer: str
    start_nonce: int
    params: DeploymentParams
    operator: Sender
    treasurer: Sender
    attestor: Sender
    owner: LocalSigner
    till: LocalSigner
    ada: LocalSigner
    ben: LocalSigner
    relayer: Sender

    def signed(self, order: Order, signer: LocalSigner) -> bytes:
        return order.encode(signer.sign(order.digest(self.deployment.domain)))

    def relay(self, *wires: bytes) -> list[ev.Event]:
        """Relays the orders and returns the events in order."""
        receipt = self.relayer.call(self.network.calls.relay(wires))
        found = [ev.decode_log(log) for log in receipt["logs"]]
        assert None not in found
        return [event for event in found if event is not None]


@pytest.fixture(scope="module")
def town(rpc: Rpc, wallets: HDWallets) -> Town:
    people = [wallets.signer(i) for i in range(20, 31)]
    deployer = Sender(rpc, people[0])
    admin, guardian, operator, treasurer, attestor = people[1:6]
    actors = Actors(*(p.address for p in (admin, guardian, operator, treasurer, attestor)))
    params = DeploymentParams(
        actors, epoch_first_start=GENESIS_TIME - 1_000, epoch_length=EPOCH_LENGTH
    )
    first_block = int(rpc.call("eth_blockNumber"), 16) + 1
    start_nonce = int(rpc.call("eth_getTransactionCount", [deployer.address, "latest"]), 16)
    for planned in plan(params, deployer.address, start_nonce):
        deployer.send(planned.to, planned.data)
    deployment = deployed(rpc, params, deployer.address, start_nonce, first_block)
    town = Town(
        Network(rpc, deployment),
        deployment,
        deployer.address,
        start_nonce,
        params,
        Sender(rpc, operator),
        Sender(rpc, treasurer),
        Sender(rpc, attestor),
        *people[6:10],
        Sender(rpc, people[10]),
    )
    make = town.network.calls
    town.operator.call(make.register_merchant(BAKERY, town.owner.address, town.till.address, REF))
    fund(town, 1_000_000)
    return town


def fund(town: Town, amount: int) -> None:
    make = town.network.calls
    reference = to_hex(keccak256(amount.to_bytes(32, "big")))
    town.treasurer.call(make.propose_mint(reference, town.operator.address, amount))
    town.attestor.call(make.confirm_mint(reference))
    town.operator.call(make.approve_receipts(town.deployment.address("Coalition"), amount))
    town.operator.call(make.deposit(BAKERY, amount))


# ---- deployment


def test_plan__addresses__are_those_of_the_nonces(town: Town) -> None:
    addresses = planned_addresses(ZERO_ADDRESS, 0)
    assert list(addresses) == list(CONTRACT_NAMES)
    assert planned_addresses(ZERO_ADDRESS, 1)["AccessManager"] == addresses["BankReceipt"]


def test_plan__terms_that_do_not_fit__refused(town: Town) -> None:
    with pytest.raises(DeploymentInvalid, match="Coalition"):
        plan(replace(town.params, terms=Terms(2**32, 2, 5_000)), ZERO_ADDRESS, 0)


def test_deployed__other_code_than_the_artefact__refused(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dict(abi.load("Points"))
    other["deployedBytecode"] = other["deployedBytecode"][:-2] + "fe"
    real = abi.load
    monkeypatch.setattr(abi, "load", lambda name: other if name == "Points" else real(name))
    with pytest.raises(DeploymentInvalid, match="not the Points"):
        deployed(town.network.rpc, town.params, town.deployer, town.start_nonce, 1)


def test_deployed__nothing_there__refused(town: Town) -> None:
    with pytest.raises(DeploymentInvalid, match="AccessManager"):
        deployed(town.network.rpc, town.params, town.ada.address, 0, 1)


def test_check__this_network__holds(town: Town) -> None:
    town.network.check()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"chain_id": 1}, "chain id"),
        ({"genesis_hash": REF}, "genesis"),
        ({"contracts": {}}, "not the deployed Points"),
    ],
)
def test_check__another_network__refused(town: Town, changed: dict[str, Any], named: str) -> None:
    if "contracts" in changed:
        points = ContractAt(town.deployment.address("Points"), REF)
        changed = {"contracts": {**town.deployment.contracts, "Points": points}}
    with pytest.raises(DeploymentInvalid, match=named):
        Network(town.network.rpc, replace(town.deployment, **changed)).check()


def test_wiring__the_operators_functions__are_closed_to_all_others(town: Town) -> None:
    make = town.network.calls
    for call in (
        make.register_merchant(9, town.ada.address),
        make.set_merchant_status(BAKERY, Status.CLOSED),
        make.set_credit_limit(BAKERY, 1),
        make.set_terms(9, Terms(1, 1, 1)),
        make.pause_issuing(True),
        make.withdraw_guarantee(town.ada.address, 1),
        make.withdraw_income(town.ada.address, 1),
        make.propose_coalition(town.ada.address),
        make.veto_coalition(),
        make.propose_mint(REF, town.ada.address, 1),
        make.confirm_mint(REF),
        make.settle_payout(1, REF),
        make.attest_balance(20_261_121, 1, REF),
    ):
        with pytest.raises(AccessManagedUnauthorized) as refusal:
            town.network.simulate(call, town.ada.address)
        assert refusal.value.caller == town.ada.address


HAS_ROLE = function("AccessManager", "hasRole(uint64 roleId, address account)", "bool", "uint32")
FUNCTION_ROLE = function(
    "AccessManager", "getTargetFunctionRole(address target, bytes4 selector)", "uint64"
)


def ask(town: Town, asked: Function, *arguments: Any) -> Any:
    manager = town.deployment.address("AccessManager")
    read = Read(manager, asked.encode(*arguments), lambda data: asked.decode(data)[0])
    return town.network.read(read)


def test_wiring__the_deployer__keeps_nothing(town: Town) -> None:
    assert not any(ask(town, HAS_ROLE, int(role), town.deployer) for role in Role)


def test_wiring__each_role__has_its_one_holder(town: Town) -> None:
    actors = town.params.actors
    holders = {
        Role.ADMIN: actors.admin,
        Role.GUARDIAN: actors.guardian,
        Role.OPERATOR: actors.operator,
        Role.TREASURER: actors.treasurer,
        Role.ATTESTOR: actors.attestor,
    }
    for role in Role:
        for holder, account in holders.items():
            assert ask(town, HAS_ROLE, int(role), account) == (role is holder)


def test_wiring__each_guarded_function__has_its_role_on_chain(town: Town) -> None:
    for contract, role, signatures in GUARDED:
        for signature in signatures:
            selector = keccak256(signature.encode())[:4]
            found = ask(town, FUNCTION_ROLE, town.deployment.address(contract), selector)
            assert found == role, signature


def test_wiring__every_restricted_function_of_the_sources__has_a_role() -> None:
    declared = re.compile(r"function (\w+)\([^)]*\)([^{;]*)\{")
    restricted = {
        name
        for file in (ROOT / "contracts").rglob("*.sol")
        for name, words in declared.findall(file.read_text())
        if "restricted" in words.split()
    }
    named = {text.split("(")[0] for _, _, signatures in GUARDED for text in signatures}
    # A pass of programme 0 is the operator's, of others the merchant's: the function asks by
    # itself.
    assert named - restricted == {"setTier"}
    assert restricted - named == set()


def test_wiring__each_guarded_function__exists_in_its_contract() -> None:
    for contract, role, signatures in GUARDED:
        functions = {
            f"{item['name']}({','.join(flat(part) for part in item['inputs'])})"
            for item in abi.load(contract)["abi"]
            if item["type"] == "function"
        }
        assert set(signatures) <= functions, role
    assert {role for _, role, _ in GUARDED} == set(Role)


def test_network__after_deployment__is_what_was_asked_for(town: Town) -> None:
    reads, points = town.network.reads, town.deployment.address("Points")
    office = town.network.read(reads.office())
    assert office == town.deployment.address("CoalitionOffice") != points
    coalition, face_value, terms, length, end = town.network.read_many(
        [
            reads.coalition(),
            reads.face_value(),
            reads.terms_of(1),
            reads.epoch_length(),
            reads.epoch_end(1),
        ]
    )
    assert coalition == town.deployment.address("Coalition")
    assert (face_value, terms, length) == (100, Terms(10, 2, 5_000), EPOCH_LENGTH)
    assert end == town.deployment.schedule.end(1)


# ---- orders


def test_digest_of__every_kind__is_the_sdks(town: Town) -> None:
    vectors = json.loads(VECTORS.read_text())["orders"]
    wires = [from_hex(vector["wire"]) for vector in vectors]
    found = town.network.read_many([town.network.reads.digest_of(wire) for wire in wires])
    domain = town.deployment.domain
    assert found == [to_hex(decode(wire).order.digest(domain)) for wire in wires]
    separator = town.network.read(town.network.reads.domain_separator())
    assert separator == to_hex(domain.separator)


def test_relay__somebody_elses_signature__leaves_no_trace(town: Town) -> None:
    join = Join(town.ada.address, 1, DEADLINE)
    forged = town.signed(join, town.ben)
    assert town.relay(forged) == []
    with pytest.raises(SignatureInvalid):
        town.network.simulate(town.network.calls.execute(forged))


def test_execute__deadline_passed__says_when(town: Town) -> None:
    late = town.signed(Join(town.ada.address, 1, GENESIS_TIME - 1), town.ada)
    with pytest.raises(OrderExpired) as refusal:
        town.network.simulate(town.network.calls.execute(late))
    assert refusal.value.deadline == GENESIS_TIME - 1


def test_merchant_of__none__has_status_none(town: Town) -> None:
    assert town.network.merchant_of(77).status is Status.NONE


def test_trade__from_joining_to_withdrawing__events_and_reads_agree(town: Town) -> None:
    """One story, in order: the parts need each other."""
    domain, network = town.deployment.domain, town.network
    ada, ben = town.ada, town.ben

    # Before ada joins, points to her are news, not an effect.
    early = IssueBatch(BAKERY, 0, DEADLINE, ((ada.address, 10),))
    (rejected,) = town.relay(town.signed(early, town.till))
    assert isinstance(rejected, ev.Rejected)
    assert isinstance(refusal_of(rejected.reason), NotMember)

    joins = [Join(who.address, 1, DEADLINE) for who in (ada, ben)]
    effects = town.relay(*(town.signed(j, s) for j, s in zip(joins, (ada, ben), strict=True)))
    joined = [event for event in effects if isinstance(event, ev.Joined)]
    assert joined == [ev.Joined(to_hex(j.digest(domain)), j.member) for j in joins]
    assert network.is_member(ada.address)
    assert network.pass_of(ada.address).member == ada.address

    batch = IssueBatch(BAKERY, 1, DEADLINE, ((ada.address, 700), (ben.address, 50)))
    effects = town.relay(town.signed(batch, town.till))
    issued = next(event for event in effects if isinstance(event, ev.Issued))
    assert (issued.points, issued.charged, issued.epoch) == (750, 750 * 110, 1)
    assert network.balances_of([ada.address, ben.address]) == {ada.address: 700, ben.address: 50}
    assert network.is_merchant_nonce_used(BAKERY, 1)
    with pytest.raises(MerchantNonceUsed):
        network.simulate(network.calls.execute(town.signed(batch, town.till)))

    poor = IssueBatch(BAKERY, 2, DEADLINE, ((ada.address, 10**9),))
    with pytest.raises(CreditLimitExceeded) as refusal:
        network.simulate(network.calls.execute(town.signed(poor, town.till)))
    assert refusal.value.charge == 110 * 10**9

    redeems = [
        Redeem(ada.address, BAKERY, 300, 2, DEADLINE, REF),
        Redeem(ben.address, BAKERY, 20, 2, DEADLINE, REF),
    ]
    effects = town.relay(*(town.signed(r, s) for r, s in zip(redeems, (ada, ben), strict=True)))
    redeemed = [event for event in effects if isinstance(event, ev.Redeemed)]
    assert [(event.points, event.paid) for event in redeemed] == [(300, 29_400), (20, 1_960)]
    assert redeemed[0].buckets == pack_buckets(1, {1: 300})
    rooted = next(event for event in effects if isinstance(event, ev.RedemptionsRooted))
    given_up = Redemption(ada.address, 300, 2, DEADLINE, REF, redeemed[0].buckets)
    leaves = [
        given_up.leaf(BAKERY, domain),
        Redemption(ben.address, 20, 2, DEADLINE, REF, redeemed[1].buckets).leaf(BAKERY, domain),
    ]
    assert rooted.root == to_hex(redemptions_root(leaves))
    assert network.is_redemption_root(rooted.root)

    proof = tuple(to_hex(step) for step in redemptions_proof(leaves, 0))
    refund = Refund(BAKERY, 100, 3, DEADLINE, given_up, proof)
    effects = town.relay(town.signed(refund, town.till))
    refunded = next(event for event in effects if isinstance(event, ev.Refunded))
    assert (refunded.points, refunded.charged) == (100, 9_800)
    assert network.refunded_of(to_hex(leaves[0])) == 100

    town.relay(town.signed(Transfer(ada.address, ben.address, 40, 3, DEADLINE), ada))
    town.relay(town.signed(Cancel(ada.address, 0, 6, DEADLINE), ada))
    account = network.account_of(ada.address)
    assert account.points_by_epoch == {1: 460}
    assert account.is_member
    assert account.highest_nonce == 6
    assert account.free_nonces() == [4, 5, 7, 8, 9, 10, 11, 12]
    assert account.pack() == network.read(network.reads.account_word_of(ada.address))
    used = network.read_many([network.reads.is_nonce_used(ada.address, n) for n in range(15)])
    assert used == [account.is_nonce_used(n) for n in range(15)]
    assert network.buckets_of(ben.address) == {1: 70}

    position = 1_000_000 - 82_500 + 31_360 - 9_800
    assert network.position_of(BAKERY) == position
    town.relay(town.signed(Withdraw(BAKERY, town.owner.address, position, 4, DEADLINE), town.owner))
    assert network.receipts_of(town.owner.address) == position
    assert network.merchant_of(BAKERY) == MerchantState(
        town.owner.address, Status.ACTIVE, 0, 0, REF
    )
    assert network.supply_of_epoch(1).live == network.total_supply() == 530
    assert network.issued_by(1, BAKERY) == IssuedBy(750, 0)
    assert network.reserve() == 53_000
    assert network.assets_held() == 53_000 + network.income().earned
    ledger, recovery, closing, claimed = network.read_many(
        [
            network.reads.ledger(),
            network.reads.recovery_of(ada.address),
            network.reads.closing_of(1),
            network.reads.has_claimed(1, BAKERY),
        ]
    )
    assert ledger == Ledger(0, 0, 0, 0, 0, 1)
    assert recovery == Recovery(ZERO_ADDRESS, 0)
    assert closing == Closing(0, 0, 0, False)
    assert claimed is False


# ---- blocks


def test_head__no_such_block__is_unknown(town: Town) -> None:
    with pytest.raises(RpcUnavailable, match="no block"):
        town.network.head(10**9)


def test_reads__at_a_block__answer_as_of_it(town: Town) -> None:
    head = town.network.head()
    assert town.network.head(head.number) == town.network.head(head.hash) == head
    first = town.network.head(town.deployment.first_block + len(CONTRACT_NAMES))
    assert town.network.total_supply(block=first.hash) == 0
    assert town.network.merchant_of(BAKERY, block=head.number).status is Status.ACTIVE
