"""What each kind of order costs at its worst, cold, on a real node under osaka, beside what `relay`
asks for before it begins: nobody can starve an order, and the margin is known.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from banyan_kit import revm
from banyan_kit.revm import (
    ADMIN,
    Refused,
    Settings,
    create_address,
    decode_error,
    decode_log,
    to_bytes,
)
from banyan_kit.wire import Key
from network_desk import ATTESTOR, TREASURY, Desk, Redemption

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from gas_node import START, TRANSACTION_GAS_MAX, Node, running_node  # noqa: E402

ADA, BOB, EVE = (Key.from_seed(name) for name in ("ada", "bob", "eve"))
BAKER, FLORIST = 1, 2
# What `_requireGas` asks for (contracts/Coalition.sol). All but 1/64 of it reaches the frame.
NEEDED = 250_000
NEEDED_REFUND = 450_000
ENTRY = {"members": 7_900, "open": 24_500}
# Between the question and the frame: the call itself.
CALL_GAS = 200
# At least so much of what reaches a frame is left at the worst.
MARGIN = 0.15


class NodeChain(revm.Chain):
    """The kit's chain on anvil: every transaction is a block, and every block begins cold."""

    node: Node

    def __post_init__(self) -> None:
        self.node.rpc("anvil_autoImpersonateAccount", True)
        for caller in (ADMIN, ATTESTOR, TREASURY):
            self.node.rpc("anvil_setBalance", caller, hex(10**20))

    def at(self, timestamp: int) -> None:
        self.now = self.node.now = timestamp
        self.node.rpc("evm_mine", timestamp)

    def nonce_of(self, account: str) -> int:
        return int(self.node.rpc("eth_getTransactionCount", account, "latest"), 16)

    def deploy(self, deployer: str, code: bytes) -> str:
        address = create_address(deployer, self.nonce_of(deployer))
        self.node.send(None, code, sender=deployer)
        return address

    def transact(self, caller: str, to: str, data: bytes, gas: int | None = None) -> bytes:
        answer = self.ask(caller, to, data)
        receipt = self.node.send(to, data, sender=caller, gas=gas)
        self.last = receipt["transactionHash"]
        self.logs = [
            decode_log(log["address"], log["topics"], to_bytes(log["data"], 0))
            for log in receipt["logs"]
            if (to_bytes(log["topics"][0], 32), len(log["topics"])) in revm.events()
        ]
        return answer

    def ask(self, caller: str, to: str, data: bytes) -> bytes:
        question = {"from": caller, "to": to, "data": "0x" + data.hex()}
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [question, "pending"]}
        answer = self.node._client.post("", json=body).json()
        if "error" in answer:
            raise Refused(to_bytes(answer["error"].get("data") or "0x", 0))
        return to_bytes(answer["result"], 0)

    def frame_gas(self) -> int:
        """Gas of the last transaction's inner call, the Coalition's of itself; no refunds."""
        trace = self.node.rpc("debug_traceTransaction", self.last, {"tracer": "callTracer"})
        (frame,) = [c for c in trace["calls"] if c["from"] == c["to"] and c["type"] == "CALL"]
        assert "error" not in frame
        return int(frame["gasUsed"], 16)


@pytest.fixture(scope="module", params=["members", "open"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A baker and a florist with money; terms announced for every epoch as far as they may be."""
    with running_node() as node, pytest.MonkeyPatch.context() as patch:
        NodeChain.node = node
        patch.setattr(revm, "Chain", NodeChain)
        policy = {"members": 1, "open": 0}[request.param]
        desk = Desk.open(Settings(start=START, policy=policy))
        desk.policy = request.param  # type: ignore[attr-defined]
        for number, name in ((BAKER, "baker"), (FLORIST, "florist")):
            desk.register(number, name)
            desk.anyone("deposit", number, 10**9)
        for epoch in range(2, 11):
            desk.operate("setTerms", epoch, (epoch, 2, 5_000))
        yield desk


def measured(desk: Desk, order: bytes) -> int:
    """Carries one order out by `relay`; the gas of its frame."""
    logs = desk.relay(order)
    assert logs
    reasons = [decode_error(log.values["reason"]) for log in logs if log.name == "Rejected"]
    assert reasons == []
    return desk.network.chain.frame_gas()  # type: ignore[attr-defined]


def within(needed: int, frame: int) -> None:
    reaches = (needed - CALL_GAS) * 63 // 64
    assert frame <= reaches * (1 - MARGIN), f"{frame} of {reaches}"


def issue(desk: Desk, *entries: tuple[str, int]) -> bytes:
    till = desk.merchants[BAKER].tills[0]
    return desk.make(
        "IssueBatch", till, merchant=BAKER, nonce=256 * desk.nonce(BAKER), entries=list(entries)
    )


def test_relay__each_kind_at_its_worst__needs_less_than_it_asks_for(desk: Desk) -> None:
    figures: dict[str, int] = {}
    policy: str = desk.policy  # type: ignore[attr-defined]
    entry = ENTRY[policy]
    for member in (ADA, BOB):
        order = desk.make("Join", member, member=member.address, nonce=1)
        figures["Join"] = measured(desk, order)
    # The first issue of an epoch, a bitmap word of its own, all changes of terms newer than it.
    first = measured(desk, issue(desk, (ADA.address, 1_000)))
    strangers = [Key.from_seed(f"stranger {n}").address for n in range(40)]
    entries = [(who, 5) for who in strangers] if policy == "open" else [(BOB.address, 1)] * 40
    batch = measured(desk, issue(desk, *entries))
    assert batch - first <= 39 * entry, "an entry costs more than is asked for it"
    figures["IssueBatch"] = first
    # Six epochs, each with its own bucket and its own terms, nine more announced.
    for epoch in range(2, 7):
        desk.go_to_epoch(epoch)
        desk.relay(issue(desk, (ADA.address, 1_000)))
        desk.operate("setTerms", epoch + 9, (epoch, 2, 5_000))
    values: dict[str, Any] = {"member": ADA.address, "merchant": BAKER, "points": 5_500, "nonce": 7}
    values |= {"deadline": desk.epoch_end(), "ref": b"\xff" * 32}
    figures["Redeem"] = measured(desk, desk.network.wire.signed("Redeem", ADA, **values))
    log = next(log for log in desk.network.chain.logs if log.name == "Redeemed")
    redemption: Redemption = desk.redemption(log, values, [])
    refund = {"merchant": BAKER, "points": 5_500, "nonce": 2**20, "redemption": redemption.fields}
    refund_order = desk.make("Refund", desk.merchants[BAKER].tills[0], **refund)
    transfer = {"from": ADA.address, "to": BOB.address, "points": 400, "nonce": 13}
    figures["Transfer"] = measured(desk, desk.make("Transfer", ADA, **transfer))
    within(NEEDED_REFUND, measured(desk, refund_order))
    back = {"member": ADA.address, "merchant": BAKER, "points": 10, "epoch": 5, "nonce": 2**21}
    till, owner = desk.merchants[BAKER].tills[0], desk.merchants[BAKER].owner
    returned = desk.make("Return", till, member_key=ADA, ref=b"\xff" * 32, **back)
    figures["Return"] = measured(desk, returned)
    for kind, key, fields in (
        ("Cancel", till, {"signer": till.address, "merchant": BAKER, "nonce": 2**22}),
        ("Withdraw", owner, {"merchant": BAKER, "to": EVE.address, "amount": 5, "nonce": 2**63}),
        ("SetTillKey", owner, {"merchant": BAKER, "key": EVE.address, "active": True}),
        ("SetOwner", owner, {"merchant": BAKER, "owner": owner.address}),
        ("SetProfile", owner, {"merchant": BAKER, "profileHash": b"\xff" * 32}),
        ("NameRecovery", ADA, {"member": ADA.address, "recovery": EVE.address, "nonce": 19}),
        ("Recover", EVE, {"member": ADA.address, "recovery": EVE.address, "nonce": 6}),
        ("Leave", BOB, {"member": BOB.address, "nonce": 7}),
    ):
        if "nonce" not in fields:
            fields["nonce"] = 2**63 + 256 * desk.nonce(BAKER)
        figures[kind] = measured(desk, desk.make(kind, key, **fields))
    for gas in figures.values():
        within(NEEDED, gas)
    print("\n", policy, figures, batch)  # noqa: T201 (what it costs is the result)


def test_relay__of_one_gas_too_little__reverts_whole_and_with_it_takes_effect(desk: Desk) -> None:
    """The edge itself, cold: under it the call reverts, over it the order takes effect."""
    node = desk.network.chain.node  # type: ignore[attr-defined]
    call = desk.network.coalition.encode("relay", [issue(desk, (ADA.address, 3))])
    question = {"from": ADMIN, "to": desk.network.coalition.address, "data": "0x" + call.hex()}
    low, high = 100_000, TRANSACTION_GAS_MAX
    while high - low > 1:
        gas = (low + high) // 2
        try:
            answer = node.rpc("eth_call", question | {"gas": hex(gas)}, "pending")
        except RuntimeError:
            low = gas
        else:
            # Whoever is let through takes effect, and never fails for want of gas.
            assert int(answer, 16) == 1
            high = gas
    assert low > 250_000
